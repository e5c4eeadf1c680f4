"""Raw maps are compared with what is known of the sky before the long work.

A map in another unit, at another frequency, in another frame or of another kind than its header
says has the right columns and a wrong sky. The ranges are `maps.plausible` of the config; the
defaults are for Planck CO Type 2, GNILC 857 GHz and HI4PI. On HI4PI and the PySM dust map, brought
to 857 GHz, the slope is 0.348 and the offset -0.01; dust at 545 GHz has a third of the slope.
"""

import sys
from pathlib import Path

import healpy
import numpy as np

from skyloom.cli import BadInput
from skyloom.co.physics import ATOMIC_NHI, MIN_PIXELS, fit_emissivity
from skyloom.healpix import COARSE_NSIDE, HealpixTable, check_same_sky, coarse_map

HI_UNIT = 1e20  # [cm-2]
ATOMIC_LATITUDE = 30.0  # [deg] |b| beyond which low columns are atomic
# key of `maps.plausible`: quantity, unit, and a probable reason of another value
QUANTITIES = {
    "hi_median": ("median of N(HI)", "cm-2", "another unit?"),
    "dust_slope": (
        f"slope of dust on N(HI) at |b| > {ATOMIC_LATITUDE:g} deg and N(HI) < {ATOMIC_NHI:g}e20",
        "MJy/sr per 1e20 cm-2",
        "another frequency than 857 GHz, or kJy/sr?",
    ),
    "dust_offset": (
        "dust less maps.dust_monopole, at N(HI) = 0 on that line",
        "MJy/sr",
        "a file without the monopole needs maps.dust_monopole: 0",
    ),
    "dust_fwhm": ("median beam of the dust map", "arcmin", "degrees?"),
    "co10_error": ("median error of CO 10", "K km/s", "a variance, or another unit?"),
    "co21_error": ("median error of CO 21", "K km/s", "a variance, or another unit?"),
    "null_over_error": (
        "rms of null map over error",
        "",
        "scale one to the other: the noise ceiling and the denoisers use both",
    ),
}


def check(path: Path, key: str, value: float, ranges: dict) -> None:
    """Refuse a value outside of its range, and one that is NaN."""
    low, high = ranges[key]
    if not low <= value <= high:
        quantity, unit, reason = QUANTITIES[key]
        raise BadInput(
            f"{path}: {quantity} is {value:.3g} {unit}".rstrip()
            + f"; expected {low:g} to {high:g} ({reason}); another product sets its range in "
            f"co.maps.plausible.{key}"
        )


def check_dust(dust: HealpixTable, hi: HealpixTable, config: dict) -> None:
    """N(HI), dust against N(HI), and their line on the atomic sky.

    config : the section `maps`
    """
    ranges = config["plausible"]
    check(hi.path, "hi_median", float(np.nanmedian(hi["NHI"])), ranges)
    check_same_sky(dust, hi, *_least("hi_dust_correlation", ranges))
    nside = min(COARSE_NSIDE, dust.nside, hi.nside)
    brightness = coarse_map(dust["I"], nside) - config["dust_monopole"]
    column = coarse_map(hi["NHI"], nside) / HI_UNIT
    latitude = np.abs(healpy.pix2ang(nside, np.arange(column.size), lonlat=True)[1])
    atomic = (latitude > ATOMIC_LATITUDE) & (column < ATOMIC_NHI) & np.isfinite(brightness)
    if not atomic.sum() >= MIN_PIXELS:
        print(
            f"warning: {dust.path}: {atomic.sum()} pixels of atomic sky at NSIDE {nside}; slope "
            "and offset of dust on N(HI) are not checked",
            file=sys.stderr,
        )
        return
    slope, offset, _ = fit_emissivity(brightness, column, atomic)
    check(dust.path, "dust_slope", slope, ranges)
    check(dust.path, "dust_offset", offset, ranges)


def check_co(co: HealpixTable, name: str, dust: HealpixTable, ranges: dict) -> None:
    """A CO map against dust, and its error and null map.

    co : maps of intensity, error and null map of line `name`
    """
    _, error, null = co.maps
    check(co.path, f"{name}_error", float(np.nanmedian(error)), ranges)
    with np.errstate(invalid="ignore"):
        ratio = np.sqrt(np.nanmean((null / error) ** 2, dtype=np.float64))
    check(co.path, "null_over_error", float(ratio), ranges)
    check_same_sky(co, dust, *_least("co_dust_correlation", ranges))


def _least(key: str, ranges: dict) -> tuple[float, str]:
    """The least correlation, and the key that sets it."""
    return ranges[key], f"co.maps.plausible.{key}"
