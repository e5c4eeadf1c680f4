"""A score against the size of the training set."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.scores.comparison import label
from skyloom.scores.pairs import shown
from skyloom.scores.records import ENDS, pool_seeds


def table(
    records: pd.DataFrame, lines: dict[str, str], sizes: dict[str, int], items: list[dict]
) -> pd.DataFrame:
    """A row a model: `line`, `score`, `size` of its training set, `value`, `lo`, `hi`.

    records : `records.read` with draws; lines : model -> the line of the figure that it is a point
    of; sizes : set -> number of training sources; items : headline items, of which a model's first
    is shown.
    """
    scores = pool_seeds(records[records["name"].isin([item["name"] for item in items])])
    rows = []
    for model in dict.fromkeys(records.model):
        group = scores[scores.model == model]
        present = [shown(group, item) for item in items if len(shown(group, item))]
        if not present:
            names = ", ".join(item["name"] for item in items)
            raise BadInput(f"--metrics: no score of {model} among {names}")
        score = present[0].iloc[0]
        row = {"line": lines[model], "model": model, "score": score["name"]}
        row |= {"size": sizes[score["set"]], **{end: score[end] for end in ENDS}}
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["line", "size"], ignore_index=True)


def figure(sizes: pd.DataFrame, items: list[dict], xlabel: str) -> Figure:
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
