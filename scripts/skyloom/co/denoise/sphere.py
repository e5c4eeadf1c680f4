"""Non-local means on the sphere (Quispe Pena & Frolov 2023, arXiv 2306.00211).

A pixel becomes the mean of all pixels in the disc around it, weighted by the similarity of their
surroundings. Similarity is a distance in three features of the smoothed map that no rotation
changes: its value, its gradient and the skeleton of its Hessian. The mean is taken over the
unsmoothed map, so that repeated sharp structure stays sharp.

Two constants differ from the authors' code. Its noise scale is the norm of (map - smoothed map)
over the number of pixels, so that alpha depends on NSIDE. Here it is the rms. Its rho is the mean
of a ratio whose tail is due to the pixels next to extrema. Here it is the median.

The 12,000 pixels of the disc cause the cost. Blocks of 256 neighbouring pixels share the disc
around the centre of the block. Their distances to the disc are one matrix product, on a GPU where
torch finds one. Nothing is left out, and the centre of a pixel's disc is off by a sixth of the
radius at most.
"""

from collections.abc import Iterator
from typing import NamedTuple

import healpy as hp
import numpy as np
import torch
from astropy.stats import gaussian_fwhm_to_sigma

# harmonics that the Gaussian damps below this factor are left out
KERNEL_FLOOR = 1e-8
LARGEST_LMAX = 4000
LARGEST_RADIUS = np.pi / 6
BLOCK = 16  # pixels along a side of the blocks that share a disc
COARSE_NSIDE = 64  # NSIDE at which the area to filter is widened
# FWHM over which the remaining noise is averaged: some 70 beams of 15'
NOISE_FWHM_DEG = 2.0
# exp(-40) is negligible next to the pixel's own weight of 1, and no slow denormal in float32
LEAST_EXPONENT = -40.0


class Features(NamedTuple):
    """Features of the surroundings of each pixel, in units of the noise."""

    # (n_pix, 3) float32: the weight of a pair is exp(-|difference|^2 / (2 alpha^2))
    values: np.ndarray
    sigma: float  # [K km/s] rms of (map - smoothed map)
    rho: float  # [rad-2] of the metric of the third feature


# --- features ------------------------------------------------------------------------------------


def features(sky: np.ndarray, fwhm_arcmin: float) -> Features:
    """The three features of a map (n_pix,) [K km/s], each over its expected noise.

    The map is RING, NaN where masked.
    """
    nside, valid = hp.npix2nside(sky.size), np.isfinite(sky)
    value, theta, phi, difference, mixed = derivatives(*smoothed(sky, fwhm_arcmin), nside)
    slope2 = np.maximum(theta**2 + phi**2, np.finfo(float).tiny)
    curvature = (difference * (theta**2 - phi**2) + 4 * theta * phi * mixed) / slope2
    skeleton = (mixed * (theta**2 - phi**2) - theta * phi * difference) / slope2
    rho = float(np.median((curvature**2 / slope2)[valid]))
    sigma = float(np.sqrt(np.mean((sky - value)[valid] ** 2)))
    d2 = (gaussian_fwhm_to_sigma * np.radians(fwhm_arcmin / 60)) ** 2
    metric = np.sqrt([1.0, 2 * d2, 12 * d2**2 / (3 + (6 * rho - 1) * d2)]) / sigma
    scaled = np.empty((sky.size, 3), np.float32)
    for k, feature in enumerate((value, np.sqrt(slope2), skeleton)):
        scaled[:, k] = metric[k] * feature
    return Features(scaled, sigma, rho)


def smoothed(sky: np.ndarray, fwhm_arcmin: float) -> tuple[np.ndarray, int]:
    """Harmonic coefficients of a map seen through a Gaussian beam, and their lmax.

    sky : (n_pix,) RING; NaN is replaced by the mean of the valid pixels under the same Gaussian
    """
    nside, fwhm = hp.npix2nside(sky.size), np.radians(fwhm_arcmin / 60)
    needed = np.sqrt(-2 * np.log(KERNEL_FLOOR)) / (gaussian_fwhm_to_sigma * fwhm)
    lmax = min(3 * nside - 1, int(np.ceil(needed)), LARGEST_LMAX)
    beam = hp.gauss_beam(fwhm, lmax)

    def transform(plane: np.ndarray, iterations: int) -> np.ndarray:
        return hp.almxfl(hp.map2alm(plane, lmax=lmax, iter=iterations), beam)

    valid = np.isfinite(sky)
    if not valid.all():
        planes = np.where(valid, sky, 0), valid.astype(float)
        total, weight = (hp.alm2map(transform(plane, 0), nside, lmax=lmax) for plane in planes)
        # 0 deep in a hole
        mean = np.where(weight > 0.01, total / np.maximum(weight, 0.01), 0)
        sky = np.where(valid, sky, mean)
    return transform(sky, 1), lmax


def derivatives(alm: np.ndarray, lmax: int, nside: int) -> tuple[np.ndarray, ...]:
    """I, I_t, I_p, I_tt - I_pp and I_tp of a map, (n_pix,) each.

    These are covariant derivatives per radian along theta and phi. The second derivatives are the
    spin-2 derivative of the map: its coefficients times sqrt((l + 2)! / (l - 2)!), of one parity.
    """
    value, theta, phi = hp.alm2map_der1(alm, nside, lmax=lmax)
    ell = np.arange(lmax + 1.0)
    spin2 = hp.almxfl(alm, np.sqrt(np.maximum((ell + 2) * (ell + 1) * ell * (ell - 1), 0)))
    difference, mixed = hp.alm2map_spin([spin2, np.zeros_like(spin2)], nside, 2, lmax)
    return value, theta, phi, -difference, -mixed / 2


# --- the weighted mean ---------------------------------------------------------------------------


def average(
    planes: np.ndarray,
    surroundings: Features,
    pixels: np.ndarray,
    alpha: float,
    radius: float,
    region: np.ndarray | None = None,
) -> np.ndarray:
    """The non-local mean of maps at some pixels, with the weights of one map's features.

    Parameters
    ----------
    planes : (n_pix, n_map), RING; a pixel that is NaN in any map has no weight
    surroundings : features of the map that the weights belong to
    pixels : (n_mean,) RING numbers at which the mean is taken
    alpha, radius : strength in units of the noise; radius of the disc [rad]
    region : (n_pix,) integers; a mean is taken over pixels of the same region, so that no training
        pixel depends on a test pixel

    Returns
    -------
    (n_mean, n_map) float32; NaN where the disc holds no valid pixel.
    """
    nside = hp.npix2nside(len(planes))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    valid = np.isfinite(planes).all(1)
    means = np.full((len(pixels), planes.shape[1]), np.nan, np.float32)
    for rows, disc in blocks(nside, pixels, radius):
        for part, voters in _by_region(rows, pixels[rows], disc[valid[disc]], region):
            own_features, disc_features = (
                surroundings.values[pixels[part]],
                surroundings.values[voters],
            )
            # in float32 large common values would hide small distances
            origin = own_features.mean(0)
            own_features, disc_features = (
                (torch.from_numpy(x - origin) / alpha).to(device)
                for x in (own_features, disc_features)
            )
            votes = torch.from_numpy(
                np.column_stack([planes[voters], np.ones(len(voters), np.float32)])
            ).to(device)
            exponent = own_features @ disc_features.T
            exponent -= own_features.square().sum(1, keepdim=True) / 2
            exponent -= disc_features.square().sum(1) / 2
            total = exponent.clamp_(LEAST_EXPONENT, 0).exp_() @ votes
            means[part] = (total[:, :-1] / total[:, -1:]).cpu().numpy()
    return means


def blocks(
    nside: int, pixels: np.ndarray, radius: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of 16 x 16 pixels: the rows of `pixels` in it, and the disc around its centre."""
    side = min(BLOCK, nside)
    block = hp.ring2nest(nside, pixels) // side**2
    order = np.argsort(block, kind="stable")
    numbers, starts = np.unique(block[order], return_index=True)
    for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True):
        yield rows, hp.query_disc(nside, hp.pix2vec(nside // side, number, nest=True), radius)


def _by_region(rows, pixels, voters, region) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows with the pixels of their mean, region by region. Rows without any are left out."""
    if region is None:
        groups = [(rows, voters)]
    else:
        groups = [
            (rows[region[pixels] == k], voters[region[voters] == k])
            for k in np.unique(region[pixels])
        ]
    yield from (group for group in groups if len(group[1]))


def disc_radius(nside: int, fwhm_arcmin: float, reach: float) -> float:
    """Radius [rad] of the disc of a mean, at most 30 degrees.

    It is the larger of `reach` / NSIDE (64: some 12,000 pixels) and the FWHM.
    """
    return min(max(reach / nside, np.radians(fwhm_arcmin / 60)), LARGEST_RADIUS)


# --- a whole sky ---------------------------------------------------------------------------------


def bright_area(snr: np.ndarray, threshold: float, margin_deg: float) -> np.ndarray:
    """Pixels (n_pix,) bool within `margin_deg` of one with a signal-to-noise above `threshold`.

    The margin is accurate to about a degree.
    """
    nside = hp.npix2nside(snr.size)
    coarse = min(nside, COARSE_NSIDE)
    of_pixel = hp.nest2ring(
        coarse, hp.ring2nest(nside, np.arange(snr.size)) // (nside // coarse) ** 2
    )
    near = np.zeros(hp.nside2npix(coarse), bool)
    for pixel in np.unique(of_pixel[snr > threshold]):
        near[
            hp.query_disc(coarse, hp.pix2vec(coarse, pixel), np.radians(margin_deg), inclusive=True)
        ] = True
    return near[of_pixel]


def denoise_sky(
    signal: np.ndarray,
    null: np.ndarray,
    area: np.ndarray,
    settings: dict,
    region: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, Features]:
    """Filter a map within `area`, and its null map with the same weights. The rest stays unchanged.

    Parameters
    ----------
    signal, null : (n_pix,) [K km/s] RING, NaN where masked, also in the result
    area : (n_pix,) bool
    settings : `fwhm_arcmin`, `alpha`, `reach`
    region : (n_pix,) of `average`

    Returns
    -------
    The denoised signal, the denoised null map (the remaining noise) and the features.
    """
    surroundings = features(signal, settings["fwhm_arcmin"])
    pixels = np.flatnonzero(area & np.isfinite(signal) & np.isfinite(null))
    radius = disc_radius(hp.npix2nside(signal.size), settings["fwhm_arcmin"], settings["reach"])
    planes = np.column_stack([signal, null]).astype(np.float32)
    planes[pixels] = average(planes, surroundings, pixels, settings["alpha"], radius, region)
    return planes[:, 0], planes[:, 1], surroundings


def error_left(error: np.ndarray, null: np.ndarray, null_left: np.ndarray) -> np.ndarray:
    """The error (n_pix,) after denoising: the map's error times the remaining share of the noise.

    The share is the local ratio of the rms of the null maps. The error does not include signal that
    the average removed or invented, and is therefore a lower bound.
    """
    valid = np.isfinite(null) & np.isfinite(null_left) & (error > 0)
    before, after = (
        hp.smoothing(
            np.where(valid, (plane / np.where(valid, error, 1)) ** 2, 0),
            np.radians(NOISE_FWHM_DEG),
            iter=0,
        )
        for plane in (null, null_left)
    )
    share = np.sqrt(np.clip(after, 0, None) / np.maximum(before, 1e-3 * before.max()))
    return np.where(valid, error * np.clip(share, 0.01, 1), np.nan).astype(np.float32)
