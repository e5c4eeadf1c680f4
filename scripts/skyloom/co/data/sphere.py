"""Tiles back to the sphere: each is sampled at the HEALPix pixels that it covers, and overlapping
ones are blended.

A pixel's place on a tile is its gnomonic projection, three dot products; its value there is
bilinear between the tile's pixels. The sides of a tile are great circles, so that the pixels inside
are those of a spherical polygon: no pixel is projected in vain, and nothing walks the whole sphere
(benchmarks/co_tile_to_sphere.py). Overlapping tiles are averaged in linear units with a cosine
window, sin x sin from border to border, which fades each one out where a network sees less context
and leaves no seam where it ends. Where tiles disagree by 10 % its worst step between neighbours is
about half that of sin^2 x sin^2, which leaves less overlap to blend in, and a fourth of that of
equal weights.
"""

from dataclasses import dataclass

import healpy as hp
import numpy as np

from skyloom.co.data.tiles import frame

LEAST = 1e-6  # of the window: a pixel on the very border of its only tile keeps that tile's value


@dataclass(frozen=True)
class Footprint:
    """The sphere's pixels on one tile: `pixel` (n,) RING, the tile's `corner` (4, n) pixels around
    each (row * side + column), their bilinear `share` (4, n), and the `window` (n,).
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
    """RING pixels of the sphere between the outermost pixel centres of a tile: those that it gives
    a value.
    """
    centre, east, north = frame(glon, glat)
    half = np.radians(size_deg / pixels) * (pixels - 1) / 2
    corners = np.array(
        [centre + half * (x * east + y * north) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    )
    return hp.query_polygon(nside, corners / np.linalg.norm(corners, axis=1, keepdims=True))


def footprint(nside: int, glon: float, glat: float, size_deg: float, pixels: int) -> Footprint:
    """Where on a tile (of `tiles.tile_vectors`, angle 0) those pixels of the sphere lie that its
    pixels surround.
    """
    pixel = surrounded(nside, glon, glat, size_deg, pixels)
    step = np.radians(size_deg / pixels)
    middle = (pixels - 1) / 2
    ahead, xi, eta = frame(glon, glat) @ np.array(hp.pix2vec(nside, pixel))
    column, row = (
        middle - xi / (ahead * step),
        middle + eta / (ahead * step),
    )  # longitude grows to the left
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
    """Sums over tiles, pixel by pixel: `add` the planes of each tile, then take their `mean`.

    `window` is the sum of the windows (n_pix,), 0 where no tile lies; `weight` is that of the
    windows on valid sky.
    """

    def __init__(self, nside: int, planes: int):
        n_pix = hp.nside2npix(nside)
        self.window = np.zeros(n_pix, np.float32)
        self.weight = np.zeros(n_pix, np.float32)
        self.total = np.zeros((planes, n_pix), np.float32)

    def add(self, place: Footprint, values: np.ndarray, valid: np.ndarray | float = 1.0) -> None:
        """Add a tile's `values` (plane, n) at its footprint's pixels, in linear units; `valid` (n,)
        in [0, 1].
        """
        weight = place.window * valid
        self.window[place.pixel] += place.window
        self.weight[place.pixel] += weight
        for total, value in zip(self.total, values, strict=True):
            total[place.pixel] += weight * value

    def mean(self) -> np.ndarray:
        """Blended planes (plane, n_pix) float32, NaN where there is no valid sky; the sums are used
        up.
        """
        np.divide(self.total, self.weight, out=self.total, where=self.weight > 0)
        self.total[:, self.weight <= 0] = np.nan
        return self.total


def uncovered(
    glon: np.ndarray, glat: np.ndarray, size_deg: float, pixels: int, area: np.ndarray
) -> int:
    """How many of the sphere's pixels in `area` (n_pix,) bool lie on none of the tiles of `pixels`
    a side.
    """
    missing, nside = area.copy(), hp.npix2nside(area.size)
    for lon, lat in zip(glon, glat, strict=True):
        missing[surrounded(nside, lon, lat, size_deg, pixels)] = False
    return int(missing.sum())
