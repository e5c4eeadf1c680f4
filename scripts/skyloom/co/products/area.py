"""The area of a product and the tiles that cover it."""

import healpy as hp
import numpy as np

from skyloom.cli import BadInput
from skyloom.co.data.sphere import uncovered
from skyloom.co.data.tiles import tile_centres


def area_pixels(nside: int, area: dict | str) -> np.ndarray:
    """RING pixels of the area: `full` sky, or within `radius_deg` of `glon`, `glat` [deg]."""
    if area == "full":
        return np.arange(hp.nside2npix(nside))
    return hp.query_disc(
        nside, hp.ang2vec(area["glon"], area["glat"], lonlat=True), np.radians(area["radius_deg"])
    )


def depth(glon: np.ndarray, glat: np.ndarray, area: dict | str) -> np.ndarray:
    """Distance [deg] of directions from the border of the area, positive inside.

    It is infinite where the area has no border.
    """
    if area == "full":
        return np.full(np.shape(glon), np.inf)
    distance = hp.rotator.angdist((area["glon"], area["glat"]), (glon, glat), lonlat=True)
    return area["radius_deg"] - np.degrees(distance)


def area_tiles(
    tile_nside: int, area: dict | str, size_deg: float, pixels: int, nside: int
) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [deg] of the tiles that may hold a pixel of the area.

    size_deg, pixels : side of a tile [deg], number of pixels along it
    nside : of the map of the area

    Raises BadInput where tiles on these centres leave pixels of the area uncovered.
    """
    glon, glat = tile_centres(tile_nside)
    near = depth(glon, glat, area) > -size_deg / np.sqrt(2)
    glon, glat = glon[near], glat[near]
    inside = np.zeros(hp.nside2npix(nside), bool)
    inside[area_pixels(nside, area)] = True
    missing = uncovered(glon, glat, size_deg, pixels, inside)
    if missing:
        raise BadInput(
            f"config: tiles of {size_deg:g} deg, {pixels} pixels, on NSIDE {tile_nside} centres "
            f"leave {missing} pixels ({missing / inside.sum():.2g}) of the area uncovered; "
            "expected a larger tile_nside, or larger co.tiles.size_deg"
        )
    return glon, glat
