"""Write envs/ from the one list of pinned dependencies, pyproject.toml.

python envs/generate.py           skyloom.yaml (conda) and skyloom.def (Apptainer)
python envs/generate.py --lock    lock.txt too: the versions that this environment holds
python envs/generate.py --check   exit 1 where a file is not what this would write
"""

import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
NOTE = "# Written by envs/generate.py from pyproject.toml; edit that and run `make envs`.\n"

CONDA = """\
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.11
  - pip
  - pip:
{}
"""

APPTAINER = """\
# Build: apptainer build skyloom.sif envs/skyloom.def   (from the repository's root)
# Run:   snakemake --profile profiles/NAME --sdm apptainer --apptainer-args "--nv" \\
#            --config container=skyloom.sif
Bootstrap: docker
From: python:3.11-slim-bookworm

%files
    pyproject.toml /opt/skyloom/pyproject.toml
    envs/lock.txt /opt/skyloom/lock.txt

%post
    pip install --no-cache-dir --constraint /opt/skyloom/lock.txt \\
{}

%labels
    Licence BSD-3-Clause
"""


def closure(requirements: list[str]) -> dict[str, str]:
    """Versions of what `requirements` pull in, by name.

    torch's CUDA packages are left to torch's own exact pins.
    """
    versions, todo = {}, [Requirement(text) for text in requirements]
    stated = {requirement.name for requirement in todo}
    while todo:
        wanted = todo.pop()
        extras = ["", *wanted.extras]
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = wanted.name.lower().replace("_", "-")
        of_torch = name.startswith(("nvidia-", "cuda-", "triton")) and name not in stated
        if of_torch or name in versions:
            continue
        found = distribution(wanted.name)
        versions[name] = found.version.partition("+")[0]
        for text in found.requires or []:
            child = Requirement(text)
            if child.marker is None or any(
                child.marker.evaluate({"extra": extra}) for extra in extras
            ):
                child.marker = None
                todo.append(child)
    return versions


def files() -> dict[str, str]:
    """What envs/ is to hold, by file name."""
    pins = PROJECT["dependencies"]
    return {
        "skyloom.yaml": NOTE + CONDA.format("\n".join(f"      - {pin}" for pin in pins)),
        "skyloom.def": NOTE + APPTAINER.format(" \\\n".join(f"        {pin}" for pin in pins)),
    }


def main() -> None:
    if "--check" in sys.argv:
        stale = [name for name, text in files().items() if (HERE / name).read_text() != text]
        sys.exit(
            f"not in step with pyproject.toml: {', '.join(stale)}; run `make envs`" if stale else 0
        )
    for name, text in files().items():
        (HERE / name).write_text(text)
    if "--lock" in sys.argv:
        pins = [
            pin
            for group in (PROJECT["dependencies"], PROJECT["optional-dependencies"]["test"])
            for pin in group
        ]
        lines = [f"{name}=={version}" for name, version in sorted(closure(pins).items())]
        (HERE / "lock.txt").write_text(NOTE + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
