"""Floating-point operations of one training step, by torch's own counter: what the dry run's
estimate multiplies.

    costs=$(python benchmarks/training_cost.py co) && echo "$costs" > config/co/costs.yaml

(a redirection alone would empty the file before the dry run reads it). Counts every network of the
study's `survey.yaml` at the size of its images: forwards, backwards, discriminators, penalties; not
FFTs, which the counter does not know. On the CPU with a batch of two; nothing is trained.
"""

import argparse
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
HEADER = """\
# GFLOP of one training example in one step (forward, backward, discriminators): the dry run's
# estimate of GPU-hours. Printed by benchmarks/training_cost.py for the networks of survey.yaml; a
# test counts them again.
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("study", choices=EXAMPLES)
    study = arguments.parse_args().study
    calls = planned(study)
    entries = [
        (words["--model"], json.loads(words["--config"])) for words in calls["train_model.py"]
    ]
    networks = {model: entry for model, entry in entries if entry["kind"] == "network"}
    costs = {name: round(gflop(study, entry, calls), 2) for name, entry in sorted(networks.items())}
    print(HEADER + yaml.safe_dump({"gflop": costs}), end="")


def planned(study: str) -> dict[str, list[dict[str, str]]]:
    """Script -> options of each of its calls, from the commands that a dry run of survey size
    prints.
    """
    config = ["size=survey", "run=cost", f"studies=[{study}]"]
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "-F", "--config", *config]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    calls = {}
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith("Shell command:") and "--config" in line:
            words = shlex.split(line.split(" > ")[0].removeprefix("Shell command:"))
            calls.setdefault(Path(words[1]).name, []).append(
                dict(zip(words[2:], words[3:], strict=False))
            )
    return calls


def gflop(study: str, entry: dict, calls: dict) -> float:
    """Of one example in one step, in GFLOP."""
    meta, batch = EXAMPLES[study](entry, calls)
    module = importlib.import_module(f"skyloom.{study}.models.{entry['module']}")
    torch.manual_seed(0)
    task = module.make_task(entry, meta)
    task.plan = Plan.from_entry(entry, 0).resolved(1000, 1)
    task.optimisers()
    counts = []
    for step in (0, task.plan.steps - 1):  # flow matching learns another network in its second half
        with FlopCounterMode(display=False) as counter:
            for _, loss in task.losses(batch, step):
                loss.backward()
        counts.append(counter.get_total_flops())
    return sum(counts) / len(counts) / BATCH / 1e9


def co_examples(entry: dict, calls: dict) -> tuple[dict, dict]:
    """What the network is told of its set, and a batch of it."""
    tiles = json.loads(calls["co_cut_patches.py"][0]["--config"])["tiles"]
    pixels = tiles["pixels"]
    meta = {
        "normalisation": {
            n: {"asinh_scale": 1.0, "asinh_mean": 1.5, "asinh_std": 1.0}
            for n in ("dust", "hi", "target")
        },
        "excess": {"eps": 0.4, "offset": 0.0, "x_factor": 2.0, "w0": 1.0},
        "line": "CO J=1-0",
        "pixels": pixels,
        "pixel_arcmin": 60 * tiles["size_deg"] / pixels,
    }
    plane = torch.rand(BATCH, 1, pixels, pixels) + 0.1
    batch = {name: plane for name in ("target", "target_physical", "error", "dust", "hi", "valid")}
    batch |= {
        "input": torch.cat([plane, plane], 1),
        "sampling_weight": torch.ones(BATCH),
        "glat": torch.zeros(BATCH),
    }
    return meta, batch


def turbulence_examples(entry: dict, calls: dict) -> tuple[dict, dict]:
    """What the network is told of its set, and a batch of it."""
    [cut] = [
        call
        for call in calls["turbulence_cut_images.py"]
        if Path(call["--output"]).parts[-2] == entry["set"]
    ]
    images = json.loads(cut["--config"])
    family = images["families"][0]
    simulated = [
        c for c in calls["turbulence_simulate_clouds.py"] if Path(c["--output"]).parts[-3] == family
    ]
    pixels = json.loads(simulated[0]["--config"])["grid"] // images["parts"]
    meta = {
        "pixels": pixels,
        "families": images["families"],
        "index_mean": 3.75,
        "index_std": 0.43,
    }
    index = torch.tensor([3.5, 4.0])
    batch = {
        "input": torch.rand(BATCH, 1, pixels, pixels),
        "index": index,
        "label": torch.arange(2.0),
    }
    return meta, batch | {"family": torch.zeros(BATCH, dtype=torch.int64)}


EXAMPLES = {"co": co_examples, "turbulence": turbulence_examples}

if __name__ == "__main__":
    main()
