"""Figures of a product: the whole sky, views at high latitude, angular power."""

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.co import figures
from skyloom.co.data.tiles import sample, tile_vectors
from skyloom.co.products.write import HIGH_LATITUDE, TRANSITIONS

UNIT = r"K km s$^{-1}$"
STRETCH = 1.0  # K km/s: linear below, logarithmic above
FAINTEST = 0.5  # K km/s: least top of a scale, about the noise of the observed map
FLAT_DEG, DISC_PIXELS = 45.0, 400  # a disc up to this radius is shown on its tangent plane
VIEW_DEG, VIEW_PIXELS, VIEW_APART = 6.0, 180, 12.0
PARTS = {
    "observed": "observed",
    "I": "predicted",
    "E": r"uncertainty of the prediction (1$\sigma$)",
    "R": "one realisation",
}


def whole_sky(lines: dict[str, dict[str, np.ndarray]], observed: dict[str, np.ndarray], area: dict | str) -> Figure:
    """Observed, predicted and its uncertainty: Mollweide, a column a line, or a disc's tangent plane, a row a line.

    lines : `write.read_product`; observed : line -> (n_pix,) [K km/s]. The CO maps of a line share one scale.
    """
    flat = area != "full" and area["radius_deg"] <= FLAT_DEG
    rows = [name for name in ("observed", "I", "E") if any(name in ("observed", *maps) for maps in lines.values())]
    with plotting.style():
        shape = (len(lines), len(rows)) if flat else (len(rows), len(lines))
        width, height = (3.8, 3.2) if flat else (5.6, 2.75)
        figure = plt.figure(figsize=(width * shape[1] + 0.6, height * shape[0] + 0.3))
        for column, (line, maps) in enumerate(lines.items()):
            shown = {"observed": observed[line], **maps}
            norm = AsinhNorm(STRETCH, 0, max(figures._percentile(maps["I"], 99.9), 2 * STRETCH))
            for row, name in enumerate(rows):
                if name not in shown:
                    continue
                at = (column, row) if flat else (row, column)
                place = *shape, at[0] * shape[1] + at[1] + 1
                draw = (_disc, area) if flat else (_globe,)
                ax, image = draw[0](figure, place, shown[name], norm, *draw[1:])
                ax.set_title(f"CO {TRANSITIONS[line]}, {PARTS[name]}", loc="left")
                bar = figure.colorbar(image, ax=ax, shrink=0.75, aspect=25, pad=0.02, extend="both")
                ticks = [t for t in (0, 0.5, 1, 3, 10, 30, 100, 300) if t <= norm.vmax]
                bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
                bar.ax.minorticks_off()
                bar.set_label(UNIT)
        where = "" if flat else "l = 0 in the centre, lines every 60 and 30 deg, "
        figure.text(0.01, 0.003, f"Galactic, {where}longitude grows to the left; beige: no value", fontsize=7)
    return figure


def _globe(figure: Figure, place: tuple, values: np.ndarray, norm):
    """A Mollweide map of the whole sky; returns axes and image."""
    lon, lat = np.linspace(180, -180, 721), np.linspace(-90, 90, 361)
    ax = figure.add_subplot(*place, projection="mollweide")
    ax.set_facecolor(figures.MASKED)
    pixel = hp.ang2pix(hp.get_nside(values), *np.meshgrid(lon, lat), lonlat=True)
    x, y = np.radians(-lon), np.radians(lat)
    image = ax.pcolormesh(x, y, values[pixel], norm=norm, rasterized=True, shading="nearest")
    ax.grid(color="0.6", linewidth=0.3)
    ax.set_xticks(np.radians(np.arange(-120, 121, 60)), [])
    ax.set_yticks(np.radians([-60, -30, 30, 60]), [])
    return ax, image


def _disc(figure: Figure, place: tuple, values: np.ndarray, norm, area: dict):
    """A disc of sky on its tangent plane; returns axes and image."""
    half = np.degrees(np.tan(np.radians(1.02 * area["radius_deg"])))
    vectors = tile_vectors(area["glon"], area["glat"], 0.0, 2 * half, DISC_PIXELS)
    ax = figure.add_subplot(*place)
    image = figures._map(ax, values[hp.vec2pix(hp.get_nside(values), *vectors)], norm, half)
    ax.set_facecolor(figures.MASKED)
    step = 5 if area["radius_deg"] < 15 else 10
    offset = np.linspace(-half, half, DISC_PIXELS)
    lon, lat = hp.vec2ang(vectors[..., ::-1].reshape(3, -1).T, lonlat=True)  # the x axis grows to the east
    lon = (lon - area["glon"] + 180) % 360 - 180 + area["glon"]
    for values, mark in ((lon, lambda v: f"{v % 360:g}\N{DEGREE SIGN}"), (lat, lambda v: f"{v:+g}\N{DEGREE SIGN}")):
        if np.ptp(values) > 180:  # a pole lies in the disc
            continue
        levels = step * np.arange(np.ceil(values.min() / step), np.floor(values.max() / step) + 1)
        values = values.reshape(DISC_PIXELS, DISC_PIXELS)
        lines = ax.contour(offset, offset, values, levels, colors="white", linewidths=0.4, linestyles="solid")
        ax.clabel(lines, fmt=mark, fontsize=6)
    return ax, image


def high_latitude_centres(intensity: np.ndarray, count: int) -> list[tuple[float, float]]:
    """Where to look at |b| > 30 deg: the brightest predictions, averaged over a degree, that lie apart; [deg]."""
    coarse = hp.ud_grade(np.where(np.isfinite(intensity), intensity, hp.UNSEEN), 64)
    glon, glat = hp.pix2ang(64, np.arange(len(coarse)), lonlat=True)
    high = np.flatnonzero((np.abs(glat) > HIGH_LATITUDE + VIEW_DEG / 2) & (coarse > 0.5 * hp.UNSEEN))
    chosen: list[tuple[float, float]] = []
    for k in high[np.argsort(-coarse[high], kind="stable")]:
        place = glon[k], glat[k]
        if all(np.degrees(hp.rotator.angdist(place, other, lonlat=True)) > VIEW_APART for other in chosen):
            chosen.append(place)
        if len(chosen) == count:
            break
    return chosen


def zooms(maps: dict[str, np.ndarray], observed: np.ndarray, dust: np.ndarray, line: str, beam: float, count: int):
    """Gnomonic views at |b| > 30 deg of dust, observed and predicted CO; None where the product has no such sky.

    maps : letter -> (n_pix,) of `line`; the CO maps of a row share one scale.
    """
    centres = high_latitude_centres(maps["I"], count)
    if not centres:
        return None
    columns = {"dust": dust, "observed": observed} | {name: maps[name] for name in ("I", "R", "E") if name in maps}
    titles = {"dust": "dust 857 GHz", "E": "uncertainty"} | {
        k: f"CO {TRANSITIONS[line]}, {v}" for k, v in PARTS.items() if k != "E"
    }
    half = VIEW_DEG / 2
    with plotting.style():
        size = (2.1 * len(columns) + 0.9, 2.25 * len(centres) + 0.3)
        figure, axes = plt.subplots(len(centres), len(columns), figsize=size, squeeze=False)
        for ax, name in zip(axes[0], columns, strict=True):
            ax.set_title(titles[name], fontsize=8)
        for row, (glon, glat) in zip(axes, centres, strict=True):
            vectors = tile_vectors(glon, glat, 0.0, VIEW_DEG, VIEW_PIXELS)
            views = {name: sample([values], vectors)[0][0] for name, values in columns.items()}
            top = max(figures._percentile(views["I"], 99.8), FAINTEST)
            for ax, (name, view) in zip(row, views.items(), strict=True):
                norm = Normalize(0, top)
                if name == "dust":
                    norm = Normalize(figures._percentile(view, 0.3), figures._percentile(view, 99.7))
                image = figures._map(ax, view, norm, half)
                if name in ("dust", "E"):
                    bar = figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02, extend="max")
                    bar.set_label(r"MJy sr$^{-1}$" if name == "dust" else f"CO and uncertainty, {UNIT}", fontsize=6)
                    bar.ax.tick_params(labelsize=6, length=2)
                figures._graticule(ax, glon, glat, half, label=name == "dust")
                figures._beam(ax, half, beam)
    return figure


def power(curves: dict, blending: dict) -> Figure:
    """Angular power of each line outside and inside the plane, and of whole tiles before and after blending.

    curves : (line, region) -> {label: (l, C_l)}; blending : line -> {label: (l, before, after)}, C_l in (K km/s)^2 sr.
    """
    looks = plotting.line_styles(["predicted", "observed", "realisation", "null map"])
    looks["null map"] = {"color": "0.5", "linestyle": ":"}
    lines = list(dict.fromkeys(line for line, _ in curves))
    regions = {line: [region for name, region in curves if name == line] for line in lines}
    wide = max(map(len, regions.values())) + 1
    with plotting.style():
        size = (4 * wide, 3.5 * len(lines) + 0.3)
        figure, axes = plt.subplots(len(lines), wide, figsize=size, squeeze=False)
        for row, line in zip(axes, lines, strict=True):
            for ax, region in zip(row[:-1], regions[line], strict=False):
                for label, (ell, cl) in curves[line, region].items():
                    ax.plot(ell, np.where(cl > 0, cl, np.nan), label=label, **looks[label])
                ax.set_title(f"CO {TRANSITIONS[line]}, {region}", loc="left")
            ax = row[-1]
            for label, (ell, before, after) in blending[line].items():
                ax.plot(ell, before, label=f"{label}, tile by tile", **looks[label])
                ax.plot(ell, after, label=f"{label}, blended", **{**looks[label], "linestyle": (0, (2, 1.5))})
            ax.set_title(f"CO {TRANSITIONS[line]}, bright tiles before and after blending", loc="left")
            for ax in row:
                ax.set(xlabel=r"multipole $\ell$", yscale="log")
                ax.set_visible(bool(ax.lines))
                if ax.lines:
                    ax.legend()
            row[0].set_ylabel(r"$C_\ell$ [(K km s$^{-1}$)$^2$ sr]")
    return figure
