"""Networks of a finished run, trained again in bf16 and in fp32 on this device, from three seeds.

    PYTHONPATH=scripts python benchmarks/training_precision.py results/demo co/res_unet

Prints the best first validation score of each training, and the processor time of a precision. The
two are level where their difference is within the scatter of the seeds.
"""

import argparse
import contextlib
import importlib
import io
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from skyloom import gpus
from skyloom.training import Plan, fit

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of the run")
    parser.add_argument("models", nargs="+", help="study/model")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    gpus.claim(1)
    print(torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu")
    for name in args.models:
        study, model = name.split("/")
        (path, *_) = sorted((args.results / study / "models" / model).glob("seed*/run.json"))
        run = json.loads(path.read_text())
        means, seconds = {}, {}
        for precision, full_name in PRECISIONS.items():
            begin = time.process_time()
            scores = [best(study, run, seed, full_name) for seed in args.seeds]
            seconds[precision] = time.process_time() - begin
            found = [value for _, value in scores]
            means[precision] = statistics.mean(found)
            text = ", ".join(f"{value:.4g}" for value in found)
            scatter = f"mean {means[precision]:.4g}, scatter {statistics.stdev(found):.2g}"
            print(f"{name} {precision}: {scores[0][0]} {text}; {scatter}", flush=True)
        print(f"{name}: bf16 less fp32 {means['bf16'] - means['fp32']:+.2g}")
        single, half = seconds["fp32"], seconds["bf16"]
        print(f"{name}: {single:.0f} and {half:.0f} s of CPU, ratio {single / half:.2f}")


def best(study: str, run: dict, seed: int, precision: str) -> tuple[str, float]:
    """Name and value of the first validation score of the weights that are kept."""
    entry, results = run["entry"], []
    module = importlib.import_module(f"skyloom.{study}.models.{entry['module']}")
    load = importlib.import_module(f"skyloom.{study}.data.examples").load
    examples = load([Path(path) for path in run["inputs"]], entry)

    def make_task():
        task = module.make_task(entry, examples.meta)
        task.prepare(examples.train)
        return task

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        plan = replace(Plan.from_entry(entry, seed), precision=precision)
        fit(make_task, examples.train, examples.valid, plan, Path(folder), results.append)
    ((score, value),) = results[0].summary["best"].items()
    return score, value


if __name__ == "__main__":
    main()
