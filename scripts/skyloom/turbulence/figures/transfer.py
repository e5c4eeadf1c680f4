"""Figures of the accuracy of models on other sets than their own, from transfer.csv."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from skyloom import files, plotting
from skyloom.plotting import Look

CHANCE = 0.5
ACCURACY = ["accuracy_all", "accuracy_all_lo", "accuracy_all_hi"]
OWN = "own set"
NARROW = 4  # columns of a matrix that fits the column of a page
DODGE = 0.5  # places of all models at one strength of a nuisance, in steps between strengths
LABELS = {
    "zoom": "zoom",
    "blur_pixels": r"$\sigma$ of the beam [pixels]",
    "noise": "rms of the noise / rms of the image",
}


def read(path: Path) -> pd.DataFrame:
    """The rows of transfer.csv that have an accuracy: of models that predict classes."""
    table = files.read_csv(path, ["model", "trained_on", "tested_on", *ACCURACY])
    return table[table.accuracy_all.notna()]


def matrix(table: pd.DataFrame, looks: dict[str, Look], sets: dict[str, str]) -> Figure:
    """Accuracy of models, a row each, on their own and on other sets; 0.5, chance, is white.

    sets : name -> label. A bold value has a 68 % interval above chance. A frame marks a model's own
    set among those that others were tested on.
    """
    models = list(dict.fromkeys(table.model))
    own = table[table.trained_on == table.tested_on].assign(tested_on=OWN)
    others = table.tested_on.isin(table.tested_on[table.trained_on != table.tested_on])
    cells = pd.concat([own, table[others]])
    columns = [OWN, *dict.fromkeys(table.tested_on[others])]
    values = cells.pivot(index="model", columns="tested_on", values="accuracy_all")
    norm = {"vmin": CHANCE - 0.5, "vmax": CHANCE + 0.5, "cmap": plotting.DIVERGING}
    with plotting.style():
        width = plotting.PAGE if len(columns) > NARROW else plotting.COLUMN
        figure, ax = plt.subplots(figsize=(width, 1.5 + 0.22 * len(models)))
        image = ax.imshow(values.reindex(models)[columns].to_numpy(), aspect="auto", **norm)
        for row in cells.itertuples():
            x, y = columns.index(row.tested_on), models.index(row.model)
            weight = "bold" if row.accuracy_all_lo > CHANCE else "normal"
            # the ends of the palette are dark
            colour = "white" if abs(row.accuracy_all - CHANCE) > 0.3 else "black"
            text = {"ha": "center", "va": "center", "color": colour, "fontweight": weight}
            ax.text(x, y, f"{row.accuracy_all:.2f}", fontsize=8, **text)
            if row.trained_on == row.tested_on:
                ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, linewidth=1.2))
        ax.axvline(0.5, color="white", linewidth=4)
        labels = [sets.get(name, name) for name in columns]
        turn = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(columns)), labels, **turn)
        ax.set_yticks(range(len(models)), [looks[model].label for model in models])
        ax.set(xlabel="tested on", facecolor="0.93")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        bar = plotting.colour_bar(figure, image, "accuracy", ax=ax, aspect=20, fraction=0.04)
        bar.set_ticks(np.linspace(0, 1, 5))
        title = "bold: above chance (68 % interval over simulations)"
        figure.suptitle(title, fontsize=plotting.STYLE["axes.titlesize"], x=0.01, ha="left")
    return figure


def nuisances(table: pd.DataFrame, ladders: list[dict], looks: dict[str, Look]) -> Figure:
    """Accuracy against the strength of a nuisance, over sets that differ in nothing else.

    ladders : `key` of the sets, and `values`, set -> the number there. Points of one strength stand
    beside one another; a ring marks a model's own set.
    """
    width = plotting.PAGE if len(ladders) > 1 else plotting.COLUMN
    with plotting.style():
        size = (width, 2.7 + 0.16 * -(-len(looks) * plotting.COLUMN // width))
        figure, axes = plt.subplots(1, len(ladders), figsize=size, sharey=True, squeeze=False)
        for ax, ladder in zip(axes.flat, ladders, strict=True):
            _ladder(ax, table[table.tested_on.isin(ladder["values"])], ladder, looks)
        lowest = table.accuracy_all_lo.min()
        axes[0, 0].set(ylabel="accuracy", ylim=(min(0.4, lowest - 0.02), 1))
        title = "68 % intervals over simulations"
        plotting.legend_above(figure, *axes.flat, columns=3, title=title)
    return figure


def _ladder(ax, table: pd.DataFrame, ladder: dict, looks: dict[str, Look]) -> None:
    """The accuracies of models at several strengths of one nuisance."""
    strengths = sorted(set(ladder["values"].values()))
    models = [model for model in looks if (table.model == model).sum() > 1]
    places = np.linspace(-DODGE / 2, DODGE / 2, len(models) + 2)[1:-1]
    for place, model in zip(places, models, strict=True):
        points = table[table.model == model]
        values = points.tested_on.map(ladder["values"])
        points = points.assign(x=values.map(strengths.index) + place).sort_values("x")
        bracket, look = points[ACCURACY].to_numpy().T, looks[model]
        line = look.line(marker=look.marker, markersize=4, elinewidth=0.8)
        ax.errorbar(points.x, bracket[0], plotting.arms(bracket), **line)
        own = points[points.trained_on == points.tested_on]
        ring = {"markersize": 9, "markerfacecolor": "none", "label": OWN}
        ax.plot(own.x, own.accuracy_all, "o", color="0.35", **ring)
    ax.axhline(CHANCE, color="0.35", linewidth=0.8, linestyle=":", label="chance", zorder=0)
    ax.set_xticks(range(len(strengths)), [f"{value:g}" for value in strengths])
    ax.set(xlabel=LABELS[ladder["key"]], xlim=(-0.5, len(strengths) - 0.5))
