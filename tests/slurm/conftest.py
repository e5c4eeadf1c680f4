"""A real Slurm on this machine, for the tests of this folder; only where SKYLOOM_TEST_SLURM=1 allows it."""

import os
import subprocess
from pathlib import Path

import pytest

BOX = Path(__file__).parent / "box.sh"


@pytest.fixture(scope="session")
def slurm_environment() -> dict[str, str]:
    """The environment of a login node of the one-machine Slurm; installed and started here, stopped at the end."""
    if os.environ.get("SKYLOOM_TEST_SLURM") != "1":
        pytest.skip(
            "SKYLOOM_TEST_SLURM is not 1: it lets the tests install Debian's Slurm packages and run its daemons"
        )
    if os.getuid() != 0:
        pytest.fail("SKYLOOM_TEST_SLURM=1 needs root: tests/slurm/box.sh installs packages and starts daemons")
    subprocess.run([BOX, "install"], check=True, timeout=300)
    try:
        subprocess.run([BOX, "start"], check=True, timeout=120)
        shown = subprocess.run(
            ["bash", "-c", f"eval $({BOX} env) && env -0"], capture_output=True, text=True, check=True
        )
        yield dict(line.split("=", 1) for line in shown.stdout.split("\0") if line)
    finally:
        subprocess.run([BOX, "stop"], check=True, timeout=120)
