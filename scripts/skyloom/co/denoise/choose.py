"""Parameters of a denoiser by cross-validation on the null map.

The null map N is half the difference of two halves of the data whose mean is the map M. The sum M+N
and the difference M-N are therefore maps of the same sky with independent noise. One of them is
denoised and compared with the other. A filter that keeps noise or loses structure has a larger
distance. Only training sky is compared. Each pixel is divided by its own error, since otherwise the
bright plane would decide everything. The noise of the halves is sqrt(2) times that of M, for which
the noise scale of the metric allows in part.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import healpy as hp
import numpy as np
import pandas as pd

from skyloom.cli import BadInput
from skyloom.co.denoise.patch import nlm_patch
from skyloom.co.denoise.sphere import average, disc_radius, features, smoothed
from skyloom.co.read import LINES
from skyloom.patchset import PatchSet

# pixels along a side of the squares that are compared: small ones, since the few bright spots of
# the plane have a large weight
SQUARE = 4


def read_null(maps: PatchSet, line: str) -> np.ndarray:
    """The null map (n_pix,) [K km/s] of a line ("co10").

    Raises BadInput where the file lacks it or where it is constant.
    """
    name = f"{line}_null"
    null = maps.array(name) if name in maps.variables else None
    finite = null[np.isfinite(null)] if null is not None else ()
    if null is not None and len(finite) and np.ptp(finite) > 0:
        return null
    if null is None:
        state = "missing"
    elif not len(finite):
        state = "NaN everywhere"
    else:
        state = f"{finite[0]:g} everywhere"
    raise BadInput(
        f"{maps.path}: variable {name} (column N{LINES[line]} of the CO file) is {state}; "
        "expected the null map, half the difference of two halves of the data, on which the "
        "denoiser's parameters are cross-validated"
    )


def drawn_pixels(eligible: np.ndarray, count: int, seed: int) -> np.ndarray:
    """About `count` of the pixels where `eligible` (n_pix,) bool, in small squares at random."""
    pixels = np.flatnonzero(eligible)
    square = hp.ring2nest(hp.npix2nside(eligible.size), pixels) // SQUARE**2
    names, sizes = np.unique(square, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    selection = names[order[: np.searchsorted(np.cumsum(sizes[order]), count) + 1]]
    return pixels[np.isin(square, selection)]


def score_sphere(
    signal: np.ndarray,
    null: np.ndarray,
    error: np.ndarray,
    pixels: np.ndarray,
    settings: dict,
    region: np.ndarray | None = None,
) -> pd.DataFrame:
    """Scores of non-local means for every pair of `settings.fwhm_arcmin` and `settings.alpha`.

    Parameters
    ----------
    signal, null, error : (n_pix,) [K km/s], RING
    pixels : RING numbers at which the filtered half is compared
    region : (n_pix,) of `sphere.average`

    Returns
    -------
    A row a pair: fwhm_arcmin, alpha, mse and gain_db. `mse` is that of the denoised half in units
    of error^2, less the noise of the other half. `gain_db` is the gain over the unfiltered half.
    """

    def candidates(half: np.ndarray) -> Iterator[tuple[dict, np.ndarray]]:
        for fwhm in settings["fwhm_arcmin"]:
            surroundings = features(half, fwhm)
            radius = disc_radius(hp.npix2nside(half.size), fwhm, settings["reach"])
            for alpha in settings["alpha"]:
                mean = average(
                    half.astype(np.float32)[:, None], surroundings, pixels, alpha, radius, region
                )
                yield {"fwhm_arcmin": fwhm, "alpha": alpha}, mean[:, 0]

    return _scores(candidates, signal, null, error, pixels)


def score_gaussian(
    signal: np.ndarray, null: np.ndarray, error: np.ndarray, pixels: np.ndarray, widths: list[float]
) -> pd.DataFrame:
    """Scores of a Gaussian smoothing of each FWHM [arcmin], as in `score_sphere`."""

    def candidates(half: np.ndarray) -> Iterator[tuple[dict, np.ndarray]]:
        for fwhm in widths:
            yield {"fwhm_arcmin": fwhm}, smooth_gaussian(half, fwhm)[pixels]

    return _scores(candidates, signal, null, error, pixels)


def score_patch(
    tiles: np.ndarray, null: np.ndarray, strengths: list[float], settings: dict
) -> pd.DataFrame:
    """Scores of non-local means within tiles for each strength h, at all pixels of the tiles.

    tiles, null : (n, y, x) [K km/s], cut from the map and its null map. The rms of `null` is the
        noise
    settings : of `patch.nlm_patch` without `h`
    """
    error = np.full_like(tiles, np.sqrt(np.mean(null**2)))

    def candidates(half: np.ndarray) -> Iterator[tuple[dict, np.ndarray]]:
        for h in strengths:
            yield {"h": h}, nlm_patch(half, np.sqrt(2) * error, settings | {"h": h})

    return _scores(candidates, tiles, null, error, ...)


def smooth_gaussian(sky: np.ndarray, fwhm_arcmin: float) -> np.ndarray:
    """A map (n_pix,) smoothed with a Gaussian beam."""
    alm, lmax = smoothed(sky, fwhm_arcmin)
    return hp.alm2map(alm, hp.npix2nside(sky.size), lmax=lmax)


def best(scores: pd.DataFrame) -> dict[str, float]:
    """The row with the smallest mse, as plain numbers."""
    return {name: float(value) for name, value in scores.loc[scores["mse"].idxmin()].items()}


def on_border(scores: pd.DataFrame, *names: str) -> pd.Series:
    """Rows with the smallest or the largest candidate of a parameter: a better one may lie beyond.

    A parameter with one candidate has no border.
    """
    ends = [
        scores[name].isin([scores[name].min(), scores[name].max()])
        for name in names
        if scores[name].nunique() > 1
    ]
    return pd.concat([pd.Series(False, scores.index), *ends], axis=1).any(axis=1)


def _scores(candidates: Callable, signal, null, error, pixels) -> pd.DataFrame:
    reference, sigma = (signal - null)[pixels], error[pixels]
    # noise of one half, which is also the mse of the unfiltered half against the sky
    noise = 2 * np.mean((null[pixels] / sigma) ** 2)
    rows = []
    for names, filtered in candidates(signal + null):
        mse = float(np.mean(((filtered - reference) / sigma) ** 2) - noise)
        rows.append({**names, "mse": mse, "gain_db": float(10 * np.log10(noise / max(mse, 1e-9)))})
    return pd.DataFrame(rows)


def eligible_pixels(
    signal: np.ndarray, null: np.ndarray, error: np.ndarray, area: np.ndarray, region: np.ndarray
) -> np.ndarray:
    """Training sky (n_pix,) bool within `area` where all three maps are valid.

    `region` is that of `regions.labels_at`, 0 for training.
    """
    return area & (region == 0) & np.isfinite(signal) & np.isfinite(null) & (error > 0)


def require_eligible(path: Path, eligible: np.ndarray) -> None:
    """Refuse a sky without an eligible pixel."""
    if not eligible.any():
        raise BadInput(
            f"{path}: no unmasked training pixel near bright CO; expected some, to choose the "
            "denoiser on"
        )
