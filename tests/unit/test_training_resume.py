"""A run that was stopped in any way gives the history of an uninterrupted one, byte for byte."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from toy_training import PLAN, Adversarial, Supervised, train

import skyloom.cli
from dag.resources import planned_stops
from skyloom import lock
from skyloom.cli import BadInput
from skyloom.training import UNFINISHED

HERE = Path(__file__).parent
MID_EPOCH = 25  # an epoch is 6 steps, a row of the history 7


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Folders with the history and the weights of runs that nothing disturbed, by the
    task's class.
    """
    folders = {}
    for kind in (Supervised, Adversarial):
        folders[kind] = tmp_path_factory.mktemp(kind.__name__)
        train(kind, folders[kind])
    return folders


def assert_same(folder, reference):
    assert (folder / "history.csv").read_bytes() == (reference / "history.csv").read_bytes()
    mine, theirs = (torch.load(f / "best.ckpt", weights_only=True) for f in (folder, reference))
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert not list((folder / "state").glob("state-*")) and not (folder / "state/lock").exists()


def saved(folder):
    (path,) = (folder / "state").glob("state-*.pt")
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("kind", [Supervised, Adversarial])
def test_killed_in_mid_epoch_and_resumed_gives_the_same_history(kind, uninterrupted, tmp_path):
    command = [sys.executable, HERE / "toy_training.py", kind.__name__, tmp_path]
    environment = os.environ | {"PYTHONPATH": str(Path(skyloom.cli.__file__).parents[1])}
    killed = subprocess.run([*command, str(MID_EPOCH)], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "history.csv").exists()
    assert 0 < saved(tmp_path)["step"] < MID_EPOCH
    train(kind, tmp_path)  # another process: this one
    assert_same(tmp_path, uninterrupted[kind])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signal_saves_and_the_second_attempt_finishes(number, uninterrupted, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        train(
            Supervised,
            tmp_path,
            at_step=lambda step: step == MID_EPOCH and os.kill(os.getpid(), number),
        )
    assert stopped.value.code == UNFINISHED and saved(tmp_path)["step"] == MID_EPOCH + 1
    said = capsys.readouterr().err
    assert f"NOT FINISHED: {number.name} received. The state is saved at step 26 of 40" in said
    train(Supervised, tmp_path)
    assert "going on from step 26 of 40" in capsys.readouterr().err
    both = (tmp_path / "state" / "train.log").read_text()
    assert (
        both.index("NOT FINISHED")
        < both.index("going on from step 26 of 40")
        < both.index("FINISHED: 40 steps")
    )
    assert_same(tmp_path, uninterrupted[Supervised])


@pytest.mark.parametrize("kind", [Supervised, Adversarial])
def test_time_budget_that_ends_in_mid_epoch_then_a_second_attempt(
    kind, uninterrupted, tmp_path, capsys, monkeypatch
):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("skyloom.training.team.time", clock)
    with pytest.raises(SystemExit) as stopped:
        train(
            kind,
            tmp_path,
            at_step=lambda s: setattr(clock, "now", 61.0 * (s == MID_EPOCH)),
            budget_minutes=1,
        )
    assert stopped.value.code == UNFINISHED and saved(tmp_path)["step"] == MID_EPOCH + 1
    assert "NOT FINISHED: the time budget is spent" in capsys.readouterr().err
    clock.now = 0.0
    train(kind, tmp_path, budget_minutes=1)
    assert_same(tmp_path, uninterrupted[kind])
    assert "'resumes': 1" in (tmp_path / "summary.txt").read_text()


def test_finished_run_that_is_started_again_trains_anew(uninterrupted, tmp_path, capsys):
    train(Supervised, tmp_path)
    capsys.readouterr()
    train(Supervised, tmp_path)
    said = capsys.readouterr().err
    assert "training 40 steps" in said and "going on" not in said
    assert_same(tmp_path, uninterrupted[Supervised])


def test_changed_digest_or_plan_starts_anew_and_the_old_one_still_goes_on(
    uninterrupted, tmp_path, capsys
):
    def interrupted(**options):
        with pytest.raises(SystemExit):
            train(
                Supervised,
                tmp_path,
                at_step=lambda s: s == 9 and os.kill(os.getpid(), signal.SIGTERM),
                **options,
            )

    interrupted(digest="a")
    capsys.readouterr()
    for changed in ({"digest": "b"}, {"digest": "a", "plan": dataclasses.replace(PLAN, seed=4)}):
        interrupted(**changed)
        said = capsys.readouterr().err
        assert (
            "starting anew, the state in" in said
            and "another configuration, code, training set or number of processes" in said
        )
    train(Supervised, tmp_path, digest="a")
    assert "going on from step 10" in capsys.readouterr().err
    assert_same(tmp_path, uninterrupted[Supervised])


class Diverging(Supervised):
    """Gives a loss that is not a number at one step."""

    def losses(self, batch, step):
        for name, loss in super().losses(batch, step):
            yield name, loss * (float("nan") if step == MID_EPOCH else 1)


def test_loss_that_turns_nan_stops_with_the_last_good_state_kept(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        train(Diverging, tmp_path)
    assert stopped.value.code == 1 and not (tmp_path / "best.ckpt").exists()
    state = saved(tmp_path)
    assert 0 < state["step"] < MID_EPOCH
    assert all(value.isfinite().all() for value in state["parts"]["task"].values())
    said = capsys.readouterr().err
    assert (
        f"STOPPED: the loss 'net' is nan at step {MID_EPOCH}; the state of step "
        f"{state['step']} is kept" in said
    )


class BrokenGradient(Supervised):
    """Gives a finite loss at each step, whose gradient is not a number at one of them."""

    def losses(self, batch, step):
        for name, loss in super().losses(batch, step):
            yield name, loss + (0 * loss).sqrt() if step == MID_EPOCH else loss


def test_weights_that_turn_nan_never_replace_the_last_good_state(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        train(BrokenGradient, tmp_path, dataclasses.replace(PLAN, save_minutes=0))
    assert stopped.value.code == 1
    state = saved(tmp_path)
    assert state["step"] == MID_EPOCH
    assert all(value.isfinite().all() for value in state["parts"]["task"].values())
    assert "STOPPED: the weight 'net.0.weight' is not finite after step" in capsys.readouterr().err


def test_full_disc_leaves_the_last_good_state_from_which_the_run_goes_on(
    uninterrupted, tmp_path, monkeypatch
):
    fsync, writes = os.fsync, []

    def full_after_twenty(handle):
        writes.append(handle)
        if len(writes) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(skyloom.cli.os, "fsync", full_after_twenty)
    with pytest.raises(
        BadInput, match=r"state-.*No space left on device; the state of step \d+ is kept.*Free some"
    ):
        train(Supervised, tmp_path, dataclasses.replace(PLAN, save_minutes=0))
    assert saved(tmp_path)["step"] > 10 and not list(tmp_path.rglob("*.part"))
    monkeypatch.undo()
    train(Supervised, tmp_path, dataclasses.replace(PLAN, save_minutes=0))
    assert_same(tmp_path, uninterrupted[Supervised])


def test_trainer_whose_lock_was_taken_over_ends_at_once_and_leaves_state_and_lock_to_the_other(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    held = tmp_path / "state" / "lock"

    def taken_over(step):
        if step == 10:
            held.write_text("another")
            time.sleep(0.5)

    with pytest.raises(
        BadInput, match="another trainer has taken this folder over .* ends at step 11"
    ):
        train(Supervised, tmp_path, dataclasses.replace(PLAN, valid_every=11), at_step=taken_over)
    assert held.read_text() == "another"
    # the row of step 11 would have saved one
    assert list((tmp_path / "state").glob("state-*.pt")) == []


def test_kill_between_the_last_save_and_publishing_only_publishes(
    uninterrupted, tmp_path, monkeypatch
):
    def no_publishing(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("skyloom.training.engine._summary", no_publishing)
        train(Supervised, tmp_path)
    assert saved(tmp_path)["step"] == PLAN.steps
    train(Supervised, tmp_path, at_step=lambda step: pytest.fail("no step was left"))
    assert_same(tmp_path, uninterrupted[Supervised])


def test_stop_with_a_saved_state_is_noted_for_the_memory_of_the_next_attempt(tmp_path):
    for stops in (1, 2):
        with pytest.raises(SystemExit):
            train(Supervised, tmp_path, budget_minutes=0)
        assert planned_stops(tmp_path / "state") == stops
    train(Supervised, tmp_path)
    assert planned_stops(tmp_path / "state") == 0  # a training of another day begins anew
