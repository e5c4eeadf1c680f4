"""GPU-hours that a run announces: by hand for a toy, and complete for each study."""

import json
from pathlib import Path

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
    """Networks of 2 GFLOP and 3 ms an example: 10,000 steps of 64, or 100 epochs of 5000."""
    entry = {"kind": "network", "set": "one", "batch": 64, "epochs": 100, "gpus": 4, "steps": None}
    entry |= {"module": "net"}
    models = {"steps": entry | {"steps": 10_000}, "epochs": entry, "unknown": entry, "new": entry}
    settings = {"models": models, "run_models": [*models], "seeds": [0, 1], "sets": {}}
    (tmp_path / "config/toy").mkdir(parents=True)
    costs = {"gflop": dict.fromkeys(("steps", "epochs", "unknown"), 2.0)}
    costs["a100_ms"] = dict.fromkeys(("steps", "epochs", "unknown"), 3.0)
    (tmp_path / "config/toy/costs.yaml").write_text(json.dumps(costs))
    monkeypatch.setattr(estimate, "BASE", tmp_path)
    monkeypatch.chdir(tmp_path)
    return Toy("toy", settings, RUN)


def test_hours_are_those_on_paper_where_nothing_was_measured(toy):
    lines = {line.split()[0]: line for line in estimate.networks(toy)[1:]}
    # 640,000 and 500,000 examples of 3 ms, two seeds
    hours = [0.003 * seen / 3600 for seen in (640_000, 500_000)]
    assert f"2 x {hours[0] / 4:.2f} h on 4 GPU" in lines["steps"]
    assert lines["epochs"].endswith(f"{2 * hours[1]:.2f} GPU-hours (calculated for an A100)")
    assert lines["sum"].endswith(f"{2 * sum(hours):.2f} GPU-hours")
    assert "not known" in lines["unknown"] and "benchmarks/training_cost.py" in lines["new"]


def finish(toy, model: str, **account) -> None:
    """Write the account of a finished training in another run."""
    path = toy.training(model, 0, "run.json").replace("out/mine", "out/other")
    (folder := Path(path).parent).mkdir(parents=True, exist_ok=True)
    account = {"entry": {"module": "net"}, "processes": 4, "device": "NVIDIA X"} | account
    (folder / "run.json").write_text(json.dumps(account))


def test_a_broken_account_of_another_run_is_named_and_left_out(toy, capsys):
    finish(toy, "short", flop_per_second=1e12, wall_seconds=60)
    path = next(Path("out/other").rglob("run.json"))
    path.write_text(path.read_text()[:20])
    assert "(calculated for an A100)" in "".join(estimate.networks(toy))
    message = capsys.readouterr().err
    assert message.startswith(f"{path}: no JSON") and message.endswith("out of the estimate\n")


def test_measured_rate_of_a_module_replaces_the_one_on_paper(toy):
    """16e12 operations a second on four GPUs: 0.5 ms of one GPU for 2 GFLOP."""
    finish(toy, "short", flop_per_second=1e12, wall_seconds=60)
    finish(toy, "long", flop_per_second=16e12, wall_seconds=600)
    lines = {line.split()[0]: line for line in estimate.networks(toy)[1:]}
    assert lines["steps"].endswith(f"{2 * 0.0005 * 640_000 / 3600:.2f} GPU-hours (NVIDIA X)")


@pytest.mark.parametrize(
    "account",
    [
        {"device": "cpu", "flop_per_second": 16e12},
        {"flop_per_second": None},
        {"entry": {"module": "other"}, "flop_per_second": 16e12},
    ],
    ids=["on a CPU", "a baseline", "of another module"],
)
def test_training_that_tells_nothing_of_the_gpu_is_no_measurement(toy, account):
    finish(toy, "other", wall_seconds=600, **account)
    assert "(calculated for an A100)" in estimate.networks(toy)[1]


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
    costs = yaml.safe_load((REPOSITORY / f"config/{study}/costs.yaml").read_text())
    survey = plan(study, size="survey")
    for model, line in zip(
        survey.models(kind="network"), estimate.networks(survey)[1:-1], strict=True
    ):
        assert line.split()[0] == model and line.endswith("(calculated for an A100)")
    assert {*costs["gflop"]} == {*costs["a100_ms"]} >= {*survey.models(kind="network")}


@pytest.mark.parametrize("study", sizes("survey"))
def test_survey_validates_each_epoch(study):
    """Not as often as the demo, whose epochs are short."""
    survey = plan(study, size="survey")
    assert {survey.entry(m)["valid_every"] for m in survey.models(kind="network")} == {None}
