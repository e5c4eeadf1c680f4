"""Tiles back to the sphere: sampled at the HEALPix pixels that they cover, then blended.

The position of a pixel on a tile is its gnomonic projection, three dot products. Its value there is
bilinear between the pixels of the tile. The sides of a tile are great circles, so that the pixels
inside form a spherical polygon. No pixel outside is projected, and no step scans the whole sphere
(benchmarks/co_tile_to_sphere.py).

Overlapping tiles are averaged in linear units with a cosine window, sin x sin from border to
border. The window gives less weight to the borders, where a network sees less context, and leaves
no seam. If tiles disagree by 10 %, its largest step between neighbouring pixels is half that of
sin^2 x sin^2 and a fourth of that of equal weights. sin^2 x sin^2 leaves less overlap to blend in.
"""

from dataclasses import dataclass

import healpy as hp
import numpy as np

from skyloom.co.data.tiles import frame

# least value of the window: a pixel on the border of its only tile keeps the value of that tile
LEAST = 1e-6


@dataclass(frozen=True)
class Footprint:
    """Pixels of the sphere on one tile.

    `pixel` (n,) RING; `corner` (4, n), the pixels of the tile around each (row * side + column);
    `share` (4, n), their bilinear weights; `window` (n,), the weight in the blend.
    """

    pixel: np.ndarray
    corner: np.ndarray
    share: np.ndarray
    window: np.ndarray

    def sample(self, planes: np.ndarray) -> np.ndarray:
        """Bilinear values (plane, n) of a tile's planes (plane, y, x) at the sphere's pixels."""
        flat = planes.reshape(len(planes), -1)
        return sum(
            flat[:, corner] * share for corner, share in zip(self.corner, self.share, strict=True)
        )


def surrounded(nside: int, glon: float, glat: float, size_deg: float, pixels: int) -> np.ndarray:
    """RING pixels of the sphere between the outermost pixel centres of a tile.

    These are the pixels that the tile gives a value.
    """
    centre, east, north = frame(glon, glat)
    half = np.radians(size_deg / pixels) * (pixels - 1) / 2
    corners = np.array(
        [centre + half * (x * east + y * north) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    )
    return hp.query_polygon(nside, corners / np.linalg.norm(corners, axis=1, keepdims=True))


def footprint(nside: int, glon: float, glat: float, size_deg: float, pixels: int) -> Footprint:
    """Positions on a tile (`tiles.tile_vectors`, angle 0) of the pixels that it surrounds."""
    pixel = surrounded(nside, glon, glat, size_deg, pixels)
    step = np.radians(size_deg / pixels)
    middle = (pixels - 1) / 2
    cosine, xi, eta = frame(glon, glat) @ np.array(hp.pix2vec(nside, pixel))
    # longitude grows to the left
    column = middle - xi / (cosine * step)
    row = middle + eta / (cosine * step)
    x, y = (np.clip(i.astype(np.int32), 0, pixels - 2) for i in (column, row))
    dx, dy = (column - x).astype(np.float32), (row - y).astype(np.float32)
    first = y * pixels + x
    phase = np.pi / (pixels - 1)
    return Footprint(
        pixel,
        np.array([first, first + 1, first + pixels, first + pixels + 1]),
        np.array([(1 - dx) * (1 - dy), dx * (1 - dy), (1 - dx) * dy, dx * dy]),
        np.maximum(np.sin(phase * column) * np.sin(phase * row), LEAST).astype(np.float32),
    )


class Blend:
    """Sums over tiles at each pixel: `add` the planes of every tile, then take their `mean`.

    `window` (n_pix,) is the sum of the windows, 0 where no tile lies. `weight` (n_pix,) is the sum
    of the windows on valid sky.
    """

    def __init__(self, nside: int, planes: int):
        n_pix = hp.nside2npix(nside)
        self.window = np.zeros(n_pix, np.float32)
        self.weight = np.zeros(n_pix, np.float32)
        self.total = np.zeros((planes, n_pix), np.float32)

    def add(self, tile: Footprint, values: np.ndarray, valid: np.ndarray | float = 1.0) -> None:
        """Add the `values` (plane, n) of a tile at the pixels of its footprint, in linear units.

        `valid` (n,) is the valid share of each value, 0 to 1.
        """
        weight = tile.window * valid
        self.window[tile.pixel] += tile.window
        self.weight[tile.pixel] += weight
        for total, value in zip(self.total, values, strict=True):
            total[tile.pixel] += weight * value

    def mean(self) -> np.ndarray:
        """Blended planes (plane, n_pix) float32, NaN without valid sky.

        The sums are overwritten.
        """
        np.divide(self.total, self.weight, out=self.total, where=self.weight > 0)
        self.total[:, self.weight <= 0] = np.nan
        return self.total


def uncovered(
    glon: np.ndarray, glat: np.ndarray, size_deg: float, pixels: int, area: np.ndarray
) -> int:
    """Number of pixels of `area` (n_pix,) bool that no tile of `pixels` a side covers."""
    missing, nside = area.copy(), hp.npix2nside(area.size)
    for lon, lat in zip(glon, glat, strict=True):
        missing[surrounded(nside, lon, lat, size_deg, pixels)] = False
    return int(missing.sum())
