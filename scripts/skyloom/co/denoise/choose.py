"""A denoiser's parameters by cross-validation on the null map: on the sphere, within tiles, of a
plain Gaussian.

The null map N is half the difference of two halves of the data whose mean is the map M, so that M +
N and M - N are maps of the same sky with independent noise. One is denoised, the other judges: a
filter that keeps noise or loses structure is farther from it. Only training sky is judged, and each
pixel in units of its own error, since the bright plane would decide everything otherwise. The
halves are noisier than M by sqrt(2), for which the metric's own noise scale allows in part.
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

# pixels along a side of the squares that are drawn to judge: the plane's few bright spots weigh
# much
DRAWN = 4


def read_null(maps: PatchSet, line: str) -> np.ndarray:
    """The null map of a line ("co10") [K km/s]; refuses a file in which it is missing or says
    nothing.
    """
    name = f"{line}_null"
    null = maps.array(name) if name in maps.variables else None
    finite = null[np.isfinite(null)] if null is not None else ()
    if null is not None and len(finite) and np.ptp(finite) > 0:
        return null
    found = (
        "missing"
        if null is None
        else "NaN everywhere"
        if not len(finite)
        else f"{finite[0]:g} everywhere"
    )
    raise BadInput(
        f"{maps.path}: variable {name} (column N{LINES[line]} of the CO file) is {found}; "
        "expected the null map, half"
        " the difference of two halves of the data, on which the denoiser's parameters are "
        "cross-validated"
    )


def drawn_pixels(eligible: np.ndarray, count: int, seed: int) -> np.ndarray:
    """About `count` of the pixels where `eligible` (pixel,) bool, by small squares in
    random order.
    """
    pixels = np.flatnonzero(eligible)
    square = hp.ring2nest(hp.npix2nside(eligible.size), pixels) // DRAWN**2
    names, sizes = np.unique(square, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    taken = names[order[: np.searchsorted(np.cumsum(sizes[order]), count) + 1]]
    return pixels[np.isin(square, taken)]


def score_sphere(
    signal: np.ndarray,
    null: np.ndarray,
    error: np.ndarray,
    pixels: np.ndarray,
    settings: dict,
    region: np.ndarray | None = None,
) -> pd.DataFrame:
    """Non-local means with every pair of `settings.fwhm_arcmin` and `settings.alpha`, judged at
    `pixels`.

    Columns: fwhm_arcmin, alpha, mse (of the denoised half in units of error^2, the other half's
    noise subtracted) and gain_db, what the filter gained over the half as it is.
    """

    def candidates(half: np.ndarray) -> Iterator[tuple[dict, np.ndarray]]:
        for fwhm in settings["fwhm_arcmin"]:
            found = features(half, fwhm)
            radius = disc_radius(hp.npix2nside(half.size), fwhm, settings["reach"])
            for alpha in settings["alpha"]:
                mean = average(
                    half.astype(np.float32)[:, None], found, pixels, alpha, radius, region
                )
                yield {"fwhm_arcmin": fwhm, "alpha": alpha}, mean[:, 0]

    return _scores(candidates, signal, null, error, pixels)


def score_gaussian(
    signal: np.ndarray, null: np.ndarray, error: np.ndarray, pixels: np.ndarray, widths: list[float]
) -> pd.DataFrame:
    """A plain Gaussian smoothing of each FWHM [arcmin], judged likewise."""

    def candidates(half: np.ndarray) -> Iterator[tuple[dict, np.ndarray]]:
        for fwhm in widths:
            yield {"fwhm_arcmin": fwhm}, smooth_gaussian(half, fwhm)[pixels]

    return _scores(candidates, signal, null, error, pixels)


def score_patch(
    tiles: np.ndarray, null: np.ndarray, strengths: list[float], settings: dict
) -> pd.DataFrame:
    """Non-local means within tiles with each strength h, judged likewise at all their pixels.

    tiles, null : (n, y, x) [K km/s], cut from the map and its null map, whose rms on them is their
        noise; settings : of
    `patch.nlm_patch`, but for `h`.
    """
    error = np.full_like(tiles, np.sqrt(np.mean(null**2)))

    def candidates(half: np.ndarray) -> Iterator[tuple[dict, np.ndarray]]:
        for h in strengths:
            yield {"h": h}, nlm_patch(half, np.sqrt(2) * error, settings | {"h": h})

    return _scores(candidates, tiles, null, error, ...)


def smooth_gaussian(sky: np.ndarray, fwhm_arcmin: float) -> np.ndarray:
    """A map (pixel,) after a Gaussian beam."""
    alm, lmax = smoothed(sky, fwhm_arcmin)
    return hp.alm2map(alm, hp.npix2nside(sky.size), lmax=lmax)


def best(scores: pd.DataFrame) -> dict[str, float]:
    """The row with the smallest mse, as plain numbers."""
    return {name: float(value) for name, value in scores.loc[scores["mse"].idxmin()].items()}


def on_border(scores: pd.DataFrame, *names: str) -> pd.Series:
    """Which rows hold the least or the largest of a parameter's several candidates: a better one
    may lie beyond.
    """
    ends = [
        scores[name].isin([scores[name].min(), scores[name].max()])
        for name in names
        if scores[name].nunique() > 1
    ]
    return pd.concat([pd.Series(False, scores.index), *ends], axis=1).any(axis=1)


def _scores(candidates: Callable, signal, null, error, pixels) -> pd.DataFrame:
    judge, sigma = (signal - null)[pixels], error[pixels]
    noise = 2 * np.mean(
        (null[pixels] / sigma) ** 2
    )  # of one half; the raw one's mse against the sky is this too
    rows = []
    for names, filtered in candidates(signal + null):
        mse = float(np.mean(((filtered - judge) / sigma) ** 2) - noise)
        rows.append({**names, "mse": mse, "gain_db": float(10 * np.log10(noise / max(mse, 1e-9)))})
    return pd.DataFrame(rows)


def eligible_pixels(
    signal: np.ndarray, null: np.ndarray, error: np.ndarray, area: np.ndarray, region: np.ndarray
) -> np.ndarray:
    """Training sky within `area` where all three maps are known; `region` as `regions.sky_labels`,
    0 is training.
    """
    return area & (region == 0) & np.isfinite(signal) & np.isfinite(null) & (error > 0)


def require_eligible(path: Path, eligible: np.ndarray) -> None:
    """Refuse a sky without a pixel to judge at."""
    if not eligible.any():
        raise BadInput(
            f"{path}: no unmasked training pixel near bright CO; expected some, to choose the "
            "denoiser on"
        )
