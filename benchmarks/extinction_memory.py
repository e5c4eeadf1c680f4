"""Memory of a training of survey size in its first minutes: all processes, shared pages once.

    PYTHONPATH=scripts:workflow python benchmarks/extinction_memory.py published --minutes 2

Draws the stars and the fixed diagrams of the size `survey` with snakemake first, where they are not
there (some 5 minutes of two cores). Then it starts the training as its rule does, with the reader
processes that the config states, ends it after these minutes and prints the largest sum of
proportional set sizes (PSS), sampled every second.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from dag.config import complete_run
from dag.study import as_json, make

RUN = {"run": "memory", "size": "survey", "studies": ["extinction"]}
SNAKEMAKE = ["snakemake", "--profile", "profiles/local", "--config"]
SNAKEMAKE += ["run=memory", "size=survey", "studies=[extinction]", "--"]
MOST = 6e9  # [byte]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default="published")
    parser.add_argument("--minutes", type=float, default=2.0)
    args = parser.parse_args()
    config = dict(RUN)
    complete_run(config)
    study = make("extinction", config)
    data = study.training_set(args.model)
    subprocess.run([*SNAKEMAKE, *data], check=True)
    entry = study.entry(args.model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "scripts/train_model.py", "--study", "extinction"]
        command += ["--model", args.model, "--seed", "0", "--data", *data]
        command += ["--config", as_json(**study.science(args.model)), "--state", folder / "state"]
        for option in ("checkpoint", "history", "run-json"):
            command += [f"--{option}", folder / option]
        command += ["--threads", str(entry["threads"]), "--readers", str(entry["readers"])]
        most, reached = watched(list(map(str, command)), args.minutes)
    print(reached)
    print(f"{args.model}: {most / 1e9:.2f} GB, {entry['readers']} readers")
    if not most < MOST:
        raise SystemExit(f"expected less than {MOST / 1e9:g} GB")


def watched(command: list[str], minutes: float) -> tuple[float, str]:
    """The largest memory of a command's processes [byte] before it is ended, and its last words."""
    with tempfile.TemporaryFile("w+") as said:
        training = psutil.Popen(command, stdout=said, stderr=said)
        most, begin = 0.0, time.monotonic()
        while time.monotonic() - begin < 60 * minutes and training.poll() is None:
            most = max(most, memory(training))
            time.sleep(1)
        training.terminate()
        training.wait()
        said.seek(0)
        return most, said.read().strip().splitlines()[-1]


def memory(process: psutil.Process) -> float:
    """Proportional set size of a process and all below it [byte]."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
