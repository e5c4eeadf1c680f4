"""How long Snakemake takes before the first job: parsing the Snakefile, and a dry run at survey
scale.

    python benchmarks/workflow_start.py        (from the repository's root)

The parse is given as CPU time over that of an empty Snakefile, since each Slurm job pays it again:
for the studies as they are, and with copies of them under other names up to five.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
REPEATS = 3
COPIES = {"cosmic_rays": "turbulence"}
EMPTY = "rule nothing:\n    output: 'nothing'\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        five = with_copies(Path(folder) / "five")
        empty = Path(folder) / "Snakefile"
        empty.write_text(EMPTY)
        for where in (REPOSITORY, five):
            ours = min(snakemake(where, "--list-rules")[0] for _ in range(REPEATS))
            nothing = min(
                snakemake(where, "--list-rules", "-s", str(empty))[0] for _ in range(REPEATS)
            )
            print(
                f"parse of {where.name}: {ours:.2f} s of CPU, an empty Snakefile {nothing:.2f} s: "
                f"ours adds {ours - nothing:.2f} s (aim: < 1)"
            )
    cpu, wall, output = snakemake(REPOSITORY, "-n", "--config", "size=survey", "run=survey")
    jobs = re.search(r"^total\s+(\d+)", output, re.M)[1]
    print(
        f"dry run at survey size: {jobs} jobs in {wall:.1f} s of wall time, {cpu:.1f} s of CPU "
        "(aim: < 30)"
    )


def with_copies(target: Path) -> Path:
    """A copy of the workflow with five studies: each file that names one is there for its copy."""
    for folder in ("config", "scripts", "workflow"):
        shutil.copytree(
            REPOSITORY / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy2(REPOSITORY / "Snakefile", target)
    for name, original in COPIES.items():
        word = re.compile(rf"(?<![a-z]){original}(?![a-z0-9])")
        for path in [p for p in target.rglob("*") if p.is_file()]:
            copy = target / word.sub(name, str(path.relative_to(target)))
            if copy != path:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(word.sub(name, path.read_text()))
    config = target / "config" / "config.yaml"
    listed = re.compile(r"^studies: \[(.*)\]", re.M)
    config.write_text(listed.sub(rf"studies: [\1, {', '.join(COPIES)}]", config.read_text()))
    return target


def snakemake(folder: Path, *arguments: str) -> tuple[float, float, str]:
    """CPU seconds, wall seconds and output of one call."""
    before, start = os.times(), time.monotonic()
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    wall, after = time.monotonic() - start, os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return cpu, wall, done.stdout + done.stderr


if __name__ == "__main__":
    main()
