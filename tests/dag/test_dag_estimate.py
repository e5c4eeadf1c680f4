"""What a survey-size run announces before anything is submitted."""

import subprocess
import sys

import pytest
import yaml
from conftest import REPOSITORY, snakemake

# A network of each study, and the examples that three seeds of it see: 2000 epochs of 3 views of
# the published selection's tiles; 60 epochs of the quarters of three views of 800 + 800
# simulations.
SEEN = {
    "co": ("cyclegan_as_presented", 3 * 2000 * 3 * 3496),
    "turbulence": ("residual", 3 * 60 * 4 * 3 * 1600),
}


@pytest.mark.parametrize("study", SEEN)
def test_survey_dry_run_prints_gpu_hours_of_each_network_and_their_sum(study):
    dry_run = snakemake(
        REPOSITORY, "-n", "--config", "size=survey", "run=estimate", f"studies=[{study}]"
    )
    lines = dry_run.stdout.splitlines()
    start = next(
        i for i, line in enumerate(lines) if line.startswith(f"Estimate: {study}, networks")
    )
    stop = next(i for i, line in enumerate(lines) if i > start and line.split()[0] == "sum")
    rows = {line.split()[0]: line.split() for line in lines[start + 1 : stop + 1]}
    cost = yaml.safe_load((REPOSITORY / f"config/{study}/costs.yaml").read_text())["gflop"]
    assert set(rows) == {*cost, "sum"}
    model, seen = SEEN[study]
    hours = seen * cost[model] * 1e9 / (312e12 / 4) / 3600  # at a quarter of 312 TFLOP/s
    assert float(rows[model][-2]) == pytest.approx(hours, abs=0.01)
    total = sum(float(row[-2]) for name, row in rows.items() if name != "sum")
    assert float(rows["sum"][-2]) == pytest.approx(total, abs=0.01 * len(rows))


def test_other_sizes_announce_nothing():
    assert "Estimate" not in snakemake(REPOSITORY, "-n", "--config", "run=estimate").stdout


@pytest.mark.parametrize("study", SEEN)
def test_counted_operations_are_those_of_the_networks_as_they_are(study):
    command = [sys.executable, "benchmarks/training_cost.py", study]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    written = (REPOSITORY / f"config/{study}/costs.yaml").read_text()
    assert done.stdout == written, f"python benchmarks/training_cost.py {study}"
