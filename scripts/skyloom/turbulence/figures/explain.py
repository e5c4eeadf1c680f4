"""Figures of what predictions depend on, drawn from explain/<model>.nc and
explain/embedding_<set>.nc: pixels, bands of waves, phases or amplitudes, feature space.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.plotting import Look
from skyloom.turbulence.figures.images import NOT_CONVERGED, class_looks

MOST_IMAGES = 6  # of the figure of pixels
LINE = 1.02  # height of a line of images [inch]
MOST_LAYERS = 12  # names on the axis of layers
BRIGHTEST = 99.5  # percentile of maps at which their colours end
SCORES = ("accuracy", "auc")
SCORE_LOOKS = plotting.light_looks(("accuracy", "area under the ROC"))
SCORE_RANGE = (0.38, 1.02)
ENDS = ("", "_lo", "_hi")
CHANCE = {"auc": 0.5}  # score -> value of guessing, where it is not the share of a class


def output_name(explanation: xr.Dataset) -> str:
    """The output of a model, for people."""
    return "logit" if explanation.attrs["learns"] == "class" else "index"


def subject(explanation: xr.Dataset, label: str) -> str:
    return f"{label}, {explanation.attrs['images']:,} test images"


# --- pixels ---------------------------------------------------------------------------------------


def saliency(explanation: xr.Dataset, look: Look) -> Figure:
    """A column an image: the image, its maps, those of the network with random weights; below, the
    rank correlation of maps while the weights of one layer after the other are drawn anew.
    """
    output = output_name(explanation)
    rows = {
        "image": ("image", "standard\ndeviations", plotting.DIVERGING),
        "saliency": ("|gradient|", f"{output} per\nstandard dev.", plotting.MAP),
        "integrated": ("integrated\ngradients", f"{output} per\npixel", plotting.DIVERGING),
    }
    for name in ("saliency", "integrated"):
        label, unit, palette = rows[name]
        rows[f"{name}_randomised"] = f"{label},\nrandom\nweights", unit, palette
    count = min(explanation.sizes["shown"], MOST_IMAGES)
    with plotting.style():
        heights = LINE * len(rows) + 0.5, 2.5
        figure = plt.figure(figsize=(plotting.PAGE, sum(heights)))
        maps, cascade = figure.subfigures(2, 1, height_ratios=heights)
        axes = maps.subplots(len(rows), count, squeeze=False)
        for line, (name, (label, unit, palette)) in zip(axes, rows.items(), strict=True):
            values = explanation[name].values[:count]
            high = np.percentile(np.abs(values), BRIGHTEST) or 1.0
            power = int(np.floor(np.log10(high)))
            if power < -2:
                values, high = values / 10**power, high / 10**power
                unit = f"$10^{{{power}}}$ {unit}"
            low = -high if palette == plotting.DIVERGING else 0
            for ax, image in zip(line, values, strict=True):
                drawn = ax.imshow(image, origin="lower", cmap=palette, vmin=low, vmax=high)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            line[0].set_ylabel(label, rotation=0, ha="right", va="center")
            plotting.colour_bar(maps, drawn, unit, bins=3, ax=line, aspect=12, pad=0.01)
        truth, outputs = explanation.target.values, explanation.output.values
        for ax, index, value in zip(axes[0], truth, outputs, strict=False):
            text = f"$n$ = {index:.2f}\n{output} {value:+.1f}"
            ax.set_title(text.replace("-", "\N{MINUS SIGN}"))
        _cascade(cascade.subplots(), explanation)
        title = f"{look.label}: {output}"
        title += " (positive: steep)" if output == "logit" else " (normalised)"
        figure.suptitle(title, fontsize=plotting.STYLE["axes.titlesize"], x=0.01, ha="left")
    return figure


def _cascade(ax, explanation: xr.Dataset) -> None:
    layers = np.arange(explanation.sizes["layer"])
    names = ("saliency", "|gradient|"), ("integrated", "|integrated gradients|")
    looks = plotting.light_looks(label for _, label in names)
    for (name, _), look in zip(names, looks.values(), strict=True):
        ranks = explanation[f"rank_{name}"]
        bracket = ranks.mean("shown"), ranks.min("shown"), ranks.max("shown")
        plotting.band(ax, layers, bracket, look.line(marker=look.marker, markersize=4), 0.25)
    ax.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    step = -(-len(layers) // MOST_LAYERS)
    texts = [str(name) for name in explanation.layer.values[::step]]
    turn = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(layers[::step], texts, **turn)
    ax.set(
        ylim=(min(-0.15, ax.get_ylim()[0]), 1.03),
        ylabel="rank correlation\nwith trained map",
        yticks=(0, 0.5, 1),
    )
    ax.set_xlabel("random weights from the last layer down to this one")
    plotting.legend_above(ax.figure, ax, title="mean and range of the images")


# --- waves ----------------------------------------------------------------------------------------


def bands(explanation: xr.Dataset, look: Look) -> Figure:
    """Scores without one band, with one band equal in all images, with low waves only; the change
    of the output.
    """
    low, high = explanation.band_low.values, explanation.band_high.values
    middle = np.sqrt(low * high)
    output = output_name(explanation)
    with plotting.style():
        size = (plotting.PAGE, 5.4)
        figure, ((occluded, neutral), (lowpass, change)) = plt.subplots(2, 2, figsize=size)
        for ax, kind, title in (
            (occluded, "occluded", "one band removed"),
            (neutral, "neutral", "one band made equal in all images"),
            (lowpass, "lowpass", "only waves up to this one"),
        ):
            ax.set_title(title + _wave_scores(ax, explanation, kind), loc="left")
            ax.set(ylim=SCORE_RANGE, ylabel="test score")
        kinds = {"occluded": ("one band removed", "-"), "neutral": ("one band made equal", "--")}
        for kind, (label, dash) in kinds.items():
            values = np.array([explanation[f"change_{kind}{end}"].values for end in ENDS])
            style = {"color": look.colour, "linewidth": 1.4, "linestyle": dash}
            change.stairs(values[0], np.r_[low, high[-1]], **style, label=label)
            bars = {"fmt": "none", "color": look.colour, "linewidth": 1}
            change.errorbar(middle, values[0], plotting.arms(values), **bars)
        change.set(ylabel=f"mean |change of the {output}|", ylim=(0, None))
        change.set_title(f"change of the {output}", loc="left")
        for ax in (occluded, neutral, lowpass, change):
            _shade(ax, explanation)
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set(xlim=(low[0] / 1.1, high[-1] * 1.1), xlabel="wave number [cycles per box]")
        title = f"{subject(explanation, look.label)}, 68 % intervals over simulations"
        plotting.legend_above(figure, occluded, change, columns=3, title=title)
    return figure


def _wave_scores(ax, explanation: xr.Dataset, kind: str) -> str:
    """Accuracy and area under the ROC against wave number, next to those of the unchanged image;
    returns for the title where the area is not defined.
    """
    low, high = explanation.band_low.values, explanation.band_high.values
    k, extent = (
        np.sqrt(low * high),
        np.array([np.sqrt(low * high) - low, high - np.sqrt(low * high)]),
    )
    if kind == "lowpass":
        k, extent = explanation.cut.values, None
    for name, look in zip(SCORES, SCORE_LOOKS.values(), strict=True):
        values = np.array([explanation[f"{name}_{kind}{end}"].values for end in ENDS])
        ax.plot(k, values[0], **look.points(linestyle="none" if extent is not None else "-"))
        bars = {"fmt": "none", "color": look.colour, "elinewidth": 1.2}
        ax.errorbar(k, values[0], plotting.arms(values), extent, **bars)
        unchanged = float(explanation[f"{name}_control"][0])
        line = look.line(linestyle=(0, (5, 2)), linewidth=1, label=f"{look.label}, unchanged image")
        ax.axhline(unchanged, **line)
    chance = {"color": "0.4", "linewidth": 0.9, "linestyle": ":", "label": "chance"}
    ax.axhline(explanation.attrs["chance"], **chance)
    undefined = ~np.isfinite(values[0])
    if not undefined.any():
        return ""
    if extent is None:
        return f" (no area up to {k[undefined][-1]:g})"
    return f" (no area at {low[undefined][0]:g}\N{EN DASH}{high[undefined][-1]:g})"


def _shade(ax, explanation: xr.Dataset) -> None:
    """Shade the waves that the solver has not converged, those without their phases darker."""
    top = explanation.band_high.values[-1] * 1.1
    for name, grey in NOT_CONVERGED.items():
        where = {"color": grey, "zorder": -2, "linewidth": 0}
        ax.axvspan(
            explanation.attrs[f"converged_{name}"], top, label=f"{name} not converged", **where
        )


# --- phases and amplitudes ------------------------------------------------------------------------


def controls(explanations: list[xr.Dataset], looks: dict[str, Look], label: str) -> Figure:
    """Accuracy and area under the ROC of each model of a set, on images with phases or amplitudes
    only. label : of the set.
    """
    names = [str(name) for name in explanations[0].control.values]
    places = np.linspace(-0.3, 0.3, len(explanations) + 2)[1:-1]
    with plotting.style():
        size = (plotting.PAGE, 2.9 + 0.16 * -(-len(explanations) // 3))
        figure, axes = plt.subplots(1, 2, figsize=size, sharey=True)
        for ax, name, score in zip(axes, SCORES, SCORE_LOOKS, strict=True):
            for place, explanation in zip(places, explanations, strict=True):
                values = np.array([explanation[f"{name}_control{end}"].values for end in ENDS])
                style = looks[explanation.attrs["model"]].points(elinewidth=1)
                x = np.arange(len(names)) + place
                ax.errorbar(x, values[0], plotting.arms(values), **style)
            chance = CHANCE.get(name, explanations[0].attrs["chance"])
            ax.axhline(chance, color="0.4", linewidth=0.9, linestyle=":", label="chance")
            ax.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
            ax.set(ylim=SCORE_RANGE)
            ax.set_title(score, loc="left")
        axes[0].set_ylabel("test score")
        title = f"{subject(explanations[0], label)}, 68 % intervals over simulations"
        plotting.legend_above(figure, axes[0], columns=3, title=title)
    return figure


# --- feature space --------------------------------------------------------------------------------


def embedding(explanation: xr.Dataset, labels: dict[str, str], name: str) -> Figure:
    """A panel a kind of features, a point an image, coloured by its index.

    labels : of features that are those of a model; name : of the set.
    """
    features = [str(name) for name in explanation.features.values]
    index = explanation.target.values
    values = np.unique(index.round(4))
    about = explanation.agreement.attrs
    with plotting.style():
        size = (plotting.PAGE, 1.1 + plotting.PAGE / len(features))
        figure, axes = plt.subplots(1, len(features), figsize=size, squeeze=False)
        for ax, kind in zip(axes[0], features, strict=True):
            x, y = explanation.place.sel(features=kind).values.T
            if len(values) == 2:
                looks = class_looks([f"$n$ = {value:.2f}" for value in values])
                for value, look in zip(values, looks, strict=True):
                    rows = np.isclose(index, value, atol=1e-3)
                    ax.plot(x[rows], y[rows], **look.points(markersize=3, markeredgewidth=0))
            else:
                points = ax.scatter(x, y, s=9, c=index, cmap=plotting.MAP, linewidth=0)
            half = 0.53 * max(np.ptp(x), np.ptp(y))
            middle = (x.max() + x.min()) / 2, (y.max() + y.min()) / 2
            ax.set(
                xlim=middle[0] + np.array([-half, half]), ylim=middle[1] + np.array([-half, half])
            )
            ax.set(xticks=[], yticks=[], aspect="equal")
            ax.spines[:].set_visible(True)
            ax.set_title(f"last layer of {labels[kind]}" if kind in labels else kind, loc="left")
            share = 100 * float(explanation.agreement.sel(features=kind))
            lines = f"same class among the {about['neighbours']}", "nearest images of other"
            last = f"simulations: {share:.0f} % (chance {100 * about['chance']:.0f} %)"
            ax.set_xlabel("\n".join([*lines, last]))
        title = f"{name}: t-SNE of {len(index):,} test images"
        if len(values) == 2:
            plotting.legend_above(figure, axes[0][0], columns=2, title=title, markerscale=2)
        else:
            plotting.colour_bar(figure, points, "index", ax=axes[0])
            figure.suptitle(title, fontsize=plotting.STYLE["axes.titlesize"], x=0.01, ha="left")
    return figure
