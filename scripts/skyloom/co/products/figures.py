"""Figures of a product: the whole sky, views at high latitude, angular power."""

from dataclasses import replace

import healpy as hp
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from skyloom import plotting
from skyloom.co import figures, score_figures
from skyloom.co.data.tiles import sample, tile_vectors
from skyloom.co.evaluate.spectra import beam_power
from skyloom.co.figures import CO_UNIT, DUST_UNIT
from skyloom.co.products.write import HIGH_LATITUDE, TRANSITIONS
from skyloom.plotting import OBSERVED, Look

STRETCH = 1.0  # [K km/s] linear below, logarithmic above
FAINTEST = 0.5  # [K km/s] about the noise of the observed map
EMPTY = 1e-3  # [K km/s] least top of a scale
BEAM_CUT = 0.05  # B_l^2; bands beyond hold leakage of the other bands
FLAT_DEG, DISC_PIXELS = 45.0, 400  # a disc up to this radius is drawn on its tangent plane
LABELS_AT = 0.68  # position of the graticule's labels, in units of a disc's radius
VIEW_DEG, VIEW_PIXELS, VIEW_APART = 6.0, 180, 12.0


def titles(line: str, look: Look) -> dict[str, str]:
    """Part of a product -> its title."""
    return {
        "observed": f"CO {TRANSITIONS[line]}, observed",
        "I": f"predicted by {look.label}",
        "E": r"1$\sigma$ of the prediction",
        "R": "one realisation",
    }


def whole_sky(
    lines: dict[str, dict[str, np.ndarray]],
    observed: dict[str, np.ndarray],
    area: dict | str,
    looks: dict[str, Look],
    beam_arcmin: float,
) -> Figure:
    """Observed map, predicted map and standard deviation of each line.

    The whole sky is a Mollweide map, a column a line. A disc is its tangent plane, a row a line.
    Observed and predicted CO share the scale of the prediction. Where that scale is below the
    noise, the observed map has another. The standard deviation has its own.

    lines : of `write.read_product`
    observed : line -> (n_pix,) [K km/s]
    area : `full` or a disc
    looks : line -> look of its model
    """
    flat = area != "full" and area["radius_deg"] <= FLAT_DEG
    parts = [
        name
        for name in ("observed", "I", "E")
        if any(name in ("observed", *maps) for maps in lines.values())
    ]
    shape = (len(lines), len(parts)) if flat else (len(parts), len(lines))
    height = shape[0] * (2.15 if flat else min(4.0 / shape[1], 2.6))
    with plotting.style():
        figure = plt.figure(figsize=(plotting.PAGE, height + 0.35))
        for i, (line, maps) in enumerate(lines.items()):
            sky = {"observed": observed[line], **maps}
            inside = np.isfinite(maps["I"])
            for k, name in enumerate(parts):
                if name not in sky:
                    continue
                alone = name == "observed" and _top(maps["I"], 99.9) < FAINTEST
                norm, ticks = _scale(sky[name if alone or name == "E" else "I"][inside])
                row, column = (i, k) if flat else (k, i)
                place = *shape, row * shape[1] + column + 1
                if flat:
                    ax, image = _disc(figure, place, sky[name], norm, area, labels=k == 0)
                    if k == 0:
                        _marks(ax, area["radius_deg"], beam_arcmin)
                else:
                    ax, image = _globe(figure, place, sky[name], norm)
                title = titles(line, looks[line])[name]
                ax.set_title(f"{title} [{CO_UNIT}]", loc="left" if flat else "center")
                beside = {"cax": None if flat else ax.inset_axes([1.03, 0.1, 0.025, 0.8])}
                below = {"ax": ax, "location": "bottom", "aspect": 25, "shrink": 0.9, "pad": 0.03}
                where = below if flat else beside
                bar = plotting.colour_bar(figure, image, extend="max", **where)
                bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
                bar.ax.minorticks_off()
        where = "" if flat else "l = 0 in the centre, lines every 60 and 30 deg, "
        note = f"Galactic, {where}longitude grows to the left; beige: no value"
        figure.text(0.01, 0.003, note, fontsize=7, va="bottom")
    return figure


def _marks(ax, radius_deg: float, beam_arcmin: float) -> None:
    """Beam and a bar of 5 degrees, in the corners outside the disc."""
    corner = 0.93 * radius_deg
    plotting.beam_circle(ax, (corner, -corner), beam_arcmin, "black", label=True)
    place = -corner + 2, -corner - 0.02 * radius_deg
    plotting.scale_bar(ax, place, 5.0, plotting.degrees(5), "black")


def _scale(intensity: np.ndarray) -> tuple[Normalize, list[float]]:
    """A scale up to 99.9 % of the values of a CO map, and the ticks of its bar with the top."""
    top = float(f"{_top(intensity, 99.9):.2g}")
    if top > 2 * STRETCH:
        norm, marks = AsinhNorm(STRETCH, 0, top), (0, 0.5, 1, 3, 10, 30, 100, 300)
    else:
        norm, marks = Normalize(0, top), MaxNLocator(4).tick_values(0, top)
    return norm, [float(t) for t in marks if norm(t) < 0.85] + [top]


def _top(values: np.ndarray, percent: float) -> float:
    """The percentile of the valid pixels, at least `EMPTY`, since the sky may be empty."""
    return max(figures._percentile(values, percent), EMPTY)


def _globe(figure: Figure, place: tuple, values: np.ndarray, norm):
    """A Mollweide map of the whole sky. Returns axes and image."""
    lon, lat = np.linspace(180, -180, 721), np.linspace(-90, 90, 361)
    ax = figure.add_subplot(*place, projection="mollweide")
    ax.set_facecolor(plotting.MASKED)
    pixel = hp.ang2pix(hp.get_nside(values), *np.meshgrid(lon, lat), lonlat=True)
    x, y = np.radians(-lon), np.radians(lat)
    image = ax.pcolormesh(x, y, values[pixel], norm=norm, rasterized=True, shading="nearest")
    ax.grid(color="0.6", linewidth=0.3)
    ax.set_xticks(np.radians(np.arange(-120, 121, 60)), [])
    ax.set_yticks(np.radians([-60, -30, 30, 60]), [])
    return ax, image


def _disc(figure: Figure, place: tuple, values: np.ndarray, norm, area: dict, labels: bool):
    """A disc of sky on its tangent plane. Returns axes and image."""
    radius = np.degrees(np.tan(np.radians(area["radius_deg"])))
    half = 1.02 * radius
    vectors = tile_vectors(area["glon"], area["glat"], 0.0, 2 * half, DISC_PIXELS)
    offset = np.linspace(-half, half, DISC_PIXELS)
    ax = figure.add_subplot(*place)
    image = figures._map(ax, values[hp.vec2pix(hp.get_nside(values), *vectors)], norm, half)
    ax.set_facecolor("none")
    disc = ax.add_patch(Circle((0, 0), radius, facecolor=plotting.MASKED, zorder=-1))
    image.set_clip_path(disc)
    step = 5 if area["radius_deg"] < 10 else 10
    # the x axis grows to the east
    lonlat = hp.vec2ang(vectors[..., ::-1].reshape(3, -1).T, lonlat=True)
    lon, lat = (angle.reshape(DISC_PIXELS, DISC_PIXELS) for angle in lonlat)
    lon = (lon - area["glon"] + 180) % 360 - 180 + area["glon"]
    low, high = np.searchsorted(offset, [-LABELS_AT * half, LABELS_AT * half])
    # labels lie on a chord inside the disc: longitudes below its centre, latitudes east of it
    for angle, along in ((lon, lon[low]), (lat, lat[:, high])):
        if np.ptp(angle) > 180:  # a pole lies in the disc
            continue
        levels = figures._levels(angle, step)
        look = {"colors": "white", "linewidths": 0.4, "alpha": 0.6, "linestyles": "solid"}
        ax.contour(offset, offset, angle, levels, **look).set_clip_path(disc)
        for level in levels if labels else ():
            for place in offset[:-1][np.diff(along > level)]:
                if abs(place) < 0.85 * LABELS_AT * half:  # their corner belongs to neither
                    where = (place, offset[low]) if angle is lon else (offset[high], place)
                    name = level % 360 if angle is lon else level
                    text = plotting.degrees(name, signed=angle is lat)
                    look = {"ha": "center", "va": "center", "path_effects": plotting.HALO}
                    ax.text(*where, text, fontsize=7, color="white", **look)
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
        place = glon[k], glat[k]
        if all(
            np.degrees(hp.rotator.angdist(place, other, lonlat=True)) > VIEW_APART
            for other in centres
        ):
            centres.append(place)
        if len(centres) == count:
            break
    return centres


def zooms(
    maps: dict[str, np.ndarray],
    observed: np.ndarray,
    dust: np.ndarray,
    line: str,
    look: Look,
    beam: float,
    count: int,
):
    """Gnomonic views at |b| > 30 deg of dust, observed and predicted CO.

    maps : letter -> (n_pix,) of `line` [K km/s]
    observed, dust : (n_pix,) [K km/s], [MJy/sr]
    look : of the model
    beam : FWHM [arcmin]

    The CO maps of a row share the scale of the realisation, or of the prediction where there is
    none. Where that scale is below the noise, the observed map has another. The standard deviation
    has its own. Returns None where the product has no sky at these latitudes.
    """
    centres = high_latitude_centres(maps["I"], count)
    if not centres:
        return None
    columns = {"dust": dust, "observed": observed}
    columns |= {name: maps[name] for name in ("I", "R", "E") if name in maps}
    heads = {"dust": "dust, 857 GHz"} | titles(line, look)
    half = VIEW_DEG / 2
    side = plotting.PAGE / len(columns)
    with plotting.style():
        size = (plotting.PAGE, (side + 0.35) * len(centres) + 0.4)
        figure, axes = plt.subplots(len(centres), len(columns), figsize=size, squeeze=False)
        for ax, name in zip(axes[0], columns, strict=True):
            ax.set_title(figures._wrapped(heads[name], 17))
        for row, (glon, glat) in zip(axes, centres, strict=True):
            vectors = tile_vectors(glon, glat, 0.0, VIEW_DEG, VIEW_PIXELS)
            views = {name: sample([values], vectors)[0][0] for name, values in columns.items()}
            top = _top(views.get("R", views["I"]), 99.8)
            for ax, (name, view) in zip(row, views.items(), strict=True):
                alone = name == "E" or (name == "observed" and top < FAINTEST)
                norm = Normalize(0, _top(view, 99.8) if alone else top)
                if name == "dust":
                    low, high = (figures._percentile(view, q) for q in (0.3, 99.7))
                    norm = Normalize(low, high)
                image = figures._map(ax, view, norm, half)
                where = {"orientation": "horizontal", "aspect": 20, "shrink": 0.9, "pad": 0.04}
                unit = DUST_UNIT if name == "dust" else CO_UNIT
                plotting.colour_bar(figure, image, unit, ax=ax, extend="max", **where)
                figures._graticule(ax, glon, glat, half)
                first = name == "dust"
                figures._degree_ticks(ax, glon, glat, half, longitude=True, latitude=first)
        plotting.beam_circle(axes[0, 0], (0.85 * half, -0.85 * half), beam, label=True)
    return figure


def power(curves: dict, skies: dict[str, xr.Dataset], looks: dict[str, Look]) -> Figure:
    """Angular power of each line outside and inside the plane, and the loss of power by blending.

    curves : (line, region) -> {label: (l, C_l)} in (K km/s)^2 sr
    skies : line -> a sky of `sky.predict_sky`
    looks : line -> look of its model

    The loss is the ratio of the power of bright tiles after and before blending. Tiles are cut
    again from the blended map, which is one more interpolation. All tiles agree on dust, whose
    ratio therefore measures the interpolation.
    """
    lines = list(looks)
    regions = {line: [region for name, region in curves if name == line] for line in lines}
    wide = max(map(len, regions.values())) + 1
    with plotting.style():
        size = (plotting.PAGE, 2.6 * len(lines) + 0.4)
        figure, axes = plt.subplots(len(lines), wide, figsize=size, squeeze=False)
        for row, line in zip(axes, lines, strict=True):
            drawn = _power_looks(looks[line])
            for ax, region in zip(row[:-1], regions[line], strict=False):
                for label, (ell, cl) in curves[line, region].items():
                    ax.plot(ell, np.where(cl > 0, cl, np.nan), **drawn[label].line())
                ax.set_title(f"CO {TRANSITIONS[line]}, {region}", loc="left")
                ax.set(yscale="log", ylabel=rf"$C_\ell$ [{score_figures.POWER_UNIT}]")
            _blended(row[-1], skies[line], drawn)
            row[-1].set_title(f"CO {TRANSITIONS[line]}, bright tiles", loc="left")
            for ax in row:
                ax.set_xlabel(r"multipole $\ell$")
                ax.set_visible(bool(ax.lines))
        plotting.legend_above(figure, *axes.flat, columns=4)
    return figure


def _power_looks(model: Look) -> dict[str, Look]:
    return {
        "predicted": replace(model, label=f"predicted by {model.label}"),
        "observed": OBSERVED,
        "realisation": replace(model, label="one realisation", dash=(0, (1, 1))),
        "null map": score_figures.NOISE,
        "dust": replace(score_figures.DUST, label="dust: interpolation alone"),
    }


def _blended(ax, sky: xr.Dataset, looks: dict[str, Look]) -> None:
    """Power of bright tiles that are cut from the blended map over their power before, to the first
    band beyond the beam.
    """
    fields = {"dust": "dust", "prediction": "predicted", "realisation": "realisation"}
    if "field" not in sky:
        return
    beam = beam_power(sky.l.values, sky.attrs["beam_arcmin"])
    sky = sky.isel(l=slice(int((beam > BEAM_CUT).sum()) + 1))
    for name in (name for name in fields if name in sky.field):
        look = looks[fields[name]]
        ratio = sky.cl_ratio.sel(field=name)
        ax.plot(sky.l, ratio, **look.line(marker=look.marker, markersize=4))
    score_figures._beyond_beam(ax, sky.attrs["beam_arcmin"], BEAM_CUT, label=False)
    ax.axhline(1, color="0.7", linewidth=0.6, zorder=0)
    ax.set(ylim=(0, 1.1), xlim=(sky.l[0] - 60, sky.l[-1] + 60))
    ax.set_ylabel(r"$C_\ell$ blended / tile by tile")
