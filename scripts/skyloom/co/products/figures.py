"""Figures of a product: the whole sky, views at high latitude, angular power."""

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skyloom import plotting
from skyloom.co import figures, score_figures
from skyloom.co.data.tiles import sample, tile_vectors
from skyloom.co.products.write import HIGH_LATITUDE, TRANSITIONS

UNIT = r"K km s$^{-1}$"
STRETCH = 1.0  # [K km/s] linear below, logarithmic above
FAINTEST = 0.5  # [K km/s] about the noise of the observed map
EMPTY = 1e-3  # [K km/s] least top of a scale
BEAM_CUT = 0.05  # B_l^2; bands beyond hold leakage of the other bands
FLAT_DEG, DISC_PIXELS = 45.0, 400  # a disc up to this radius is drawn on its tangent plane
LABELS_AT = 0.68  # position of the graticule's labels, in units of a disc's radius
VIEW_DEG, VIEW_PIXELS, VIEW_APART = 6.0, 180, 12.0
PARTS = {
    "observed": "observed",
    "I": "predicted",
    "E": r"uncertainty of the prediction (1$\sigma$)",
    "R": "one realisation",
}


def whole_sky(
    lines: dict[str, dict[str, np.ndarray]], observed: dict[str, np.ndarray], area: dict | str
) -> Figure:
    """Observed map, predicted map and uncertainty of each line.

    The whole sky is a Mollweide map, a column a line. A disc is its tangent plane, a row a line.
    The maps of a line share the scale of the predicted map. Where that scale is below the noise,
    the observed map has another.

    lines : of `write.read_product`
    observed : line -> (n_pix,) [K km/s]
    area : `full` or a disc
    """
    flat = area != "full" and area["radius_deg"] <= FLAT_DEG
    rows = [
        name
        for name in ("observed", "I", "E")
        if any(name in ("observed", *maps) for maps in lines.values())
    ]
    with plotting.style():
        shape = (len(lines), len(rows)) if flat else (len(rows), len(lines))
        width, height = (3.8, 3.2) if flat else (5.6, 2.75)
        figure = plt.figure(figsize=(width * shape[1] + 0.6, height * shape[0] + 0.3))
        for column, (line, maps) in enumerate(lines.items()):
            maps_of_line = {"observed": observed[line], **maps}
            for row, name in enumerate(rows):
                if name not in maps_of_line:
                    continue
                separate_scale = name == "observed" and _top(maps["I"], 99.9) < FAINTEST
                inside = np.isfinite(maps["I"])
                norm, ticks = _scale(maps_of_line["observed" if separate_scale else "I"][inside])
                cell = (column, row) if flat else (row, column)
                position = *shape, cell[0] * shape[1] + cell[1] + 1
                projection = (_disc, area) if flat else (_globe,)
                ax, image = projection[0](
                    figure, position, maps_of_line[name], norm, *projection[1:]
                )
                ax.set_title(f"CO {TRANSITIONS[line]}, {PARTS[name]}", loc="left")
                bar = figure.colorbar(image, ax=ax, shrink=0.75, aspect=25, pad=0.02, extend="both")
                bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
                bar.ax.minorticks_off()
                bar.set_label(UNIT)
        where = "" if flat else "l = 0 in the centre, lines every 60 and 30 deg, "
        figure.text(
            0.01,
            0.003,
            f"Galactic, {where}longitude grows to the left; beige: no value",
            fontsize=7,
            va="bottom",
        )
    return figure


def _scale(intensity: np.ndarray) -> tuple[Normalize, list[float]]:
    """A scale up to 99.9 % of the values of a CO map, and the ticks of its bar with the top."""
    top = float(f"{_top(intensity, 99.9):.2g}")
    if top > 2 * STRETCH:
        norm, marks = AsinhNorm(STRETCH, 0, top), (0, 0.5, 1, 3, 10, 30, 100, 300)
    else:
        norm, marks = Normalize(0, top), MaxNLocator(4).tick_values(0, top)
    return norm, [float(t) for t in marks if norm(t) < 0.9] + [top]


def _top(values: np.ndarray, percent: float) -> float:
    """The percentile of the valid pixels, at least `EMPTY`, since the sky may be empty."""
    return max(figures._percentile(values, percent), EMPTY)


def _globe(figure: Figure, position: tuple, values: np.ndarray, norm):
    """A Mollweide map of the whole sky. Returns axes and image."""
    lon, lat = np.linspace(180, -180, 721), np.linspace(-90, 90, 361)
    ax = figure.add_subplot(*position, projection="mollweide")
    ax.set_facecolor(figures.MASKED)
    pixel = hp.ang2pix(hp.get_nside(values), *np.meshgrid(lon, lat), lonlat=True)
    x, y = np.radians(-lon), np.radians(lat)
    image = ax.pcolormesh(x, y, values[pixel], norm=norm, rasterized=True, shading="nearest")
    ax.grid(color="0.6", linewidth=0.3)
    ax.set_xticks(np.radians(np.arange(-120, 121, 60)), [])
    ax.set_yticks(np.radians([-60, -30, 30, 60]), [])
    return ax, image


def _disc(figure: Figure, cell: tuple, values: np.ndarray, norm, area: dict):
    """A disc of sky on its tangent plane. Returns axes and image."""
    half = np.degrees(np.tan(np.radians(1.02 * area["radius_deg"])))
    vectors = tile_vectors(area["glon"], area["glat"], 0.0, 2 * half, DISC_PIXELS)
    ax = figure.add_subplot(*cell)
    image = figures._map(ax, values[hp.vec2pix(hp.get_nside(values), *vectors)], norm, half)
    ax.set_facecolor(figures.MASKED)
    step = 5 if area["radius_deg"] < 15 else 10
    offset = np.linspace(-half, half, DISC_PIXELS)
    # the x axis grows to the east
    lonlat = hp.vec2ang(vectors[..., ::-1].reshape(3, -1).T, lonlat=True)
    lon, lat = (angle.reshape(DISC_PIXELS, DISC_PIXELS) for angle in lonlat)
    lon = (lon - area["glon"] + 180) % 360 - 180 + area["glon"]
    low, high = np.searchsorted(offset, [-LABELS_AT * half, LABELS_AT * half])
    # labels lie on a chord inside the disc: longitudes below its centre, latitudes east of it
    for values, along in ((lon, lon[low]), (lat, lat[:, high])):
        # a pole lies in the disc
        if np.ptp(values) > 180:
            continue
        levels = step * np.arange(np.ceil(values.min() / step), np.floor(values.max() / step) + 1)
        ax.contour(
            offset, offset, values, levels, colors="white", linewidths=0.4, linestyles="solid"
        )
        for level in levels:
            for crossing in offset[:-1][np.diff(along > level)]:
                # the corner between the two chords has no labels
                if abs(crossing) < 0.85 * LABELS_AT * half:
                    if values is lon:
                        position, text = (crossing, offset[low]), f"{level % 360:g}"
                    else:
                        position = (offset[high], crossing)
                        text = f"{level:+g}".replace("-", "\N{MINUS SIGN}")
                    style = {"ha": "center", "va": "center", "path_effects": figures.HALO}
                    text = f"{text}\N{DEGREE SIGN}"
                    ax.text(*position, text, fontsize=6, color="white", **style)
    return ax, image


def high_latitude_centres(intensity: np.ndarray, count: int) -> list[tuple[float, float]]:
    """Centres [deg] of views at |b| > 30 deg: the brightest predictions that lie apart.

    The predictions are averaged over about a degree. Centres have a distance of `VIEW_APART`.
    """
    coarse = hp.ud_grade(np.where(np.isfinite(intensity), intensity, hp.UNSEEN), 64)
    glon, glat = hp.pix2ang(64, np.arange(len(coarse)), lonlat=True)
    high = np.flatnonzero(
        (np.abs(glat) > HIGH_LATITUDE + VIEW_DEG / 2) & (coarse > 0.5 * hp.UNSEEN)
    )
    centres: list[tuple[float, float]] = []
    for k in high[np.argsort(-coarse[high], kind="stable")]:
        direction = glon[k], glat[k]
        if all(
            np.degrees(hp.rotator.angdist(direction, other, lonlat=True)) > VIEW_APART
            for other in centres
        ):
            centres.append(direction)
        if len(centres) == count:
            break
    return centres


def zooms(
    maps: dict[str, np.ndarray],
    observed: np.ndarray,
    dust: np.ndarray,
    line: str,
    beam: float,
    count: int,
):
    """Gnomonic views at |b| > 30 deg of dust, observed and predicted CO.

    maps : letter -> (n_pix,) of `line` [K km/s]
    observed, dust : (n_pix,) [K km/s], [MJy/sr]
    beam : FWHM [arcmin]

    The maps of a row share the scale of the realisation, or of the prediction where there is none.
    Where that scale is below the noise, the observed map has another. Returns None where the
    product has no sky at these latitudes.
    """
    centres = high_latitude_centres(maps["I"], count)
    if not centres:
        return None
    columns = {"dust": dust, "observed": observed} | {
        name: maps[name] for name in ("I", "R", "E") if name in maps
    }
    titles = {"dust": "dust 857 GHz", "E": "uncertainty"} | {
        k: f"CO {TRANSITIONS[line]}, {v}" for k, v in PARTS.items() if k != "E"
    }
    half = VIEW_DEG / 2
    with plotting.style():
        size = (2.1 * len(columns) + 1.3, 2.25 * len(centres) + 0.3)
        figure, axes = plt.subplots(len(centres), len(columns), figsize=size, squeeze=False)
        for ax, name in zip(axes[0], columns, strict=True):
            ax.set_title(titles[name], fontsize=8)
        for row, (glon, glat) in zip(axes, centres, strict=True):
            vectors = tile_vectors(glon, glat, 0.0, VIEW_DEG, VIEW_PIXELS)
            views = {name: sample([values], vectors)[0][0] for name, values in columns.items()}
            top = _top(views.get("R", views["I"]), 99.8)
            for ax, (name, view) in zip(row, views.items(), strict=True):
                norm = Normalize(
                    0, _top(view, 99.8) if name == "observed" and top < FAINTEST else top
                )
                if name == "dust":
                    norm = Normalize(
                        figures._percentile(view, 0.3), figures._percentile(view, 99.7)
                    )
                image = figures._map(ax, view, norm, half)
                if name in ("dust", "observed", list(views)[-1]):
                    bar = figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02, extend="max")
                    bar.set_label(r"MJy sr$^{-1}$" if name == "dust" else UNIT, fontsize=6)
                    bar.ax.tick_params(labelsize=6, length=2)
                figures._graticule(ax, glon, glat, half, label=name == "dust")
                figures._beam(ax, half, beam)
    return figure


def power(curves: dict, skies: dict[str, xr.Dataset]) -> Figure:
    """Angular power of each line outside and inside the plane, and the loss of power by blending.

    curves : (line, region) -> {label: (l, C_l)} in (K km/s)^2 sr
    skies : line -> a sky of `sky.predict_sky`

    The loss is the ratio of the power of bright tiles after and before blending. Tiles are cut
    again from the blended map, which is one more interpolation. All tiles agree on dust, whose
    ratio therefore measures the interpolation.
    """
    styles = plotting.line_styles(["predicted", "observed", "realisation", "null map"])
    styles["null map"] = {"color": "0.5", "linestyle": ":"}
    styles["dust: interpolation alone"] = score_figures.REAL
    lines = list(dict.fromkeys(line for line, _ in curves))
    regions = {line: [region for name, region in curves if name == line] for line in lines}
    columns = max(map(len, regions.values())) + 1
    with plotting.style():
        size = (4 * columns, 3.5 * len(lines) + 0.3)
        figure, axes = plt.subplots(len(lines), columns, figsize=size, squeeze=False)
        for row, line in zip(axes, lines, strict=True):
            for ax, region in zip(row[:-1], regions[line], strict=False):
                for label, (ell, cl) in curves[line, region].items():
                    ax.plot(ell, np.where(cl > 0, cl, np.nan), label=label, **styles[label])
                ax.set_title(f"CO {TRANSITIONS[line]}, {region}", loc="left")
            ax = row[-1]
            sky = skies[line]
            fields = {
                "dust": "dust: interpolation alone",
                "prediction": "predicted",
                "realisation": "realisation",
            }
            for name in (name for name in fields if name in sky.get("field", [])):
                ax.plot(
                    sky.l,
                    sky.cl_ratio.sel(field=name),
                    marker=".",
                    label=fields[name],
                    **styles[fields[name]],
                )
            if ax.lines:
                score_figures._beam_cut(ax, sky.attrs["beam_arcmin"], BEAM_CUT, sky.l.values)
                ax.set(
                    ylim=(0, 1.1),
                    xlim=(sky.l[0] - 60, sky.l[-1] + 60),
                    ylabel=r"$C_\ell$ blended / tile by tile",
                )
                ax.axhline(1, color="0.7", linewidth=0.6, zorder=0)
                ax.set_title(
                    f"CO {TRANSITIONS[line]}, bright tiles after and before blending", loc="left"
                )
            for ax in row:
                ax.set_xlabel(r"multipole $\ell$")
                ax.set_visible(bool(ax.lines))
                if ax.lines:
                    ax.legend()
            for ax in row[:-1]:
                ax.set_yscale("log")
            row[0].set_ylabel(r"$C_\ell$ [(K km s$^{-1}$)$^2$ sr]")
    return figure
