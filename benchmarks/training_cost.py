"""Floating-point operations of one training step, by torch's own counter: what the dry run's
estimate multiplies.

    costs=$(python benchmarks/training_cost.py co) && echo "$costs" > config/co/costs.yaml

(a redirection alone would empty the file before the estimate reads it). Counts every network of the
study's survey size on random examples of that size: forwards, backwards, discriminators, penalties;
not FFTs, which the counter does not know. On the CPU with a batch of two; nothing is trained.
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
from torch.utils.flop_counter import FlopCounterMode

from dag.config import complete_run
from dag.study import Study, make
from skyloom.training import Plan

BATCH = 2
HEADER = """\
# GFLOP of one training example in one step (forward, backward, discriminators): the dry run's
# estimate of GPU-hours. Printed by benchmarks/training_cost.py for the networks of survey.yaml; a
# test counts them again.
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("study")
    name = arguments.parse_args().study
    config = {"studies": [name], "size": "survey"}
    complete_run(config)
    study = make(name, config)
    costs = {m: round(gflop(study, m), 2) for m in sorted(study.models(kind="network"))}
    print(HEADER + yaml.safe_dump({"gflop": costs}), end="")


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
        with FlopCounterMode(display=False) as counter:
            for _, loss in task.losses(batch, step):
                loss.backward()
        counts.append(counter.get_total_flops())
    return sum(counts) / len(counts) / BATCH / 1e9


if __name__ == "__main__":
    main()
