"""Small HEALPix files with the column layout of the real products, written by astropy alone."""

from pathlib import Path

import healpy
import numpy as np
from astropy.io import fits


def write_table(
    path: Path, columns: dict, keywords: dict, per_row: int = 1, primary: dict | None = None
) -> Path:
    """`columns`: name -> (values in file order, unit or None); a keyword of None removes that of
    the default.
    """
    cards = {
        "PIXTYPE": "HEALPIX",
        "ORDERING": "NESTED",
        "COORDSYS": "GALACTIC",
        "INDXSCHM": "IMPLICIT",
        **keywords,
    }
    letter = {"f": "E", "i": "J", "u": "B", "b": "L"}
    fields = []
    for name, (values, unit) in columns.items():
        rows = values if per_row == 1 else values.reshape(-1, per_row)
        fields.append(
            fits.Column(name, f"{per_row}{letter[values.dtype.kind]}", unit=unit, array=rows)
        )
    table = fits.BinTableHDU.from_columns(fields)
    table.header.update({name: value for name, value in cards.items() if value is not None})
    head = fits.PrimaryHDU()
    head.header.update(primary or {})
    fits.HDUList([head, table]).writeto(path, overwrite=True)
    return path


def to_nested(ring: np.ndarray) -> np.ndarray:
    nside = healpy.npix2nside(ring.size)
    return ring[healpy.nest2ring(nside, np.arange(ring.size))]


def galactic_sky(nside: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Dust [MJy/sr], HI [cm-2] and CO [K km/s] (n_pixel,) RING: a plane-parallel disc times a
    lognormal texture.
    """
    rng = np.random.default_rng(seed)
    n_pixel = healpy.nside2npix(nside)
    lat = np.radians(healpy.pix2ang(nside, np.arange(n_pixel), lonlat=True)[1])
    np.random.seed(seed)  # noqa: NPY002 - healpy.synfast draws from the global generator
    texture = healpy.synfast((np.arange(3 * nside) + 10.0) ** -2.7, nside)
    hi = 2.0 / (np.abs(np.sin(lat)) + 0.03) * np.exp(0.8 * texture / texture.std())
    co = np.maximum(0, hi * np.exp(0.3 * rng.standard_normal(n_pixel)) / 4 - 4)
    return {
        "hi": hi * 1e20,
        "dust": 0.4 * (hi + 4 * co) + 0.64,
        "co": co + 0.1 * rng.standard_normal(n_pixel),
    }


def write_co(
    path: Path,
    co: np.ndarray,
    keywords: dict | None = None,
    mask=None,
    unit="K_RJ km/s",
    noise: float = 1.0,
) -> Path:
    """A Type 2 file: NESTED, 8 columns; `co` (n_pixel,) RING is the 1-0 map, 2-1 is 0.7 of it,
    errors 0.45 and 0.12; `noise` is the rms of the null maps over the errors.
    """
    good = np.ones(co.size, np.uint8) if mask is None else mask
    null = noise * np.random.default_rng(2).standard_normal(co.size)
    columns = {}
    for suffix, scale, error in (("10", 1.0, 0.45), ("21", 0.7, 0.12)):
        maps = {"I": scale * co, "E": np.full(co.size, error), "N": error * null}
        for letter, values in maps.items():
            columns[letter + suffix] = (to_nested(np.float32(values)), unit)
        columns["M" + suffix] = (to_nested(good), None)
    return write_table(path, columns, {"NSIDE": healpy.npix2nside(co.size), **(keywords or {})})


def write_dust(
    path: Path, dust: np.ndarray, keywords: dict | None = None, unit: str | None = "MJy/sr"
) -> Path:
    header = {"NSIDE": healpy.npix2nside(dust.size), **(keywords or {})}
    return write_table(path, {"I": (to_nested(np.float32(dust)), unit)}, header, per_row=4)


def write_hi4pi(
    path: Path, hi: np.ndarray, keywords: dict | None = None, order: np.ndarray | None = None
) -> Path:
    """HPXINDEX, RA2000, DEC2000, GLON, GLAT, NHI in this sequence, RING; `order` permutes
    the rows.
    """
    nside = healpy.npix2nside(hi.size)
    pixel = np.arange(hi.size) if order is None else order
    lon, lat = healpy.pix2ang(nside, pixel, lonlat=True)
    ra, dec = healpy.Rotator(coord="GC")(lon, lat, lonlat=True)
    columns = {
        "HPXINDEX": (pixel.astype(np.int32), None),
        "RA2000": (np.float32(ra % 360), "deg"),
        "DEC2000": (np.float32(dec), "deg"),
        "GLON": (np.float32(lon), "deg"),
        "GLAT": (np.float32(lat), "deg"),
        "NHI": (np.float32(hi[pixel]), "cm-2"),
    }
    return write_table(
        path,
        columns,
        {"ORDERING": "RING", "INDXSCHM": "EXPLICIT", "NSIDE": nside, **(keywords or {})},
    )
