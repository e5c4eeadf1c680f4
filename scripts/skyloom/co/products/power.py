"""Angular power spectra on a part of the sphere, and the beam that a map has after it went through tiles.

Pseudo-C_l of an apodised map over the mean square of its window: the f_sky correction. It holds for bands wider than
the window's own resolution, and for spectra that no plane next to the mask outshines.
"""

import healpy as hp
import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma

TAPER_DEG = 3.0  # a window rises from 0 to 1 over this angle
BAND = 30  # multipoles a band, wider than the resolution 180 / TAPER_DEG leaves correlated
BEAM_FIT = 0.05  # the beam is fitted where B_l^2 of the maps is above this


def rise(distance_deg: np.ndarray, taper_deg: float = TAPER_DEG) -> np.ndarray:
    """0 where the distance to a border is negative, 1 from `taper_deg` inwards, sin^2 between; float32."""
    return (np.sin(np.pi / 2 * np.clip(distance_deg / taper_deg, 0, 1)) ** 2).astype(np.float32)


def latitude_window(nside: int, latitude_deg: float, outside: bool) -> np.ndarray:
    """The sky at |b| > `latitude_deg`, or the plane within it, apodised: (n_pix,) float32."""
    _, glat = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    above = np.abs(glat) - latitude_deg
    return rise(above if outside else -above)


def power(first: np.ndarray, second: np.ndarray, window: np.ndarray, lmax: int) -> np.ndarray:
    """C_l (lmax + 1,) of two maps (n_pix,) in a window, over the mean square of the window.

    Where either map is NaN the window is 0; each map loses its weighted mean.
    """
    window = np.where(np.isfinite(first) & np.isfinite(second), window, 0).astype(np.float64)
    area = window.mean()
    if area == 0:
        return np.full(lmax + 1, np.nan)

    def seen(values: np.ndarray) -> np.ndarray:
        known = np.where(window > 0, values, 0)
        return window * (known - (window * known).mean() / area)

    maps = [seen(first)] if first is second else [seen(first), seen(second)]
    return hp.anafast(*maps, lmax=lmax, iter=0) / np.mean(window**2)


def banded(cl: np.ndarray, width: int = BAND) -> tuple[np.ndarray, np.ndarray]:
    """Centres of bands of multipoles from l = 2, and the mean of C_l in each."""
    count = (len(cl) - 2) // width
    values = cl[2 : 2 + count * width].reshape(count, width)
    return 2 + width * (np.arange(count) + 0.5) - 0.5, values.mean(1)


def returned_beam(back: np.ndarray, original: np.ndarray, window: np.ndarray, beam_arcmin: float) -> float:
    """FWHM [arcmin] that a map of `beam_arcmin` has after its way through tiles.

    Two bilinear interpolations widen it: the cross-spectrum with the original over the original's own falls as
    exp(-l (l + 1) s^2 / 2), fitted over the multipoles within the beam. In theory s^2 = (p^2 + q^2) / 6 a axis, with p
    and q the pixels of the tile and of the sphere.
    """
    nside = hp.get_nside(original)
    sigma = np.radians(beam_arcmin / 60) * gaussian_fwhm_to_sigma
    lmax = min(2 * nside, int(np.sqrt(-np.log(BEAM_FIT)) / sigma))
    own = banded(power(original, original, window, lmax))[1]
    ell, cross = banded(power(back, original, window, lmax))
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = -2 * np.log(cross / own)
    known = np.isfinite(loss)
    if not known.any():
        return float("nan")
    x, weight = (ell * (ell + 1))[known], ell[known]
    extra = max((weight * x * loss[known]).sum() / (weight * x**2).sum(), 0)
    return float(np.degrees(np.sqrt(sigma**2 + extra)) * 60 / gaussian_fwhm_to_sigma)
