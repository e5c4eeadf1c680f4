"""Trainings side by side on one machine take different GPUs."""

import os
import subprocess
import sys
import tempfile

import pytest

from skyloom.training.gpus import claimed

HOLD = (
    "from skyloom.training.gpus import claimed\n"
    "with claimed(2, 4) as g: print(*g, flush=True); input()"
)


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path, repository):
    """Four GPUs and a folder of locks of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(repository / "scripts"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")


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


def test_second_training_takes_gpus_that_the_first_has_not(other):
    with claimed(1, 4) as devices:
        assert devices == ["2"]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"


def test_gpus_of_a_killed_training_are_free_again(other):
    other.kill()
    other.wait()
    with claimed(2, 4) as devices:
        assert devices == ["0", "1"]


def test_too_few_free_gpus_are_shared_with_a_message(other, capsys):
    with claimed(3, 4) as devices:
        assert devices == ["2", "3", "0"]
    assert "2 of 4 free" in capsys.readouterr().err


def test_training_that_wants_every_gpu_or_none_leaves_the_choice_as_it_is(other):
    for wanted in (0, 4):
        with claimed(wanted, 4) as devices:
            assert devices == ["0", "1", "2", "3"]
