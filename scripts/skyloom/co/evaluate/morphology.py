"""Morphology: overlap of the Minkowski bands of a map with those of the observed CO.

Beside the model stand the raw dust map (the floor) and the overlap of two random halves of the real tiles (the ceiling:
a yardstick, not a bound, since a prediction shares its tiles with the truth). Normalised, 0 is the floor and 1 the
ceiling.
"""

import numpy as np
import xarray as xr

from skyloom import metrics
from skyloom.co.evaluate import minkowski

FIELDS = ("target", "prediction", "dust", "sample")
OVERLAPS = {"model": "prediction", "dust": "dust", "sample": "sample"}
HALVES = 200  # random halves of the real tiles for the ceiling
UNITS = ("1", "deg-1", "deg-2")


def tables(maps: dict, weight: np.ndarray, thresholds: np.ndarray, pixel_deg: float) -> dict[str, np.ndarray]:
    """Minkowski functionals `mf_<field>` (n, 3, threshold), each tile in its own standard deviations."""
    return {
        f"mf_{name}": minkowski.functionals(minkowski.standardised(maps[name], weight), thresholds, pixel_deg, weight)
        for name in FIELDS
        if name in maps
    }


def records(tiles: dict, counts: np.ndarray, thresholds: np.ndarray, seed: int, about: dict):
    """mf_overlap, its three parts, mf_overlap_normalised; curves `v0 v1 v2 (field, threshold)` with `_sigma`."""

    def bands(name: str, multiplicity: np.ndarray):
        values = tiles[f"mf_{name}"]
        return minkowski.bands(metrics.mean(values, multiplicity), metrics.mean(values**2, multiplicity))

    real = bands("target", counts)
    scores = {
        of: minkowski.overlap(bands(name, counts), real, thresholds)
        for of, name in OVERLAPS.items()
        if f"mf_{name}" in tiles
    }
    labels, inverse = np.unique(about["blocks"], return_inverse=True)
    if len(labels) > 1:
        rng = np.random.default_rng(seed)
        half = rng.permuted(np.tile(np.arange(len(labels)) % 2, (HALVES, 1)), axis=1)[:, inverse].astype(float)
        halves = minkowski.overlap(bands("target", half), bands("target", 1 - half), thresholds)
        scores["ceiling"] = np.vstack([halves.mean(0), halves])
    found = []
    for of, score in scores.items():  # (1 + draws, 3)
        parts = {"mf_overlap": score.mean(1)} | {f"mf_overlap_v{k}": score[:, k] for k in range(3)}
        if of in ("model", "sample"):
            parts["mf_overlap_normalised"] = _normalised(score.mean(1), scores)
        found += [metrics.record(name, values, "higher", of=of, **about) for name, values in parts.items()]
    fields = [name for name in FIELDS if f"mf_{name}" in tiles]
    curve = xr.Dataset(coords={"field": fields, "threshold": thresholds})
    for end, statistic in (("", np.mean), ("_sigma", np.std)):
        values = np.array([statistic(tiles[f"mf_{name}"], axis=0) for name in fields])
        for k, unit in enumerate(UNITS):
            curve[f"v{k}{end}"] = (("field", "threshold"), values[:, k], {"units": unit})
    return found, curve


def _normalised(value: np.ndarray, scores: dict[str, np.ndarray]) -> np.ndarray:
    """(value - floor) / (ceiling - floor), draw by draw with its own floor; NaN unless the ceiling is the higher."""
    floor = scores["dust"].mean(1)
    room = scores["ceiling"][0].mean() - floor if "ceiling" in scores else np.full_like(floor, np.nan)
    return np.divide(value - floor, room, out=np.full_like(floor, np.nan), where=room > 0)
