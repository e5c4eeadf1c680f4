"""Raw files of the CO study: Planck Type 2 CO R1.10, GNILC 857 GHz dust R2.00, HI4PI; flat maps.

Columns and units follow the Planck explanatory supplement (Planck 2013 results XIII, Planck
intermediate results XLVIII) and the HI4PI release (HI4PI Collaboration 2016, A&A 594, A116).
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import astropy.units as u
import healpy
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from skyloom.cli import BadInput
from skyloom.healpix import HealpixTable, Stated, drop_repeated, read_healpix
from skyloom.images import read_image, require_unit

LINES = {"co10": "10", "co21": "21"}  # a line's name -> suffix of its Type 2 columns
# deg between GLON, GLAT of HI4PI and the pixel centres; a pixel of NSIDE 1024 has 0.057
POSITION_TOLERANCE = 1e-2
NOTHING = Stated()


@dataclass(frozen=True)
class FlatMap:
    """A map (y, x) or cube (channel, y, x) of a small field; `wcs` is of its last two axes."""

    path: Path
    values: np.ndarray  # float64
    wcs: WCS
    channel_width: float | None = None  # km/s, of a cube


def read_co_type2(path: str | Path, line: str, stated: Stated = NOTHING) -> HealpixTable:
    """Intensity, error and null test of one CO line, "co10" or "co21" [K km/s].

    They are valid where the file's mask is above 0 and the error is positive, else NaN: masked
    pixels are written as 0, -1, NaN or UNSEEN. Prints a warning where that is less than half of the
    sky.
    """
    suffix = LINES[line]
    columns = {f"{letter}{suffix}": "K_RJ km/s" for letter in "IEN"}
    table = read_healpix(path, {**columns, f"M{suffix}": None}, stated=stated)
    drop_repeated(table, f"I{suffix}")
    intensity, error, _, mask = table.maps
    valid = (mask > 0) & np.isfinite(intensity) & (error > 0)
    rule = f"M{suffix} > 0, E{suffix} > 0 and I{suffix} observed"
    if not valid.any():
        raise BadInput(f"{table.path}: no valid pixel ({rule}); expected a map of CO")
    if not valid.mean() >= 0.5:
        print(
            f"warning: {table.path}: CO {suffix} is valid on {valid.mean():.1%} of the sky "
            f"({rule}): tiles are chosen there alone",
            file=sys.stderr,
        )
    table.maps[:3, ~valid] = np.nan
    return replace(table, columns=tuple(columns), maps=table.maps[:3])


def read_gnilc(path: str | Path, stated: Stated = NOTHING) -> HealpixTable:
    """Thermal dust at 857 GHz [MJy/sr], column I, with the CIB monopole as released."""
    table = read_healpix(path, {"I": "MJy/sr"}, stated=stated)
    drop_repeated(table, "I")
    return table


def read_beam(path: str | Path, stated: Stated = NOTHING) -> HealpixTable:
    """Beam of the dust map [arcmin FWHM], column FWHM, at an NSIDE of its own."""
    return read_healpix(path, {"FWHM": "arcmin"}, stated=stated)


def read_hi4pi(path: str | Path, stated: Stated = NOTHING) -> HealpixTable:
    """N(HI) [cm-2], column NHI, placed by HPXINDEX and checked against GLON and GLAT."""
    columns = {"NHI": "cm-2", "GLON": None, "GLAT": None}
    # lenient: GLON and GLAT are a stricter check than COORDSYS
    table = read_healpix(path, columns, index="HPXINDEX", lenient=True, stated=stated)
    drop_repeated(table, "NHI")
    pixel = np.flatnonzero(np.isfinite(table["NHI"]))
    pixel = pixel[:: max(pixel.size // 3000, 1)]
    lon, lat = healpy.pix2ang(table.nside, pixel, lonlat=True)
    offset = healpy.rotator.angdist(
        (lon, lat), (table["GLON"][pixel], table["GLAT"][pixel]), lonlat=True
    )
    worst = np.degrees(np.max(offset))
    if not worst < POSITION_TOLERANCE:
        raise BadInput(
            f"{table.path}: GLON and GLAT lie up to {worst:.3g} deg from the pixel centres that "
            f"HPXINDEX gives in {table.ordering} ordering at NSIDE {table.nside}, Galactic; "
            "expected the HI4PI release"
        )
    return replace(table, columns=("NHI",), maps=table.maps[:1])


def read_cube(path: str | Path, assume_unit: str | None = None) -> FlatMap:
    """A spectral cube (channel, y, x) in K with a linear velocity axis.

    assume_unit : unit of a file without BUNIT
    """
    values, header = _read_image(path, 3, "K", assume_unit)
    wcs = WCS(header)
    ctype = wcs.wcs.ctype[2]
    if wcs.wcs.spec != 2 or not ctype.startswith(("V", "FELO")):
        raise BadInput(f"{path}: third axis is {ctype or 'unnamed'!r}; expected a velocity axis")
    step = wcs.wcs.cdelt[2] * wcs.wcs.get_pc()[2, 2] * u.Unit(wcs.wcs.cunit[2])
    return FlatMap(Path(path), values, wcs.celestial, abs(step.to_value(u.km / u.s)))


def read_extinction(path: str | Path, assume_unit: str | None = None) -> FlatMap:
    """An extinction map A_V (y, x) in mag; `assume_unit` is the unit of a file without BUNIT."""
    values, header = _read_image(path, 2, "mag", assume_unit)
    return FlatMap(Path(path), values, WCS(header).celestial)


def _read_image(
    path: str | Path, axes: int, unit: str, assume_unit: str | None
) -> tuple[np.ndarray, fits.Header]:
    values, header = read_image(path, axes)
    require_unit(path, "the image (BUNIT)", header.get("BUNIT") or assume_unit, unit)
    _check_projection(path, header)
    return values, header


def _check_projection(path: str | Path, header: fits.Header) -> None:
    """Refuse a plate carree whose reference is not on the equator.

    By the standard (Calabretta & Greisen 2002, A&A 395, 1077) its grid is then oblique. Most
    surveys that write it mean a grid of longitude and latitude.
    """
    for axis in (1, 2):
        ctype = str(header.get(f"CTYPE{axis}", ""))
        reference = float(header.get(f"CRVAL{axis}", 0))
        if ctype[:4] not in ("GLAT", "ELAT", "DEC-") or ctype[5:] != "CAR" or reference == 0:
            continue
        step = header.get(f"CDELT{axis}") or header.get(f"CD{axis}_{axis}", np.nan)
        pixel = header.get(f"CRPIX{axis}", np.nan) - reference / step
        raise BadInput(
            f"{path}: CTYPE{axis} is {ctype!r} and CRVAL{axis} {reference:g}: by the FITS standard "
            f"no grid of longitude and latitude; set CRVAL{axis} = 0 and CRPIX{axis} = {pixel:g} "
            "where the map's grid is one"
        )
