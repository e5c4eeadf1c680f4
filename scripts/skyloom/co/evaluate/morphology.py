"""Morphology: overlap of the Minkowski bands of a map with those of the observed CO.

Beside the model stand the raw dust map (the floor) and the overlap of two random halves of the real
tiles (the ceiling: a yardstick, not a bound, since a prediction shares its tiles with the truth).
Normalised, 0 is the floor and 1 the ceiling.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from skyloom.co.evaluate import minkowski
from skyloom.scores import bootstrap
from skyloom.scores.records import OUTPUTS, record

FIELDS = ("target", "prediction", "dust", "sample")
OVERLAPS = {"model": "prediction", "dust": "dust", "sample": "sample"}
HALVES = 200  # random halves of the real tiles for the ceiling
DRAWN_HALVES = 4  # of each bootstrap draw, whose scatter they add little to
UNITS = ("1", "deg-1", "deg-2")


def tables(
    maps: dict, weight: np.ndarray, thresholds: np.ndarray, pixel_deg: float
) -> dict[str, np.ndarray]:
    """Minkowski functionals `mf_<field>` (n, 3, threshold), each tile in its own standard
    deviations.
    """
    return {
        f"mf_{name}": minkowski.functionals(
            minkowski.standardised(maps[name], weight), thresholds, pixel_deg, weight
        )
        for name in FIELDS
        if name in maps
    }


def records(tiles: dict, counts: np.ndarray, thresholds: np.ndarray, seed: int, context: dict):
    """mf_overlap, its three parts, mf_overlap_normalised; curves `v0 v1 v2 (field, threshold)` with
    `_sigma`, and `v0_difference` of their means to those of the observed CO.
    """

    def bands(name: str, multiplicity: np.ndarray):
        values = tiles[f"mf_{name}"]
        return minkowski.bands(
            bootstrap.mean(values, multiplicity), bootstrap.mean(values**2, multiplicity)
        )

    real = bands("target", counts)
    scores = {
        of: minkowski.overlap(bands(name, counts), real, thresholds)
        for of, name in OVERLAPS.items()
        if f"mf_{name}" in tiles
    }
    labels, block = np.unique(context["blocks"], return_inverse=True)
    if len(labels) > 1:
        scores["ceiling"] = _ceiling(
            lambda drawn: bands("target", drawn), counts, block, thresholds, seed
        )
    entries = []
    for of, score in scores.items():  # (1 + draws, 3)
        parts = {"mf_overlap": score.mean(1)} | {f"mf_overlap_v{k}": score[:, k] for k in range(3)}
        if of in OUTPUTS:
            parts["mf_overlap_normalised"] = _normalised(score.mean(1), scores)
        entries += [
            record(name, values, "higher", of=of, **context) for name, values in parts.items()
        ]
    fields = [name for name in FIELDS if f"mf_{name}" in tiles]
    curve = xr.Dataset(coords={"field": fields, "threshold": thresholds})
    lower, upper = np.stack([bands(name, counts[:1]) for name in fields], axis=1)[:, :, 0]
    for end, values in (("", (upper + lower) / 2), ("_sigma", (upper - lower) / 2)):
        for k, unit in enumerate(UNITS):
            curve[f"v{k}{end}"] = (("field", "threshold"), values[:, k], {"units": unit})
    apart = np.stack([tiles[f"mf_{name}"] - tiles["mf_target"] for name in fields], axis=1)
    apart = bootstrap.bracket(bootstrap.mean(apart, counts), context["blocks"])
    for end, values in zip(("", "_lo", "_hi"), apart, strict=True):
        for k, unit in enumerate(UNITS):
            dims = ("field", "threshold")
            curve[f"v{k}_difference{end}"] = (dims, values[:, k], {"units": unit})
    return entries, curve


def _ceiling(
    bands: Callable, counts: np.ndarray, block: np.ndarray, thresholds: np.ndarray, seed: int
) -> np.ndarray:
    """Overlap (1 + draws, 3) of random halves of the real tiles, of the sample and of each draw.

    Halves are made of whole blocks, so that copies of a tile in a draw never stand on both sides.
    block : (n,) from 0.
    """
    labels = np.arange(block.max() + 1)
    rng = np.random.default_rng(seed)

    def mean_overlap(multiplicity: np.ndarray, halves: int) -> np.ndarray:
        side = rng.permuted(np.tile(labels % 2, (halves * len(multiplicity), 1)), axis=1)[:, block]
        drawn = np.repeat(multiplicity, halves, axis=0)
        with np.errstate(invalid="ignore"):  # a draw can lie on one side: NaN
            halved = minkowski.overlap(bands(drawn * side), bands(drawn * (1 - side)), thresholds)
        halved = halved.reshape(len(multiplicity), halves, 3)
        finite = np.isfinite(halved)
        return np.where(finite, halved, 0).sum(1) / np.where(finite.any(1), finite.sum(1), np.nan)

    return np.vstack([mean_overlap(counts[:1], HALVES), mean_overlap(counts[1:], DRAWN_HALVES)])


def _normalised(value: np.ndarray, scores: dict[str, np.ndarray]) -> np.ndarray:
    """(value - floor) / (ceiling - floor), each draw with its own of both; NaN unless the ceiling
    is the higher.
    """
    if "ceiling" not in scores:
        return np.full_like(value, np.nan)
    value, floor, ceiling = (
        _centred(score) for score in (value, scores["dust"].mean(1), scores["ceiling"].mean(1))
    )
    room = ceiling - floor
    return np.divide(value - floor, room, out=np.full_like(floor, np.nan), where=room > 0)


def _centred(score: np.ndarray) -> np.ndarray:
    """The draws moved onto the sample, as `bootstrap.summary` does: with fewer different tiles all
    overlaps are lower.
    """
    drawn = score[1:][np.isfinite(score[1:])]
    return np.append(score[:1], score[1:] + score[0] - np.median(drawn)) if len(drawn) else score
