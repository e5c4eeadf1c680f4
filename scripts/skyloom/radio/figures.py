"""Figures of fields, scores and searched images."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from astropy.table import Table
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from skyloom import plotting
from skyloom.plotting import Look
from skyloom.radio.data.noise import SOFTENING, Levels
from skyloom.radio.read import Image
from skyloom.radio.simulate.field import CLASSES, DIFFUSE, INVALID

FIELDS = 5  # columns of panels
SHOWN = -2, 100  # ends of the scale of images [noise]
TICKS = 0, 3, 10, 30, 100
SMALL = 1200  # pixels along a side of a drawn image, at most
SCALE_BARS = 10, 30, 60, 120, 300, 600, 1800, 3600  # lengths ["]


def panels(
    patches: xr.Dataset, predictions: dict[str, xr.Dataset], looks: dict[str, Look]
) -> Figure:
    """Fields by column: image, true classes, and the probability that each model states.

    The fields have much diffuse emission and galaxies; they are chosen by the truth alone.
    """
    chosen = _telling(patches)
    rows = ["image", "classes", *predictions]
    with plotting.style():
        width = plotting.PAGE
        figure, axes = plt.subplots(
            len(rows),
            len(chosen),
            figsize=(width, 0.55 + 0.93 * width * len(rows) / len(chosen)),
            squeeze=False,
        )
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
        for column, k in enumerate(chosen):
            field = patches.isel(example=k)
            ratio = (field["image"].values - float(field["background"])) / float(field["noise"])
            drawn = axes[0, column].imshow(_scaled(ratio), **_scale(), origin="lower")
            beam = float(field["beam_pixels"])
            _beam(axes[0, column], beam, beam)
            _scale_bar(axes[0, column], float(field["beam_arcsec"]) / beam, ratio.shape[1])
            axes[0, column].set_title(f"beam {float(field['beam_arcsec']):.0f}\N{DOUBLE PRIME}")
            classes = axes[1, column].imshow(
                _classes(field["target"].values),
                cmap=_palette(),
                vmin=-0.5,
                vmax=4.5,
                origin="lower",
                interpolation="nearest",
            )
            observed = field["target"].values != INVALID
            for row, predicted in enumerate(predictions.values(), 2):
                values = np.where(observed, predicted["prediction"].values[k, DIFFUSE], np.nan)
                ax = axes[row, column]
                stated = ax.imshow(values, vmin=0, vmax=1, cmap="cividis", origin="lower")
                level = float(predicted["threshold"].values[k])
                if np.nanmin(values) < level < np.nanmax(values):
                    ax.contour(values, [level], colors="white", linewidths=0.6)
        names = ["image [noise]", "true class", *(looks[m].label for m in predictions)]
        for ax, name in zip(axes[:, 0], names, strict=True):
            ax.set_ylabel(name)
        _bars(figure, axes, drawn, classes, stated)
    return figure


def _telling(patches: xr.Dataset) -> np.ndarray:
    """Fields with the most of diffuse emission and galaxies together, at unlike places."""
    target = patches["target"].values
    shares = [(target == k).mean((1, 2)) for k in (1, 2)]
    score = np.sqrt(np.clip(shares[0], 0, 0.2) * np.clip(shares[1], 0, 0.1))
    return np.argsort(-score)[:FIELDS]


def _scaled(ratio: np.ndarray) -> np.ndarray:
    return np.arcsinh(ratio / SOFTENING)


def _scale() -> dict:
    low, high = (np.arcsinh(v / SOFTENING) for v in SHOWN)
    return {"vmin": low, "vmax": high, "cmap": "inferno"}


def _classes(label: np.ndarray) -> np.ndarray:
    return np.where(label == INVALID, len(CLASSES), label)


def _palette() -> ListedColormap:
    colours = [look.colour for look in plotting.light_looks(CLASSES[1:]).values()]
    return ListedColormap(["white", *colours, "0.8"])


def _beam(ax, major: float, minor: float, angle: float = 0.0) -> None:
    """The beam's FWHM [pixel] in the lower left; angle : from north to east [deg]."""
    place = 1.2 * major, 1.2 * major
    look = {"color": "white", "fill": False, "path_effects": plotting.HALO}
    ax.add_patch(Ellipse(place, minor, major, angle=angle, **look))


def _scale_bar(ax, pixel: float, width: int) -> None:
    """A bar of a round length in the lower right; pixel : ["]; width : of the image [pixel]."""
    lengths = [length for length in SCALE_BARS if length <= 0.4 * width * pixel]
    arcsec = max(lengths, default=SCALE_BARS[0])
    text = f"{arcsec / 60:g}\N{PRIME}" if arcsec >= 60 else f"{arcsec:g}\N{DOUBLE PRIME}"
    length = arcsec / pixel
    plotting.scale_bar(ax, (0.94 * width - length / 2, 0.06 * width), length, text)


def _bars(figure: Figure, axes, drawn, classes, stated) -> None:
    """The three scales, below."""
    style = {"orientation": "horizontal", "aspect": 14, "shrink": 0.9, "pad": 0.02}
    bar = figure.colorbar(drawn, ax=axes[-1, :1].tolist(), **style, label="S/N")
    bar.set_ticks([_scaled(t) for t in TICKS], labels=[str(t) for t in TICKS])
    bar = figure.colorbar(classes, ax=axes[-1, 1:4].tolist(), **style | {"aspect": 30})
    bar.set_ticks(range(5), labels=[*CLASSES, "unobserved"])
    figure.colorbar(stated, ax=axes[-1, 4:].tolist(), **style, label="probability")


# --- scores ---------------------------------------------------------------------------------------


def scores(curves: dict[str, xr.Dataset], looks: dict[str, Look]) -> Figure:
    """ROC, precision against recall, completeness of the first model, and its confusion."""
    first = next(iter(curves))
    with plotting.style():
        figure, axes = plt.subplots(2, 2, figsize=(plotting.PAGE, 6.0))
        (roc, precision), (surface, confusion) = axes
        for model, values in curves.items():
            look = looks[model].line()
            for ax, x, y in ((roc, "false_positive", "recall"), (precision, "recall", "precision")):
                ax.plot(values[x], values[y], **look)
                ends = values[f"{y}_lo"], values[f"{y}_hi"]
                ax.fill_between(values[x], *ends, color=look["color"], alpha=0.15, linewidth=0)
        roc.set(xscale="log", xlim=(1e-4, 1), ylim=(0, 1))
        roc.set(xlabel="share of other pixels called diffuse", ylabel="recall")
        precision.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
        plotting.legend_above(figure, roc)
        _surface(figure, surface, curves[first], looks[first].label)
        _confusion(confusion, curves[first], looks[first].label)
    return figure


def _surface(figure: Figure, ax, curves: xr.Dataset, label: str) -> None:
    values, number = curves["completeness"].values.T, curves["objects"].values.T
    drawn = ax.imshow(values, vmin=0, vmax=1, origin="lower", aspect="auto", cmap="cividis")
    for (j, i), value in np.ndenumerate(values):
        if number[j, i]:
            colour = "black" if value > 0.5 else "white"
            ax.text(
                i,
                j,
                f"{value:.2f}\n({number[j, i]:.0f})",
                ha="center",
                va="center",
                color=colour,
                fontsize=6,
            )
    for axis, name in ((ax.xaxis, "brightness"), (ax.yaxis, "size")):
        edges = np.atleast_1d(curves.attrs[name])
        axis.set_ticks(np.arange(len(edges)) - 0.5, labels=[f"{e:g}" for e in edges])
    ax.set(xlabel="mean brightness [noise/beam]", ylabel="size [beam]")
    ax.set_title(f"{label}: objects found")
    figure.colorbar(drawn, ax=ax)


def _confusion(ax, curves: xr.Dataset, label: str) -> None:
    table = curves["confusion"].values
    shares = table / table.sum(1, keepdims=True).clip(1)
    ax.imshow(shares, vmin=0, vmax=1, cmap="cividis")
    for (j, i), value in np.ndenumerate(shares):
        ax.text(
            i,
            j,
            f"{value:.2f}",
            ha="center",
            va="center",
            color="black" if value > 0.5 else "white",
        )
    names = [str(n) for n in curves["true"].values]
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_title(f"{label}: share of the true class")


# --- images ---------------------------------------------------------------------------------------


def image(
    image: Image,
    levels: Levels,
    probability: np.ndarray,
    threshold: float,
    found: Table,
    truth: np.ndarray | None,
) -> Figure:
    """The image in units of its noise, with the contours of what was found, and the truth's."""
    step = -(-max(image.data.shape) // SMALL)
    part = tuple(slice(0, n, step) for n in image.data.shape)
    background, noise = levels.on(*part)
    ratio = (image.data[part] - background) / noise
    with plotting.style():
        figure = plt.figure(figsize=(plotting.PAGE, plotting.PAGE * 0.95))
        ax = figure.add_subplot(projection=image.wcs[::step, ::step])
        drawn = ax.imshow(_scaled(ratio), **_scale(), origin="lower")
        handles = []
        shown = np.nan_to_num(probability[::step, ::step])
        if truth is not None:
            ax.contour(truth[::step, ::step] == DIFFUSE, [0.5], colors="white", linewidths=0.5)
            outline = [withStroke(linewidth=2.5, foreground="0.4")]
            handles.append(
                plt.Line2D(
                    [], [], color="white", label="true diffuse emission", path_effects=outline
                )
            )
        ax.contour(shown, [threshold], colors="cyan", linewidths=0.7)
        handles.append(plt.Line2D([], [], color="cyan", label="found"))
        for number, row in enumerate(found[:12], 1):
            ax.text(row["x"] / step, row["y"] / step, str(number), color="white", fontsize=7)
        size = image.pixel * step
        _beam(ax, image.beam[0] / size, image.beam[1] / size, image.beam[2])
        _scale_bar(ax, size, shown.shape[1])
        ax.set(xlabel="right ascension", ylabel="declination")
        bar = figure.colorbar(drawn, ax=ax, label="S/N", shrink=0.8)
        bar.set_ticks([_scaled(t) for t in TICKS], labels=[str(t) for t in TICKS])
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
