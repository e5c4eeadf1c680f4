"""Figures of a cube, beside the truth where it is known."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.extinction.products import maps
from skyloom.extinction.products.cube import Cube
from skyloom.extinction.simulate.galaxy import SUN_RADIUS
from skyloom.extinction.simulate.skies import arms
from skyloom.plotting import Look

ARM_LEVEL = 0.6  # of the nearness to an arm, at the drawn lines
DECADES = 1.5  # of the scale of densities
FLAT = 0.6  # height over width of a sector below which panels are rows
SHORTEST = 1.3  # of a panel [inch]
MARKS = "#C8400A"
REGION = {"marker": "o", "color": MARKS, "markersize": 3.5, "markeredgecolor": "white"}
FOUND = Look("predicted", plotting.NETWORKS[0][0], "o")
TRUE = Look("true", "black", "s", width=1.8)


def sky(cube: Cube, other: np.ndarray | None, title: str, truth: bool) -> Figure:
    """A_V to the end of the cube on the sky, beside a dust map or the truth (y, x) [mag].

    truth : `other` is to the same distance, so that the difference is drawn, too
    """
    found = cube.median[-1]
    panels = [(f"predicted, to {cube.distance[-1] / 1e3:g} kpc", found)]
    panels += [(title, other)] * (other is not None)
    top = np.nanpercentile([values for _, values in panels], 99)
    drawn = [(name, values, {"vmin": 0, "vmax": top}) for name, values in panels]
    if truth:
        difference = found - other
        end = np.nanpercentile(np.abs(difference), 98)
        scale = {"vmin": -end, "vmax": end, "cmap": plotting.DIVERGING}
        drawn.append((f"predicted less {title}", difference, scale))
    return _sky_panels(cube, drawn, "$A_V$ [mag]")


def reach(cube: Cube, stated: np.ndarray, true: np.ndarray | None, bound: str) -> Figure:
    """How far the cube is reliable (y, x) [pc], by its intervals and by its errors."""
    scale = {"vmin": 0, "vmax": cube.distance[-1] / 1e3}
    drawn = [(f"68 % interval within {bound}", stated / 1e3, scale)]
    if true is not None:
        drawn.append((f"error within {bound}", true / 1e3, scale))
    return _sky_panels(cube, drawn, "distance [kpc]")


def _sky_panels(cube: Cube, panels: list[tuple], label: str) -> Figure:
    width, height = cube.sides
    lon, lat = cube.longitude, cube.latitude
    extent = lon[0] - width / 2, lon[-1] + width / 2, lat[0] - height / 2, lat[-1] + height / 2
    shape = (extent[3] - extent[2]) / (extent[1] - extent[0])
    one = min(max(shape, 0.1), 0.8) * 0.88 * plotting.PAGE + 0.32
    with plotting.style():
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(plotting.PAGE, one * len(panels) + 0.4),
            sharex=True,
            squeeze=False,
        )
        for ax, (title, values, scale) in zip(axes.flat, panels, strict=True):
            ax.set_facecolor(plotting.MASKED)
            image = ax.imshow(values, extent=extent, origin="lower", aspect="equal", **scale)
            # longitude grows to the left
            ax.set(xlim=extent[1::-1], ylabel="b [deg]", title=title)
            ax.xaxis.set_major_formatter(lambda value, _: f"{value % 360:g}")
            plotting.colour_bar(figure, image, label, ax=ax, pad=0.01, aspect=12)
        axes[-1, 0].set_xlabel("l [deg]")
    return figure


def face(
    cube: Cube, truth: Cube | None, regions: tuple[np.ndarray, np.ndarray] | None = None
) -> Figure:
    """The density about the plane from above, with spiral arms and HII regions.

    regions : l [deg] and distance [pc]
    """
    slices = {"predicted": maps.face_on(cube)}
    if truth is not None:
        slices["true"] = maps.face_on(truth)
    # the scale of the truth, where it is known
    values = list(slices.values())[-1].density
    positive = values[values > 0]
    # a blank cube without a truth has any scale
    top = np.percentile(positive, 99.5) if len(positive) else 1.0
    norm = LogNorm(top / 10**DECADES, top, clip=True)
    first = next(iter(slices.values()))
    left, right, low, high = first.extent
    shape = (high - low) / (right - left)
    # a flat sector is wide: one below the other
    below = shape < FLAT
    rows, columns = (len(slices), 1) if below else (1, len(slices))
    size = (plotting.PAGE if below or columns > 1 else plotting.COLUMN) - 1.4
    tall = max(shape * size / columns, SHORTEST) + 0.45
    with plotting.style():
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(size + 1.4, tall * rows + 0.7),
            sharex=True,
            sharey=True,
            squeeze=False,
        )
        for ax, (title, found) in zip(axes.flat, slices.items(), strict=True):
            image = ax.imshow(found.density, extent=found.extent, origin="lower", norm=norm)
            _arms(ax, found)
            ax.plot(0, SUN_RADIUS / 1e3, marker="*", color=MARKS, markersize=7, clip_on=False)
            if regions is not None:
                _regions(ax, *regions)
            ax.set(title=title, aspect="equal")
            ax.set(xlim=(left, right), ylim=(low, high))
        for ax in axes[-1]:
            ax.set_xlabel("y, to l = 90° [kpc]")
        for ax in axes[:, 0]:
            ax.set_ylabel("x, to the Sun [kpc]")
        plotting.colour_bar(figure, image, "$A_V$ by length [mag/kpc]", ax=axes, aspect=30)
        handles = [plt.Line2D([], [], color="white", linewidth=0.9, path_effects=plotting.HALO)]
        labels = ["arms of Reid et al. 2019"]
        if regions is not None:
            handles.append(plt.Line2D([], [], linestyle="none", **REGION))
            labels.append("HII regions")
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def _arms(ax, found: maps.Slice) -> None:
    near = arms(found.at)
    # lines beyond the cube mislead
    near = np.where(np.isfinite(found.density), near, np.nan)
    style = {"colors": "white", "linewidths": 0.8}
    lines = ax.contour(found.at.y / 1e3, found.at.x / 1e3, near, [ARM_LEVEL], **style)
    lines.set_path_effects(plotting.HALO)


def _regions(ax, longitude: np.ndarray, distance: np.ndarray) -> None:
    angle = np.radians(longitude)
    y, x = distance * np.sin(angle), SUN_RADIUS - distance * np.cos(angle)
    ax.plot(y / 1e3, x / 1e3, linestyle="none", **REGION)


def profile(cube: Cube, truth: Cube | None) -> Figure:
    """A_V and its density against distance: median of the fields, and 68 % of them."""
    pairs = [(cube, FOUND)] + [(truth, TRUE)] * (truth is not None)
    with plotting.style():
        figure, (total, local) = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.7))
        for found, look in reversed(pairs):
            edges = found.distance / 1e3
            ends = np.nanquantile(found.median, [0.5, 0.16, 0.84], axis=(1, 2))
            plotting.band(total, edges, ends, look.line())
            middle = edges - found.step / 2e3
            local.plot(middle, np.nanmean(found.median_density, axis=(1, 2)), **look.line())
        total.set(xlabel="distance [kpc]", ylabel="$A_V$ [mag]", xlim=(0, None), ylim=(0, None))
        total.set_title("median of the fields, and 68 % of them")
        local.set(xlabel="distance [kpc]", ylabel="$A_V$ by length [mag/kpc]", xlim=(0, None))
        local.set(ylim=(0, None), title="mean of the fields")
        plotting.legend_above(figure, total)
    return figure
