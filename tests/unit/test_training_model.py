"""`train_model.py` on a toy study: a copy of scripts/ with one more folder, as a new study would
come.

The processes of one run are real ones, started by torchrun inside `train_model.py`.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

import train_model
from skyloom import cli
from skyloom.patchset import write
from skyloom.provenance import file_checksum
from skyloom.training import UNFINISHED

HERE = Path(__file__).parent

EXAMPLES = """
from types import SimpleNamespace

from toy_training import TRAIN, VALID, Data

from skyloom.patchset import PatchSet


def load(paths, entry):
    assert len(PatchSet(paths[0])) == TRAIN
    valid = [] if entry.get("empty") else Data(1 if entry.get("few") else VALID, 2)
    return SimpleNamespace(train=Data(TRAIN, 1), valid=valid, test=Data(5, 3), meta={"unit": "K"})
"""

# The network with two processes and batch norm; at one step it sends its starter a signal, once.
NETWORK = """
import os
import signal
from pathlib import Path

import torch
import toy_training


class Task(toy_training.Supervised):
    def losses(self, batch, step):
        mark = Path(os.environ.get("INTERRUPT", "/nonexistent/mark"))
        first = os.environ.get("RANK", "0") == "0"
        if step == 25 and mark.parent.exists() and first and not mark.exists():
            mark.touch()
            os.kill(os.getppid() if "RANK" in os.environ else os.getpid(), signal.SIGUSR1)
        if step == 10 and os.environ.get("DRIFT", "none") == os.environ.get("RANK"):
            self.net[0].bias.data += 1e-6
        yield from super().losses(batch, step)
        folder = os.environ.get("REPLICAS")
        if folder and step == self.plan.steps - 1:
            sums = [value.double().sum().item() for value in self.state_dict().values()]
            Path(folder, os.environ["RANK"]).write_text(repr(sums))


class Plain(toy_training.Plain):
    pass


def make_task(entry, meta):
    assert meta == {"unit": "K"}
    return Plain() if entry.get("plain") else Task()
"""

BASELINE = """
import torch


def fit(entry, examples, seed):
    x, y = (examples.train[torch.arange(50).numpy()][name] for name in "xy")
    return {"slope": (x * y).sum() / (x * x).sum(), "seed": seed}
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory, repository):
    folder = tmp_path_factory.mktemp("clone") / "scripts"
    shutil.copytree(repository / "scripts", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("data", "models"):
        (folder / "skyloom/toy" / room).mkdir(parents=True)
    (folder / "skyloom/toy/data/examples.py").write_text(EXAMPLES)
    (folder / "skyloom/toy/models/small.py").write_text(NETWORK)
    (folder / "skyloom/toy/baselines.py").write_text(BASELINE)
    patches = xr.Dataset(
        {"x": (("example", "y"), np.zeros((50, 4), np.float32))}, attrs={"data_kind": "simulated"}
    )
    write(patches, folder.parent / "patches.nc")
    return folder


NETWORK_ENTRY = {
    "kind": "network",
    "module": "small",
    "steps": 40,
    "batch": 8,
    "ema": 0.9,
    "valid_every": 7,
}


def arguments(scripts, folder, entry, *options):
    words = [
        "--study",
        "toy",
        "--model",
        "m",
        "--seed",
        "3",
        "--config",
        json.dumps(entry),
    ]
    words += [
        "--data",
        scripts.parent / "patches.nc",
        "--code",
        scripts / "skyloom/toy/models/small.py",
    ]
    words += [
        "--state",
        folder / "state",
        "--checkpoint",
        folder / "best.ckpt",
        "--history",
        folder / "history.csv",
    ]
    words += ["--run-json", folder / "run.json", "--threads", "2"]
    return [str(scripts / "train_model.py"), *map(str, words), *options]


def by_torchrun(scripts, folder, entry, **environment):
    """Run the entry point as a command, with two processes; its outputs go to `folder`."""
    command = [sys.executable, *arguments(scripts, folder, entry | {"processes": 2})]
    environment = os.environ | {"PYTHONPATH": str(HERE)} | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def here(scripts, toy_study, monkeypatch, capsys):
    """Run the entry point in this process, as one process: (exit code, what it said)."""
    toy_study(scripts / "skyloom")
    threads = torch.get_num_threads()

    def run(folder, entry=NETWORK_ENTRY, *options):
        monkeypatch.setattr(sys, "argv", arguments(scripts, folder, entry, *options))
        capsys.readouterr()
        try:
            cli.run(train_model.main)
            code = 0
        except SystemExit as stopped:
            code = stopped.code
        return SimpleNamespace(code=code, said=capsys.readouterr().err)

    yield run
    torch.set_num_threads(threads)


def test_two_processes_stay_replicas_and_resume_to_the_same_history(scripts, tmp_path):
    """Interrupted by SIGUSR1 sent to torchrun itself, as Slurm does it; then run again."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    assert by_torchrun(scripts, whole, NETWORK_ENTRY, REPLICAS=str(whole)).returncode == 0
    assert (whole / "0").read_text() == (whole / "1").read_text()

    first = by_torchrun(scripts, stopped, NETWORK_ENTRY, INTERRUPT=str(stopped / "mark"))
    assert first.returncode == UNFINISHED and "SIGUSR1" in first.stderr, first.stderr
    assert (
        first.stderr.splitlines()[-1].startswith("NOT FINISHED") and "Traceback" not in first.stderr
    )
    assert not (stopped / "best.ckpt").exists() and not (stopped / "state/lock").exists()
    second = by_torchrun(scripts, stopped, NETWORK_ENTRY, INTERRUPT=str(stopped / "mark"))
    assert second.returncode == 0 and "going on from step" in second.stderr, second.stderr
    assert (stopped / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    run = json.loads((stopped / "run.json").read_text())
    assert (run["processes"], run["threads"], run["resumes"]) == (2, 1, 1)
    assert run["device_seconds"] == pytest.approx(2 * run["wall_seconds"])


def test_processes_whose_weights_differ_stop_at_the_next_row(scripts, tmp_path):
    done = by_torchrun(scripts, tmp_path, NETWORK_ENTRY, DRIFT="1")
    assert done.returncode == 2, done.stderr
    assert "error: the processes of this training differ: steps from 14 to 14, sums" in done.stderr
    assert not (tmp_path / "best.ckpt").exists()


def test_more_processes_than_validation_examples_are_refused(scripts, tmp_path):
    done = by_torchrun(scripts, tmp_path, NETWORK_ENTRY | {"few": True})
    assert done.returncode == 2, done.stderr
    assert "error: 1 validation example(s) cannot be shared by 2 processes" in done.stderr


def test_readers_are_no_part_of_what_is_trained(scripts, here, tmp_path):
    """Another number of readers goes on from the same state, to the same history.

    A reader takes one of the threads, whose number is seen in the last digits.
    """
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert here(whole, NETWORK_ENTRY, "--threads", "1").code == 0
    begun = here(parts, NETWORK_ENTRY, "--threads", "1", "--runtime", "0")
    assert begun.code == UNFINISHED
    assert here(parts, NETWORK_ENTRY, "--threads", "2", "--readers", "1").code == 0
    assert (parts / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    assert json.loads((parts / "run.json").read_text())["resumes"] == 1


def test_flat_all_reduce_of_two_processes_is_the_gradient_of_one(scripts, here, tmp_path):
    """A net without batch norm and dropout: plain descent over 40 steps, the weights to float32
    rounding.
    """
    entry, one, two = NETWORK_ENTRY | {"plain": True, "ema": 0}, tmp_path / "1", tmp_path / "2"
    assert here(one, entry).code == by_torchrun(scripts, two, entry).returncode == 0
    weights = [
        torch.load(folder / "best.ckpt", weights_only=True)["state"] for folder in (one, two)
    ]
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)


def test_network_run_writes_the_three_files_that_the_contract_names(
    scripts, here, tmp_path, monkeypatch
):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    done = here(tmp_path)
    assert done.code == 0 and done.said.splitlines()[-1].startswith("FINISHED: 40 steps"), done.said
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert set(checkpoint) == {
        "study",
        "model",
        "kind",
        "module",
        "entry",
        "meta",
        "digest",
        "state",
    }
    assert (checkpoint["study"], checkpoint["module"], checkpoint["entry"]) == (
        "toy",
        "small",
        NETWORK_ENTRY,
    )
    assert checkpoint["meta"] == {"unit": "K"} and "net.0.weight" in checkpoint["state"]
    run = json.loads((tmp_path / "run.json").read_text())
    assert (run["data_kind"], run["seed"], run["slurm_job"], run["examples_seen"]) == (
        "simulated",
        3,
        "4711",
        320,
    )
    assert (
        run["entry"] == NETWORK_ENTRY
        and run["plan"]["learning_rate"] == 1e-3
        and run["plan"]["batch"] == 8
    )
    (checksum,) = run["inputs"].values()
    assert checksum == file_checksum(scripts.parent / "patches.nc")
    assert run["packages"]["numpy"] == np.__version__ and set(run["git"]) == {"commit", "dirty"}
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 7


def test_baseline_goes_through_the_same_entry_point(here, tmp_path):
    done = here(tmp_path, {"kind": "baseline", "module": "slope"})
    assert done.code == 0, done.said
    checkpoint = torch.load(tmp_path / "best.ckpt", weights_only=True)
    # Box smoothing of white noise keeps 1/9 of a pixel's own value.
    assert (
        checkpoint["state"]["slope"].item() == pytest.approx(1 / 9, abs=0.02)
        and checkpoint["state"]["seed"] == 3
    )
    assert json.loads((tmp_path / "run.json").read_text())["packages"]["torch"] == torch.__version__


def test_spent_budget_exits_75_and_says_what_to_do(here, tmp_path):
    done = here(tmp_path, NETWORK_ENTRY, "--runtime", "0")
    assert done.code == UNFINISHED
    last = done.said.splitlines()[-1]
    assert "NOT FINISHED: the time budget is spent. The state is saved at step 1 of 40" in last
    assert last.endswith("run the same command again to go on.")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"module": "smal"},
            "error: config: there is no module skyloom.toy.models.smal; expected "
            "scripts/skyloom/toy",
        ),
        (
            {"module": "small", "empty": True},
            "patches.nc: no example of the split 'valid'; expected at least one",
        ),
    ],
)
def test_bad_entry_or_data_ends_in_one_line(here, tmp_path, entry, message):
    done = here(tmp_path, entry)
    assert done.code == 2 and message in done.said and len(done.said.splitlines()) == 1


def test_changed_code_starts_anew_and_a_revert_goes_on(scripts, here, tmp_path):
    """Each attempt stops after its first step; the message tells whether it went on."""

    def opening() -> str:
        return here(tmp_path, NETWORK_ENTRY, "--runtime", "0").said.splitlines()[0]

    module = scripts / "skyloom/toy/models/small.py"
    text = module.read_text()
    assert opening().startswith("training 40 steps") and opening().startswith(
        "going on from step 1 "
    )
    module.write_text(text + "# edited\n")
    assert "starting anew" in opening()
    module.write_text(text)
    assert opening().startswith("going on from step 2 ")


BASELINE_ENTRY = {"kind": "baseline", "module": "slope"}
TAKEN_OVER = "taken over from the finished training"
PUBLISHED = ("best.ckpt", "history.csv", "run.json")


@pytest.fixture(scope="module")
def published(scripts, tmp_path_factory):
    """The folder of a training with two processes that has finished."""
    folder = tmp_path_factory.mktemp("published")
    assert by_torchrun(scripts, folder, NETWORK_ENTRY).returncode == 0
    return folder


def delete_outputs(folder) -> dict[str, bytes]:
    """Delete the published files, as Snakemake does before a job; returns what they held."""
    paths = [folder / name for name in PUBLISHED]
    contents = {path.name: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    return contents


def test_finished_training_whose_outputs_were_deleted_is_taken_over(scripts, published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "run")
    contents = delete_outputs(folder)
    done = by_torchrun(scripts, folder, NETWORK_ENTRY)
    assert done.returncode == 0 and TAKEN_OVER in done.stderr, done.stderr
    assert "m, seed 3: 40 steps" in done.stdout
    assert delete_outputs(folder) == contents


def test_finished_fit_of_a_baseline_is_taken_over(here, tmp_path):
    assert here(tmp_path, BASELINE_ENTRY).code == 0
    contents = delete_outputs(tmp_path)
    assert TAKEN_OVER in here(tmp_path, BASELINE_ENTRY).said
    assert delete_outputs(tmp_path) == contents


def test_finished_training_is_kept_without_disk_space(published):
    for name in PUBLISHED:
        assert (published / "state/finished" / name).samefile(published / name)


@pytest.mark.parametrize("changed", ["entry", "code", "checkpoint", "record"])
def test_finished_training_of_another_identity_or_of_broken_files_is_not_taken_over(
    changed, scripts, here, tmp_path
):
    assert here(tmp_path, BASELINE_ENTRY).code == 0
    delete_outputs(tmp_path)
    code = scripts / "skyloom/toy/models/small.py"
    path = {
        "entry": None,
        "code": code,
        "checkpoint": tmp_path / "state/finished/best.ckpt",
        "record": tmp_path / "state/finished/record.json",
    }[changed]
    text = path.read_bytes() if path else b""
    if path:
        path.write_bytes(text + b"\n" if path == code else text[:-1])
    entry = BASELINE_ENTRY | ({"extra": 1} if changed == "entry" else {})
    done = here(tmp_path, entry)
    code.write_bytes(text if path == code else code.read_bytes())
    assert done.code == 0 and TAKEN_OVER not in done.said and (tmp_path / "best.ckpt").exists()


def test_file_system_without_hard_links_gets_copies(here, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert here(tmp_path, BASELINE_ENTRY).code == 0
    contents = delete_outputs(tmp_path)
    assert TAKEN_OVER in here(tmp_path, BASELINE_ENTRY).said
    assert delete_outputs(tmp_path) == contents


def test_second_trainer_on_the_same_folder_is_refused_with_the_holders_name(
    scripts, here, tmp_path
):
    script = (
        "import sys, time; from pathlib import Path; from skyloom.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": str(scripts), "SLURM_JOB_ID": "12"}
    command = [sys.executable, "-c", script, tmp_path / "state"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        second = here(tmp_path)
        holder.kill()
    assert second.code == 2 and f"pid {holder.pid}, Slurm job 12, since" in second.said
    after = here(tmp_path)
    assert (
        after.code == 0
        and f"pid {holder.pid}, Slurm job 12" in after.said
        and "taken over" in after.said
    )


class Net(torch.nn.Module):
    """An encoder with batch norm, a head, and a threshold that is fitted beside the weights."""

    def __init__(self, outputs: int, width: int = 4):
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Conv2d(1, width, 3), torch.nn.BatchNorm2d(width)
        )
        self.head = torch.nn.Linear(width, outputs)
        self.register_buffer("threshold", torch.zeros(()))


def test_start_takes_over_what_agrees_and_nothing_that_belongs_to_the_other_task(tmp_path, capsys):
    old, new = Net(outputs=2), Net(outputs=1)
    old.threshold += 3
    old.encoder[1].running_mean += 5
    torch.save({"state": old.state_dict()}, tmp_path / "best.ckpt")
    before = new.head.weight.clone()
    assert train_model.started(new, tmp_path / "best.ckpt") is new
    # batch-norm statistics too
    torch.testing.assert_close(new.encoder.state_dict(), old.encoder.state_dict())
    assert torch.equal(new.head.weight, before) and new.threshold == 0
    assert "4 of 6 parameters taken over" in capsys.readouterr().err


def test_start_from_weights_of_which_none_agrees_is_refused(tmp_path):
    torch.save({"state": Net(2, width=8).state_dict()}, tmp_path / "best.ckpt")
    with pytest.raises(
        cli.BadInput, match=r"best.ckpt: none of its \d+ tensors has name and shape of one of the 6"
    ):
        train_model.started(Net(1), tmp_path / "best.ckpt")
