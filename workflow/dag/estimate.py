"""GPU-hours that a run of survey size announces, before anything is submitted.

Operations of a step are counted by benchmarks/training_cost.py, and their rate is that of finished
trainings on a GPU. Where there are none, the time on an A100 is calculated from steps on an H200
(config/<study>/costs.yaml). No scientific library is imported here.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from snakemake.exceptions import WorkflowError

from .config import BASE, read_json, read_yaml

PAPER = "calculated for an A100"


class Cost(NamedTuple):
    """GPU time of one training example in one step [s], and the source of the number."""

    seconds: float
    source: str


def networks(study) -> list[str]:
    """GPU-hours of each network that has no checkpoint yet, and their sum."""
    lines, total = [f"Estimate: {study.name}, networks still to be trained"], 0.0
    costs = example_costs(study)
    for model in study.models(kind="network"):
        paths = study.checkpoints([model])
        todo = sum(not Path(path).exists() for path in paths)
        seen = examples_seen(study, model)
        if not todo:
            continue
        if model not in costs:
            why = f"not in config/{study.name}/costs.yaml: see benchmarks/training_cost.py"
            lines.append(f"  {model:28s} {why}")
            continue
        if seen is None:
            lines.append(f"  {model:28s} the number of its training examples is not known yet")
            continue
        hours = seen * costs[model].seconds / 3600
        total += hours * todo
        gpus = max(study.entry(model)["gpus"], 1)
        one = f"{hours / gpus:.2f} h on {gpus} GPU"
        spent = f"{hours * todo:8.2f} GPU-hours ({costs[model].source})"
        lines.append(f"  {model:28s} {todo} x {one:18s} {spent}")
    return [*lines, f"  {'sum':28s} {'':22s} {total:8.2f} GPU-hours"]


def example_costs(study) -> dict[str, Cost]:
    """The cost of each model: by the measured rate of its module, else on paper."""
    path = BASE / "config" / study.name / "costs.yaml"
    costs = read_yaml(path) if path.exists() else {"gflop": {}, "a100_ms": {}}
    measured = measured_rates(study)
    found = {model: Cost(ms / 1e3, PAPER) for model, ms in costs["a100_ms"].items()}
    for model in study.models(kind="network"):
        module = study.entry(model)["module"]
        if module in measured and model in costs["gflop"]:
            rate, device = measured[module]
            found[model] = Cost(costs["gflop"][model] * 1e9 / rate, device)
    return found


def measured_rates(study) -> dict[str, tuple[float, str]]:
    """Module -> operations a second of one GPU, and its name, of the longest training in results/.

    Validation and saved states are in that time.
    """
    longest: dict[str, dict] = {}
    for path in Path(study.folder).parents[1].glob(f"*/{study.name}/models/*/seed*/run.json"):
        try:
            run = read_json(path)
        except WorkflowError as broken:
            print(f"{broken}: left out of the estimate", file=sys.stderr)
            continue
        # a baseline counts no operations
        if run["device"] != "cpu" and run.get("flop_per_second"):
            module = run["entry"]["module"]
            longest[module] = max(longest.get(module, run), run, key=lambda r: r["wall_seconds"])
    return {
        module: (run["flop_per_second"] / run["processes"], run["device"])
        for module, run in longest.items()
    }


def examples_seen(study, model: str) -> float | None:
    """Examples that one training sees in all its steps, None where nothing tells."""
    entry = study.entry(model)
    if entry["steps"]:
        return entry["steps"] * entry["batch"]
    examples = study.training_examples(model)
    return examples and entry["epochs"] * examples
