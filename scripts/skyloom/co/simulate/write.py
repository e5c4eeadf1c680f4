"""Files of the stand-in, with names, columns, units, ordering and keywords of the real products.

CO and dust follow the Planck archive, N(HI) follows HI4PI.
"""

from pathlib import Path

import healpy as hp
import numpy as np
from astropy.io import fits

from skyloom.cli import atomic


def write_co(sky: dict[str, np.ndarray], path: str | Path, config: dict) -> None:
    """Planck Type 2 CO: eight columns [K_RJ km/s; the masks are bytes], NESTED."""
    columns = []
    for line in ("10", "21"):
        for kind in ("I", "E", "N"):
            values = np.nan_to_num(sky[f"{kind}{line}"], nan=hp.UNSEEN)
            columns.append(
                fits.Column(f"{kind}{line}", "E", unit="K_RJ km/s", array=_nested(values))
            )
        columns.append(fits.Column(f"M{line}", "B", array=_nested(sky[f"M{line}"])))
    table = _table(columns, config, "NESTED")
    table.header["EXTNAME"] = "COMP-MAP"
    table.header["AST-COMP"] = "CO-TYPE2"
    _write(table, path)


def write_dust(sky: dict[str, np.ndarray], path: str | Path, config: dict) -> None:
    """GNILC dust at 857 GHz: one column [MJy/sr], NESTED.

    It contains the monopole of the infrared background.
    """
    column = fits.Column("I", "E", unit="MJy/sr", array=_nested(sky["dust"]))
    table = _table([column], config, "NESTED")
    table.header["EXTNAME"] = "COMP-MAP"
    table.header["AST-COMP"] = "DUST"
    table.header["FREQ"] = ("857", "[GHz]")
    _write(table, path)


def write_hi(sky: dict[str, np.ndarray], path: str | Path, config: dict) -> None:
    """HI4PI column density [cm-2] with its coordinates, RING."""
    pixel = np.arange(len(sky["hi"]))
    lon, lat = hp.pix2ang(config["nside"], pixel, lonlat=True)
    ra, dec = hp.Rotator(coord="GC")(lon, lat, lonlat=True)
    columns = [
        fits.Column("HPXINDEX", "J", array=pixel),
        fits.Column("RA2000", "E", unit="deg", array=ra % 360),
        fits.Column("DEC2000", "E", unit="deg", array=dec),
        fits.Column("GLON", "E", unit="deg", array=lon),
        fits.Column("GLAT", "E", unit="deg", array=lat),
        fits.Column("NHI", "E", unit="cm-2", array=sky["hi"] * np.float32(1e20)),
    ]
    _write(_table(columns, config, "RING"), path)


def _nested(values: np.ndarray) -> np.ndarray:
    return values[hp.nest2ring(hp.get_nside(values), np.arange(len(values)))]


def _table(columns: list[fits.Column], config: dict, ordering: str) -> fits.BinTableHDU:
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update(
        {
            "PIXTYPE": ("HEALPIX", "HEALPix pixelisation"),
            "ORDERING": (ordering, "pixel ordering scheme"),
            "COORDSYS": ("GALACTIC", "coordinate system"),
            "NSIDE": (config["nside"], "resolution parameter"),
            "FIRSTPIX": 0,
            "LASTPIX": hp.nside2npix(config["nside"]) - 1,
            "INDXSCHM": "IMPLICIT",
            "BAD_DATA": (hp.UNSEEN, "value of masked pixels"),
            "SKYKIND": ("simulated", "not a survey"),
            "SKYSEED": (config["seed"], "seed of the simulation"),
        }
    )
    table.header["COMMENT"] = (
        "Synthetic: made by Skyloom as a stand-in for the survey product of this name."
    )
    return table


def _write(table: fits.BinTableHDU, path: str | Path) -> None:
    with atomic(path) as part:
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(part, overwrite=True)
