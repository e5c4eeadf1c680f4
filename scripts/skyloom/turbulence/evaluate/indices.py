"""How far from the true index is the predicted one, and is the error that a model states the error
that it has?

A stated `spread` means a Gaussian.
"""

import numpy as np
import xarray as xr
from scipy.special import ndtri

from skyloom import metrics
from skyloom.forecasts import LEVELS, gaussian_crps
from skyloom.turbulence.evaluate import bins

BETTER = {"mse": "lower", "mse_simulation": "lower", "crps": "lower", "accuracy": "higher"}


def scores(views: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> (score, row of its view): of each view, or of each simulation by the mean over its
    views.

    `accuracy`, of the class that the predicted index falls in, only where the true index has two
    values.
    """
    every = np.arange(len(views["index"]))
    off = views["prediction"] - views["index"]
    first, together = bins.by_simulation(views["prediction"], views["simulation"], views["index"])
    found = {
        "mse": (off**2, every),
        "mse_simulation": ((together - views["index"][first]) ** 2, first),
        "crps": (gaussian_crps(views["prediction"], views["spread"], views["index"]), every),
    }
    if len(np.unique(views["index"])) == 2:
        found["accuracy"] = (called_steep(views) == views["steep"], every)
    return found


def called_steep(views: dict) -> np.ndarray:
    return views["prediction"] > views["boundary"]


def records(views: dict, counts: np.ndarray, about: dict) -> list[dict]:
    """mse, mse_simulation, crps, accuracy of two classes, bias, coverage68."""
    found = bins.mean_records(scores(views), BETTER, counts, about)
    off = views["prediction"] - views["index"]
    inside = np.abs(off) <= views["spread"]
    return [
        *found,
        metrics.record("bias", metrics.mean(off, counts), "zero", **about),
        metrics.record("coverage68", metrics.mean(inside, counts), "nominal", **about),
    ]


def curves(views: dict, counts: np.ndarray, edges: list[float]) -> xr.Dataset:
    """`coverage (level)` of the central intervals; against the true index (index_bin):
    `predicted_index`, its mean, `scatter`, the deviation of its error, and `predicted_class`, the
    share beyond the boundary.
    """
    off, blocks = views["prediction"] - views["index"], views["simulation"]
    inside = np.abs(off / views["spread"])[:, None] <= ndtri((1 + LEVELS) / 2)
    out = xr.Dataset(coords={"level": LEVELS}).assign(
        bins.curve("coverage", "level", metrics.mean(inside, counts), blocks)
    )
    member = bins.membership(views["index"], edges)
    mean, square = (bins.share(values, member, counts) for values in (off, off**2))
    against = {
        "predicted_index": bins.share(views["prediction"], member, counts),
        "scatter": np.sqrt(np.maximum(square - mean**2, 0)),
        "predicted_class": bins.share(called_steep(views), member, counts),
    }
    for name, values in against.items():
        out = out.assign(bins.curve(name, "index_bin", values, blocks))
    return out.assign(bins.described(views["index"], member, edges))
