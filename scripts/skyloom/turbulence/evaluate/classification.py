"""Scores of models that predict the probability of the steeper index.

Both `prediction` and `balanced`, whose threshold was moved on validation, call an image steep above
0.5: a network can rank images well and have a threshold off balance (the published confusion matrix
has recalls of 88 and 66 %).
"""

import numpy as np
import xarray as xr
from astropy.stats import binom_conf_interval
from scipy.special import logit, xlogy

from skyloom.scores import binned, ranking
from skyloom.scores.bootstrap import MIN_BLOCKS
from skyloom.scores.records import record
from skyloom.turbulence.evaluate.views import by_simulation, index_bins, mean_records

# from 0 and 1: the closest that a probability counts, so that one image cannot decide a mean
SURE = 1e-6
BETTER = {"accuracy": "higher", "accuracy_simulation": "higher", "log_loss": "lower"}
NAMES = ("shallow", "steep")
RELIABILITY = 10  # bins of the stated probability
FALSE_STEEP = np.linspace(0, 1, 101)  # of the ROC


def scores(views: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> (score, row of its view): of each view, or of each simulation by the mean logit of
    its views.
    """
    every = np.arange(len(views["steep"]))
    stated = np.clip(views["prediction"], SURE, 1 - SURE)
    first, together = by_simulation(logit(stated), views["simulation"], views["steep"])
    loss = -xlogy(views["steep"], stated) - xlogy(~views["steep"], 1 - stated)
    return {
        "accuracy": ((views["prediction"] > 0.5) == views["steep"], every),
        "accuracy_simulation": ((together > 0) == views["steep"][first], first),
        "log_loss": (loss, every),
    }


def examples(views: dict) -> xr.Dataset:
    """`correct` (1 or 0) and `truth_probability`, assigned to the true class, of each view."""
    steep, probability = views["steep"], views["prediction"]
    correct = ((probability > 0.5) == steep).astype(np.int8)
    truth = np.where(steep, probability, 1 - probability)
    return xr.Dataset({"correct": ("example", correct), "truth_probability": ("example", truth)})


def records(views: dict, counts: np.ndarray, context: dict) -> list[dict]:
    """accuracy, accuracy_simulation, log_loss, balanced_accuracy, auc, recall_shallow,
    recall_steep.
    """
    means = mean_records(scores(views), BETTER, counts, context)
    for entry in means:
        if entry["name"] == "accuracy_simulation" and entry["blocks"] >= MIN_BLOCKS:
            # simulations are independent; a bootstrap of all right or all wrong would have no width
            right = round(entry["value"] * entry["n"])
            interval = binom_conf_interval(right, entry["n"], interval="wilson")
            entry["ci68"] = [float(end) for end in interval]
    steep = views["steep"]
    balanced = [
        recall(views["balanced"] > 0.5, steep == side, side, counts) for side in (False, True)
    ]
    values = {
        "balanced_accuracy": np.mean(balanced, axis=0),
        "auc": ranking.auc(views["prediction"], steep, counts),
    }
    for side, name in enumerate(NAMES):
        values[f"recall_{name}"] = recall(
            views["prediction"] > 0.5, steep == bool(side), bool(side), counts
        )
    return means + [record(name, value, "higher", **context) for name, value in values.items()]


def recall(called: np.ndarray, among: np.ndarray, right: bool, counts: np.ndarray) -> np.ndarray:
    """Share of the views `among` that are called `right`, of each draw; NaN in a draw
    without one.
    """
    return binned.binned_mean(called == right, among[:, None], counts)[:, 0]


def curves(views: dict, counts: np.ndarray, edges: list[float]) -> xr.Dataset:
    """`confusion (true, predicted)`, images at 0.5; `roc (false_steep)`, with its interval;
    `reliability (probability_bin)`, the share that is steep, with `stated`, the mean probability of
    a bin; `predicted_class (index_bin)`, the share that is called steep.
    """
    steep, called, blocks = views["steep"], views["prediction"] > 0.5, views["simulation"]
    confusion = [
        [((steep == t) & (called == p)).sum() for p in (False, True)] for t in (False, True)
    ]
    out = xr.Dataset({"confusion": (("true", "predicted"), np.array(confusion))})
    out = out.assign_coords(
        {"true": list(NAMES), "predicted": list(NAMES), "false_steep": FALSE_STEEP}
    )
    roc = ranking.roc(views["prediction"], steep, counts, FALSE_STEEP)
    out = out.assign(binned.curve("roc", "false_steep", roc, blocks))
    reliability = binned.reliability(views["prediction"], steep, blocks, RELIABILITY)
    out = out.assign({name: ("probability_bin", row) for name, row in reliability.items()})
    member = binned.membership(views["index"], edges)
    share = binned.binned_mean(called, member, counts)
    out = out.assign(binned.curve("predicted_class", "index_bin", share, blocks))
    return out.assign(index_bins(views["index"], member, edges))
