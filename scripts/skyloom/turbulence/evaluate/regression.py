"""Scores of models that predict the index with a Gaussian error, `spread`."""

import numpy as np
import xarray as xr
from scipy.special import ndtri

from skyloom.scores import binned, bootstrap
from skyloom.scores.forecasts import LEVELS, gaussian_crps
from skyloom.scores.records import record
from skyloom.turbulence.evaluate.views import by_simulation, index_bins, mean_records

BETTER = {"mse": "lower", "mse_simulation": "lower", "crps": "lower", "accuracy": "higher"}


def scores(views: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> (score, row of its view): of each view, or of each simulation by the mean over its
    views.

    `accuracy`, of the class that the predicted index falls in, only where the true index has two
    values.
    """
    every = np.arange(len(views["index"]))
    error = views["prediction"] - views["index"]
    first, together = by_simulation(views["prediction"], views["simulation"], views["index"])
    values = {
        "mse": (error**2, every),
        "mse_simulation": ((together - views["index"][first]) ** 2, first),
        "crps": (gaussian_crps(views["prediction"], views["spread"], views["index"]), every),
    }
    if len(np.unique(views["index"])) == 2:
        values["accuracy"] = (called_steep(views) == views["steep"], every)
    return values


def called_steep(views: dict) -> np.ndarray:
    return views["prediction"] > views["boundary"]


def examples(views: dict) -> xr.Dataset:
    """`error`, predicted less true index, and `squared_error`, of each view."""
    error = views["prediction"] - views["index"]
    return xr.Dataset({"error": ("example", error), "squared_error": ("example", error**2)})


def records(views: dict, counts: np.ndarray, context: dict) -> list[dict]:
    """mse, mse_simulation, crps, accuracy of two classes, bias, coverage68."""
    error = views["prediction"] - views["index"]
    inside = np.abs(error) <= views["spread"]
    return [
        *mean_records(scores(views), BETTER, counts, context),
        record("bias", bootstrap.mean(error, counts), "zero", **context),
        record("coverage68", bootstrap.mean(inside, counts), "nominal", **context),
    ]


def curves(views: dict, counts: np.ndarray, edges: list[float]) -> xr.Dataset:
    """`coverage (level)` of the central intervals; against the true index (index_bin):
    `predicted_index`, its mean, `scatter`, the deviation of its error, and `predicted_class`, the
    share beyond the boundary.
    """
    error, blocks = views["prediction"] - views["index"], views["simulation"]
    inside = np.abs(error / views["spread"])[:, None] <= ndtri((1 + LEVELS) / 2)
    out = xr.Dataset(coords={"level": LEVELS}).assign(
        binned.curve("coverage", "level", bootstrap.mean(inside, counts), blocks)
    )
    member = binned.membership(views["index"], edges)
    mean, square = (binned.binned_mean(values, member, counts) for values in (error, error**2))
    against = {
        "predicted_index": binned.binned_mean(views["prediction"], member, counts),
        "scatter": np.sqrt(np.maximum(square - mean**2, 0)),
        "predicted_class": binned.binned_mean(called_steep(views), member, counts),
    }
    for name, values in against.items():
        out = out.assign(binned.curve(name, "index_bin", values, blocks))
    return out.assign(index_bins(views["index"], member, edges))
