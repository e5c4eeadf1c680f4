"""Tiles: square tangent-plane patches of the sphere, and bilinear samples of HEALPix maps on them.

A tile is given by its centre and position angle. Its pixel centres lie at `((i - (n - 1) / 2) *
pixel)` from the centre on the tangent plane (gnomonic projection, FITS code TAN). Row 0 is south,
column 0 is east: longitude grows to the left. One call of `healpy.get_interp_weights` serves all
maps of one NSIDE, so that five maps cost little more than one (benchmarks/co_patch_cutting.py).
"""

import healpy as hp
import numpy as np


def tile_centres(nside: int) -> tuple[np.ndarray, np.ndarray]:
    """Galactic longitude and latitude [deg] of the tile centres.

    The centres are the RING pixel centres of `nside`.
    """
    return hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)


def frame(glon: float, glat: float, angle: float = 0.0) -> np.ndarray:
    """Unit vectors (3, 3) of a tile: its centre, its east and its north.

    East and north are turned by `angle` [deg] from north to east.
    """
    lon, lat, rotation = np.radians([glon, glat, angle])
    centre = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    return np.array(
        [
            centre,
            np.cos(rotation) * east - np.sin(rotation) * north,
            np.sin(rotation) * east + np.cos(rotation) * north,
        ],
    )


def offsets(size_deg: float, pixels: int) -> np.ndarray:
    """Tangent-plane offsets [rad] of pixel centres along one axis, south to north."""
    return np.radians(size_deg / pixels) * (np.arange(pixels) - (pixels - 1) / 2)


def tile_vectors(
    glon: float, glat: float, angle: float, size_deg: float, pixels: int
) -> np.ndarray:
    """Directions (3, pixels, pixels) of a tile's pixel centres, not normalised."""
    centre, east, north = frame(glon, glat, angle)
    step = offsets(size_deg, pixels)
    return (
        centre[:, None, None]
        + north[:, None, None] * step[None, :, None]
        - east[:, None, None] * step[None, None, :]
    )


def recentre(glon: float, glat: float, dx_deg: float, dy_deg: float) -> tuple[float, float]:
    """Longitude and latitude [deg] of a point on the tangent plane of a centre.

    The point lies `dx_deg` east and `dy_deg` north of the centre.
    """
    centre, east, north = frame(glon, glat)
    vector = centre + np.radians(dx_deg) * east + np.radians(dy_deg) * north
    lon, lat = hp.vec2ang(vector, lonlat=True)
    return float(lon[0]), float(lat[0])


def sample(maps: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear samples of HEALPix maps (as `healpy.get_interp_val`) without masked pixels.

    Parameters
    ----------
    maps : (n_map, n_pix) or list of (n_pix,), RING, NaN where masked
    vectors : (3, ...)

    Returns
    -------
    values : (n_map, ...) float64; NaN where no neighbour is valid in every map
    weight : (...) share of the interpolation weights on pixels that are valid in every map
    """
    nside = hp.npix2nside(maps[0].shape[-1])
    x, y, z = vectors
    theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    pixel, weight = hp.get_interp_weights(nside, theta.ravel(), phi.ravel())
    values = np.array([m[pixel] for m in maps])  # (n_map, 4, n)
    valid = np.isfinite(values).all(0)
    if valid.all():
        total = np.ones(pixel.shape[1])
        result = np.einsum("mkn,kn->mn", values, weight, dtype=np.float64)
    else:
        weight = np.where(valid, weight, 0)
        total = weight.sum(0)
        values = np.where(valid, values, 0)
        with np.errstate(invalid="ignore"):
            result = np.einsum("mkn,kn->mn", values, weight, dtype=np.float64) / total
    return result.reshape(len(maps), *x.shape), total.reshape(x.shape)
