"""Scores against the size of the training set, from the table of `skyloom.scores.training_size`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.plotting import Look
from skyloom.scores.comparison import label
from skyloom.scores.records import ENDS


def training_size(
    sizes: pd.DataFrame, items: list[dict], xlabel: str, looks: dict[str, Look]
) -> Figure:
    """A line a group of models: the score on test examples against the size of the training set.

    sizes : `table`; items : the headline items, whose `chance`, the value of guessing, is drawn
    where it is near the scores; looks : of the lines.
    """
    panels = {item["name"]: item for item in items if item["name"] in set(sizes.score)}
    width = plotting.COLUMN if len(panels) == 1 else plotting.PAGE
    with plotting.style():
        size = (width, 2.75 + 0.16 * -(-len(looks) // (2 * len(panels))))
        figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False)
        for ax, (score, item) in zip(axes.flat, panels.items(), strict=True):
            points = sizes[sizes.score == score]
            for line, rows in points.groupby("line", sort=False):
                look = looks[line]
                style = look.line(marker=look.marker, markersize=4)
                plotting.band(ax, rows["size"], rows[list(ENDS)].to_numpy().T, style)
            ax.set(xscale="log", xlabel=xlabel, ylabel=label(item))
            plotting.plain_numbers(ax.xaxis, np.unique(points["size"]))
            chance, (low, high) = item.get("chance"), ax.get_ylim()
            # a line far away would leave the scores no room
            if chance is not None and low - (high - low) < chance < high + (high - low):
                style = {"color": "0.35", "linewidth": 0.8, "linestyle": ":", "zorder": 0}
                ax.axhline(chance, label="chance", **style)
        title = "68 % bands over test data and training seeds"
        plotting.legend_above(figure, *axes.flat, columns=2 * len(panels), title=title)
    return figure
