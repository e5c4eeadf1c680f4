"""Figures of scores, and of the mosaic."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.plotting import Look


def scores(curves: dict[str, xr.Dataset], looks: dict[str, Look]) -> Figure:
    """IoU of each class, and reliability, of each model. curves : curves.nc by model."""
    classes = next(iter(curves.values()))["class"].values
    with plotting.style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.8))
        right.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, label="calibrated")
        for k, (model, values) in enumerate(curves.items()):
            iou, share = bracket(values, "iou"), bracket(values, "reliability")
            place = np.arange(len(classes)) + 0.15 * (k - (len(curves) - 1) / 2)
            left.errorbar(place, iou[0], plotting.arms(iou), **looks[model].points())
            plotting.band(right, values["stated"].values, share, looks[model].line())
        left.set(xticks=range(len(classes)), xticklabels=classes, ylabel="IoU", ylim=(0, 1))
        right.set(xlabel="predicted probability of a class", ylabel="share of the class")
        plotting.legend_above(figure, left, right)
    return figure


def bracket(curves: xr.Dataset, name: str) -> np.ndarray:
    """Value, lower and upper end of a curve, (3, n)."""
    return np.stack([curves[f"{name}{end}"].values for end in ("", "_lo", "_hi")])


def mosaic(image: np.ndarray, classes: dict[str, np.ndarray], names: list[str]) -> Figure:
    """The observed mosaic (y, x), and its classes by title, true or predicted."""
    colours = ["white", *(look.colour for look in plotting.light_looks(names[1:]).values())]
    with plotting.style():
        size = (plotting.PAGE, 0.9 + plotting.PAGE / (1 + len(classes)))
        figure, axes = plt.subplots(1, 1 + len(classes), figsize=size, sharex=True, sharey=True)
        axes[0].imshow(image, origin="lower")
        axes[0].set(title="observed", xlabel="x [pixel]", ylabel="y [pixel]")
        for ax, (title, values) in zip(axes[1:], classes.items(), strict=True):
            style = {"cmap": ListedColormap(colours), "vmin": -0.5, "vmax": len(names) - 0.5}
            drawn = ax.imshow(values, origin="lower", **style)
            ax.set(title=title, xlabel="x [pixel]")
        bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.5, aspect=30)
        bar.set_ticks(range(len(names)), labels=names)
    return figure
