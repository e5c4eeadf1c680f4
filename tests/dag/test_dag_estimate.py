"""What a survey-size run announces before anything is submitted."""

import subprocess
import sys

import pytest
from conftest import REPOSITORY, sizes, snakemake

COUNTED = [name for name in sizes("survey") if (REPOSITORY / f"config/{name}/costs.yaml").exists()]


def test_survey_dry_run_announces_each_study_that_has_counted_costs():
    config = ("size=survey", "run=estimate", f"studies=[{','.join(COUNTED)}]")
    printed = snakemake(REPOSITORY, "-n", "--quiet", "all", "--config", *config).stdout
    for study in COUNTED:
        assert f"Estimate: {study}, networks still to be trained" in printed


def test_other_sizes_announce_nothing():
    assert "Estimate" not in snakemake(REPOSITORY, "-n", "--config", "run=estimate").stdout


@pytest.mark.parametrize("study", COUNTED)
def test_counted_operations_are_those_of_the_networks_as_they_are(study):
    command = [sys.executable, "benchmarks/training_cost.py", study]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    written = (REPOSITORY / f"config/{study}/costs.yaml").read_text()
    assert done.stdout == written, f"python benchmarks/training_cost.py {study}"
