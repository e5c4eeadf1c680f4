"""Figure of the differences between two sets: images, power, classifier score, anomaly."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from skyloom import plotting

RANGE = 2.5  # deviations between the middle of the colour scale and its ends
EXAMPLES = 4  # images of each set
COLUMNS = 6  # of the panel
PERCENTILES = (16, 50, 84)


def comparison(
    images: dict[str, np.ndarray], k: np.ndarray, power: dict, scores: dict[str, dict]
) -> Figure:
    """Example images of two sets, their power spectra and the distributions of their scores.

    images : set -> (>= EXAMPLES, y, x), standardised
    k : (k,) [cycles an image]
    power : set -> (n, k) log10
    scores : label of an axis -> set -> (n,)
    """
    styles = plotting.line_styles(images)
    with plotting.style():
        figure = plt.figure(figsize=(8.0, 6.3))
        above, below = figure.subfigures(2, 1, height_ratios=(1.45, 1))
        axes = above.subplots(len(images), EXAMPLES, squeeze=False)
        for row, (name, examples) in zip(axes, images.items(), strict=True):
            for ax, image in zip(row, examples, strict=False):
                artist = _image(ax, image)
            row[0].set_ylabel(name.replace("_", " "), color=styles[name]["color"])
        above.colorbar(
            artist, ax=axes, shrink=0.6, label=r"log $N$, standardised [1]", extend="both"
        )
        axes = below.subplots(1, 1 + len(scores), squeeze=False)[0]
        for name, values in power.items():
            lo, middle, hi = np.percentile(values, PERCENTILES, axis=0)
            axes[0].semilogx(k, middle, label=name.replace("_", " "), **styles[name])
            axes[0].fill_between(k, lo, hi, color=styles[name]["color"], alpha=0.2, linewidth=0)
        octaves = 2 ** np.arange(int(np.log2(k[-1])) + 1)
        axes[0].minorticks_off()
        axes[0].set_xticks(octaves, octaves)
        axes[0].set(xlabel="cycles an image", ylabel=r"log$_{10}$ power")
        axes[0].legend(loc="lower left")
        axes[1].set_ylabel("density")
        for ax, (label, scores_of_sets) in zip(axes[1:], scores.items(), strict=True):
            ends = np.array([np.percentile(values, (1, 99)) for values in scores_of_sets.values()])
            edges = np.linspace(ends[:, 0].min(), ends[:, 1].max(), 31)
            for name, values in scores_of_sets.items():
                ax.hist(
                    values.clip(edges[0], edges[-1]),
                    edges,
                    density=True,
                    histtype="step",
                    **styles[name],
                )
            ax.set_xlabel(label)
    return figure


def panel(images: np.ndarray) -> Figure:
    """Numbered images (n, y, x), without any information on their sets."""
    rows = -(-len(images) // COLUMNS)
    with plotting.style():
        figure, axes = plt.subplots(rows, COLUMNS, figsize=(8.0, 1.5 * rows + 0.2), squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for number, (ax, image) in enumerate(zip(axes.flat, images, strict=False), start=1):
            ax.set_axis_on()
            _image(ax, image)
            ax.set_title(number, pad=2)
    return figure


def _image(ax, image: np.ndarray):
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax.imshow(image, vmin=-RANGE, vmax=RANGE, cmap=plotting.MAP, origin="lower")
