"""The extinction to places, from a cube.

from skyloom.extinction.products import cube, query
sky = cube.read_cube("cube.fits")
found = query.extinction_at(sky, 284.3 * u.deg, 0.2 * u.deg, 2.5 * u.kpc)
found.a_v, found.low, found.high, found.a_j, found.a_k, found.verdict
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.units import Quantity

from skyloom.cli import BadInput, atomic, require
from skyloom.extinction.products.cube import Cube, cell_of
from skyloom.extinction.products.profiles import MEDIAN
from skyloom.extinction.read.tables import column, read_table
from skyloom.extinction.simulate.laws import ratios
from skyloom.extinction.verdicts import VERDICTS

OUTSIDE = "outside"
FORMATS = {".fits": "fits", ".ecsv": "ascii.ecsv", ".csv": "ascii.csv"}


@dataclass(frozen=True)
class Extinction:
    """a_v : median; low, high : 16 and 84 %; a_j, a_k : of the median by the law of the cube [mag]
    verdict : words of `VERDICTS`, or outside; all of the shape of the places, NaN without a value
    """

    a_v: Quantity
    low: Quantity
    high: Quantity
    a_j: Quantity
    a_k: Quantity
    verdict: np.ndarray


def extinction_at(
    cube: Cube, longitude: Quantity, latitude: Quantity, distance: Quantity, blank: bool = False
) -> Extinction:
    """The extinction from the Sun to places: that of the field around it, linear in distance.

    longitude, latitude : Galactic; distance : from the Sun; they broadcast
    blank : a place outside of the cube has NaN and the verdict `outside`
    Raises BadInput for another unit, and unless `blank` for a place outside of the cube.
    """
    lon, lat, d = np.broadcast_arrays(
        _in(longitude, u.deg, "longitude"),
        _in(latitude, u.deg, "latitude"),
        _in(distance, u.pc, "distance"),
    )
    x, y = cell_of(cube, lon, lat)
    inside = (x >= 0) & (y >= 0) & (d >= 0) & (d <= cube.distance[-1] * (1 + 1e-9))
    if not (blank or inside.all()):
        k = np.unravel_index(int(np.argmin(inside)), inside.shape)
        raise BadInput(_outside(cube, float(lon[k]), float(lat[k]), float(d[k])))
    x, y = x.clip(0), y.clip(0)
    # far edges: A_V is 0 at no distance
    bins = np.where(inside, d, 0) / cube.step
    upper = np.ceil(bins).astype(int).clip(1, len(cube.distance)) - 1
    share = bins - upper
    above = cube.extinction[:, upper, y, x].astype(float)
    below = np.where(upper > 0, cube.extinction[:, (upper - 1).clip(0), y, x], 0.0 * above)
    values = np.where(inside, below + share * (above - below), np.nan)
    low, a_v, high = values * u.mag
    a_j, a_k = (ratio * values[MEDIAN] * u.mag for ratio in ratios(cube.law, ("J", "K")))
    verdict = np.where(inside, np.array(VERDICTS)[cube.verdict[y, x]], OUTSIDE)
    return Extinction(a_v, low, high, a_j, a_k, verdict)


def extinction_of(cube: Cube, place: SkyCoord, blank: bool = False) -> Extinction:
    """The extinction to places in any frame, with their distances; as `extinction_at`."""
    galactic = place.galactic
    if galactic.distance.unit == u.dimensionless_unscaled:
        raise BadInput("coordinates without a distance; expected SkyCoord(..., distance=...)")
    return extinction_at(cube, galactic.l, galactic.b, galactic.distance, blank)


def quantity(text: str, unit: u.Unit) -> Quantity:
    """`2500pc`, `2.5 kpc`, or a plain number in `unit`; BadInput for anything else."""
    try:
        found = u.Quantity(text)
    except (TypeError, ValueError):
        raise BadInput(f"{text!r} is no number with a unit; expected such as 2.5 {unit}") from None
    return found * unit if found.unit == u.dimensionless_unscaled else found


def fill_table(cube: Cube, path: Path, output: Path) -> None:
    """Write a table with `A_V`, `A_V_16`, `A_V_84`, `A_J`, `A_K` [mag] and `verdict` added.

    Columns l, b [deg] and distance; without a unit it is in kpc. A row outside of the cube has NaN.
    Raises BadInput for a missing column, another unit, or an output of an unknown kind.
    """
    if output.suffix not in FORMATS:
        raise BadInput(f"{output}: unknown kind of table; expected {', '.join(FORMATS)}")
    table = read_table(path)
    require(table.colnames, ("l", "b", "distance"), path, "column")
    lon, lat = (column(path, table, name, "deg") * u.deg for name in ("l", "b"))
    unit = table["distance"].unit or u.kpc
    try:
        found = extinction_at(cube, lon, lat, column(path, table, "distance") * unit, blank=True)
    except BadInput as error:
        raise BadInput(f"{path}: column {error}") from None
    names = {"A_V": found.a_v, "A_V_16": found.low, "A_V_84": found.high}
    for name, values in (names | {"A_J": found.a_j, "A_K": found.a_k}).items():
        table[name] = values
    table["verdict"] = found.verdict
    # the header of the table that was read belongs to its own columns
    table.meta = {"CUBE": cube.path.name, "LAW": cube.law, "SKYKIND": cube.data_kind}
    with atomic(output) as part:
        table.write(part, format=FORMATS[output.suffix], overwrite=True)


def describe(found: Extinction, cube: Cube) -> str:
    """One line about a single place."""
    if not np.isfinite(found.a_v):
        return f"no value: the field was {found.verdict}"
    mag = [float(v.to_value(u.mag)) for v in (found.a_v, found.low, found.high)]
    bands = f"A_J {found.a_j.to_value(u.mag):.3f}, A_K {found.a_k.to_value(u.mag):.3f}"
    return (
        f"A_V {mag[0]:.3f} [{mag[1]:.3f}, {mag[2]:.3f}] mag (68 %), {bands} mag by {cube.law};"
        f" field {found.verdict}; data: {cube.data_kind}"
    )


def _in(value: Quantity, unit: u.Unit, name: str) -> np.ndarray:
    try:
        return np.asarray(u.Quantity(value).to_value(unit), float)
    except (u.UnitsError, TypeError, ValueError):
        kind = "a length such as 2.5 kpc" if unit == u.pc else "an angle such as 284 deg"
        raise BadInput(f"{name} is {value!s}; expected {kind}") from None


def _outside(cube: Cube, lon: float, lat: float, d: float) -> str:
    width, height = (side / 2 for side in cube.sides)
    west, east = cube.longitude[[0, -1]] + (-width, width)
    south, north = cube.latitude[[0, -1]] + (-height, height)
    return (
        f"l {lon:g} deg, b {lat:g} deg, {d:g} pc is outside of {cube.path}: l {west % 360:g} to"
        f" {east % 360:g} deg, b {south:g} to {north:g} deg, 0 to {cube.distance[-1]:g} pc"
    )
