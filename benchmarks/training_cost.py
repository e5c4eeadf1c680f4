"""Floating-point operations of one training step, as trainings count their own.

    costs=$(python benchmarks/training_cost.py co) && echo "$costs" > config/co/costs.yaml

A redirection alone would empty the file before it is read: times are copied from it.
Counts every network of the study's survey.yaml on random examples of that size: forwards,
backwards, discriminators, penalties; not FFTs, which the counter does not know. On the CPU with a
batch of two; nothing is trained.
"""

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

import numpy as np
import torch
import yaml

from dag.config import complete_run, read_yaml
from dag.study import Study, make
from skyloom.training import Plan
from skyloom.training.account import Counter

BATCH = 2
CONFIG = Path(__file__).resolve().parents[1] / "config"
HEADER = """\
# Cost of one training example in one step (forward, backward, discriminators) of the networks of
# survey.yaml: the dry run's estimate of GPU-hours. Printed by benchmarks/training_cost.py.
# a100_ms: GPU time on an A100 [ms]: that on an H200 (benchmarks/README.md, step times busy) times
#   3.2, the ratio of their bandwidths; of the radio networks, whose steps were not timed, at the
#   rate of CO's Res-UNet, 35 TFLOP/s; of the extinction networks the time in which 14 CPU cores
#   draw an example; finished trainings on a GPU replace it
# gflop: operations [1e9]; a test counts them again
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("study")
    name = arguments.parse_args().study
    config = {"studies": [name], "size": "survey"}
    complete_run(config)
    study = make(name, config)
    defined = sorted(read_yaml(CONFIG / name / "survey.yaml")["models"])
    networks = [model for model in defined if study.entry(model)["kind"] == "network"]
    costs = {"a100_ms": read_yaml(CONFIG / name / "costs.yaml").get("a100_ms", {})}
    costs["gflop"] = {model: round(gflop(study, model), 2) for model in networks}
    print(HEADER + yaml.safe_dump(costs), end="")


def gflop(study: Study, model: str) -> float:
    """Of one example in one step, in GFLOP."""
    entry, pixels = study.entry(model), study.image_pixels(model)
    synthetic = importlib.import_module(f"skyloom.{study.name}.data.synthetic")
    examples = synthetic.examples(entry, pixels, BATCH)
    batch = examples.train[np.arange(BATCH)]
    module = importlib.import_module(f"skyloom.{study.name}.models.{entry['module']}")
    torch.manual_seed(0)
    task = module.make_task(entry, examples.meta)
    task.plan = Plan.from_entry(entry, 0).resolved(1000, 1)
    task.optimisers()
    counts = []
    for step in (0, task.plan.steps - 1):  # flow matching learns another network in its second half
        with Counter() as counter:
            for _, loss in task.losses(batch, step):
                loss.backward()
        counts.append(counter.flop)
    return sum(counts) / len(counts) / BATCH / 1e9


if __name__ == "__main__":
    main()
