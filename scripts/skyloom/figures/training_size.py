"""Scores against the size of the training set, from the table of `skyloom.scores.training_size`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.scores.comparison import label
from skyloom.scores.records import ENDS


def training_size(sizes: pd.DataFrame, items: list[dict], xlabel: str) -> Figure:
    """A line a group of models: the score on test examples against the size of the training set.

    sizes : `table`; items : the headline items, whose `chance`, the value of guessing, is drawn.
    """
    panels = {item["name"]: item for item in items if item["name"] in set(sizes.score)}
    styles = plotting.line_styles(sizes.line)
    with plotting.style():
        width = 4.4 * len(panels) + 2.2
        figure, axes = plt.subplots(1, len(panels), figsize=(width, 4.2), squeeze=False)
        for ax, (score, item) in zip(axes.flat, panels.items(), strict=True):
            points = sizes[sizes.score == score]
            for line, rows in points.groupby("line", sort=False):
                look = styles[line] | {"label": line.replace("_", " ")}
                plotting.band(ax, rows["size"], rows[list(ENDS)].to_numpy().T, look)
                ax.plot(rows["size"], rows.value, "o", markersize=4, color=look["color"])
            ticks = np.unique(points["size"])
            ax.set(xscale="log", xlabel=xlabel, ylabel=label(item))
            ax.set_xticks(ticks, [f"{n}" for n in ticks])
            ax.minorticks_off()
            if item.get("chance") is not None:
                style = {"color": "0.3", "linewidth": 0.8, "linestyle": ":", "zorder": 0}
                ax.axhline(item["chance"], label="chance", **style)
        plotting.legend_beside(figure, *axes.flat)
    return figure
