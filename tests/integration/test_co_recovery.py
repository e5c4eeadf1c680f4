"""What a run owes to an earlier one of the same folder, and to another driver at the same time."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, run_words, snakemake

RUN = "results/test"
TARGET = f"{RUN}/co/training.html"
TRAINED = f"{RUN}/co/models/excess/seed0"
LOG = f"{RUN}/co/logs/train_model/excess_seed0.log"
TAKEN_OVER = "taken over from the finished training"
TABLE = f"{RUN}/co/training.csv"  # which only another table needs
WORDS = run_words("co")
HOLDER = """
import sys, time
from pathlib import Path
from skyloom.lock import DRIVER, locked
with locked(Path(sys.argv[1]), DRIVER):
    print("held", flush=True)
    time.sleep(120)
"""


@pytest.fixture(scope="module")
def clone(finished_run, tmp_path_factory) -> Path:
    """A clone in which CO's run has finished, to change."""
    folder = tmp_path_factory.mktemp("recovery") / "skyloom"
    shutil.copytree(finished_run("co"), folder, symlinks=True)
    return folder


# --- two drivers ----------------------------------------------------------------------------------


@pytest.fixture
def driver(clone):
    """A live driver of another clone that writes to the same folder."""
    command = [sys.executable, "-c", HOLDER, str(clone / RUN)]
    environment = {"PYTHONPATH": str(REPOSITORY / "scripts")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_second_driver_of_a_run_is_refused_and_a_dry_run_is_not(clone, driver):
    refused = snakemake(clone, TARGET, *WORDS, "--force")
    assert refused.returncode != 0 and (clone / TARGET).exists()
    assert f"{RUN}: another driver works here, user " in refused.stdout
    assert f"pid {driver.pid}, since" in refused.stdout
    assert snakemake(clone, TARGET, *WORDS, "--force", "-n").returncode == 0
    assert f"pid {driver.pid}" in snakemake(clone, *WORDS, "--unlock").stdout
    assert (clone / RUN / "lock").exists()


def test_lock_of_a_dead_driver_is_taken_over_and_gone_after_the_run(clone, driver):
    driver.kill()
    driver.wait()
    done = snakemake(clone, TARGET, *WORDS, "--force")
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"pid {driver.pid}" in done.stdout and "that driver is gone" in done.stdout
    assert not (clone / RUN / "lock").exists()


def test_lock_of_another_host_is_removed_by_unlock(clone, driver):
    driver.kill()
    driver.wait()
    lock = clone / RUN / "lock"
    lock.write_text(lock.read_text().replace('"host": "', '"host": "not-'))
    assert "host not-" in snakemake(clone, TARGET, *WORDS, "--force").stdout
    assert snakemake(clone, *WORDS, "--unlock").returncode == 0
    assert not lock.exists()


# --- finished trainings ---------------------------------------------------------------------------


def mark_incomplete(clone, *files):
    """Leave the marks of a driver that was killed before it recorded these outputs."""
    for file in files:
        name = base64.urlsafe_b64encode(file.encode()).decode()
        (clone / ".snakemake/incomplete" / name).write_text('{"external_jobid": null}')


def contents(clone) -> dict[str, bytes]:
    names = ("best.ckpt", "history.csv", "run.json")
    return {name: (clone / TRAINED / name).read_bytes() for name in names}


def test_training_that_finished_after_its_driver_was_killed_is_taken_over(clone):
    before = contents(clone)
    mark_incomplete(clone, *(f"{TRAINED}/{name}" for name in before))
    done = snakemake(clone, f"{TRAINED}/best.ckpt", *WORDS)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Nothing to be done" not in done.stdout and TAKEN_OVER in (clone / LOG).read_text()
    assert contents(clone) == before


def test_finished_training_that_a_user_forces_is_trained_anew(clone):
    before = contents(clone)
    done = snakemake(clone, f"{TRAINED}/best.ckpt", *WORDS, "-R", "train_model")
    assert done.returncode == 0, done.stdout[-3000:]
    assert TAKEN_OVER not in (clone / LOG).read_text()
    assert contents(clone)["run.json"] != before["run.json"]  # another time


# --- after a failure ------------------------------------------------------------------------------


def test_run_after_a_failure_and_a_repair_is_whole(clone):
    """The failure leaves no trace that Snakemake compares, as if memory had run out."""
    script = clone / "scripts/tabulate_training.py"
    text, stat = script.read_text(), script.stat()
    head = "def main() -> None:\n"
    script.write_text(text.replace(head, f"{head}    raise MemoryError\n"))
    failed = snakemake(clone, TABLE, *WORDS)
    assert failed.returncode != 0 and not (clone / TABLE).exists()
    assert (clone / RUN / "summary.md").read_text().startswith("# Run test: failed")
    script.write_text(text)
    os.utime(script, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    done = snakemake(clone, *WORDS)
    assert done.returncode == 0 and (clone / TABLE).exists(), done.stdout[-3000:]
    summary = (clone / RUN / "summary.md").read_text()
    assert summary.startswith("# Run test: finished") and "An earlier run" not in summary
    assert "Nothing to be done" in snakemake(clone, *WORDS).stdout


def test_summary_of_a_run_that_compared_nothing_marks_the_verdict_as_an_earlier_one(clone):
    assert snakemake(clone, TARGET, *WORDS, "--force").returncode == 0
    assert "An earlier run did, 20" in (clone / RUN / "summary.md").read_text()


def test_summary_is_written_again_by_a_run_that_finds_all_files(clone):
    """As after a failure of a model that the user has dropped since."""
    (clone / RUN / "unfinished.json").write_text(json.dumps([f"{RUN}/co/models/dropped.ckpt"]))
    (clone / RUN / "summary.md").write_text("# Run test: failed\n")
    assert snakemake(clone, *WORDS).returncode == 0
    assert (clone / RUN / "summary.md").read_text().startswith("# Run test: finished")
    assert "Nothing to be done" in snakemake(clone, *WORDS).stdout
