"""Interruptions and faults of a whole run, each followed by the user's next command."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import copy_repository, run_words, snakemake

pytestmark = pytest.mark.faults
HISTORY = "results/test/co/models/res_unet/seed0/history.csv"
STATE = "results/test/state/co/res_unet/seed0"
WORDS = run_words("co")
SLOW = (
    "co: {run_models: [res_unet], models: {res_unet: {steps: 400, valid_every: 100,"
    " save_minutes: 0.005}}}\n"
)


@pytest.fixture(scope="module")
def finished(finished_run):
    """A clone in which CO's run has finished."""
    return finished_run("co")


@pytest.fixture
def prepared(finished, tmp_path):
    """A finished run whose network trains for longer, so that a test can interrupt it."""
    folder = tmp_path / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    (folder / "mine.yaml").write_text(SLOW)
    return folder


def arguments(target=HISTORY):
    return [target, *WORDS, "--configfile", "mine.yaml"]


def start(folder):
    """Start Snakemake as its own process group leader, like a shell."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *arguments()],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def trainer(folder) -> int:
    """Process id of the training after it has saved a state."""
    for _ in range(600):
        if any((folder / STATE).glob("state*.pt")):
            break
        time.sleep(0.1)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            cwd = os.readlink(path.parent / "cwd")
        except OSError:
            continue
        if any(word.endswith(b"train_model.py") for word in words[:3]) and cwd == str(folder):
            return int(path.parent.name)
    raise AssertionError("no training process found")


def undisturbed(folder, tmp_path) -> str:
    """The history of the same training without any fault."""
    other = tmp_path / "undisturbed"
    shutil.copytree(folder, other, symlinks=True)
    done = snakemake(other, *arguments())
    assert done.returncode == 0, done.stdout[-3000:]
    return (other / HISTORY).read_text()


@pytest.mark.ci
def test_training_killed_in_mid_epoch_goes_on_to_the_same_history(prepared, tmp_path):
    expected = undisturbed(prepared, tmp_path)
    driver = start(prepared)
    os.kill(trainer(prepared), signal.SIGKILL)
    assert driver.wait(120) != 0
    assert not (prepared / HISTORY).exists()
    done = snakemake(prepared, *arguments())
    assert done.returncode == 0, done.stdout[-3000:]
    assert (
        "going on from step"
        in (prepared / "results/test/co/logs/train_model/res_unet_seed0.log").read_text()
    )
    assert (prepared / HISTORY).read_text() == expected


@pytest.mark.ci
def test_second_driver_on_the_same_folder_is_refused(prepared):
    driver = start(prepared)
    trainer(prepared)
    second = snakemake(prepared, *arguments())
    assert (
        second.returncode != 0 and "LockException" in second.stdout and "--unlock" in second.stdout
    )
    driver.send_signal(signal.SIGINT)
    driver.wait(120)


@pytest.mark.ci
def test_interrupt_saves_and_the_same_command_finishes(prepared):
    driver = start(prepared)
    trainer(prepared)
    os.killpg(driver.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
    assert driver.wait(120) != 0
    assert any((prepared / STATE).glob("state*.pt"))
    done = snakemake(prepared, *arguments())
    assert done.returncode == 0, done.stdout[-3000:]
    assert (
        "going on from step"
        in (prepared / "results/test/co/logs/train_model/res_unet_seed0.log").read_text()
    )


def test_killed_driver_leaves_a_lock_that_unlock_removes(prepared):
    driver = start(prepared)
    victim = trainer(prepared)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(60)
    os.kill(victim, signal.SIGKILL)
    assert "LockException" in snakemake(prepared, *arguments()).stdout
    assert snakemake(prepared, *arguments(), "--unlock").returncode == 0
    done = snakemake(prepared, *arguments())
    assert done.returncode == 0, done.stdout[-3000:]


def test_training_that_outlives_its_driver_is_taken_over(prepared):
    driver = start(prepared)
    trainer(prepared)
    driver.kill()
    driver.wait(60)
    record = prepared / STATE / "finished/record.json"
    before = record.stat().st_mtime_ns  # of the run before
    end = time.monotonic() + 300
    while record.stat().st_mtime_ns == before and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(2)  # the files are put in place, and the lock is released
    history = (prepared / HISTORY).read_text()
    assert snakemake(prepared, *arguments(), "--unlock").returncode == 0
    done = snakemake(prepared, *arguments())
    assert done.returncode == 0, done.stdout[-3000:]
    log = (prepared / "results/test/co/logs/train_model/res_unet_seed0.log").read_text()
    assert "taken over from the finished training" in log and "training 400 steps" not in log
    assert (prepared / HISTORY).read_text() == history


def test_truncated_raw_map_is_refused_by_name_before_anything_is_trained(finished, tmp_path):
    folder = copy_repository(tmp_path / "skyloom")
    raw = folder / "resources/raw/co"
    raw.mkdir(parents=True)
    for file in (finished / "results/test/co/raw").glob("*.fits"):
        shutil.copy2(file, raw)
    with open(raw / "NHI_HPX.fits", "rb+") as file:
        file.truncate(file.seek(0, 2) // 2)
    (folder / "mine.yaml").write_text("co: {train: {source: survey}}\n")
    done = snakemake(folder, "co", *WORDS, "--configfile", "mine.yaml")
    assert done.returncode != 0 and "train_model" not in re.findall(
        r"Finished jobid: \d+ \(Rule: (\w+)\)", done.stdout
    )
    assert re.search(r"error: \S*NHI_HPX.fits: ", (folder / "results/test/summary.md").read_text())


def test_full_disk_is_said_in_one_line_and_keeps_what_was_finished(prepared, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount the small file system that this test fills")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(small)], check=True)
    try:
        (prepared / "mine.yaml").write_text(f"paths: {{results: {small}}}\n")
        done = snakemake(prepared, "co", *WORDS, "--configfile", "mine.yaml")
        assert done.returncode != 0
        assert re.search(
            r"error: \S+\.fits: no space left on the device; finished outputs are kept",
            done.stdout,
        )
        assert "no space left" in (small / "test/summary.md").read_text()
    finally:
        subprocess.run(["umount", str(small)], check=True)
