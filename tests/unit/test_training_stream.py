"""Training examples that are drawn when they are needed: pure, exact on resume, read ahead."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_training import PLAN, TRAIN, Noise, Plain, Supervised, train

import skyloom.cli
from skyloom.cli import BadInput
from skyloom.training import UNFINISHED
from skyloom.training.feed import Feed, place
from skyloom.training.team import Team

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": f"{Path(skyloom.cli.__file__).parents[1]}:{HERE}",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of a training on the stream that nothing disturbed, without readers."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("stream")
    train(Supervised, folder, examples=Noise())
    return folder


def histories(*folders):
    return [(folder / "history.csv").read_text() for folder in folders]


def test_draw_is_a_function_of_seed_epoch_and_index_alone():
    stream, other = Noise(), Noise()
    batch = stream.draw(1, np.array([7, 3]))["x"]
    assert torch.equal(batch, torch.cat([other.draw(1, np.array([k]))["x"] for k in (7, 3)]))
    other.seed = 1
    for changed in (stream.draw(2, np.array([7, 3])), other.draw(1, np.array([7, 3]))):
        assert (changed["x"] != batch).all()


def test_each_epoch_of_a_training_draws_other_examples(tmp_path):
    seen = []

    class Watched(Plain):
        def losses(self, batch, step):
            seen.append(batch["x"][:, 0, 0, 0])
            yield from super().losses(batch, step)

    train(Watched, tmp_path, replace(PLAN, steps=12), examples=Noise())  # an epoch is 6 steps
    values = torch.cat(seen)
    assert len(values.unique()) == len(values) == 12 * PLAN.batch


def test_killed_and_resumed_stream_gives_the_same_history(uninterrupted, tmp_path):
    command = [sys.executable, HERE / "toy_training.py", "Supervised", tmp_path, "--stream", "0"]
    killed = subprocess.run([*command, "25"], env=ENVIRONMENT, capture_output=True)
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "history.csv").exists()
    train(Supervised, tmp_path, examples=Noise())
    mine, theirs = histories(tmp_path, uninterrupted)
    assert mine == theirs


def test_one_and_three_readers_give_the_same_batches():
    places = [place(TRAIN, step, PLAN, 0, 1) for step in range(9)]
    with Team() as team:
        feed = Feed(Noise(), team)
        batches = [[b["x"] for b in feed.batches(iter(places), readers)] for readers in (0, 1, 3)]
    for ours in batches[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ours, batches[0], strict=True))


def test_refusal_in_a_reader_arrives_as_it_was_raised():
    with Team() as team, pytest.raises(BadInput) as refused:
        list(Feed(Noise(broken=3), team).batches([(0, np.arange(5))], readers=1))
    assert str(refused.value) == "noise.nc: example 3 is not a number"


def test_interrupt_of_the_whole_group_saves_and_the_next_attempt_goes_on(uninterrupted, tmp_path):
    """Ctrl-C reaches the readers too; they must live until the trainer has saved."""
    command = [sys.executable, HERE / "toy_training.py", "Slow", tmp_path, "--stream", "2"]
    options = {"env": ENVIRONMENT, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        while not list(tmp_path.glob("state/state-*.pt")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == UNFINISHED and "SIGINT received" in said, said
    train(Supervised, tmp_path, replace(PLAN, readers=2), examples=Noise())
    mine, theirs = histories(tmp_path, uninterrupted)
    assert mine == theirs
