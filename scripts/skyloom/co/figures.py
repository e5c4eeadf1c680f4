"""The CO study's figures on the sky: maps of test tiles, the selection. Those of scores are in
`score_figures`.

Made from the files that evaluation wrote; nothing is computed here that a table reports.
"""

import textwrap
from pathlib import Path
from typing import NamedTuple

import healpy
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from skyloom import files, plotting
from skyloom.co.data.tiles import frame, tile_vectors
from skyloom.plotting import Look, degrees

FAINTEST = 3  # signal / noise where the selection map begins; below it is speckle
STEPS = np.array([1, 2, 5, 10, 15, 30, 60])  # degrees between lines of a graticule
RANKED_BY = "rmse_over_noise_bright"  # column of the comparison that ranks baselines
DUST_UNIT, HI_UNIT, CO_UNIT = r"MJy sr$^{-1}$", r"10$^{20}$ cm$^{-2}$", r"K km s$^{-1}$"
LARGEST_PULL = 4  # standard deviations at the end of the scale

# a sheet of tiles [inch]
LEFT, TITLE, TICKS = 0.36, 0.2, 0.2
GAP, BAR, BAR_LABELS, FOOT = 0.05, 0.06, 0.36, 0.16
LARGEST_TILE = 1.12
WORST = "largest error"


def featured(comparison: Path, name: str) -> list[str]:
    """Models of set `name` for figures that cannot show all: the chosen network, the best baseline.

    comparison : comparison.csv. The network is the one that validation chose, or the first where
        none is marked. The baseline is the one with the lowest RMSE / noise of bright test tiles,
        the strongest one pixel by pixel.
    """
    table = files.read_csv(comparison, ["set", "model", "kind", "chosen"])
    table = table[table["set"] == name]
    networks, baselines = (table[table.kind == kind] for kind in ("network", "baseline"))
    chosen = networks[networks.chosen == "chosen"]
    ranked = baselines.sort_values(RANKED_BY) if RANKED_BY in table else baselines
    return [*(networks if chosen.empty else chosen).model[:1], *ranked.model[:1]]


# --- maps of test tiles ---------------------------------------------------------------------------


class Tiles(NamedTuple):
    """Test tiles to show, and what models predict of them [K km/s]."""

    patches: xr.Dataset  # of these tiles
    notes: list[str]  # of each: why it is shown
    predictions: dict[str, np.ndarray]  # model -> (tile, y, x)
    spread: np.ndarray | None  # (tile, y, x) of the first featured model, where it states one
    denoised: np.ndarray | None  # (tile, y, x), where the set has a denoiser

    @property
    def half(self) -> float:
        """Degrees from a tile's centre to its edge."""
        return self.patches.sizes["x"] * self.patches.attrs["pixel_arcmin"] / 120

    @property
    def line(self) -> str:
        return self.patches.attrs.get("line", "CO").replace("J=", "")


def typical_rows(patches: xr.Dataset, count: int, bright_fraction: float) -> np.ndarray:
    """Rows of the test tiles to show, by a rule and not by their looks.

    Of the bright test tiles outside held-out complexes (all, where there are none), ordered by mean
    CO: the middle one of each of `count` equal parts, brightest first.
    """
    rows = _bright_rows(patches, bright_fraction)
    order = rows[np.argsort(-np.nanmean(patches.target.values[rows], axis=(1, 2)), kind="stable")]
    count = min(count, len(order))
    return order[((np.arange(count) + 0.5) * len(order) / count).astype(int)]


def worst_row(
    patches: xr.Dataset, prediction: np.ndarray, bright_fraction: float
) -> tuple[int, float]:
    """The bright test tile with the largest squared error, and its share of that of all of them."""
    rows = _bright_rows(patches, bright_fraction)
    squares = np.nansum((prediction - patches.target.values)[rows] ** 2, axis=(1, 2))
    worst = int(np.argmax(squares))
    return int(rows[worst]), float(squares[worst] / max(squares.sum(), 1e-30))


def _bright_rows(patches: xr.Dataset, bright_fraction: float) -> np.ndarray:
    bright = (patches.bright_fraction.values >= bright_fraction) & (patches["complex"].values == 0)
    return np.flatnonzero(bright) if bright.any() else np.arange(patches.sizes["example"])


def panels(tiles: Tiles, looks: dict[str, Look], models: list[str]) -> Figure:
    """Dust, N(HI), observed CO, the featured models, the spread of the first; a row a tile.

    The CO maps of a tile share one scale.
    """
    co = {"target": "observed"} | {name: _wrapped(looks[name].label) for name in models}
    groups = {
        "dust, 857 GHz": {"dust": f"[{DUST_UNIT}]"},
        "N(HI)": {"hi": f"[{HI_UNIT}]"},
        f"{tiles.line} [{CO_UNIT}]": co,
    }
    if tiles.spread is not None:
        groups["stated 1$\\sigma$"] = {"spread": f"[{CO_UNIT}]"}
    with plotting.style():
        figure, sheet = _sheet(tiles, groups)
        for k, (axes, bars) in enumerate(sheet):
            row = tiles.patches.isel(example=k)
            maps = {name: row[name].values for name in ("dust", "hi", "target")}
            maps |= {name: tiles.predictions[name][k] for name in models}
            low = {name: _percentile(maps[name], 0.3) for name in ("dust", "hi")}
            low |= {"target": min(_percentile(maps["target"], 0.3), 0.0), "spread": 0.0}
            if tiles.spread is not None:
                maps["spread"] = tiles.spread[k]
            for columns, bar in zip(groups.values(), bars, strict=True):
                high = max(_percentile(maps[name], 99.7) for name in columns)
                norm = Normalize(low[next(iter(columns))], high)
                for name in columns:
                    image = _map(axes[name], maps[name], norm, tiles.half)
                plotting.colour_bar(figure, image, cax=bar)
            _frame(axes, row, tiles.half, tiles.notes[k])
        _scales(sheet[0][0]["dust"], tiles)
    return figure


def panels_residuals(tiles: Tiles, looks: dict[str, Look], models: list[str]) -> Figure:
    """Observed CO and the residuals of the featured models, of the first also in standard
    deviations: of its spread and the noise of the map together.

    The residuals of a tile share one scale, centred on zero.
    """
    residuals = {name: _wrapped(looks[name].label, 18) for name in models}
    groups = {
        f"observed {tiles.line}": {"target": f"[{CO_UNIT}]"},
        f"model \N{MINUS SIGN} observed [{CO_UNIT}]": residuals,
    }
    if tiles.spread is not None:
        pull = "model \N{MINUS SIGN} observed [$\\sigma$]"
        groups[pull] = {"pull": _wrapped(looks[models[0]].label, 18)}
    with plotting.style():
        figure, sheet = _sheet(tiles, groups)
        for k, (axes, bars) in enumerate(sheet):
            row = tiles.patches.isel(example=k)
            truth = row.target.values
            maps = {name: tiles.predictions[name][k] - truth for name in models}
            limit = max(_percentile(np.abs(list(maps.values())), 99.5), 1e-3)
            norms = dict.fromkeys(models, Normalize(-limit, limit))
            if tiles.spread is not None:
                maps["pull"] = maps[models[0]] / np.hypot(tiles.spread[k], row.error.values)
                norms["pull"] = Normalize(-LARGEST_PULL, LARGEST_PULL)
            maps["target"], norms["target"] = truth, _co_scale(truth)
            for columns, bar in zip(groups.values(), bars, strict=True):
                cmap = plotting.MAP if "target" in columns else plotting.DIVERGING
                for name in columns:
                    image = _map(axes[name], maps[name], norms[name], tiles.half, cmap)
                plotting.colour_bar(figure, image, cax=bar)
            _frame(axes, row, tiles.half, tiles.notes[k])
        _scales(sheet[0][0]["target"], tiles)
    return figure


def panels_all(tiles: Tiles, looks: dict[str, Look], models: list[str]) -> Figure:
    """The prediction of each model and its residual: a row a model, two columns a tile.

    The predictions of a tile share the scale of the observed CO, the residuals another that is
    centred on zero.
    """
    count, left, top = len(tiles.notes), 0.95, 0.5
    names = {"target": f"observed {tiles.line}"}
    names |= {"denoised": f"denoised {tiles.line}"} if tiles.denoised is not None else {}
    names |= {name: looks[name].label for name in models}
    pair = (plotting.PAGE - left) / count
    side = (pair - 3 * GAP) / 2
    with plotting.style():
        size = (plotting.PAGE, top + len(names) * (side + GAP) + FOOT)
        figure = plt.figure(figsize=size, layout="none")
        for k in range(count):
            row = tiles.patches.isel(example=k)
            truth = row.target.values
            maps = {name: tiles.predictions[name][k] for name in models}
            misses = [values - truth for values in maps.values()]
            limit = max(_percentile(np.abs(misses), 98), 1e-3)
            scales = _co_scale(truth), Normalize(-limit, limit)
            maps |= {"denoised": tiles.denoised[k]} if tiles.denoised is not None else {}
            maps["target"] = truth
            x, inset = left + k * pair, left + k * pair + side + GAP
            for place, name in enumerate(names):
                y = top + place * (side + GAP)
                ax = plotting.axes_at(figure, x, y, side, side)
                image = _map(ax, maps[name], scales[0], tiles.half)
                if k == 0:
                    where = {"transform": ax.transAxes, "ha": "right", "va": "center"}
                    ax.text(-0.06, 0.5, _wrapped(names[name]), **where)
                if name == "target":
                    _place(ax, row, f"\n{WORST}" if WORST in tiles.notes[k] else "\n", "\n")
                    _short_bar(figure, image, (inset, y + 0.2 * side, side, side), CO_UNIT)
                    continue
                ax = plotting.axes_at(figure, inset, y, side, side)
                residual = maps[name] - truth
                image = _map(ax, residual, scales[1], tiles.half, plotting.DIVERGING)
            _short_bar(figure, image, (inset, top + 0.68 * side, side, side), "residual")
    return figure


def _short_bar(figure: Figure, image, place: tuple[float, ...], label: str) -> None:
    """A colour bar with two ticks in a small box; place : its corner, width and height [inch]."""
    x, y, width, height = place
    ax = plotting.axes_at(figure, x + 0.05 * width, y, 0.9 * width, 0.08 * height)
    bar = plotting.colour_bar(figure, image, cax=ax, orientation="horizontal")
    top = float(f"{0.7 * image.norm.vmax:.0e}")
    bar.set_ticks([-top if image.norm.vmin < -top else 0, top])
    bar.ax.tick_params(labelsize=6)
    bar.ax.set_title(label, fontsize=6, pad=1.5)


def _co_scale(truth: np.ndarray) -> Normalize:
    return Normalize(min(0.0, _percentile(truth, 0.3)), _percentile(truth, 99.7))


def _sheet(tiles: Tiles, groups: dict[str, dict[str, str]]):
    """A sheet with a row a tile: figure, and of each row its axes by name and those of its bars.

    groups : heading -> the columns that share a colour bar, name -> second heading.
    """
    columns = sum(map(len, groups.values()))
    lines = 1 + max(text.count("\n") for names in groups.values() for text in names.values())
    head = 0.19 + 0.14 * lines
    fixed = LEFT + len(groups) * (BAR + BAR_LABELS) + columns * GAP
    side = min((plotting.PAGE - fixed) / columns, LARGEST_TILE)
    margin = (plotting.PAGE - fixed - columns * side) / 2
    row_height = TITLE + side + TICKS
    size = (plotting.PAGE, head + len(tiles.notes) * row_height + FOOT)
    figure = plt.figure(figsize=size, layout="none")
    rows = []
    for k in range(len(tiles.notes)):
        x, top = LEFT + margin, head + k * row_height + TITLE
        axes, bars = {}, []
        for names in groups.values():
            for name in names:
                axes[name] = plotting.axes_at(figure, x, top, side, side)
                x += side + GAP
            bars.append(plotting.axes_at(figure, x, top, BAR, side))
            x += BAR + BAR_LABELS
        rows.append((axes, bars))
    for heading, names in groups.items():
        places = [rows[0][0][name].get_position() for name in names]
        for place, second in zip(places, names.values(), strict=True):
            _heading(figure, (place.x0 + place.x1) / 2, head, second)
        above = head - 0.14 * lines if len(names) > 1 else head - 0.16
        _heading(figure, (places[0].x0 + places[-1].x1) / 2, above, heading)
    return figure, rows


def _heading(figure: Figure, x: float, bottom: float, text: str) -> None:
    """Text above columns: middle as a share of the sheet, lower edge from the top [inch]."""
    figure.text(x, 1 - bottom / figure.get_figheight(), text, ha="center", va="bottom")


def _frame(axes: dict, row: xr.Dataset, half: float, note: str) -> None:
    """Title, graticule and degrees of a row of tiles: latitude at its left, longitude below it."""
    first = next(iter(axes.values()))
    for name, ax in axes.items():
        _graticule(ax, float(row.glon), float(row.glat), half)
        # longitudes of neighbours without a colour bar between them would touch
        longitude = name in ("dust", "hi", "target", "spread", "pull")
        _degree_ticks(ax, float(row.glon), float(row.glat), half, longitude, ax is first)
    _place(first, row, note)


def _place(ax, row: xr.Dataset, note: str, between: str = ", ") -> None:
    """Centre of a tile and a note above its first map."""
    glat = f"{float(row.glat):.1f}".replace("-", "\N{MINUS SIGN}")
    text = f"$l$ = {float(row.glon):.1f}\N{DEGREE SIGN}{between}$b$ = {glat}\N{DEGREE SIGN}{note}"
    ax.annotate(text, (0, 1), (0, 2.5), "axes fraction", "offset points", va="bottom")


def _scales(ax, tiles: Tiles) -> None:
    """The beam and a bar of a degree."""
    half, beam = tiles.half, float(tiles.patches.attrs.get("beam_arcmin", 15))
    plotting.beam_circle(ax, (0.8 * half, -0.8 * half), beam, label=True)
    plotting.scale_bar(ax, (-0.5 * half, -0.85 * half), 1.0, plotting.degrees(1))


def _wrapped(label: str, width: int = 13) -> str:
    return textwrap.fill(label, width, break_long_words=False, break_on_hyphens=False)


def _percentile(values: np.ndarray, q: float) -> float:
    return float(np.nanpercentile(values, q)) if np.isfinite(values).any() else 1.0


def _map(ax, values: np.ndarray, norm, half: float, cmap: str = plotting.MAP):
    """A tile with offsets in degrees from its centre, longitude to the left."""
    ax.set_facecolor(plotting.MASKED)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    # columns run from east (column 0) to west: decreasing offset in longitude from left to right
    return ax.imshow(
        values, norm=norm, cmap=cmap, origin="lower", extent=(half, -half, -half, half)
    )


def _sky_grid(glon: float, glat: float, half: float):
    """Offsets (61,) from the centre of a tangent plane, longitude and latitude (61, 61) there, and
    the steps between meridians and parallels [deg]; None where the pole lies on the plane.
    """
    offset = np.linspace(-half, half, 61)
    # pixel centres of these vectors are `offset`
    directions = tile_vectors(glon, glat, 0.0, 2 * half * 61 / 60, 61)[..., ::-1]
    lon, lat = (v.reshape(61, 61) for v in healpy.vec2ang(directions.reshape(3, -1).T, lonlat=True))
    lon = (lon - glon + 180) % 360 - 180 + glon
    if np.ptp(lon) > 180:
        return None
    least = 0.6 * half / np.array([np.cos(np.radians(glat)), 1])  # some three lines a plane
    steps = STEPS[np.searchsorted(STEPS, least).clip(max=len(STEPS) - 1)]
    return offset, lon, lat, steps


def _levels(values: np.ndarray, step: float) -> np.ndarray:
    return np.arange(np.ceil(values.min() / step), np.floor(values.max() / step) + 1) * step


def _graticule(ax, glon: float, glat: float, half: float) -> None:
    """Lines of Galactic longitude and latitude over a tangent plane, exact also near the poles."""
    grid = _sky_grid(glon, glat, half)
    if grid is None:
        return
    offset, lon, lat, steps = grid
    look = {"colors": "white", "linewidths": 0.4, "alpha": 0.45, "linestyles": "solid"}
    for values, step in zip((lon, lat), steps, strict=True):
        levels = _levels(values, step)
        if len(levels):
            ax.contour(offset, offset, values, levels, **look)


def _degree_ticks(
    ax, glon: float, glat: float, half: float, longitude: bool, latitude: bool
) -> None:
    """Degrees where meridians meet the lower edge and parallels the left one."""
    grid = _sky_grid(glon, glat, half)
    if grid is None:
        return
    offset, lon, lat, steps = grid
    edges = {"x": (lon[0], steps[0], False)} if longitude else {}
    edges |= {"y": (lat[:, -1], steps[1], True)} if latitude else {}
    for axis, (profile, step, signed) in edges.items():
        levels = _levels(profile, step)
        places = np.interp(levels, profile, offset)
        labels = [degrees(level if signed else level % 360, signed) for level in levels]
        ax.set(**{f"{axis}ticks": places, f"{axis}ticklabels": labels})
    ax.tick_params(labelsize=7, length=2, width=0.6, pad=1.5)


# --- the selection on the sky ---------------------------------------------------------------------


def selection(
    snr: np.ndarray, tiles: pd.DataFrame, threshold: float, line: str, tile_deg: float
) -> Figure:
    """Mollweide map of the CO signal-to-noise, the tiles of each split, the outlines of the
    held-out complexes.

    snr : (pixel,) of the line named `line`, HEALPix RING, Galactic, NaN where masked; tiles :
        tiles.csv.
    """
    nside = healpy.npix2nside(len(snr))
    lon, lat = np.linspace(180, -180, 1081), np.linspace(-90, 90, 541)
    pixel = healpy.ang2pix(nside, *np.meshgrid(lon, lat), lonlat=True)
    values = snr[pixel]
    shown = np.where(np.isfinite(values), np.clip(values, FAINTEST, None), np.nan)
    x, y = np.radians(-lon), np.radians(lat)  # longitude grows to the left
    with plotting.style():
        figure = plt.figure(figsize=(plotting.PAGE, 4.6))
        ax = figure.add_subplot(projection="mollweide")
        ax.set_facecolor(plotting.MASKED)
        look = {"cmap": "Greys", "rasterized": True, "shading": "nearest"}
        image = ax.pcolormesh(x, y, shown, norm=LogNorm(FAINTEST, 100), **look)
        for split, look in plotting.SPLITS.items():
            part = tiles[tiles.split == split]
            where = np.radians(-((part.glon + 180) % 360 - 180)), np.radians(part.glat)
            points = {"edgecolor": "0.15", "linewidth": 0.3, "rasterized": True}
            label = f"{look.label}: {len(part)} tiles"
            ax.scatter(*where, s=9, color=look.colour, marker=look.marker, label=label, **points)
        for name, part in tiles[tiles["complex"].fillna("") != ""].groupby("complex"):
            _outline(ax, _covered(lon, lat, part, tile_deg), x, y, complex_label(name))
        ax.plot([], [], color="black", linewidth=1.1, label="held-out complexes (test)")
        ax.grid(color="0.5", linewidth=0.3)
        ticks = np.arange(-120, 121, 60)
        ax.set_xticks(np.radians(ticks), [])
        for tick in (*ticks, -172, 172):  # below the crowded plane; 180 degrees at the rim
            look = {"fontsize": 7, "color": "0.3", "ha": "center"}
            angle = degrees(180 if abs(tick) == 172 else -tick % 360)
            ax.text(np.radians(tick), np.radians(-48), angle, **look)
        parallels = np.array([-60, -30, 30, 60])
        ax.set_yticks(np.radians(parallels), [degrees(b, signed=True) for b in parallels])
        where = {"orientation": "horizontal", "shrink": 0.5, "aspect": 40, "pad": 0.03}
        bar = figure.colorbar(image, extend="both", **where)
        bar.set_label(
            f"{line} signal / noise (selection: > {threshold:g}, black line; beige: masked)"
        )
        plotting.plain_numbers(bar.ax.xaxis, (3, 10, 30, 100))
        bar.ax.axvline(threshold, color="black", linewidth=1.5)
        figure.legend(loc="outside upper center", markerscale=1.6, ncols=4, handlelength=1.5)
    return figure


def complex_label(name: str) -> str:
    """A complex's name for people: `taurus_perseus` is Taurus-Perseus."""
    return "-".join(part.title() for part in name.split("_"))


def _outline(ax, covered: np.ndarray, x: np.ndarray, y: np.ndarray, label: str) -> None:
    """The border of the sky that is `covered` (y, x), with its name above."""
    ax.contour(x, y, covered.astype(float), [0.5], colors="black", linewidths=1.1)
    top = np.flatnonzero(covered.any(1))[-1]
    middle = np.angle(np.exp(1j * x[covered.any(0)]).mean())
    halo = [withStroke(linewidth=2, foreground="white")]
    look = {"ha": "center", "fontweight": "bold", "path_effects": halo}
    ax.annotate(label, (middle, y[top]), (0, 3), textcoords="offset points", **look)


def _covered(lon: np.ndarray, lat: np.ndarray, tiles: pd.DataFrame, tile_deg: float) -> np.ndarray:
    """Which points of a (lat, lon) grid lie in any of the tiles, by their tangent planes."""
    grid_lon, grid_lat = np.meshgrid(lon, lat)
    grid = healpy.ang2vec(grid_lon.ravel(), grid_lat.ravel(), lonlat=True).reshape(
        *grid_lon.shape, 3
    )
    half = np.tan(np.radians(tile_deg / 2))
    covered = np.zeros(grid.shape[:2], bool)
    for glon, glat in zip(tiles.glon, tiles.glat, strict=True):
        rows = np.abs(lat - glat) < tile_deg
        centre, east, north = frame(glon, glat)
        ahead = grid[rows] @ centre
        with np.errstate(divide="ignore", invalid="ignore"):
            near = (
                (np.abs(grid[rows] @ east / ahead) < half)
                & (np.abs(grid[rows] @ north / ahead) < half)
                & (ahead > 0)
            )
        covered[rows] |= near
    return covered
