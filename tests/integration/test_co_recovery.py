"""What a run owes to an earlier one of the same folder, and to another driver at the same time."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, run_words, snakemake

RUN = "results/test"
TARGET = f"{RUN}/co/training.html"
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
