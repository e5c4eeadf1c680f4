"""The outputs of a family: found in the files and folders that a user brings, by name."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from skyloom.cli import BadInput
from skyloom.turbulence.read import ramses
from skyloom.turbulence.read.simulation import FACTS

DEPTH = 2  # folders within those of the user: of a run, and of an output in it
EXPECTED = {
    "ramses": "folders with an info_NNNNN.txt",
    "cube": "cubes of density (HDF5, FITS, .npy, .npz)",
    "maps": "maps (FITS)",
}
HEAD = 512  # bytes of a file that show whether it is a text
TEXT = bytes({*b"\t\n\f\r\x1b", *range(0x20, 0x7F), *range(0x80, 0x100)})
TEXT_HEADS = b"SIMPLE", b"# vtk"  # of files that begin with a text and are none


@dataclass(frozen=True)
class Output:
    """An output: its path within the folder of the family, and `FACTS` that the config states."""

    name: str
    path: Path
    facts: dict[str, float]


def find(
    paths: Iterable[str | Path], source: str, labels: dict[str, dict] | list[dict] | None = None
) -> list[Output]:
    """The outputs of a `source` at these paths, and in folders there.

    labels : facts by the name of an output, or of a folder that it is in; a list of one entry is
        that of all outputs; None: no facts

    Files that are no output, such as a README, are left out with a warning. Raises BadInput where
    nothing is found, and for a label that names no output or has an unknown fact.
    """
    paths = [Path(os.path.abspath(path)) for path in paths]
    found = [output for path in paths for output in _search(path, source, DEPTH)]
    if not found:
        where = ", ".join(map(str, paths))
        raise BadInput(f"{where}: no output; expected {EXPECTED[source]}, {DEPTH} folders deep")
    family = os.path.commonpath([path.parent for path in paths])
    outputs = {os.path.relpath(path, family): path for path in found}
    labels = _table(labels, outputs)
    keys = {name: next((k for k in _names(name) if k in labels), None) for name in outputs}
    if unused := labels.keys() - keys.values():
        message = f"{', '.join(sorted(unused))} names no output (outputs: {', '.join(outputs)})"
        raise BadInput(f"config outputs: {message}")
    return [Output(name, path, labels.get(keys[name], {})) for name, path in outputs.items()]


def _search(path: Path, source: str, depth: int) -> list[Path]:
    """The outputs at a path: itself, or those in a folder."""
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder, or a link that leads nowhere")
    if path.is_dir():
        if source == "ramses" and ramses.is_output(path):
            return [path]
        inner = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        # a run of RAMSES has files of its own next to its outputs
        inner = [entry for entry in inner if source != "ramses" or not entry.is_file()]
        return [
            found for entry in inner * (depth > 0) for found in _search(entry, source, depth - 1)
        ]
    if source != "ramses" and not _is_text(path):
        return [path]
    print(f"warning: {path}: a file, no output; left out", file=sys.stderr)
    return []


def _is_text(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(HEAD)
    return bool(head) and not head.startswith(TEXT_HEADS) and not head.translate(None, TEXT)


def _table(labels: dict[str, dict] | list[dict] | None, names: Iterable[str]) -> dict[str, dict]:
    """The facts by name, each of them known."""
    if isinstance(labels, list):
        if len(labels) != 1:
            message = f"a list of {len(labels)} entries; expected a table, name of an output: facts"
            raise BadInput(
                f"config outputs: {message}, or a list of one entry, that of all outputs"
            )
        labels = dict.fromkeys(names, labels[0])
    for name, facts in (labels or {}).items():
        if unknown := ", ".join(facts.keys() - FACTS.keys()):
            raise BadInput(
                f"config outputs: {name}: unknown {unknown}; expected {', '.join(FACTS)}"
            )
    return labels or {}


def _names(name: str) -> list[str]:
    """The name of an output, and of the folders that it is in."""
    return [name, *map(str, PurePath(name).parents)]
