"""Figures of why models answer what they answer, drawn from explain/<model>.nc and
explain/embedding_<set>.nc.

Nothing is computed here that these files do not hold.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from skyloom import plotting

ACCURACY, AUC = plotting.LINES[0], plotting.LINES[1]
PER_ROW = 10  # images of the figure of maps
BRIGHTEST = 99.5  # percentile of a map at which its colours end


# --- pixels
# --------------------------------------------------------------------------------------------------


def saliency(found: xr.Dataset) -> Figure:
    """A column an image: itself, its maps, those of the network with weights drawn anew; below, the
    cascade.
    """
    rows = {
        "image": ("image", plotting.MAP),
        "saliency": ("saliency", "viridis"),
        "integrated": ("integrated\ngradients", plotting.DIVERGING),
        "saliency_randomised": ("saliency,\nrandom weights", "viridis"),
        "integrated_randomised": ("integrated\ngradients,\nrandom weights", plotting.DIVERGING),
    }
    count = min(found.sizes["shown"], PER_ROW)
    with plotting.style():
        figure = plt.figure(figsize=(max(1.15 * count + 2.0, 6.5), 1.15 * len(rows) + 3.0))
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.2 * len(rows), 2.6))
        axes = top.subplots(len(rows), count, squeeze=False)
        for line, (name, (label, cmap)) in zip(axes, rows.items(), strict=True):
            for ax, values in zip(line, found[name].values, strict=False):
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
                high = np.percentile(np.abs(values), BRIGHTEST) or 1.0
                low = {"image": -high, plotting.DIVERGING: -high}.get(
                    name if name == "image" else cmap, 0
                )
                ax.imshow(values, origin="lower", cmap=cmap, vmin=low, vmax=high)
            line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for ax, index, output in zip(
            axes[0], found.target.values, found.output.values, strict=False
        ):
            ax.set_title(
                f"n = {index:.2f}\noutput {output:+.1f}".replace("-", "\N{MINUS SIGN}"), fontsize=8
            )
        ax = bottom.subplots()
        layers = np.arange(1, found.sizes["layer"] + 1)
        for name, colour, marker in (("saliency", ACCURACY, "o"), ("integrated", AUC, "s")):
            values = found[f"rank_{name}"]
            label = "saliency" if name == "saliency" else "|integrated gradients|"
            ax.plot(
                layers, values.mean("shown"), color=colour, marker=marker, markersize=4, label=label
            )
            ax.fill_between(
                layers,
                values.min("shown"),
                values.max("shown"),
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
        ax.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        names = [str(name).removeprefix("encoder.") for name in found.layer.values]
        ax.set_xticks(layers, names, rotation=40, ha="right", rotation_mode="anchor")
        ax.set(
            ylim=(min(-0.15, ax.get_ylim()[0]), 1.02),
            ylabel="rank correlation\nwith the trained map",
        )
        ax.set_xlabel("layers with random weights, from the head down to this one")
        ax.legend(loc="upper right")
        figure.suptitle(_title(found) + ": pixels that the output depends on")
    return figure


# --- waves
# --------------------------------------------------------------------------------------------------


def bands(found: xr.Dataset) -> Figure:
    """Scores without one band, with one band that says nothing, with low waves only; the change of
    the answer.
    """
    low, high = found.band_low.values, found.band_high.values
    middle = np.sqrt(low * high)
    with plotting.style():
        figure, axes = plt.subplots(2, 2, figsize=(9.5, 7), sharex=True)
        _scores(axes[0, 0], found, "occluded", middle, bars=(low, high))
        _scores(axes[0, 1], found, "neutral", middle, bars=(low, high))
        _scores(axes[1, 0], found, "lowpass", found.cut.values)
        for kind, colour, label in (
            ("occluded", "0.2", "without this band"),
            ("neutral", plotting.LINES[2], "as strong in all images"),
        ):
            change = np.array([found[f"change_{kind}{end}"].values for end in ("", "_lo", "_hi")])
            axes[1, 1].stairs(
                change[0], np.r_[low, high[-1]], color=colour, linewidth=1.4, label=label
            )
            axes[1, 1].errorbar(
                middle, change[0], _errors(change), fmt="none", color=colour, capsize=2
            )
        what = "logit" if found.attrs["learns"] == "class" else "index"
        axes[1, 1].set(ylabel=f"mean |change of the {what}|", ylim=(0, None))
        axes[1, 1].legend(loc="upper left")
        titles = (
            "without this band",
            "this band as strong in all images",
            "with waves up to this one",
            "change",
        )
        for ax, title in zip(axes.flat, titles, strict=True):
            ax.set_title(title, loc="left")
            _convergence(ax, found)
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set_xlim(low[0] / 1.1, high[-1] * 1.1)
        for ax in axes.flat[:3]:
            ax.set_ylim(0.38, 1.02)
        for ax in axes[1]:
            ax.set_xlabel("wave number [cycles a box]")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.suptitle(
            f"{_title(found)}: waves that the answer depends on ({found.attrs['images']} "
            "test images)"
        )
    return figure


def _scores(ax, found: xr.Dataset, kind: str, k: np.ndarray, bars: tuple | None = None) -> None:
    """Accuracy and area under the ROC against wave number, beside those of the untouched image and
    of chance.
    """
    for name, colour, marker, label in (
        ("accuracy", ACCURACY, "o", "accuracy"),
        ("auc", AUC, "s", "area under ROC"),
    ):
        values = np.array([found[f"{name}_{kind}{end}"].values for end in ("", "_lo", "_hi")])
        extent = None if bars is None else np.array([k - bars[0], bars[1] - k])
        ax.errorbar(
            k,
            values[0],
            _errors(values),
            extent,
            color=colour,
            marker=marker,
            markersize=4,
            capsize=2,
            linewidth=1.2,
            linestyle="-" if bars is None else "none",
            label=label,
        )
        untouched = float(found[f"{name}_control"][0])
        ax.axhline(
            untouched,
            color=colour,
            linewidth=0.9,
            linestyle=(0, (5, 2)),
            label=f"{label}, image untouched",
        )
    ax.axhline(found.attrs["chance"], color="0.4", linewidth=0.9, linestyle=":", label="chance")
    ax.set_ylabel("test score")


def _convergence(ax, found: xr.Dataset) -> None:
    """Shade what the solver has not converged: lightly beyond the amplitudes' limit, darker beyond
    the phases'.
    """
    top = found.band_high.values[-1] * 1.1
    places = (("converged_amplitude", "0.93", "amplitudes"), ("converged_phase", "0.85", "phases"))
    for name, grey, label in places:
        ax.axvspan(
            found.attrs[name],
            top,
            color=grey,
            zorder=-2,
            linewidth=0,
            label=f"{label} not converged",
        )


# --- phases and amplitudes
# ------------------------------------------------------------------------------------------


def controls(found: list[xr.Dataset]) -> Figure:
    """Accuracy and area under the ROC of each model of a set, on images with phases or amplitudes
    only.
    """
    names = [str(name) for name in found[0].control.values]
    looks = plotting.line_styles(one.attrs["model"] for one in found)
    with plotting.style():
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True)
        for ax, (score, label) in zip(
            axes, {"accuracy": "accuracy", "auc": "area under ROC"}.items(), strict=True
        ):
            for row, one in enumerate(found):
                model = one.attrs["model"]
                values = np.array(
                    [one[f"{score}_control{end}"].values for end in ("", "_lo", "_hi")]
                )
                x = np.arange(len(names)) + (row - (len(found) - 1) / 2) * 0.7 / len(found)
                marker = "o" if one.attrs["kind"] == "network" else "s"
                ax.errorbar(
                    x,
                    values[0],
                    _errors(values),
                    color=looks[model]["color"],
                    marker=marker,
                    linestyle="none",
                    capsize=2,
                    label=f"{model.replace('_', ' ')} ({one.attrs['kind']})",
                )
            chance = found[0].attrs["chance"] if score == "accuracy" else 0.5
            ax.axhline(chance, color="0.4", linewidth=0.9, linestyle=":", label="chance")
            ax.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
            ax.set(ylim=(0.4, 1.02), ylabel=f"test {label}")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
        figure.suptitle(f"Set {found[0].attrs['set']}: {found[0].attrs['images']} test images")
    return figure


# --- planes
# --------------------------------------------------------------------------------------------------


def embedding(found: xr.Dataset) -> Figure:
    """One panel a kind of features, a point an image, coloured by its index."""
    names = [str(name) for name in found.features.values]
    index = found.target.values
    values = np.unique(index.round(4))
    with plotting.style():
        figure, axes = plt.subplots(
            1, len(names), figsize=(3.5 * len(names) + 0.9, 3.7), squeeze=False
        )
        for ax, name in zip(axes[0], names, strict=True):
            x, y = found.place.sel(features=name).values.T
            if len(values) == 2:
                for value, colour, marker in zip(values, plotting.LINES, "o^", strict=False):
                    of = np.isclose(index, value, atol=1e-3)
                    ax.scatter(
                        x[of],
                        y[of],
                        s=9,
                        color=colour,
                        marker=marker,
                        linewidth=0,
                        label=f"index {value:.2f}",
                    )
            else:
                points = ax.scatter(x, y, s=9, c=index, cmap=plotting.MAP, linewidth=0)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
            ax.set_title(name.replace("_", " "), loc="left")
            share = float(found.agreement.sel(features=name))
            count = found.agreement.attrs["neighbours"]
            ax.set_xlabel(
                f"{share:.0%} of the {count} nearest images of other\nsimulations have an "
                "image's class"
            )
        if len(values) == 2:
            figure.legend(
                *axes[0][0].get_legend_handles_labels(), loc="outside right upper", markerscale=2
            )
        else:
            figure.colorbar(points, ax=axes[0].tolist(), label="index")
        figure.suptitle(f"Set {found.attrs['set']}: t-SNE of {len(index)} test images")
    return figure


def _errors(values: np.ndarray) -> np.ndarray:
    """Lengths of error bars (2, n) from value, low and high (3, n); 0 where there is no
    interval.
    """
    return np.nan_to_num(np.maximum([values[0] - values[1], values[2] - values[0]], 0))


def _title(found: xr.Dataset) -> str:
    return f"{found.attrs['model'].replace('_', ' ')} on set {found.attrs['set']}"
