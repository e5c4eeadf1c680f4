"""Simulations from files of any source: our own snapshots, RAMSES outputs, cubes of density."""

from collections.abc import Callable, Iterator
from pathlib import Path

from skyloom.cli import BadInput
from skyloom.turbulence.read import cube, ramses, snapshots
from skyloom.turbulence.read.simulation import Simulation

READERS: dict[str, Callable[[str | Path, dict], Iterator[Simulation]]] = {
    "simulated": snapshots.read,
    "ramses": ramses.read,
    "cube": cube.read,
}


def read(source: str, path: str | Path, settings: dict | None = None) -> Iterator[Simulation]:
    """Yield the simulations of one file, or of one folder of RAMSES.

    settings : those of the reader of `source`, a key of `READERS`
    Raises BadInput for another source, and what the reader raises.
    """
    if source not in READERS:
        raise BadInput(f"{path}: source is {source!r}; expected one of {', '.join(READERS)}")
    return READERS[source](path, settings or {})
