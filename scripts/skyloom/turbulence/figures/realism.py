"""Figures of the differences between two sets: images, power, score of a classifier, anomaly."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.plotting import OBSERVED, Look
from skyloom.turbulence.figures.images import PERCENTILES, SHARE, class_looks, share_of_variance

CLIP = 3.0  # standard deviations at which the colours end
EXAMPLES = 4  # images of each set
COLUMNS = 6  # of the panel
UNIT = r"$\log_{10} N$, standard deviations"
BINS = 31


def set_looks(labels: dict[str, str], kinds: dict[str, str]) -> dict[str, Look]:
    """The looks of two sets; one of real maps is drawn as the observed.

    labels, kinds : name -> label, kind of the data
    """
    looks = dict(zip(kinds, class_looks([labels[name] for name in kinds]), strict=True))
    return {
        name: Look(look.label, OBSERVED.colour) if kinds[name] == "survey" else look
        for name, look in looks.items()
    }


def comparison(
    images: dict[str, np.ndarray],
    k: np.ndarray,
    power: dict[str, np.ndarray],
    scores: dict[str, dict[str, np.ndarray]],
    looks: dict[str, Look],
) -> Figure:
    """Example images of two sets, their power spectra, and the distributions of their scores.

    images : set -> (>= EXAMPLES, y, x), standardised
    k : (k,) [cycles an image]
    power : set -> (n, k) log10
    scores : label of an axis -> set -> (n,)
    looks : of the sets
    """
    with plotting.style():
        figure = plt.figure(figsize=(plotting.PAGE, 5.7))
        above, below = figure.subfigures(2, 1, height_ratios=(1.4, 1))
        axes = above.subplots(len(images), EXAMPLES, squeeze=False)
        for row, (name, examples) in zip(axes, images.items(), strict=True):
            for ax, image in zip(row, examples, strict=False):
                drawn = _image(ax, image)
            row[0].set_ylabel(looks[name].label)
        plotting.colour_bar(above, drawn, UNIT, ax=axes, shrink=0.8, extend="both")
        axes = below.subplots(1, 1 + len(scores), squeeze=False)[0]
        for name, values in power.items():
            shares = share_of_variance(k, values)
            ends = np.percentile(shares, PERCENTILES, axis=0)
            bracket = np.median(shares, axis=0), *ends
            plotting.band(axes[0], k, bracket, looks[name].line(), alpha=0.25)
        axes[0].set(xscale="log", yscale="log", xlim=(k[0], k[-1]))
        plotting.plain_decades(axes[0].xaxis)
        plotting.plain_decades(axes[0].yaxis)
        axes[0].set(xlabel="wave number $k$\n[cycles per image]", ylabel=SHARE)
        for ax, (label, of_sets) in zip(axes[1:], scores.items(), strict=True):
            ends = np.array([np.percentile(values, (1, 99)) for values in of_sets.values()])
            edges = np.linspace(ends[:, 0].min(), ends[:, 1].max(), BINS)
            for name, values in of_sets.items():
                style = looks[name].line(linewidth=1.2)
                counts = {"density": True, "histtype": "step"}
                ax.hist(values.clip(edges[0], edges[-1]), edges, **counts, **style)
            ax.set_xlabel(label)
        axes[1].set_ylabel("density")
        title = "median and 68 % of the images"
        plotting.legend_above(below, axes[0], columns=2, title=title)
    return figure


def panel(images: np.ndarray) -> Figure:
    """Numbered images (n, y, x), without any information on their sets."""
    rows = -(-len(images) // COLUMNS)
    with plotting.style():
        size = (plotting.PAGE, 1.32 * rows + 0.6)
        figure, axes = plt.subplots(rows, COLUMNS, figsize=size, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for number, (ax, image) in enumerate(zip(axes.flat, images, strict=False), start=1):
            ax.set_axis_on()
            drawn = _image(ax, image)
            ax.set_title(number, pad=2)
        where = {"location": "bottom", "extend": "both", "shrink": 0.5, "aspect": 40}
        plotting.colour_bar(figure, drawn, UNIT, ax=axes, **where)
    return figure


def _image(ax, image: np.ndarray):
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax.imshow(image, origin="lower", cmap=plotting.DIVERGING, vmin=-CLIP, vmax=CLIP)
