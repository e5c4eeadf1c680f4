"""What a survey-size run announces before anything is submitted."""

import subprocess
import sys

import pytest
import yaml
from conftest import REPOSITORY, snakemake


def test_survey_dry_run_prints_gpu_hours_of_each_network_and_their_sum():
    lines = snakemake(REPOSITORY, "-n", "--config", "size=survey", "run=estimate").stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Estimate: co"))
    rows = {line.split()[0]: line.split() for line in lines[start + 1 :] if line.endswith("GPU-hours")}
    cost = yaml.safe_load((REPOSITORY / "config/co/costs.yaml").read_text())
    assert set(rows) == {*cost["gflop"], "sum"}
    # 2000 epochs of 3 views of the published selection's tiles, at a quarter of 312 TFLOP/s, three seeds
    examples = 2000 * 3 * cost["train_tiles"]["published"]
    hours = 3 * examples * cost["gflop"]["cyclegan_as_presented"] * 1e9 / (312e12 / 4) / 3600
    assert float(rows["cyclegan_as_presented"][-2]) == pytest.approx(hours, abs=0.01)
    total = sum(float(row[-2]) for name, row in rows.items() if name != "sum")
    assert float(rows["sum"][-2]) == pytest.approx(total, abs=0.01 * len(rows))


def test_other_sizes_announce_nothing():
    assert "Estimate" not in snakemake(REPOSITORY, "-n", "--config", "run=estimate").stdout


def test_counted_operations_are_those_of_the_networks_as_they_are():
    command = [sys.executable, "benchmarks/training_cost.py"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == (REPOSITORY / "config/co/costs.yaml").read_text(), "python benchmarks/training_cost.py"
