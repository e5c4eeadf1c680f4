"""What the user may lay beside a cube: a dust map of the whole line of sight, and HII regions."""

from pathlib import Path

import healpy
import numpy as np
from astropy import units as u

from skyloom.cli import BadInput, require
from skyloom.extinction.products.cube import Cube
from skyloom.extinction.read.tables import column, read_table
from skyloom.healpix import read_healpix

POINTS = 5  # along a side of a field, of which a dust map's mean is taken


def dust_map(stated: dict, cube: Cube) -> np.ndarray:
    """A_V (y, x) of a HEALPix map in the fields of a cube [mag].

    stated : `path`, `column`, and `mag_per_unit`, A_V over the map's unit
    Raises BadInput as `read_healpix`, and for a factor that is no positive number.
    """
    factor = stated["mag_per_unit"]
    if not (isinstance(factor, int | float) and 0 < factor < np.inf):
        raise BadInput(f"dust.mag_per_unit is {factor!r}; expected A_V over the unit of the map")
    found = read_healpix(stated["path"], {stated["column"]: ""}, lenient=True)
    part = (np.arange(POINTS) + 0.5) / POINTS - 0.5
    lon = cube.longitude[:, None] + part * cube.sides[0]
    lat = cube.latitude[:, None] + part * cube.sides[1]
    lon, lat = np.broadcast_arrays(lon[None, None], lat[:, :, None, None])
    values = found[stated["column"]][healpy.ang2pix(found.nside, lon, lat, lonlat=True)]
    known = np.isfinite(values)
    number = known.sum((1, 3))
    total = np.where(known, values, 0).sum((1, 3), dtype=float)
    return factor * np.where(number > 0, total / np.maximum(number, 1), np.nan)


def regions(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """l [deg] and distance [pc] of HII regions, of a table with the columns l and distance.

    A distance without a unit is in kpc. Raises BadInput for a missing column or another unit.
    """
    table = read_table(path)
    require(table.colnames, ("l", "distance"), path, "column")
    unit = u.Unit(table["distance"].unit or u.kpc)
    if not unit.is_equivalent(u.pc):
        raise BadInput(f"{path}: column distance is in {unit}; expected a length")
    distance = column(path, table, "distance") * unit.to(u.pc)
    return column(path, table, "l", "deg"), distance
