"""Maps of a cube: the plane of the sky, a slice seen from above, and how far the cube reaches."""

from dataclasses import dataclass

import numpy as np

from skyloom.extinction.products.cube import Cube, cell_of
from skyloom.extinction.simulate.galaxy import SUN_RADIUS, Place

HALF_HEIGHT = 100.0  # of the slice about the plane [pc]
PIXEL = 50.0  # of the slice [pc]


@dataclass(frozen=True)
class Slice:
    """A layer about the plane, seen from the north Galactic pole, with the centre at the origin.

    density (x, y) : mean A_V by length [mag/kpc], NaN outside of the cube
    at : places of the pixels, of the same shape: `x` grows from the centre to the Sun, `y` to l =
        90 deg [pc]
    """

    density: np.ndarray
    at: Place

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """First and last y and x, edges of pixels [kpc]."""
        y, x = self.at.y, self.at.x
        half = PIXEL / 2
        ends = y.min() - half, y.max() + half, x.min() - half, x.max() + half
        return tuple(value / 1e3 for value in ends)


def face_on(cube: Cube, half_height: float = HALF_HEIGHT) -> Slice:
    """The mean density within `half_height` of the plane b = 0 [pc].

    Where fields are farther apart than that, those nearest to the plane stand for it.
    """
    layers = _layers(cube, half_height)
    reach = float(cube.distance[-1])
    near = np.radians(cube.longitude)
    # the corners of the sector, the Sun, and the directions of the axes within it
    turns = np.radians(np.arange(-360, 721, 90.0))
    edge = np.concatenate([near, turns[(turns > near[0]) & (turns < near[-1])]])
    x = SUN_RADIUS - np.append(0, reach * np.cos(edge))
    y = np.append(0, reach * np.sin(edge))
    x, y = (
        np.arange(np.floor(v.min() / PIXEL), np.ceil(v.max() / PIXEL) + 1) * PIXEL for v in (x, y)
    )
    x, y = np.meshgrid(x, y, indexing="ij")
    flat = np.hypot(SUN_RADIUS - x, y)
    longitude = np.degrees(np.arctan2(y, SUN_RADIUS - x)) % 360
    column, _ = cell_of(cube, longitude, np.full_like(longitude, cube.latitude[0]))
    # bins by their far edges
    bins = np.ceil(flat / cube.step).astype(int) - 1
    inside = (column >= 0) & (bins >= 0) & (bins < len(cube.distance))
    found = layers[bins.clip(0, len(layers) - 1), column.clip(0)]
    return Slice(np.where(inside, found, np.nan), Place(x, y, np.zeros_like(x)))


def _layers(cube: Cube, half_height: float) -> np.ndarray:
    """Mean density (z, x) of the rows that lie in the slice."""
    middle = cube.distance - cube.step / 2
    height = middle[:, None] * np.abs(np.sin(np.radians(cube.latitude)))
    nearest = np.abs(cube.latitude)
    rows = (height <= half_height) | (nearest <= nearest.min() + 1e-6)
    density = cube.median_density
    used = rows[:, :, None] & np.isfinite(density)
    number = used.sum(1)
    total = np.where(used, density, 0).sum(1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


@dataclass(frozen=True)
class Bound:
    """An error of A_V is small up to `relative` A_V + `absolute_mag`, judged beyond `from_pc`.

    A field of a quarter of a square degree has few stars near the Sun.
    """

    relative: float = 0.1
    absolute_mag: float = 0.3
    from_pc: float = 1000.0

    def __str__(self) -> str:
        return f"{100 * self.relative:g} % of $A_V$ + {self.absolute_mag:g} mag"

    def of(self, extinction: np.ndarray) -> np.ndarray:
        """The bound of A_V [mag]."""
        return self.relative * extinction + self.absolute_mag


def reach_stated(cube: Cube, bound: Bound) -> np.ndarray:
    """How far (y, x) half of the 68 % interval stays within the bound [pc], NaN of a blank field.

    A field that leaves it at once has 0.
    """
    low, median, high = cube.extinction
    return _reach(cube, (high - low) / 2, bound.of(median), bound.from_pc)


def reach_true(cube: Cube, truth: Cube, bound: Bound) -> np.ndarray:
    """How far (y, x) the error of the median stays within the bound [pc]; as `reach_stated`."""
    error = np.abs(cube.median - truth.median)
    return _reach(cube, error, bound.of(truth.median), bound.from_pc)


def _reach(cube: Cube, error: np.ndarray, bound: np.ndarray, begin: float) -> np.ndarray:
    near = (cube.distance <= begin)[:, None, None]
    number = np.logical_and.accumulate((error <= bound) | near, axis=0).sum(0)
    good = np.where(number > near.sum(), number, 0) * cube.step
    return np.where(np.isfinite(error).any(0), good, np.nan)
