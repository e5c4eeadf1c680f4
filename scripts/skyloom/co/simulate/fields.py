"""Random fields and beams of the stand-in. A seed gives one sky at every NSIDE."""

import zlib
from collections.abc import Callable

import healpy as hp
import numpy as np

# a 5' beam leaves no power beyond this multipole
LMAX = 4096

Spectrum = Callable[[np.ndarray], np.ndarray]


def band_limit(nside: int) -> int:
    """Highest multipole of a map of this NSIDE."""
    return min(3 * nside - 1, LMAX)


def gaussian_field(name: str, spectrum: Spectrum, config: dict) -> tuple[np.ndarray, float]:
    """A Gaussian sky with C_l proportional to `spectrum(l)` from l = 2, and its variance.

    The variance over all l up to `LMAX` is 1. Coefficients are drawn in the order of l, so that a
    coarse map of a seed holds the low multipoles of the fine one. Returns the map (n_pix,) float32,
    RING, and the variance below its band limit.
    """
    lmax = band_limit(config["nside"])
    share = (2 * np.arange(LMAX + 1) + 1) / (4 * np.pi)
    share[2:] *= spectrum(np.arange(2.0, LMAX + 1))
    share[:2] = 0.0
    share /= share.sum()
    amplitude = np.sqrt(4 * np.pi * share / (2 * np.arange(LMAX + 1) + 1))[: lmax + 1]
    rng = np.random.default_rng([config["seed"], zlib.crc32(name.encode())])
    draws = rng.standard_normal((lmax + 1) * (lmax + 2), dtype=np.float32).view(np.complex64)
    ell, m = hp.Alm.getlm(lmax)
    alm = draws[ell * (ell + 1) // 2 + m] * np.where(m > 0, np.sqrt(0.5), 1.0) * amplitude[ell]
    sky = hp.alm2map(alm, config["nside"], lmax=lmax).astype(np.float32)
    return sky, float(share[: lmax + 1].sum())


def noise_field(name: str, fwhm_arcmin: float, config: dict) -> np.ndarray:
    """White noise seen through a Gaussian beam, of unit variance in the map (n_pix,) RING."""
    variance_per_ell = beam(fwhm_arcmin, LMAX) ** 2
    sky, variance = gaussian_field(name, lambda ell: variance_per_ell[ell.astype(int)], config)
    return sky / np.float32(np.sqrt(variance))


def beam(fwhm_arcmin: float, lmax: int) -> np.ndarray:
    """Transfer function (lmax + 1,) of a Gaussian beam. An FWHM of 0 is no beam."""
    return hp.gauss_beam(np.radians(fwhm_arcmin / 60), lmax)


def smooth(sky: np.ndarray, fwhm_arcmin: float) -> np.ndarray:
    """`sky` (n_pix,) RING seen through a Gaussian beam.

    A map whose pixels are wider than the beam is returned unchanged. A positive map stays positive:
    the band limit causes negative values next to a bright point, which are set to zero.
    """
    nside = hp.get_nside(sky)
    if hp.nside2resol(nside, arcmin=True) > fwhm_arcmin:
        return sky
    lmax = band_limit(nside)
    alm = hp.almxfl(hp.map2alm(sky, lmax=lmax, iter=1), beam(fwhm_arcmin, lmax))
    return np.maximum(hp.alm2map(alm, nside, lmax=lmax), 0).astype(np.float32)


def interpolator(coarse: int, nside: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that interpolates RING maps of NSIDE `coarse` bilinearly to `nside`.

    The weights are computed once.
    """
    if coarse == nside:
        return lambda sky: sky.astype(np.float32)
    lon, lat = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    pixels, weights = hp.get_interp_weights(coarse, lon, lat, lonlat=True)
    pixels, weights = pixels.astype(np.int32), weights.astype(np.float32)

    def up(sky: np.ndarray) -> np.ndarray:
        sky = sky.astype(np.float32)
        return sum(sky[pixels[k]] * weights[k] for k in range(4))

    return up
