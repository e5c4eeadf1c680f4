"""Formatters and linters find nothing to say."""

import subprocess
import sys

import pytest
from conftest import REPOSITORY, snakemake

COMMANDS = {
    "ruff check": ["-m", "ruff", "check", "--no-cache", "."],
    "ruff format": ["-m", "ruff", "format", "--no-cache", "--check", "."],
    "snakefmt": ["-m", "snakefmt.snakefmt", "--check", "Snakefile", "workflow", "tests/studies"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_formatter_is_content(name):
    done = subprocess.run(
        [sys.executable, *COMMANDS[name]], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_has_nothing_to_say():
    done = snakemake(REPOSITORY, "--lint")
    assert done.returncode == 0 and "Lints for" not in done.stdout, done.stdout
