"""How the score grows with the number of training simulations."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.turbulence.figures.scores import said

SCORES = {"accuracy": "accuracy", "mse": "mean squared error of the index"}


def table(
    records: pd.DataFrame, groups: dict[str, str], simulations: dict[str, int]
) -> pd.DataFrame:
    """A row a model: `group`, `score`, `simulations` in training, `value`, `lo`, `hi`, seeds
    averaged.

    records : `metrics.read`; groups : model -> what is the same of the models of a line;
        simulations : set -> number.
    The score is the mean squared error where a model has one, else the accuracy.
    """
    rows = []
    for model, mine in records[records.subset == "all"].groupby("model", sort=False):
        score = next(name for name in reversed(SCORES) if name in set(mine["name"]))
        mean = mine[mine["name"] == score][["value", "lo", "hi"]].mean()
        row = {
            "group": groups[model],
            "model": model,
            "score": score,
            "simulations": simulations[mine["set"].iloc[0]],
        }
        rows.append(row | mean.to_dict())
    return pd.DataFrame(rows).sort_values(["group", "simulations"], ignore_index=True)


def training_size(found: pd.DataFrame) -> Figure:
    """A line a group of models: the score on test images against the number of training
    simulations.
    """
    scores = [name for name in SCORES if name in set(found.score)]
    styles = plotting.line_styles(found.group)
    with plotting.style():
        figure, axes = plt.subplots(
            1, len(scores), figsize=(4.4 * len(scores) + 2.2, 4.2), squeeze=False
        )
        for ax, score in zip(axes.flat, scores, strict=True):
            for group, rows in found[found.score == score].groupby("group", sort=False):
                look = styles[group] | {"label": said(group)}
                plotting.band(ax, rows.simulations, rows[["value", "lo", "hi"]].to_numpy().T, look)
                ax.plot(rows.simulations, rows.value, "o", markersize=4, color=look["color"])
            ticks = np.unique(found[found.score == score].simulations)
            ax.set(xscale="log", xlabel="training simulations", ylabel=SCORES[score])
            ax.set_xticks(ticks, [f"{n}" for n in ticks])
            ax.minorticks_off()
            if score == "accuracy":
                ax.axhline(0.5, color="0.3", linewidth=0.8, linestyle=":", label="chance", zorder=0)
        plotting.legend_beside(figure, *axes.flat)
    return figure
