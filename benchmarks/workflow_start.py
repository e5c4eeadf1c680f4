"""How long Snakemake takes before the first job: parsing the Snakefile, and a dry run at survey
scale.

    python benchmarks/workflow_start.py        (from the repository's root)

The parse is given as CPU time over that of an empty Snakefile, since each Slurm job pays it again.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 3


def snakemake(*arguments: str) -> tuple[float, float, str]:
    """CPU seconds, wall seconds and output of one call."""
    before, start = os.times(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments], capture_output=True, text=True, check=True
    )
    wall, after = time.monotonic() - start, os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return cpu, wall, done.stdout + done.stderr


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "Snakefile"
        empty.write_text("rule nothing:\n    output: 'nothing'\n")
        ours = min(snakemake("--list-rules")[0] for _ in range(REPEATS))
        nothing = min(snakemake("--list-rules", "-s", str(empty))[0] for _ in range(REPEATS))
    print(
        f"parse: {ours:.2f} s of CPU, an empty Snakefile {nothing:.2f} s: ours adds "
        f"{ours - nothing:.2f} s (aim: < 1)"
    )
    cpu, wall, output = snakemake("-n", "--config", "size=survey", "run=survey")
    jobs = re.search(r"^total\s+(\d+)", output, re.M)[1]
    print(
        f"dry run at survey size: {jobs} jobs in {wall:.1f} s of wall time, {cpu:.1f} s of CPU "
        "(aim: < 30)"
    )


if __name__ == "__main__":
    main()
