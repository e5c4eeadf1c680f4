"""Simulations from files: one function for our own snapshots, RAMSES outputs and cubes of
density.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from skyloom.cli import BadInput
from skyloom.turbulence.read import cube, ramses, snapshots
from skyloom.turbulence.read.simulation import Cells, Cube, Simulation

__all__ = ["READERS", "Cells", "Cube", "Simulation", "read"]

READERS: dict[str, Callable[[str | Path, dict], Iterator[Simulation]]] = {
    "simulated": snapshots.read,
    "ramses": ramses.read,
    "cube": cube.read,
}


def read(source: str, path: str | Path, settings: dict | None = None) -> Iterator[Simulation]:
    """Yield the simulations of one file, or of one folder of RAMSES, as the reader of `source`
    describes its settings.

    Raises BadInput for a source that is none of `READERS`, and what its reader raises.
    """
    if source not in READERS:
        raise BadInput(f"{path}: source is {source!r}; expected one of {', '.join(READERS)}")
    return READERS[source](path, settings or {})
