"""Calibration of the uncertainty that a model states: coverage, CRPS, pull.

What is predicted is the observed pixel: the model's distribution of CO with the map's own error
added. A model with `samples` is an ensemble, and noise of the map's error is drawn onto each
member. If truth and members are drawn from one distribution, the rank of the observation among S
members is uniform on 0..S whatever that distribution is; spread evenly within its step it gives a
probability integral transform (PIT) that is uniform for any S. A model with `spread` alone means a
Gaussian. The `prediction` is the model's own mean and not that of its members, and adds no scatter
to the pull. The fair ensemble score is that of Ferro (2014), QJRMS 140, 1917.
"""

import numpy as np
import xarray as xr
from scipy.special import ndtr

from skyloom.scores import bootstrap
from skyloom.scores.forecasts import LEVELS, NOMINAL, gaussian_crps
from skyloom.scores.records import record


def tables(
    maps: dict[str, np.ndarray], weight: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Sums of each tile: `inside` (n, levels + 1), weight of pixels within each central interval
    and within 68 %; `pull`, `crps`, `total` (n,). Nothing where the model has neither `samples` nor
    `spread`.

    maps : `prediction`, `target`, `error`, and `samples` (n, S, y, x) or `spread` (n, y, x) [K
        km/s].
    """
    if "samples" not in maps and "spread" not in maps:
        return {}
    valid = weight > 0
    target, prediction = (np.where(valid, maps[name], 0) for name in ("target", "prediction"))
    error = np.where(valid, maps["error"], 1)
    if "samples" in maps:
        samples = np.where(valid[:, None], maps["samples"], 0)
        count = samples.shape[1]
        variance = error**2 + samples.var(1, ddof=min(count - 1, 1))
        members = samples + error[:, None] * rng.standard_normal(samples.shape, np.float32)
        rank = (members < target[:, None]).sum(1)
        transform = (rank + rng.random(target.shape, np.float32)) / (count + 1)
        score = ensemble_crps(members, target)
    else:
        variance = error**2 + np.where(valid, maps["spread"], 0) ** 2
        transform = ndtr((target - prediction) / np.sqrt(variance))
        score = gaussian_crps(prediction, np.sqrt(variance), target)
    off = np.abs(2 * transform - 1)  # the central interval that just reaches the observation

    def total(values: np.ndarray) -> np.ndarray:
        return (weight * values).sum((1, 2))

    return {
        "inside": np.stack([total(off < level) for level in (*LEVELS, NOMINAL)], axis=1),
        "pull": total((prediction - target) ** 2 / variance),
        "crps": total(score),
        "total": weight.sum((1, 2)),
    }


def records(tiles: dict, counts: np.ndarray, context: dict) -> tuple[list[dict], xr.Dataset]:
    """coverage68, crps [K km/s], pull (1 where the spread is honest); curve `coverage (level)`."""
    if "inside" not in tiles:
        return [], xr.Dataset()
    total = counts @ tiles["total"]
    inside = counts @ tiles["inside"] / total[:, None]
    entries = [
        record("coverage68", inside[:, -1], "nominal", **context),
        record("crps", counts @ tiles["crps"] / total, "lower", unit="K km/s", **context),
        record("pull", np.sqrt(counts @ tiles["pull"] / total), "one", **context),
    ]
    value, lo, hi = bootstrap.bracket(inside[:, :-1], context["blocks"])
    variables = {
        "coverage": ("level", value),
        "coverage_lo": ("level", lo),
        "coverage_hi": ("level", hi),
    }
    return entries, xr.Dataset(variables, {"level": LEVELS})


def ensemble_crps(members: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Fair CRPS of an ensemble, unbiased for any number of members: members (n, S, ...), observed
    (n, ...).

    mean |x_k - y| - sum_{i<j} |x_i - x_j| / (S (S - 1)); NaN for a single member.
    """
    count = members.shape[1]
    if count < 2:
        return np.full(observed.shape, np.nan)
    distance = np.abs(members - observed[:, None]).mean(1)
    # sum of x_j - x_i over pairs of a sorted ensemble
    rank = 2 * np.arange(1, count + 1) - count - 1
    return distance - np.einsum("k,nk...->n...", rank, np.sort(members, axis=1)) / (
        count * (count - 1)
    )
