"""Which GPUs a script gets, and which machines are refused; the driver's library is a stand-in."""

import os
import subprocess
import sys
import tempfile

import pynvml
import pytest
import torch

from skyloom import cli, gpus
from skyloom.gpus import claimed

# Another process that has claimed two of four GPUs, by the same stand-ins.
HOLD = """
import pynvml, torch
pynvml.nvmlInit, pynvml.nvmlDeviceGetCount = lambda: None, lambda: 4
torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 2
from skyloom.gpus import claimed
with claimed(2) as devices:
    print(*devices, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path, repository):
    """A machine of its own: `machine(installed, usable)` sets its GPUs, four of four at first."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(repository / "scripts"))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)

    def visible() -> int:
        return len([device for device in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if device])

    def build(installed: int, usable: int | None = None) -> None:
        """`usable`: how many of them torch can use; None: all that are visible."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(installed))))
        monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: installed)
        monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "535.104.05")
        monkeypatch.setattr(pynvml, "nvmlSystemGetCudaDriverVersion_v2", lambda: 12020)
        count = visible if usable is None else lambda: usable
        monkeypatch.setattr(torch.cuda, "device_count", count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count() > 0)

    build(4)
    return build


@pytest.fixture
def other():
    """Another training, which has claimed two of the four."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "0 1\n"
    yield process
    process.kill()
    process.communicate()


def test_second_process_takes_gpus_that_the_first_has_not(other):
    with claimed(1) as devices:
        assert devices == ["2"]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"


def test_gpus_of_a_killed_process_are_free_again(other):
    other.kill()
    other.wait()
    with claimed(2) as devices:
        assert devices == ["0", "1"]


def test_too_few_free_gpus_are_shared_with_a_message(other, capsys):
    with claimed(3) as devices:
        assert devices == ["2", "3", "0"]
    assert "3 GPU(s) wanted, 2 of 4 free: sharing" in capsys.readouterr().err


def test_only_gpu_of_a_workstation_is_claimed_too(machine, capsys):
    machine(1)
    with claimed(1), claimed(1) as shared:
        assert shared == ["0"]
    assert "1 GPU(s) wanted, 0 of 1 free: sharing" in capsys.readouterr().err


def test_script_that_asks_for_no_gpu_sees_none():
    with claimed(0) as devices:
        assert devices == [] and os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_machine_without_a_gpu_computes_on_the_cpu_and_says_so_once(machine, capsys):
    machine(0)
    with claimed(2) as devices:
        assert devices == []
    assert capsys.readouterr().err == "no GPU on this machine: the CPU computes\n"


def test_driver_too_old_for_the_wheel_is_refused_with_both_versions(machine):
    machine(4, usable=0)
    with pytest.raises(cli.BadInput) as refused, claimed(1):
        pass
    said = str(refused.value)
    assert said.startswith("1 GPU(s) wanted, 0 usable of 4 installed: driver 535.104.05 (CUDA 12.2")
    assert f"torch {torch.__version__}" in said and "gpus: 0" in said and "docs/cluster.md" in said


def test_lost_gpu_is_refused(machine):
    machine(4, usable=3)
    with pytest.raises(cli.BadInput, match="4 GPU.s. wanted, 3 usable of 4 installed"), claimed(4):
        pass


def test_slurm_job_without_the_gpus_that_it_wants_is_refused(machine, monkeypatch):
    machine(0)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(cli.BadInput, match="1 GPU.s. wanted, 0 usable of 0 installed"), claimed(1):
        pass


def test_driver_of_a_machine_without_one_is_none(monkeypatch):
    def fail():
        raise pynvml.NVMLError_LibraryNotFound

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert gpus.driver() == "none"


def test_prediction_without_the_gpu_that_its_job_asked_for_ends_in_one_line(repository):
    script = repository / "scripts/co_test_steganography.py"
    words = ["--config", "{}", "--data", "a", "--checkpoint", "b", "--output", "c", "--gpus", "1"]
    environment = os.environ | {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, script, *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert (
        done.stderr.startswith("error: 1 GPU(s) wanted, 0 usable") and done.stderr.count("\n") == 1
    )
