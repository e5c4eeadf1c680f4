"""GPU-hours that a run of survey size announces, before anything is submitted.

The operations of a step are counted once by benchmarks/training_cost.py: no scientific library is
imported here.
"""

from pathlib import Path

from .config import BASE, read_yaml

# [1/s] bf16 with float32 accumulation, and the share that networks of this kind reach
A100_FLOPS = 312e12 * 0.25
TITLE = "Estimate: {study}, networks still to be trained, on A100 in bf16 at 25 % of its peak"


def networks(study) -> list[str]:
    """GPU-hours of each network that has no checkpoint yet, and their sum."""
    costs = BASE / "config" / study.name / "costs.yaml"
    gflop = read_yaml(costs)["gflop"] if costs.exists() else {}
    lines, total = [TITLE.format(study=study.name)], 0.0
    for model in study.models(kind="network"):
        paths = study.checkpoints([model])
        todo = sum(not Path(path).exists() for path in paths)
        seen = examples_seen(study, model)
        if not todo:
            continue
        if model not in gflop:
            why = f"not in config/{study.name}/costs.yaml: see benchmarks/training_cost.py"
            lines.append(f"  {model:28s} {why}")
            continue
        if seen is None:
            lines.append(f"  {model:28s} the number of its training examples is not known yet")
            continue
        hours = seen * gflop[model] * 1e9 / A100_FLOPS / 3600
        total += hours * todo
        gpus = max(study.entry(model)["gpus"], 1)
        one = f"{hours / gpus:.2f} h on {gpus} GPU"
        lines.append(f"  {model:28s} {todo} x {one:18s} {hours * todo:8.2f} GPU-hours")
    return [*lines, f"  {'sum':28s} {'':22s} {total:8.2f} GPU-hours"]


def examples_seen(study, model: str) -> float | None:
    """Examples that one training sees in all its steps, None where nothing tells."""
    entry = study.entry(model)
    if entry["steps"]:
        return entry["steps"] * entry["batch"]
    examples = study.training_examples(model)
    return examples and entry["epochs"] * examples
