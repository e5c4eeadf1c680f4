"""The CO study's raw files: Planck Type 2 CO R1.10, GNILC 857 GHz dust R2.00, HI4PI, and flat-sky
maps of one cloud.

Columns and units as in the Planck explanatory supplement (products of Planck 2013 results XIII and
Planck intermediate results XLVIII) and in the HI4PI release (HI4PI Collaboration 2016, A&A 594,
A116).
"""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import astropy.units as u
import healpy
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS

from skyloom.cli import BadInput
from skyloom.fits import HealpixTable, read_healpix, require_unit

LINES = {"co10": "10", "co21": "21"}  # our name -> suffix of the Type 2 columns
HI_PLAUSIBLE = (
    1e20,
    3e21,
)  # median N(HI) of the full sky is 5.3e20 cm-2; catches a map in 1e20 cm-2 or in K km/s
# deg between HI4PI's own GLON, GLAT and the pixel centres; a pixel of NSIDE 1024 has 0.057
POSITION_TOLERANCE = 1e-2


@dataclass(frozen=True)
class FlatMap:
    """A map or cube of a small field: `values` (y, x) or (channel, y, x), the celestial WCS of its
    last two axes.
    """

    path: Path
    values: np.ndarray  # float64
    wcs: WCS
    channel_width: float | None = None  # km/s, of a cube


def read_co_type2(path: str | Path, line: str) -> HealpixTable:
    """Intensity, its error and the null test of one CO line [K km/s], NaN where the file's mask is
    0 (unreliable).

    `line` is "co10" or "co21". The maps of the table are in the order intensity, error, null test.
    """
    suffix = LINES[line]
    columns = {f"{letter}{suffix}": "K_RJ km/s" for letter in "IEN"}
    table = read_healpix(path, {**columns, f"M{suffix}": None})
    masked = table[f"M{suffix}"] == 0
    if masked.mean() > 0.5:
        raise BadInput(
            f"{table.path}: column M{suffix} is 0 on {masked.mean():.0%} of the sky; expected 1 = "
            "reliable, 0 = masked"
        )
    table.maps[:3, masked] = np.nan
    return replace(table, columns=tuple(columns), maps=table.maps[:3])


def read_gnilc(path: str | Path) -> HealpixTable:
    """Thermal dust at 857 GHz [MJy/sr], column I, its zero level as released (with the CIB
    monopole).
    """
    return read_healpix(path, {"I": "MJy/sr"})


def read_hi4pi(path: str | Path) -> HealpixTable:
    """N(HI) [cm-2], column NHI, rows placed by HPXINDEX and checked against the file's own GLON and
    GLAT.
    """
    wanted = {"NHI": "cm-2", "GLON": None, "GLAT": None}
    table = read_healpix(
        path, wanted, index="HPXINDEX", lenient=True
    )  # GLON and GLAT say more than COORDSYS
    pixel = np.arange(0, table["NHI"].size, max(table["NHI"].size // 3000, 1))
    lon, lat = healpy.pix2ang(table.nside, pixel, lonlat=True)
    offset = healpy.rotator.angdist(
        (lon, lat), (table["GLON"][pixel], table["GLAT"][pixel]), lonlat=True
    )
    worst = np.degrees(np.max(offset))
    if not worst < POSITION_TOLERANCE:
        raise BadInput(
            f"{table.path}: GLON and GLAT lie up to {worst:.3g} deg from the pixel centres that "
            "HPXINDEX gives in "
            f"{table.ordering} ordering at NSIDE {table.nside}, Galactic; expected the full-sky "
            "HI4PI release"
        )
    median = float(np.nanmedian(table["NHI"]))
    if not HI_PLAUSIBLE[0] < median < HI_PLAUSIBLE[1]:
        raise BadInput(
            f"{table.path}: median of column NHI is {median:.3g}; expected about 5e20 cm-2"
        )
    return replace(table, columns=("NHI",), maps=table.maps[:1])


def read_cube(path: str | Path, assume_unit: str | None = None) -> FlatMap:
    """A spectral cube (channel, y, x) in K, with a linear velocity axis; `assume_unit` stands for
    an absent BUNIT.
    """
    values, header = _read_image(path, 3, "K", assume_unit)
    wcs = WCS(header)
    axis = wcs.wcs.spec
    if axis != 2 or not wcs.wcs.ctype[2].startswith(("V", "FELO")):
        raise BadInput(
            f"{path}: third axis is {wcs.wcs.ctype[2] or 'unnamed'!r}; expected a velocity axis"
        )
    step = wcs.wcs.cdelt[2] * wcs.wcs.get_pc()[2, 2] * u.Unit(wcs.wcs.cunit[2])
    return FlatMap(Path(path), values, wcs.celestial, abs(step.to_value(u.km / u.s)))


def read_extinction(path: str | Path, assume_unit: str | None = None) -> FlatMap:
    """An extinction map A_V (y, x) in mag; `assume_unit` stands for an absent BUNIT."""
    values, header = _read_image(path, 2, "mag", assume_unit)
    return FlatMap(Path(path), values, WCS(header).celestial)


def _read_image(
    path: str | Path, n_axis: int, unit: str, assume_unit: str | None
) -> tuple[np.ndarray, fits.Header]:
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected a FITS image")
    try:
        with (
            warnings.catch_warnings(action="ignore", category=AstropyUserWarning),
            fits.open(path, memmap=False) as hdus,
        ):
            header, values = hdus[0].header, hdus[0].data
    except (OSError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: not a readable FITS image ({error}); cut short?") from None
    if values is None or values.ndim != n_axis:
        raise BadInput(f"{path}: {0 if values is None else values.ndim} axes; expected {n_axis}")
    require_unit(path, "the image (BUNIT)", header.get("BUNIT") or assume_unit, unit)
    if not np.isfinite(values).any():
        raise BadInput(f"{path}: no valid pixel (all NaN)")
    return values.astype(np.float64), header
