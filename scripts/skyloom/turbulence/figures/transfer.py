"""Figures of what is left of a model's accuracy on other sets than its own, from transfer.csv."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.turbulence.figures.scores import said

CHANCE = 0.5
ACCURACY = ("accuracy_all", "accuracy_all_lo", "accuracy_all_hi")
LABELS = {
    "zoom": "zoom",
    "blur_pixels": "sigma of the beam [pixels]",
    "noise": "noise / deviation of the image",
}


def read(path) -> pd.DataFrame:
    """The rows of transfer.csv that have an accuracy: of models that predict classes."""
    table = pd.read_csv(path)
    needed = {"model", "trained_on", "tested_on", *ACCURACY}
    if lost := sorted(needed - set(table)):
        raise BadInput(
            f"{path}: columns {', '.join(lost)} not found; expected what tabulate_transfer writes"
        )
    return table[table.accuracy_all.notna()]


def matrix(table: pd.DataFrame) -> Figure:
    """Models against the sets that they were tested on: accuracy with its interval; 0.5, chance, is
    the neutral colour.

    The cell of a model's own set has a frame.
    """
    models, sets = list(dict.fromkeys(table.model)), list(dict.fromkeys(table.tested_on))
    own = [name for name in dict.fromkeys(table.trained_on) if name in sets]
    sets = [*own, *(name for name in sets if name not in own)]
    with plotting.style():
        size = (0.72 * len(sets) + 3.2, 0.5 * len(models) + 1.9)
        figure, ax = plt.subplots(figsize=size)
        image = ax.imshow(
            table.pivot(index="model", columns="tested_on", values="accuracy_all")
            .reindex(models)[sets]
            .to_numpy(),
            cmap=plotting.DIVERGING,
            vmin=CHANCE - 0.5,
            vmax=CHANCE + 0.5,
            aspect="auto",
        )
        for row in table.itertuples():
            x, y = sets.index(row.tested_on), models.index(row.model)
            interval = (
                f"\n{row.accuracy_all_lo:.2f}\N{EN DASH}{row.accuracy_all_hi:.2f}"
                if row.accuracy_all_lo > 0
                else ""
            )
            colour = "white" if abs(row.accuracy_all - CHANCE) > 0.3 else "black"
            ax.text(
                x,
                y - 0.14,
                f"{row.accuracy_all:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color=colour,
            )
            ax.text(x, y - 0.05, interval, ha="center", va="center", fontsize=5.5, color=colour)
            if row.trained_on == row.tested_on:
                ax.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, linewidth=1.6))
        trained = table.groupby("model").trained_on.first()
        ax.set_yticks(range(len(models)), [f"{said(m)} ({said(trained[m])})" for m in models])
        ax.set_xticks(range(len(sets)), [said(name) for name in sets], rotation=40, ha="right")
        ax.set(xlabel="set tested on", ylabel="model (set trained on)", facecolor="0.93")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        figure.colorbar(
            image, label="accuracy; 0.5 is chance for equal classes, grey not tested", aspect=25
        )
    return figure


def nuisances(table: pd.DataFrame, ladders: list[dict]) -> Figure:
    """Accuracy against how strong a nuisance is, over sets that differ in nothing else, with
    intervals.

    ladders : `key` of the sets, and `values`, set -> the number there
    """
    styles = plotting.line_styles(table.model)
    with plotting.style():
        size = (3.4 * len(ladders) + 2.4, 4)
        figure, axes = plt.subplots(1, len(ladders), figsize=size, sharey=True, squeeze=False)
        for ax, ladder in zip(axes.flat, ladders, strict=True):
            values = ladder["values"]
            for model, look in styles.items():
                rows = table[(table.model == model) & table.tested_on.isin(list(values))]
                rows = rows.assign(value=rows.tested_on.map(values)).sort_values("value")
                if len(rows) < 2:
                    continue
                bracket = rows[list(ACCURACY)].to_numpy().T
                look = look | {
                    "label": f"{said(model)} (trained on {said(rows.trained_on.iloc[0])})"
                }
                plotting.band(ax, rows.value, bracket, look)
                ax.plot(rows.value, rows.accuracy_all, "o", markersize=3.5, color=look["color"])
            ax.axhline(CHANCE, color="0.3", linewidth=0.8, linestyle=":", label="chance", zorder=0)
            if ladder["key"] == "zoom":
                ax.set_xscale("log", base=2)
                ax.set_xticks(sorted(set(values.values())))
                ax.xaxis.set_major_formatter("{x:g}")
            ax.set(xlabel=LABELS[ladder["key"]])
            ax.set_title(
                ", ".join(said(name) for name in sorted(values, key=values.get)), loc="left"
            )
        axes[0, 0].set(ylabel="accuracy", ylim=(min(0.4, *ax.get_ylim()), 1))
        plotting.legend_beside(figure, *axes.flat)
    return figure
