"""GPU-hours that a run announces: by hand for a toy, and complete for each study."""

import pytest
import yaml
from conftest import REPOSITORY, plan, sizes

from dag import estimate
from dag.study import Study

RUN = {"paths": {"results": "out", "resources": "in"}, "run": "mine"}
COUNTED = [name for name in sizes("survey") if (REPOSITORY / f"config/{name}/costs.yaml").exists()]


class Toy(Study):
    def training_examples(self, model):
        return 5000 if model == "epochs" else None


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Networks of 2 GFLOP an example: 10,000 steps of 64, or 100 epochs of 5000, two seeds each."""
    entry = {"kind": "network", "set": "one", "batch": 64, "epochs": 100, "gpus": 4, "steps": None}
    models = {"steps": entry | {"steps": 10_000}, "epochs": entry, "unknown": entry, "new": entry}
    settings = {"models": models, "run_models": [*models], "seeds": [0, 1], "sets": {}}
    (tmp_path / "config/toy").mkdir(parents=True)
    (tmp_path / "config/toy/costs.yaml").write_text("gflop: {steps: 2, epochs: 2, unknown: 2}\n")
    monkeypatch.setattr(estimate, "BASE", tmp_path)
    monkeypatch.chdir(tmp_path)
    return Toy("toy", settings, RUN)


def test_hours_are_operations_over_a_quarter_of_the_peak_of_an_a100(toy):
    lines = {line.split()[0]: line for line in estimate.networks(toy)[1:]}
    # 640,000 and 500,000 examples of 2e9 operations at 312e12 / 4 a second
    hours = [2e9 * seen / 78e12 / 3600 for seen in (640_000, 500_000)]
    assert f"2 x {hours[0] / 4:.2f} h on 4 GPU" in lines["steps"]
    assert lines["epochs"].endswith(f"{2 * hours[1]:.2f} GPU-hours")
    assert lines["sum"].endswith(f"{2 * sum(hours):.2f} GPU-hours")
    assert "not known" in lines["unknown"] and "benchmarks/training_cost.py" in lines["new"]


def test_training_that_has_its_checkpoint_costs_nothing_more(toy, tmp_path):
    for seed, count in ((0, "1 x "), (1, None)):
        path = tmp_path / toy.checkpoint("steps", seed)
        path.parent.mkdir(parents=True)
        path.touch()
        lines = {line.split()[0]: line for line in estimate.networks(toy)}
        assert count in lines["steps"] if count else "steps" not in lines


@pytest.mark.parametrize("study", COUNTED)
def test_every_network_of_the_survey_is_counted(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    costs = yaml.safe_load((REPOSITORY / f"config/{study}/costs.yaml").read_text())["gflop"]
    lines = estimate.networks(plan(study, size="survey"))
    assert {line.split()[0] for line in lines[1:]} == {*costs, "sum"}
