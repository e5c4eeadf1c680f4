"""Is the steeper index told from the shallower? Of models that predict the probability of the
steeper.

`prediction` is called at 0.5 as it stands, and `balanced`, moved on validation, at 0.5 too: a
network can rank images well and have a threshold off balance (the published confusion matrix has
recalls of 88 and 66 %).
"""

import numpy as np
import xarray as xr
from astropy.stats import binom_conf_interval
from scipy.special import logit, xlogy

from skyloom import metrics
from skyloom.turbulence.evaluate import bins, ranking

# from 0 and 1: the closest that a probability counts, so that one image cannot decide a mean
SURE = 1e-6
BETTER = {"accuracy": "higher", "accuracy_simulation": "higher", "log_loss": "lower"}
NAMES = ("shallow", "steep")
RELIABILITY = np.linspace(0, 1, 11)  # edges of the bins of the stated probability
FALSE_STEEP = np.linspace(0, 1, 101)  # where the ROC is told


def scores(views: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> (score, row of its view): of each view, or of each simulation by the mean logit of
    its views.
    """
    every = np.arange(len(views["steep"]))
    stated = np.clip(views["prediction"], SURE, 1 - SURE)
    first, together = bins.by_simulation(logit(stated), views["simulation"], views["steep"])
    loss = -xlogy(views["steep"], stated) - xlogy(~views["steep"], 1 - stated)
    return {
        "accuracy": ((views["prediction"] > 0.5) == views["steep"], every),
        "accuracy_simulation": ((together > 0) == views["steep"][first], first),
        "log_loss": (loss, every),
    }


def records(views: dict, counts: np.ndarray, about: dict) -> list[dict]:
    """accuracy, accuracy_simulation, log_loss, balanced_accuracy, auc, recall_shallow,
    recall_steep.
    """
    found = bins.mean_records(scores(views), BETTER, counts, about)
    for entry in found:
        if entry["name"] == "accuracy_simulation" and entry["blocks"] >= metrics.MIN_BLOCKS:
            # simulations are independent; a bootstrap of all right or all wrong would have no width
            right = round(entry["value"] * entry["n"])
            entry["ci68"] = [
                float(end) for end in binom_conf_interval(right, entry["n"], interval="wilson")
            ]
    steep = views["steep"]
    balanced = [recall(views["balanced"] > 0.5, steep == of, of, counts) for of in (False, True)]
    values = {
        "balanced_accuracy": np.mean(balanced, axis=0),
        "auc": ranking.auc(views["prediction"], steep, counts),
    }
    for of, name in enumerate(NAMES):
        values[f"recall_{name}"] = recall(
            views["prediction"] > 0.5, steep == bool(of), bool(of), counts
        )
    return found + [
        metrics.record(name, value, "higher", **about) for name, value in values.items()
    ]


def recall(called: np.ndarray, among: np.ndarray, right: bool, counts: np.ndarray) -> np.ndarray:
    """Share of the views `among` that are called `right`, of each draw; NaN in a draw
    without one.
    """
    return bins.share(called == right, among[:, None], counts)[:, 0]


def curves(views: dict, counts: np.ndarray, edges: list[float]) -> xr.Dataset:
    """`confusion (true, predicted)`, images at 0.5; `roc (false_steep)`, with its interval;
    `reliability (probability_bin)`, the share that is steep, beside `stated`, the mean probability;
    `predicted_class (index_bin)`, the share that is called steep.
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
    out = out.assign(bins.curve("roc", "false_steep", roc, blocks))
    member = bins.membership(views["prediction"], RELIABILITY)
    out = out.assign(
        bins.curve("reliability", "probability_bin", bins.share(steep, member, counts), blocks)
    )
    out["stated"] = "probability_bin", bins.share(views["prediction"], member, counts[:1])[0]
    out["stated_count"] = "probability_bin", member.sum(0).astype(int)
    member = bins.membership(views["index"], edges)
    out = out.assign(
        bins.curve("predicted_class", "index_bin", bins.share(called, member, counts), blocks)
    )
    return out.assign(bins.described(views["index"], member, edges))
