"""Figures of the predicted index: against the true one, the stated error, and what class models say
in between.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.scores.comparison import published_models
from skyloom.scores.forecasts import NOMINAL
from skyloom.turbulence.figures.scores import Scores, said

COLUMNS = 3
MOST = 5  # models with a panel of their own


def index(scores: Scores, predictions: dict[str, xr.Dataset], published: list[dict]) -> Figure:
    """Predicted against true index, a panel a model, and the coverage of the stated intervals of
    all.

    Points are test images, of the first seed; bars the mean and the deviation of the error in bins
    of the true index, seeds averaged. predictions : model -> predictions.nc of one seed; published
    : `scalars` of published.yaml, of which the mean squared error stands beside the models that it
    belongs to.
    """
    styles = scores.styles()
    shown = [
        *scores.highlight,
        *(model for model in scores.curves if model not in scores.highlight),
    ][:MOST]
    columns = min(COLUMNS, len(shown) + 1)
    lines = -(-(len(shown) + 1) // columns)
    ends = np.array([scores.first["index_edges"].min(), scores.first["index_edges"].max()])
    with plotting.style():
        figure, axes = plt.subplots(
            lines, columns, figsize=(3.3 * columns, 3.6 * lines + 0.4), squeeze=False
        )
        for ax, model in zip(axes.flat, shown, strict=False):
            points = predictions[model]
            ax.plot(
                points["index"],
                points["prediction"],
                ".",
                color="0.7",
                markersize=2,
                zorder=1,
                rasterized=True,
            )
            ax.plot(ends, ends, color="0.3", linewidth=0.8, zorder=2)
            known = scores.first["index_count"].values > 0
            true, mean, scatter = (
                value[known]
                for value in (
                    scores.first["index_mean"].values,
                    scores.mean(model, "predicted_index")[0],
                    scores.mean(model, "scatter")[0],
                )
            )
            ax.errorbar(
                true,
                mean,
                scatter,
                fmt="o",
                color=styles[model]["color"],
                markersize=4,
                capsize=2,
                zorder=3,
            )
            value, lo, hi = scores.value(model, "mse")
            interval = f" ({lo:.4f}\N{EN DASH}{hi:.4f})" if np.isfinite(lo) else ""
            ax.set_title(f"{said(model)}\nMSE {value:.4f}{interval}", loc="left")
            ax.set(
                xlim=ends, ylim=ends, aspect="equal", xlabel="true index", ylabel="predicted index"
            )
            for entry in published:
                if entry["metric"] == "mse" and model in published_models(entry):
                    text = f"published MSE {entry['value']:g}\n{entry['source']},\n"
                    text += f"measured on {entry['measured_on']}"
                    ax.text(
                        0.97,
                        0.04,
                        text,
                        transform=ax.transAxes,
                        ha="right",
                        fontsize=7,
                        color="0.3",
                    )
        calibration(axes.flat[len(shown)], scores, styles)
        for ax in axes.flat[len(shown) + 1 :]:
            ax.set_axis_off()
        figure.suptitle(scores.title, fontsize=plotting.STYLE["axes.titlesize"], x=0.01, ha="left")
    return figure


def calibration(ax, scores: Scores, styles: dict[str, dict]) -> None:
    """Share of images within the central interval of each level against the level."""
    ax.plot([0, 1], [0, 1], color="0.3", linewidth=0.8)
    for model, look in styles.items():
        level = scores.curves[model][0]["level"].values
        plotting.band(
            ax,
            level,
            scores.mean(model, "coverage"),
            look,
            alpha=0.15 if model in scores.highlight else 0,
        )
    ax.axvline(NOMINAL, color="0.85", linewidth=0.6, zorder=0)
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        xlabel="level of the interval",
        ylabel="share of images inside it",
    )
    ax.set_title("calibration", loc="left")
    ax.legend(loc="upper left", fontsize=7)


def continuum(scores: dict[str, list[xr.Dataset]]) -> Figure:
    """Share of images that are called steep against the true index: where does a classifier's
    decision turn?

    scores : model -> curves.nc of its seeds on a set of continuous indices. The indices that class
        models were trained
    on and the boundary between them are marked; models of the index call by the boundary.
    """
    first = next(iter(scores.values()))[0]
    classes, boundary = np.atleast_1d(first.attrs["classes"]), float(first.attrs["boundary"])
    with plotting.style():
        figure, ax = plt.subplots(figsize=(8, 4.8))
        for k, value in enumerate(classes):
            ax.axvline(
                value,
                color="0.75",
                linewidth=1,
                label="indices of the classes" if k == 0 else None,
                zorder=0,
            )
        ax.axvline(
            boundary,
            color="0.3",
            linewidth=1,
            linestyle=":",
            label=f"boundary, {boundary:.3f}",
            zorder=0,
        )
        ax.axhline(0.5, color="0.85", linewidth=0.6, zorder=0)
        for (model, seeds), look in zip(
            scores.items(), plotting.line_styles(scores).values(), strict=True
        ):
            known = seeds[0]["index_count"].values > 0
            ends = ("", "_lo", "_hi")
            bracket = np.array(
                [np.mean([s[f"predicted_class{end}"].values for s in seeds], 0) for end in ends]
            )[:, known]
            learns = "index" if "predicted_index" in seeds[0] else "class"
            trained = seeds[0].attrs.get("trained_on", seeds[0].attrs["set"])
            label = f"{said(model)} ({learns}, trained on {said(trained)})"
            plotting.band(
                ax, seeds[0]["index_mean"].values[known], bracket, look | {"label": label}
            )
            ax.plot(
                seeds[0]["index_mean"].values[known],
                bracket[0],
                "o",
                markersize=3.5,
                color=look["color"],
            )
        ax.set(
            xlabel="true index of the simulation, mean of a bin",
            ylabel="share of images called steep",
            ylim=(0, 1),
        )
        ax.set_title(f"Set {said(first.attrs['set'])}", loc="left")
        plotting.legend_beside(figure, ax)
    return figure
