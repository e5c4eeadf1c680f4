"""Figures of the predicted index: against the true index, the stated error, and the share of images
that class models put into the steep class.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.plotting import Look
from skyloom.scores.comparison import published_models
from skyloom.scores.forecasts import NOMINAL
from skyloom.turbulence.figures.scores import Scores, interval

COLUMNS = 3
MOST = 5  # models with a panel of their own
LINE = {"color": "0.35", "linewidth": 0.8}  # of truth


def index(scores: Scores, predictions: dict[str, xr.Dataset]) -> Figure:
    """Predicted against true index, a panel a model, and the coverage of the stated intervals of
    all models.

    Points are test images, of the first seed; bars the mean and the standard deviation of the error
    in bins of the true index, seeds averaged. predictions : model -> predictions.nc of one seed
    """
    models = [*dict.fromkeys([*scores.shown, *scores.curves])][:MOST]
    columns = min(COLUMNS, len(models) + 1)
    lines = -(-(len(models) + 1) // columns)
    edges = scores.first["index_edges"].values
    with plotting.style():
        size = (plotting.PAGE if columns > 1 else plotting.COLUMN, 0.7 + 2.7 * lines)
        figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
        for ax, model in zip(axes.flat, models, strict=False):
            _predicted(ax, scores, model, predictions[model])
            ax.set(xlim=(edges[0], edges[-1]), ylim=(edges[0], edges[-1]), aspect="equal")
            ax.set(xlabel="true index", ylabel="predicted index")
        coverage = axes.flat[len(models)]
        _coverage(coverage, scores)
        for ax in axes.flat[len(models) + 1 :]:
            ax.set_axis_off()
        title = f"{scores.title}, 68 % intervals over simulations"
        plotting.legend_above(figure, coverage, columns=3, title=title)
    return figure


def _predicted(ax, scores: Scores, model: str, points: xr.Dataset) -> None:
    """Predicted against true index of one model, with its mean squared error."""
    look = scores.looks[model]
    dots = {"color": "0.75", "markersize": 2, "zorder": 1, "rasterized": True}
    ax.plot(points["index"], points["prediction"], ".", **dots)
    ax.axline((0, 0), slope=1, zorder=2, **LINE)
    filled = scores.first["index_count"].values > 0
    true = scores.first["index_mean"].values
    mean, scatter = (scores.mean(model, name)[0] for name in ("predicted_index", "scatter"))
    style = look.points(markersize=4, elinewidth=1, zorder=3)
    ax.errorbar(true[filled], mean[filled], scatter[filled], **style)
    value, *ends = scores.value(model, "mse")
    ax.set_title(f"{look.label}\nMSE {value:.4f}{interval(ends, '.4f')}", loc="left")
    for entry in scores.published["scalars"]:
        if entry["metric"] == "mse" and model in published_models(entry):
            text = f"published ({entry['measured_on']}):\nMSE {entry['value']:g}"
            place = {"transform": ax.transAxes, "ha": "right", "va": "bottom", "color": "0.35"}
            ax.text(0.98, 0.03, text, **place)


def _coverage(ax, scores: Scores) -> None:
    """Share of images within the central interval against the level of the interval."""
    ax.plot([0, 1], [0, 1], zorder=1, **LINE)
    for model, seeds in scores.curves.items():
        level, look = seeds[0]["level"].values, scores.looks[model]
        values = scores.mean(model, "coverage")
        plotting.band(ax, level, values, look.line(), 0.15 if model in scores.shown else 0)
    ax.axvline(NOMINAL, color="0.8", linewidth=0.6, zorder=0)
    corner = {"transform": ax.transAxes, "color": "0.35", "style": "italic"}
    ax.text(0.03, 0.97, "uncertainty too large", va="top", **corner)
    ax.text(0.97, 0.03, "uncertainty too small", ha="right", **corner)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="stated share of the interval", ylabel="share of images inside it")
    ax.set_title("calibration of the\nstated intervals", loc="left")


def continuum(
    curves: dict[str, list[xr.Dataset]], looks: dict[str, Look], sets: dict[str, str]
) -> Figure:
    """Share of images that are classified as steep against the true index.

    curves : model -> curves.nc of its seeds on a set of continuous indices; sets : name -> label.
        The indices that class models were trained on and the boundary between them are marked.
        Models of the index classify by the boundary.
    """
    first = next(iter(curves.values()))[0]
    boundary = float(first.attrs["boundary"])
    with plotting.style():
        figure, ax = plt.subplots(figsize=(plotting.PAGE, 3.1 + 0.16 * len(curves)))
        top = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        top |= {"color": "0.35", "fontsize": 7}
        for value in np.atleast_1d(first.attrs["classes"]):
            ax.axvline(value, color="0.75", linewidth=1, zorder=0)
            ax.text(value, 1.01, f"class\n{value:.2f}", **top)
        ax.axvline(boundary, linestyle=":", zorder=0, **LINE)
        ax.text(boundary, 1.01, f"boundary\n{boundary:.2f}", **top)
        ax.axhline(0.5, color="0.85", linewidth=0.6, zorder=0)
        for model, seeds in curves.items():
            filled = seeds[0]["index_count"].values > 0
            ends = ("", "_lo", "_hi")
            values = [np.mean([s[f"predicted_class{end}"] for s in seeds], 0) for end in ends]
            learns = "index" if "predicted_index" in seeds[0] else "class"
            trained = sets[seeds[0].attrs.get("trained_on", seeds[0].attrs["set"])]
            look = looks[model]
            line = look.line(marker=look.marker, markersize=4)
            line["label"] = f"{look.label} ({learns}, trained on {trained})"
            mean = seeds[0]["index_mean"].values[filled]
            plotting.band(ax, mean, np.array(values)[:, filled], line)
        ax.set(xlabel="true index of the simulation", ylabel="share of images classified as steep")
        ax.set_ylim(0, 1)
        title = f"tested on {sets[first.attrs['set']]}, 68 % bands over simulations"
        plotting.legend_above(figure, ax, columns=1, title=title)
    return figure
