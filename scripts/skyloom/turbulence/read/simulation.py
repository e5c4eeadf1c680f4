"""One simulation as every reader returns it: gas, box, and facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skyloom.cli import BadInput

AXES = "x", "y", "z"
OWN = "simulated", "early"  # sources that this repository makes itself

# of a simulation: name -> value where a source does not state it
FACTS = {
    "seed": -1,
    "index": np.nan,  # of the velocity power spectrum
    "mach": np.nan,  # 3D rms velocity / sound speed
    "time_myr": np.nan,
    "steps": -1,
    "mass_error": np.nan,
    "momentum_error": np.nan,
}


@dataclass(frozen=True)
class Cells:
    """Leaf cells of an octree that fill the unit box.

    index : (n, n_dim) int32, number of the cell along x, y, z among the 2^level of its level
    level : (n,) int8; a cell is 2^-level of the box wide
    density : (n,) float64 [g cm-3]
    velocity : (n, n_dim) float64 [km/s], None where unknown
    """

    index: np.ndarray
    level: np.ndarray
    density: np.ndarray
    velocity: np.ndarray | None = None

    @property
    def volume(self) -> np.ndarray:
        """Share of the box (n,)."""
        return np.ldexp(1.0, -self.index.shape[1] * self.level.astype(int))


@dataclass(frozen=True)
class Cube:
    """A uniform grid.

    density : (z, y, x) float64 [g cm-3]
    velocity : (3, z, y, x) [km/s], components x, y, z; None where unknown
    centroid : (3, row, column) [km/s], the line-of-sight velocity along x, y, z weighted by
        density, of a source without the velocity; rows and columns as in `project.deposit`
    """

    density: np.ndarray
    velocity: np.ndarray | None = None
    centroid: np.ndarray | None = None


@dataclass(frozen=True)
class Simulation:
    """One simulation.

    gas : None where the simulation has failed; `failure` is then the reason
    facts : the values of `FACTS`
    attributes : for the file of column maps: temperature_k, mu, sound_speed_kms, scheme, order
    remarks : peculiarities, such as self-gravity; they go into the file of column maps
    name : of an output of the user; empty of our own simulations, which have seeds
    """

    path: Path
    source: str
    data_kind: str
    gas: Cells | Cube | None
    box_pc: float
    mean_density: float  # g cm-3
    facts: Mapping[str, float]
    attributes: Mapping[str, float | int | str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    failure: str = ""
    name: str = ""


def check_density(path: str | Path, density: np.ndarray) -> None:
    """Refuse density that is not finite, is negative, or is zero everywhere."""
    for name, bad in (("not finite", ~np.isfinite(density)), ("negative", density < 0)):
        if bad.any():
            raise BadInput(
                f"{path}: density of {bad.sum()} of {bad.size} cells is {name}; expected values"
                " above 0"
            )
    if not density.any():
        message = f"density of all {density.size} cells is 0; expected values above 0"
        raise BadInput(f"{path}: {message}")


def check_velocity(path: str | Path, velocity: np.ndarray) -> None:
    """Refuse velocity that is not finite."""
    bad = ~np.isfinite(velocity)
    if bad.any():
        message = f"velocity of {bad.sum()} of {bad.size} values is not finite"
        raise BadInput(f"{path}: {message}; expected numbers")
