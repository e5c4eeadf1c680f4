"""Angular power spectra on a part of the sphere, and the beam of a map after its cut into tiles.

The spectra are pseudo-C_l of an apodised map over the mean square of its window (f_sky correction).
They hold for bands wider than the resolution of the window, if no plane next to the mask outshines
them.
"""

import healpy as hp
import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma

TAPER_DEG = 3.0  # a window rises from 0 to 1 over this angle
BAND = 30  # multipoles a band, wider than the resolution 180 / TAPER_DEG leaves correlated
# multipoles with a B_l^2 below this are left out of the fit of a map's beam
BEAM_FLOOR = 1e-4


def rise(distance_deg: np.ndarray, taper_deg: float = TAPER_DEG) -> np.ndarray:
    """A window: 0 at negative distances, 1 beyond `taper_deg`, sin^2 between; float32."""
    return (np.sin(np.pi / 2 * np.clip(distance_deg / taper_deg, 0, 1)) ** 2).astype(np.float32)


def latitude_window(nside: int, latitude_deg: float, outside: bool) -> np.ndarray:
    """The sky at |b| > `latitude_deg`, or the plane within it, apodised: (n_pix,) float32."""
    _, glat = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    above = np.abs(glat) - latitude_deg
    return rise(above if outside else -above)


def power(first: np.ndarray, second: np.ndarray, window: np.ndarray, lmax: int) -> np.ndarray:
    """C_l (lmax + 1,) of two maps (n_pix,) in a window, over the mean square of the window.

    The window is 0 where either map is NaN. The weighted mean of each map is subtracted.
    """
    window = np.where(np.isfinite(first) & np.isfinite(second), window, 0).astype(np.float64)
    area = window.mean()
    if area == 0:
        return np.full(lmax + 1, np.nan)

    def windowed(values: np.ndarray) -> np.ndarray:
        values = np.where(window > 0, values, 0)
        return window * (values - (window * values).mean() / area)

    maps = [windowed(first)] if first is second else [windowed(first), windowed(second)]
    return hp.anafast(*maps, lmax=lmax, iter=0) / np.mean(window**2)


def banded(cl: np.ndarray, width: int = BAND) -> tuple[np.ndarray, np.ndarray]:
    """Centres of bands of multipoles from l = 2, and the mean of C_l in each."""
    count = (len(cl) - 2) // width
    values = cl[2 : 2 + count * width].reshape(count, width)
    return 2 + width * (np.arange(count) + 0.5) - 0.5, values.mean(1)


def returned_beam(
    back: np.ndarray, original: np.ndarray, window: np.ndarray, beam_arcmin: float
) -> float:
    """FWHM [arcmin] of a map of `beam_arcmin` after its cut into tiles and its return.

    Two bilinear interpolations add a variance s^2 an axis to the beam. To first order back -
    original = s^2/2 Laplacian of the original. This is fitted to the pixels of the window and then
    corrected for the higher orders of Gaussian smoothing. In theory s^2 = p q / 3 on square grids,
    with p < q the pixels of tile and sphere: the tile pixels around a point of the sphere lie close
    to it, where the first interpolation hardly smooths. The staggered rings of HEALPix add up to a
    half of that.

    back, original, window : (n_pix,) RING, NaN where invalid; pixels with a window of 0 are left
        out
    """
    nside = hp.get_nside(original)
    sigma = np.radians(beam_arcmin / 60) * gaussian_fwhm_to_sigma
    lmax = min(2 * nside, int(np.sqrt(-np.log(BEAM_FLOOR)) / sigma))
    valid = (window > 0) & np.isfinite(back) & np.isfinite(original)
    if not valid.any():
        return float("nan")
    alm = hp.map2alm(np.where(np.isfinite(original), original, 0), lmax=lmax, iter=1)
    x = np.arange(lmax + 1) * (np.arange(lmax + 1) + 1.0)

    def through(kernel: np.ndarray) -> np.ndarray:
        return hp.alm2map(hp.almxfl(alm, kernel), nside, lmax=lmax)[valid]

    slope = through(-x / 2)
    norm = (window[valid] * slope**2).sum()
    slope *= window[valid]
    change = (back[valid] - original[valid]).astype(np.float64)
    extra = (slope * change).sum() / norm
    extra += (slope * (change - through(np.expm1(-x * extra / 2)))).sum() / norm
    return float(np.degrees(np.sqrt(sigma**2 + max(extra, 0))) * 60 / gaussian_fwhm_to_sigma)
