"""The images of a set: whole maps of log N with their rms, the images that are cut from them, and
power spectra and structure functions of both classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.patchset import flag_names
from skyloom.plotting import Look
from skyloom.turbulence.data.images import simulations_of

CLIP = 3.0  # standard deviations at which the colours end
SIDE = 3  # images along a side of the mosaic of a map, at most
FIRST_AXIS = 0  # of the three views of a simulation, the one that is shown
BARS_PC = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)  # lengths of a scale bar
REAL_RMS = "0.2\N{EN DASH}0.4 dex"  # of log N in real clouds
PERCENTILES = (15.865, 84.135)  # 68 % of the simulations
DASHED = (0, (4, 1.2))  # of the steeper class, for print in grey
NOT_CONVERGED = {"amplitude": "0.945", "phase": "0.875"}  # grey of waves that are not converged

MAP_LABEL = r"$\log_{10} N/\langle N\rangle$ [dex]"
SHARE = r"power per $\ln k$ / variance"
DASH = "\N{EN DASH}"

# the sheet [inch]: maps and images in four columns, two of a class; below them bars and curves
MARGIN, GAP, BETWEEN, SEAM = 0.05, 0.06, 0.3, 0.04
HEAD, TITLE, BAR, BARS, LEGEND, CURVES, FOOT = 0.24, 0.22, 0.07, 0.55, 0.42, 2.05, 0.55
TILE = (plotting.PAGE - 2 * MARGIN - 2 * GAP - BETWEEN) / 4
PAIR = 2 * TILE + GAP
STARTS = (MARGIN, MARGIN + PAIR + BETWEEN)  # left sides of the two classes
LEFT, WIDTH = 0.5, 2.8  # of the curves


class Statistic(NamedTuple):
    """Curves of the images of both classes, of the shallower one first.

    x : (n,); values : (simulation, n) of each class; limits : what is not converged -> x where it
    begins
    """

    x: np.ndarray
    values: Sequence[np.ndarray]
    limits: dict[str, float]


class Map(NamedTuple):
    """A simulation: its whole map of log10(N / <N>) [dex], and rows of its images."""

    index: float
    column: np.ndarray
    rows: np.ndarray


def class_looks(labels: Sequence[str]) -> list[Look]:
    """The looks of the shallower and the steeper class."""
    shallow, steep = plotting.light_looks(labels).values()
    return [replace(shallow, width=1.8), replace(steep, dash=DASHED, width=1.8)]


def classes_of(patches: xr.Dataset) -> np.ndarray:
    """0 for images of the shallower class, 1 for those of the steeper one."""
    return (patches["target"].values > np.mean(patches.attrs["classes"])).astype(int)


def share_of_variance(k: np.ndarray, log_power: np.ndarray) -> np.ndarray:
    """k^2 P(k) of images (n, k) over the variance in all rings; log_power : log10 P(k)."""
    power = k**2 * 10**log_power
    return power / (power / k).sum(1, keepdims=True)


# --- choice ---------------------------------------------------------------------------------------


def chosen_simulations(patches: xr.Dataset, count: int) -> list[list[int]]:
    """Numbers of the simulations of the shallower and the steeper class that are shown, by a rule
    and not by their looks: the first `count` test simulations whose index is closest to the class.
    """
    splits = {name: code for code, name in flag_names(patches["split"]).items()}
    test = patches["split"].values == splits["test"]
    numbers, first = np.unique(patches["simulation"].values[test], return_index=True)
    index = patches["target"].values[test][first]
    off = np.round(np.abs(index[:, None] - np.sort(patches.attrs["classes"])), 3)
    nearest = off.argmin(1)
    members = [np.flatnonzero(nearest == k) for k in range(off.shape[1])]
    order = [rows[np.argsort(off[rows, k], kind="stable")] for k, rows in enumerate(members)]
    return [numbers[rows][:count].tolist() for rows in order]


def whole_map(patches: xr.Dataset, families: dict[str, xr.Dataset], number: int) -> Map:
    """Simulation `number` of the set, from the column maps of its family and the set's images."""
    row = int(np.flatnonzero(patches["simulation"].values == number)[0])
    name = flag_names(patches["family"])[int(patches["family"].values[row])]
    if name not in families:
        raise BadInput(f"--columns: no maps of the family {name} (found {', '.join(families)})")
    simulations, seed = simulations_of(name, families[name]), patches["seed"].values[row]
    present = simulations["row"][simulations["seed"] == seed]
    if len(present) != 1:
        raise BadInput(
            f"column maps of {name}: {len(present)} of the seed {seed}; expected one, of which the"
            " set's images were cut"
        )
    column = families[name]["column"][int(present[0])].values[FIRST_AXIS].astype(np.float64)
    index = float(patches["target"].values[row])
    return Map(index, np.log10(1 + column), rows_of(patches, number))


def rows_of(patches: xr.Dataset, number: int) -> np.ndarray:
    """Rows of the images of one simulation's first view, in the order of its parts."""
    first = (patches["simulation"].values == number) & (patches["axis"].values == FIRST_AXIS)
    rows = np.flatnonzero(first)
    return rows[np.argsort(patches["part"].values[rows], kind="stable")]


# --- figure ---------------------------------------------------------------------------------------


def panels(
    patches: xr.Dataset,
    families: dict[str, xr.Dataset],
    count: int,
    statistics: tuple[Statistic, Statistic],
    name: str,
) -> Figure:
    """Maps and images of `count` simulations of each class, below them the power and the structure
    function of all images.

    families : name -> maps of `skyloom.turbulence.read.columns`; statistics : power against wave
    number, structure function against lag; name : of the set. Maps, and images of the variant
    `raw`, share one scale; standardised images have one of their own. Lines on a map are where it
    is cut.
    """
    chosen = chosen_simulations(patches, count)
    maps = [[whole_map(patches, families, number) for number in numbers] for numbers in chosen]
    below = HEAD + max(map(len, maps)) * (TITLE + TILE)
    size = plotting.PAGE, below + BARS + LEGEND + CURVES + FOOT
    with plotting.style():
        figure = plt.figure(figsize=size, layout="none")
        heading = _heading(patches, name)
        figure.text(MARGIN / size[0], 1 - 0.06 / size[1], heading, va="top")
        bars = zip(_maps(figure, patches, maps), _units(patches), STARTS, strict=True)
        for image, label, left in bars:
            where = {"orientation": "horizontal", "extend": "both"}
            where["cax"] = plotting.axes_at(figure, left, below + 0.12, PAIR, BAR)
            plotting.colour_bar(figure, image, label, **where)
        _statistics(figure, patches, statistics, below + BARS)
    return figure


def _heading(patches: xr.Dataset, name: str) -> str:
    """What all simulations have in common, and the rms of maps of real clouds."""
    facts = []
    for key, text in (("mach", "Mach {}"), ("time_myr", "{} Myr")):
        low, high = patches[key].values.min(), patches[key].values.max()
        if np.isfinite(high):
            value = f"{low:.3g}" + (f"{DASH}{high:.3g}" if high - low > 1e-3 else "")
            facts.append(text.format(value))
    heading = f"{name}: {', '.join(facts)}" if facts else name
    if patches.attrs["data_kind"] == "survey":
        return heading
    return f"{heading}; rms of $\\log_{{10}} N$ in real clouds: {REAL_RMS}"


def _units(patches: xr.Dataset) -> tuple[str, str]:
    """Labels of the colour bars of maps and of images."""
    is_column = patches.attrs["field"] == "column"
    field = r"$\log_{10} N$" if is_column else "line-of-sight velocity"
    if patches.attrs["variant"] == "standardised":
        return MAP_LABEL, f"{field}, standard deviations"
    return MAP_LABEL, f"{field} [{patches['image'].attrs['units']}]"


def _maps(figure: Figure, patches: xr.Dataset, maps: list[list[Map]]) -> tuple:
    """Maps and the images that are cut from them, a class in two columns; a drawn map, an image."""
    limit = CLIP * float(np.median([whole.column.std() for group in maps for whole in group]))
    part_limit = _part_limit(patches, limit)
    parts, pixel = int(patches.attrs["parts"]), float(patches.attrs["pixel_pc"])
    for group, left in zip(maps, STARTS, strict=True):
        for k, whole in enumerate(group):
            top = HEAD + k * (TITLE + TILE) + TITLE
            ax = plotting.axes_at(figure, left, top, TILE, TILE)
            column, side = _image(ax, whole.column, limit), len(whole.column)
            # of N itself a deviation of log N of 0.002 dex is half a percent
            rms = np.format_float_positional(whole.column.std(), 2, fractional=False)
            ax.set_title(f"$n$ = {whole.index:.2f}, rms {rms} dex", loc="left")
            for cut in np.arange(1, parts) * side / parts - 0.5:
                ax.axhline(cut, color="black", linewidth=0.7)
                ax.axvline(cut, color="black", linewidth=0.7)
            scale_bar(ax, side, pixel)
            image = _mosaic(figure, left + TILE + GAP, top, patches, whole.rows, part_limit)
    return column, image


def _part_limit(patches: xr.Dataset, limit: float) -> float:
    """Where the colours of images end; `limit` : those of maps."""
    if patches.attrs["variant"] == "standardised":
        return CLIP
    scale = float(patches["image"].attrs.get("scale", 1))
    return limit if patches.attrs["field"] == "column" else CLIP * scale


def _mosaic(
    figure: Figure, left: float, top: float, patches: xr.Dataset, rows: np.ndarray, limit: float
):
    """Images in their places in the map, as many as fit, from its lower left corner."""
    parts = int(patches.attrs["parts"])
    side = min(parts, SIDE)
    size = (TILE - (side - 1) * SEAM) / side
    for row in rows:
        y, x = divmod(int(patches["part"].values[row]), parts)
        if max(x, y) >= side:
            continue
        place = left + x * (size + SEAM), top + (side - 1 - y) * (size + SEAM)
        ax = plotting.axes_at(figure, *place, size, size)
        image = _image(ax, patches["image"].values[row], limit)
        if (x, y) == (0, side - 1):
            words = "standardised" if patches.attrs["variant"] == "standardised" else "cut"
            ax.set_title(words, loc="left")
        if (x, y) == (0, 0):
            zoom = patches["zoom"].values[row] if "zoom" in patches else patches.attrs["zoom"]
            scale_bar(ax, patches.sizes["x"], float(patches.attrs["pixel_pc"]) / float(zoom))
    return image


def _image(ax, values: np.ndarray, limit: float):
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax.imshow(values, origin="lower", cmap=plotting.DIVERGING, vmin=-limit, vmax=limit)


def scale_bar(ax, pixels: int, pixel_pc: float) -> None:
    """A bar of a round length, about a quarter of the image wide."""
    length = min(BARS_PC, key=lambda bar: abs(np.log(bar / (pixels * pixel_pc / 4))))
    start, height = 0.06 * pixels, 0.08 * pixels
    box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1}
    ends = [start, start + length / pixel_pc]
    ax.plot(ends, [height, height], color="black", linewidth=2, solid_capstyle="butt")
    ax.text(start, 1.6 * height, f"{length:g} pc", fontsize=7, va="bottom", bbox=box)


def _statistics(
    figure: Figure, patches: xr.Dataset, statistics: tuple[Statistic, Statistic], top: float
) -> None:
    """Means of both classes with the band of 68 % of the simulations."""
    index, classes = patches["target"].values, classes_of(patches)
    ends = [np.unique(index[classes == k].round(2))[[0, -1]] for k in range(2)]
    ranges = [DASH.join(f"{end:.2f}" for end in dict.fromkeys(pair)) for pair in ends]
    looks = class_looks([f"$n$ = {text}" for text in ranges])
    left, right = (
        plotting.axes_at(figure, x, top + LEGEND, WIDTH, CURVES)
        for x in (LEFT, plotting.PAGE - WIDTH - MARGIN)
    )
    for ax, statistic in zip((left, right), statistics, strict=True):
        for look, values in zip(looks, statistic.values, strict=True):
            ends = np.percentile(values, PERCENTILES, axis=0)
            plotting.band(ax, statistic.x, (values.mean(0), *ends), look.line(), alpha=0.25)
        ax.set(xscale="log", xlim=(statistic.x[0], statistic.x[-1]))
        plotting.plain_decades(ax.xaxis)
        for name, limit in statistic.limits.items():
            # waves beyond a wave number, lags below one
            end = statistic.x[-1] if ax is left else statistic.x[0]
            shade = {"color": NOT_CONVERGED[name], "linewidth": 0, "zorder": -2}
            ax.axvspan(limit, end, label=f"{name} not converged", **shade)
    left.set(xlabel="wave number $k$ [cycles per box]", yscale="log")
    left.set_ylabel(SHARE)
    plotting.plain_decades(left.yaxis)
    standardised = patches.attrs["variant"] == "standardised"
    unit = "" if standardised else f" [{patches['image'].attrs['units']}$^2$]"
    right.set(xlabel="lag [pc]", ylabel=f"second-order structure function{unit}")
    right.set_ylim(0, None)
    handles, labels = left.get_legend_handles_labels()
    where = {
        "loc": "upper left",
        "bbox_to_anchor": (0.0, 1 - (top - 0.05) / figure.get_figheight()),
    }
    title = "means and 68 % of the simulations"
    figure.legend(handles, labels, ncols=4, title=title, alignment="left", **where)
