"""Figures of how well the models of one set tell the two classes apart, from their curves.nc and
metrics.json.

Colour stands for a model in all of them; networks are thick and solid, baselines thin and dashed.
The band of an interval, 68 % of a bootstrap over simulations, is drawn of the highlighted ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.scores import records as score_records

ALL = "all"  # the subset of all families together
COLUMNS = 4


@dataclass(frozen=True)
class Scores:
    """What the models of one set scored on all of its test images, in the order of the table.

    curves : model -> curves.nc of its seeds; records : `records.read` of the same; highlight : of
        these models.
    """

    curves: dict[str, list[xr.Dataset]]
    records: pd.DataFrame
    highlight: tuple[str, ...]

    @property
    def first(self) -> xr.Dataset:
        return next(iter(self.curves.values()))[0]

    @property
    def title(self) -> str:
        images = self.records["n"].max()
        simulations = self.records.blocks.max()
        name = said(self.first.attrs["set"])
        return f"Set {name}: {images} test images of {simulations} simulations"

    def mean(self, model: str, name: str) -> np.ndarray:
        """(3, ...): value and interval of a curve, the mean over the seeds that have one."""
        seeds = [
            [seed[name + end].values for end in ("", "_lo", "_hi")] for seed in self.curves[model]
        ]
        return nan_mean(np.array(seeds))

    def value(self, model: str, name: str) -> np.ndarray:
        """(3,): a metric and its interval, likewise."""
        mine = self.records[(self.records.model == model) & (self.records["name"] == name)]
        return mine[["value", "lo", "hi"]].mean().to_numpy()

    def styles(self) -> dict[str, dict]:
        """Colour, line and label of each model, highlighted ones on top."""
        looks, drawn = {}, {"network": 0, "baseline": 0}
        for k, (model, seeds) in enumerate(self.curves.items()):
            kind = seeds[0].attrs["kind"]
            dash = (
                plotting.DASHES[0]
                if kind == "network"
                else plotting.DASHES[1 + drawn["baseline"] // 4 % 3]
            )
            drawn[kind] += 1
            looks[model] = {"color": plotting.LINES[k % len(plotting.LINES)], "linestyle": dash}
            looks[model] |= {"linewidth": 2.0 if kind == "network" else 1.1, "label": said(model)}
            looks[model]["zorder"] = 3 if model in self.highlight else 2
        return looks


def read(
    curves: Sequence[Path], records: Sequence[Path], highlight: Sequence[str], needed: str
) -> Scores:
    """The scores of the models whose curves have the variable `needed`: `roc` of the class,
    `coverage` of the index.

    highlight : names of models, those that are not among the files are passed over.
    Raises BadInput where files are of several sets, or no model has such a curve.
    """
    found: dict[str, list[xr.Dataset]] = {}
    for path in curves:
        with xr.open_dataset(path) as file:
            if needed in file:
                found.setdefault(file.attrs["model"], []).append(file.sel(subset=ALL).load())
    if not found:
        raise BadInput(
            f"--curves: none of {len(curves)} files has the curve {needed}; expected what "
            "evaluate writes"
        )
    sets = {seed.attrs["set"] for seeds in found.values() for seed in seeds}
    if len(sets) > 1:
        raise BadInput(
            f"--curves: models of the sets {', '.join(sorted(sets))}; expected one set, whose "
            "images they share"
        )
    table = score_records.read(records)
    table = table[(table.subset == ALL) & table.model.isin(found)]
    if lost := found.keys() - set(table.model):
        raise BadInput(
            f"--metrics: no scores of {', '.join(sorted(lost))}; expected metrics.json beside "
            "each curves.nc"
        )
    return Scores(found, table, tuple(model for model in found if model in highlight))


def nan_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def said(model: str) -> str:
    """A model's or a set's name for people."""
    return model.replace("_", " ")


def roc(scores: Scores) -> Figure:
    """Share of steep images found against the share of shallow ones called steep; the area under it
    in the legend.
    """
    with plotting.style():
        figure, ax = plt.subplots(figsize=(8, 5.2))
        ax.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, zorder=1, label="chance")
        for model, look in scores.styles().items():
            value, lo, hi = scores.value(model, "auc")
            interval = f" ({lo:.3f}\N{EN DASH}{hi:.3f})" if np.isfinite(lo) else ""
            look["label"] += f", AUC {value:.3f}{interval}"
            x = scores.curves[model][0]["false_steep"].values
            plotting.band(
                ax,
                x,
                scores.mean(model, "roc"),
                look,
                alpha=0.15 if model in scores.highlight else 0,
            )
        ax.set(
            xlabel="share of shallow images called steep",
            ylabel="share of steep images called steep",
        )
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.set_title(scores.title, loc="left")
        plotting.legend_beside(figure, ax)
        # a square that has no room beside its legend loses the label of its axis
        figure.set_figwidth(
            6 + 0.065 * max(len(label) for label in ax.get_legend_handles_labels()[1])
        )
    return figure


def confusion(scores: Scores, published: dict) -> Figure:
    """Confusion matrices at a probability of 0.5, those of all seeds of a model together; the
    published one first.

    published : `confusion` of published.yaml: `counts`, rows the true class, and `source`.
    """
    tables = [("published", published["source"], np.array(published["counts"]))]
    for model in scores.highlight or scores.curves:
        seeds = scores.curves[model]
        several = f", {len(seeds)} seeds" if len(seeds) > 1 else ""
        tables.append((said(model) + several, "", sum(seed["confusion"].values for seed in seeds)))
    columns = min(COLUMNS, len(tables))
    lines = -(-len(tables) // columns)
    names = [f"{name}" for name in scores.first["true"].values]
    with plotting.style():
        figure, axes = plt.subplots(
            lines, columns, figsize=(2.5 * columns + 0.6, 3.1 * lines + 0.5), squeeze=False
        )
        figure.get_layout_engine().set(
            h_pad=0.12
        )  # inches; titles of two lines are not reckoned with
        for ax, (name, source, counts) in zip(axes.flat, tables, strict=False):
            share = counts / counts.sum(1, keepdims=True)
            ax.imshow(share, vmin=0, vmax=1)
            for (true, predicted), count in np.ndenumerate(counts):
                colour = "white" if share[true, predicted] < 0.5 else "black"
                text = f"{share[true, predicted]:.1%}\n{count:,}"
                ax.text(predicted, true, text, ha="center", va="center", color=colour)
            right = f"accuracy {np.trace(counts) / counts.sum():.1%}"
            ax.set_title(f"{name}: {right}\n{source}" if source else f"{name}\n{right}", loc="left")
            ax.set_xticks([0, 1], names)
            ax.set_yticks([0, 1], names, rotation=90, va="center")
            ax.set(xlabel="called")
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
        for ax in axes[:, 0]:
            ax.set(ylabel="true")
        for ax in axes.flat[len(tables) :]:
            ax.set_axis_off()
        figure.suptitle(scores.title, fontsize=plotting.STYLE["axes.titlesize"], x=0.01, ha="left")
    return figure


def reliability(scores: Scores) -> Figure:
    """Share of images that are steep against the stated probability, and how often each
    is stated.
    """
    edges = np.linspace(0, 1, scores.first.sizes["probability_bin"] + 1)
    with plotting.style():
        figure, (ax, below) = plt.subplots(
            2, 1, figsize=(8, 6.6), sharex=True, height_ratios=(3, 1)
        )
        ax.plot([0, 1], [0, 1], color="0.3", linewidth=0.8, label="calibrated")
        for model, look in scores.styles().items():
            stated = nan_mean(np.array([seed["stated"].values for seed in scores.curves[model]]))
            bracket = scores.mean(model, "reliability")
            plotting.band(ax, stated, bracket, look, alpha=0.15 if model in scores.highlight else 0)
            # one bin alone is no line
            ax.plot(
                stated, bracket[0], "o", color=look["color"], markersize=3, zorder=look["zorder"]
            )
            count = np.mean([seed["stated_count"].values for seed in scores.curves[model]], axis=0)
            style = {key: look[key] for key in ("color", "linestyle", "linewidth", "zorder")}
            below.stairs(count / count.sum(), edges, **style)
        ax.set(ylabel="share of images that are steep", xlim=(0, 1), ylim=(0, 1))
        below.set(
            xlabel="stated probability of the steeper index, mean of a bin",
            ylabel="share of images",
            ylim=(0, None),
        )
        ax.set_title(scores.title, loc="left")
        plotting.legend_beside(figure, ax)
    return figure
