"""Figures of how well the models of one set separate the two classes, from curves.nc and scores.nc.

A figure that cannot show all models shows the network that validation chose, the baseline that the
verdict compares it with, and the published methods. Intervals are 68 %, by simulation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from skyloom import files, plotting
from skyloom.cli import BadInput
from skyloom.plotting import Look
from skyloom.scores import records
from skyloom.scores.records import ENDS

ALL = "all"  # the subset of all families together
COLUMNS = 4  # confusion matrices beside one another
SHADES = LinearSegmentedColormap.from_list("shares", ["white", plotting.LIGHT[0]])


@dataclass(frozen=True)
class Scores:
    """Scores of the models of one set on all of its test images, in the order of the table."""

    curves: dict[str, list[xr.Dataset]]  # model -> curves.nc of its seeds
    records: pd.DataFrame  # `pool_seeds` of the same models
    looks: dict[str, Look]
    shown: tuple[str, ...]  # models of figures that cannot show all
    published: dict  # published.yaml
    name: str  # of the set, for people

    @property
    def first(self) -> xr.Dataset:
        return next(iter(self.curves.values()))[0]

    @property
    def title(self) -> str:
        images, simulations = self.records.n.max(), self.records.blocks.max()
        return f"{self.name}: {images:,} test images of {simulations:,} simulations"

    def mean(self, model: str, name: str) -> np.ndarray:
        """(3, ...): value and interval of a curve, the mean over the seeds that have one."""
        seeds = [
            [seed[name + end].values for end in ("", "_lo", "_hi")] for seed in self.curves[model]
        ]
        return nan_mean(np.array(seeds))

    def value(self, model: str, name: str) -> np.ndarray:
        """(3,): a metric and its interval, which holds the scatter of seeds."""
        rows = self.records[(self.records.model == model) & (self.records["name"] == name)]
        return rows[list(ENDS)].to_numpy(float)[0]


def read(
    curves: Sequence[Path],
    metrics: Sequence[Path],
    verdict: Path,
    config: dict,
    published: dict,
    needed: str,
) -> Scores:
    """The scores of the models whose curves have the variable `needed`: `roc` of the class,
    `coverage` of the index.

    metrics : metrics.json, scores.nc beside each; verdict : verdict.json; config : `models`, of
        `Study.looks`, and `set`, its name for people; published : published.yaml.
    Raises BadInput where files are of several sets, or no model has such a curve.
    """
    present: dict[str, list[xr.Dataset]] = {}
    for path in curves:
        with files.open_dataset(path) as file:
            if needed in file:
                present.setdefault(file.attrs["model"], []).append(file.sel(subset=ALL).load())
    if not present:
        raise BadInput(
            f"--curves: none of {len(curves)} files has the curve {needed}; expected what "
            "evaluate_model writes"
        )
    sets = {seed.attrs["set"] for seeds in present.values() for seed in seeds}
    if len(sets) > 1:
        raise BadInput(
            f"--curves: models of the sets {', '.join(sorted(sets))}; expected one set, whose "
            "images they share"
        )
    table = records.read(metrics, draws=True)
    table = table[(table.subset == ALL) & table.model.isin(present)]
    if lost := present.keys() - set(table.model):
        raise BadInput(
            f"--metrics: no scores of {', '.join(sorted(lost))}; expected metrics.json beside "
            "each curves.nc"
        )
    looks = plotting.model_looks(config["models"])
    for model in published["methods"]:
        if model in looks:
            label = f"{looks[model].label} (published method)"
            looks[model] = replace(looks[model], label=label)
    names = [*compared(verdict, sets.pop()), *published["methods"]]
    shown = tuple(name for name in dict.fromkeys(names) if name in present) or tuple(present)
    table = records.pool_seeds(table)
    return Scores(present, table, looks, shown, published, config["set"])


def compared(verdict: Path, name: str) -> list[str]:
    """The network that validation chose in set `name`, and the baseline that its verdict names."""
    parts = [part for part in files.read_json(verdict, ["sets"])["sets"] if part["set"] == name]
    rivals = [clause["rival"] for part in parts for clause in part["clauses"][:1]]
    return [part["model"] for part in parts if part["model"]] + rivals


def nan_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def roc(scores: Scores) -> Figure:
    """True against false positive rate of all models, and false negative against false positive
    rate, both logarithmic; the legend has the area under the ROC, the largest first.
    """
    order = sorted(scores.curves, key=lambda model: -scores.value(model, "auc")[0])
    rate = scores.first["false_steep"].values
    least = 0.5 / scores.first["confusion"].sel(true="steep").values.sum()  # below one image
    with plotting.style():
        size = (plotting.PAGE, 3.65 + 0.16 * -(-len(order) // 2))
        figure, (roc, errors) = plt.subplots(1, 2, figsize=size)
        for model in order:
            look, curve = scores.looks[model], scores.mean(model, "roc")
            value, *ends = scores.value(model, "auc")
            label = f"{value:.3f}{interval(ends, '.3f')} {look.label}"
            line = look.line(label=label, zorder=3 if model in scores.shown else 2)
            alpha = 0.15 if model in scores.shown else 0
            plotting.band(roc, rate, curve, line, alpha)
            plotting.band(errors, rate, np.maximum(1 - curve, least), line, alpha)
        chance = {"color": "0.8", "linewidth": 3, "zorder": 1, "label": "0.500 chance"}
        roc.plot(rate, rate, **chance)
        errors.plot(rate, 1 - rate, **chance)
        for ax in (roc, errors):
            ax.set_xlabel("false positive rate (shallow as steep)")
        roc.set(xlim=(0, 1), ylim=(0, 1), ylabel="true positive rate")
        roc.set_title(scores.title, loc="left")
        errors.set(xscale="log", yscale="log", xlim=(rate[1], 1), ylim=(least, 1))
        errors.set_ylabel("false negative rate (steep as shallow)")
        for axis in (errors.xaxis, errors.yaxis):
            plotting.plain_decades(axis)
        title = "area under the ROC curve, 68 % interval over simulations"
        plotting.legend_above(figure, roc, columns=2, title=title)
    return figure


def interval(ends: Sequence[float], digits: str) -> str:
    """` [0.861, 0.903]`; empty where there is no interval."""
    low, high = (format(end, digits) for end in ends)
    return f" [{low}, {high}]" if np.isfinite(ends).all() else ""


def confusion(scores: Scores) -> Figure:
    """Confusion matrices at a probability of 0.5, the published one first; counts are those of all
    seeds of a model together.
    """
    published = scores.published["confusion"]
    counts = np.array(published["counts"])
    title = f"{published['method']}, published ({published['measured_on']})"
    title += f"\naccuracy {100 * np.trace(counts) / counts.sum():.1f} %\n{counts.sum():,} images"
    tables = [(title, counts, counts / counts.sum(1, keepdims=True), None)]
    tables += [_table(scores, model) for model in scores.shown]
    lines = -(-len(tables) // COLUMNS)
    columns = -(-len(tables) // lines)
    names = scores.first["true"].values
    with plotting.style():
        size = (plotting.PAGE, 0.55 + 2.2 * lines)
        figure, axes = plt.subplots(lines, columns, figsize=size, sharey=True, squeeze=False)
        for ax, table in zip(axes.flat, tables, strict=False):
            _matrix(ax, *table)
            ax.set_xticks([0, 1], names)
            ax.set_yticks([0, 1], names, rotation=90, va="center")
        for ax in axes[-1]:
            ax.set_xlabel("predicted class")
        for ax in axes[:, 0]:
            ax.set_ylabel("true class")
        for ax in axes.flat[len(tables) :]:
            ax.set_axis_off()
        title = f"{scores.title}, 68 % intervals over simulations"
        figure.suptitle(title, fontsize=plotting.STYLE["axes.titlesize"], x=0.01, ha="left")
    return figure


def _table(scores: Scores, model: str) -> tuple:
    """Title, counts, shares of a row and their intervals of a model's confusion matrix."""
    seeds = scores.curves[model]
    counts = sum(seed["confusion"].values for seed in seeds)
    value, *ends = 100 * scores.value(model, "accuracy")
    several = f", {len(seeds)} seeds" if len(seeds) > 1 else ""
    title = f"{scores.looks[model].label}\naccuracy {value:.1f} %\n{interval(ends, '.1f')[1:]}"
    recalls = np.array(
        [scores.value(model, f"recall_{name}") for name in scores.first["true"].values]
    )
    # the shares of a row add up to 1, so that the lower end of one is the upper end of the other
    right, wrong = recalls, 1 - recalls[:, [0, 2, 1]]
    shares = np.array([[right[0], wrong[0]], [wrong[1], right[1]]])
    return title + several, counts, shares[..., 0], shares[..., 1:]


def _matrix(ax, title: str, counts: np.ndarray, shares: np.ndarray, ends: np.ndarray | None):
    """A confusion matrix; ends : (2, 2, 2), the interval of each share, or None."""
    ax.imshow(shares, vmin=0, vmax=1, cmap=SHADES, aspect="auto")
    for place, count in np.ndenumerate(counts):
        text = f"{100 * shares[place]:.1f} %\n"
        if ends is not None and np.isfinite(ends[place]).all():
            text += "\N{EN DASH}".join(f"{100 * end:.1f}" for end in ends[place]) + "\n"
        ax.text(*place[::-1], f"{text}{count:,}", ha="center", va="center", fontsize=8)
    ax.set_title(title, loc="left")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(True)


def reliability(scores: Scores) -> Figure:
    """Share of steep images against the stated probability, in bins of as many images each."""
    with plotting.style():
        size = (plotting.COLUMN, 3.5 + 0.15 * len(scores.shown))
        figure, ax = plt.subplots(figsize=size)
        ax.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, zorder=1)
        for model in scores.shown:
            stated = nan_mean(np.array([seed["stated"].values for seed in scores.curves[model]]))
            bracket, look = scores.mean(model, "reliability"), scores.looks[model]
            style = look.points(elinewidth=0.8, zorder=3)
            ax.errorbar(stated, bracket[0], plotting.arms(bracket), **style)
        corner = {"transform": ax.transAxes, "color": "0.35", "style": "italic"}
        ax.text(0.03, 0.97, "stated too low", va="top", **corner)
        ax.text(0.97, 0.03, "stated too high", ha="right", **corner)
        ticks = np.linspace(0, 1, 6)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks, aspect="equal")
        ax.set(xlabel="stated probability that an image is steep", ylabel="share of steep images")
        title = f"{scores.title}\nbars: binomial, 68 %, of independent simulations"
        plotting.legend_above(figure, ax, columns=1, title=title)
    return figure
