"""Flat-sky power spectra of patches: per-tile C_l and cross-spectra in bands of l.

Tangent plane of 3 degrees: plane waves stand in for harmonics with l = |k| (error below 0.1 % at l
> 300). A tile is apodised with a cosine edge, weighted with the share of valid sky, and loses its
weighted mean; the spectrum is divided by the mean square of the window. The width of a band (234)
is twice the tile's own resolution (120), so that bands are nearly independent.

C_l itself is not deconvolved from the window: a spectrum falling as l^-2.8 under a 15' beam comes
out 1.5-1.7 times too high in the bands within the beam with a taper of 0.5 deg (1.2-1.4 times with
1 deg), since its largest scales leak upwards. Truth and prediction share the window, so that their
ratio and rho_l stay comparable between models; well beyond the beam they measure that leak.
"""

import numpy as np
from astropy.stats import gaussian_fwhm_to_sigma
from scipy import fft


def window(n: int, tile_deg: float, taper_deg: float) -> np.ndarray:
    """Cosine taper of an n x n tile: 0 at the outer edge, 1 from `taper_deg` inwards."""
    edge = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) * tile_deg / n
    side = 0.5 * (1 - np.cos(np.pi * np.clip(edge / taper_deg, 0, 1)))
    return side[:, None] * side


def bands(
    n: int, tile_deg: float, first: float, width: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the bands of l that an n x n tile resolves, and the matrix that averages rfft2
    modes in them.

    Bands are `first + k width`, k < count, each `width` wide; those that reach beyond the Nyquist l
    are left out. Returns centres (n_band,) and matrix (n * (n // 2 + 1), n_band), columns of unit
    sum.
    """
    pixel = np.radians(tile_deg) / n
    centres = first + width * np.arange(count)
    centres = centres[centres + width / 2 <= np.pi / pixel * (1 + 1e-9)]
    kx, ky = 2 * np.pi * fft.rfftfreq(n, pixel), 2 * np.pi * fft.fftfreq(n, pixel)
    ell = np.hypot(ky[:, None], kx)
    # rfft2 keeps one of each conjugate pair
    twice = np.where((kx == 0) | (np.arange(len(kx)) == n / 2), 1, 2)
    matrix = (np.abs(ell[..., None] - centres) < width / 2) * np.broadcast_to(twice, ell.shape)[
        ..., None
    ]
    matrix = matrix.reshape(-1, len(centres)).astype(np.float64)
    return centres, matrix / matrix.sum(0)


def beam_power(ell: np.ndarray, fwhm_arcmin: float) -> np.ndarray:
    """B_l^2 of a Gaussian beam."""
    sigma = np.radians(fwhm_arcmin / 60) * gaussian_fwhm_to_sigma
    return np.exp(-ell * (ell + 1) * sigma**2)


def banded(
    fields: dict,
    pairs: list[tuple[str, str]],
    weight: np.ndarray,
    taper: np.ndarray,
    matrix,
    tile_deg: float,
):
    """Auto- and cross-spectra of every tile in bands of l.

    fields : name -> (n, y, x), any value where weight is 0; pairs : names to correlate; weight :
        (n, y, x) in [0, 1];
    taper : `window`; matrix : `bands`. Returns {pair: (n, n_band)} in (product of the fields'
        units) sr.
    """
    n, size = len(weight), weight.shape[-1]
    w = weight * taper
    total, total2 = (
        np.maximum(w.sum((1, 2), keepdims=True), 1e-30),
        np.maximum((w**2).sum((1, 2)), 1e-30),
    )
    modes = {}
    for name in {name for pair in pairs for name in pair}:
        field = np.where(weight > 0, fields[name], 0).astype(np.float64)
        modes[name] = fft.rfft2(
            w * (field - (w * field).sum((1, 2), keepdims=True) / total)
        ).reshape(n, -1)
    scale = (np.radians(tile_deg) / size) ** 2 / total2[:, None]
    return {(a, b): scale * ((modes[a] * modes[b].conj()).real @ matrix) for a, b in pairs}


def coherence(cross: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """rho_l = C_ab / sqrt(C_aa C_bb); 0 where a map has no power: a constant knows nothing of the
    phases.
    """
    norm = np.sqrt(np.maximum(first, 0) * np.maximum(second, 0))
    return np.where(norm > 0, cross / np.where(norm > 0, norm, 1), 0.0)


def signal_share(power: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """S / (S + N) of a noisy map with total power S + N = `power`, N from its null map; within [0,
    1].
    """
    return np.clip(1 - noise / np.where(power > 0, power, 1), 0, 1) * (power > 0)
