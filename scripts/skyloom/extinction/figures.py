"""Figures of the study, from the files that evaluation wrote."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.patchset import flag_names
from skyloom.plotting import Look
from skyloom.scores.forecasts import NOMINAL, NOMINAL95

KPC = 1000.0
AV = r"$A_V$ [mag]"
DISTANCE = "distance [kpc]"
GROUP_LABELS = {"trained": "trained on", "unseen": "never seen", "beyond": "beyond the longitudes"}


def profiles(
    patches: xr.Dataset, predictions: dict[str, xr.Dataset], looks: dict[str, Look]
) -> Figure:
    """A_V(d) of test sightlines: the truth, each model, and the intervals of the first.

    Of each group of sightlines those at the 25, 50 and 90 % of the true A_V at the end.
    """
    chosen = chosen_rows(patches)
    distance = patches["distance"].values / KPC
    with plotting.style():
        height = 0.3 + 1.75 * len(chosen)
        figure, axes = plt.subplots(
            len(chosen), 3, figsize=(plotting.PAGE, height), sharex=True, squeeze=False
        )
        for row, (group, rows) in zip(axes, chosen.items(), strict=True):
            for ax, k in zip(row, rows, strict=True):
                draw_profile(ax, k, distance, patches, predictions, looks)
                longitude = plotting.degrees(float(patches["longitude"][k]))
                latitude = plotting.degrees(float(patches["latitude"][k]), signed=True)
                ax.set_title(f"{GROUP_LABELS[group]}: {longitude}, {latitude}")
            row[0].set_ylabel(AV)
        for ax in axes[-1]:
            ax.set_xlabel(DISTANCE)
        plotting.legend_above(figure, *axes.flat)
    return figure


def draw_profile(ax, k: int, distance, patches, predictions, looks) -> None:
    first = next(iter(predictions))
    look = looks[first].colour
    for level, alpha in (("95", 0.12), ("68", 0.25)):
        ends = (predictions[first][f"{end}{level}"][k] for end in ("lower", "upper"))
        ax.fill_between(distance, *ends, color=look, alpha=alpha, linewidth=0)
    ax.plot(distance, patches["target"][k], **plotting.OBSERVED.line(label="truth"))
    for name, predicted in predictions.items():
        ax.plot(distance, predicted["prediction"][k], **looks[name].line())
    # the 95 % interval of a poor model leaves no room for the others
    top = float(max(patches["target"][k].max(), predictions[first]["upper68"][k].max()))
    ax.set(xlim=(0, distance[-1]), ylim=(0, 1.25 * top))


def chosen_rows(patches: xr.Dataset, shares: Iterable[float] = (0.25, 0.5, 0.9)) -> dict:
    """Group -> rows at these shares of the order of A_V at the end."""
    total = patches["target"].values[:, -1]
    found = {}
    for code, name in flag_names(patches["group"]).items():
        rows = np.flatnonzero(patches["group"].values == code)
        if len(rows):
            order = rows[total[rows].argsort()]
            found[name] = [int(order[int(share * (len(order) - 1))]) for share in shares]
    return found


def scatter(
    patches: xr.Dataset, predictions: dict[str, xr.Dataset], looks: dict[str, Look]
) -> Figure:
    """Predicted against true A_V at all distances, a panel for each model."""
    true = patches["target"].values.ravel()
    top = float(np.quantile(true, 0.999))
    across = min(3, len(predictions))
    down = -(-len(predictions) // across)
    with plotting.style():
        figure, axes = plt.subplots(
            down,
            across,
            figsize=(plotting.PAGE, 0.6 + 2.4 * down),
            sharex=True,
            sharey=True,
            squeeze=False,
        )
        edges = np.linspace(0, top, 81)
        found = [predicted["prediction"].values.ravel() for predicted in predictions.values()]
        numbers = [np.histogram2d(values, true, [edges, edges])[0] for values in found]
        # one scale, which the colour bar is of
        norm = LogNorm(1, max(2, *(number.max() for number in numbers)))
        panels = zip(axes.flat, predictions, found, numbers, strict=False)
        for ax, name, values, number in panels:
            shown = np.ma.masked_equal(number, 0)
            drawn = ax.pcolormesh(edges, edges, shown, norm=norm, rasterized=True)
            ax.plot([0, top], [0, top], color="0.4", linewidth=0.7)
            error = np.abs(values - true)
            rmse = np.sqrt((error**2).mean())
            label = f"RMSE {rmse:.2f}, median {np.median(error):.2f} mag"
            ax.set(aspect="equal", title=f"{looks[name].label}\n{label}")
        for ax in axes.flat[len(predictions) :]:
            ax.remove()
        for ax in axes[:, 0]:
            ax.set_ylabel(f"predicted {AV}")
        shown = list(axes.flat[: len(predictions)])
        for ax in shown[-across:]:
            ax.set_xlabel(f"true {AV}")
            ax.tick_params(labelbottom=True)
        plotting.colour_bar(figure, drawn, "sightlines and distances", ax=shown, shrink=0.8)
    return figure


def scores(curves: dict[str, xr.Dataset], looks: dict[str, Look]) -> Figure:
    """Errors and coverage of each model against distance, and errors against A_V at the end."""
    with plotting.style():
        figure, axes = plt.subplots(2, 3, figsize=(plotting.PAGE, 4.6))
        for name, file in curves.items():
            part = file.sel(group="all")
            distance = part["distance"].values / KPC
            look = looks[name].line()
            for ax, score in ((axes[0, 0], "rmse"), (axes[0, 1], "median_error")):
                plotting.band(ax, distance, ends(part, score), look)
            for ax, score in ((axes[1, 0], "coverage68"), (axes[1, 1], "coverage95")):
                plotting.band(ax, distance, ends(part, score), look)
            plotting.band(axes[0, 2], part["total"].values, ends(part, "rmse_total"), look)
        first = next(iter(curves))
        draw_groups(axes[1, 2], curves[first], looks[first])
        for ax in axes[0]:
            ax.set_yscale("log")
            plotting.plain_decades(ax.yaxis)
        labels = "RMSE [mag]", "median error [mag]", "RMSE [mag]"
        labels += "68 % interval covers", "95 % interval covers", "median error [mag]"
        for ax, label in zip(axes.flat, labels, strict=True):
            ax.set_ylabel(label)
            ax.set_xlabel(DISTANCE)
        axes[0, 2].set_xlabel(f"true {AV} at the end")
        for ax, level in ((axes[1, 0], NOMINAL), (axes[1, 1], NOMINAL95)):
            ax.axhline(level, color="0.4", linewidth=0.7, zorder=0)
        axes[1, 0].set_ylim(0.3, 1)
        axes[1, 1].set_ylim(0.6, 1)
        plotting.legend_above(figure, *axes.flat[:5])
    return figure


def draw_groups(ax, curves: xr.Dataset, look: Look) -> None:
    """The median error of one model on each group of sightlines."""
    known = [g for g in GROUP_LABELS if g in curves["group"].values]
    labelled = plotting.light_looks([GROUP_LABELS[g] for g in known])
    for group, drawn in zip(known, labelled.values(), strict=True):
        part = curves.sel(group=group)
        plotting.band(ax, part["distance"].values / KPC, ends(part, "median_error"), drawn.line())
    ax.set_title(look.label)
    ax.legend(fontsize=7)


def ends(file: xr.Dataset, name: str) -> list[np.ndarray]:
    """A curve and the ends of its interval."""
    return [file[f"{name}{end}"].values for end in ("", "_lo", "_hi")]
