"""Floating-point operations of one training step, by torch's own counter: what the dry run's estimate multiplies.

    costs=$(python benchmarks/training_cost.py) && echo "$costs" > config/co/costs.yaml

(a redirection alone would empty the file before the dry run reads it). Counts every network of `config/co/survey.yaml`
at its tile size: forwards, backwards, discriminators, penalties. On the CPU with a batch of two; nothing is trained.
"""

import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from skyloom.training import Plan

REPOSITORY = Path(__file__).resolve().parents[1]
BATCH = 2
META = {
    "normalisation": {n: {"asinh_scale": 1.0, "asinh_mean": 1.5, "asinh_std": 1.0} for n in ("dust", "hi", "target")},
    "excess": {"eps": 0.4, "offset": 0.0, "x_factor": 2.0, "w0": 1.0},
    "line": "CO J=1-0",
}
# What a set is taken for until its tiles are chosen, by `selection`: of the presentation's training images, thrice
# flipped, 10,488 chosen after denoising; and 5,650 before, with half as many faint tiles again.
TRAIN_TILES = {"weighted": 2825, "published": 3496}
HEADER = """\
# GFLOP of one training example in one step (forward, backward, discriminators): the dry run's estimate of GPU-hours.
# Printed by benchmarks/training_cost.py for the networks of survey.yaml; a test counts them again.
"""


def main() -> None:
    costs = {name: round(gflop(entry, tiles), 2) for name, (entry, tiles) in networks("survey").items()}
    table = {"train_tiles": TRAIN_TILES, "gflop": dict(sorted(costs.items()))}
    print(HEADER + yaml.safe_dump(table, sort_keys=False), end="")


def networks(size: str) -> dict[str, tuple[dict, dict]]:
    """Name -> (entry, section `tiles`) of each network of a size, from the commands that a dry run prints."""
    config = [f"size={size}", "run=cost", "studies=[co]"]
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "-F", "--config", *config]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    lines = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if line.startswith("Shell command:") and "--config" in line
    ]
    words = [shlex.split(line.split(" > ")[0].removeprefix("Shell command:")) for line in lines]
    calls = [(Path(w[1]).name, dict(zip(w[2:], w[3:], strict=False))) for w in words]
    tiles = next(json.loads(o["--config"])["tiles"] for name, o in calls if name == "co_cut_patches.py")
    trained = {o["--model"]: json.loads(o["--config"]) for name, o in calls if name == "train_model.py"}
    return {name: (entry, tiles) for name, entry in trained.items() if entry["kind"] == "network"}


def gflop(entry: dict, tiles: dict) -> float:
    """Of one example in one step, in GFLOP."""
    pixels = tiles["pixels"]
    meta = META | {"pixels": pixels, "pixel_arcmin": 60 * tiles["size_deg"] / pixels}
    module = importlib.import_module(f"skyloom.co.models.{entry['module']}")
    torch.manual_seed(0)
    task = module.make_task(entry, meta)
    task.plan = Plan.from_entry(entry, 0).resolved(1000, 1)
    task.optimisers()
    plane = torch.rand(BATCH, 1, pixels, pixels) + 0.1
    batch = {name: plane for name in ("target", "target_physical", "error", "dust", "hi", "valid")}
    batch |= {"input": torch.cat([plane, plane], 1), "sampling_weight": torch.ones(BATCH), "glat": torch.zeros(BATCH)}
    counts = []
    for step in (0, task.plan.steps - 1):  # flow matching learns another network in its second half
        with FlopCounterMode(display=False) as counter:
            for _, loss in task.losses(batch, step):
                loss.backward()
        counts.append(counter.get_total_flops())
    return sum(counts) / len(counts) / BATCH / 1e9


if __name__ == "__main__":
    main()
