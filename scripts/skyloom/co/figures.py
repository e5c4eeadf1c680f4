"""The CO study's figures on the sky: maps of test tiles, the selection. Those of scores are in
`score_figures`.

Made from the files that evaluation wrote; nothing is computed here that a table reports.
"""

from collections.abc import Sequence

import healpy
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.co.data.tiles import frame, tile_vectors

MASKED = "#EADBB5"
FAINTEST = 3  # signal / noise where the selection map begins; below it is speckle
LON_STEPS = np.array([1, 2, 5, 10, 15, 30, 60])  # degrees between meridians
HALO = [withStroke(linewidth=1.5, foreground="0.15")]
SPLIT_COLOURS = {"train": "#0072B2", "valid": "#E69F00", "test": "#D55E00"}


# --- maps of test tiles
# ----------------------------------------------------------------------------------------------


def chosen_rows(patches: xr.Dataset, count: int, bright_fraction: float) -> np.ndarray:
    """Rows of the test tiles to show, by a rule and not by their looks.

    Of the bright test tiles outside held-out complexes (all, where there are none), ordered by mean
    CO: the middle one of each of `count` equal parts, brightest first.
    """
    bright = (patches.bright_fraction.values >= bright_fraction) & (patches["complex"].values == 0)
    rows = np.flatnonzero(bright) if bright.any() else np.arange(patches.sizes["example"])
    order = rows[np.argsort(-np.nanmean(patches.target.values[rows], axis=(1, 2)), kind="stable")]
    count = min(count, len(order))
    return order[((np.arange(count) + 0.5) * len(order) / count).astype(int)]


def panels(
    patches: xr.Dataset, predictions: dict[str, np.ndarray], denoised: np.ndarray | None = None
) -> Figure:
    """Dust, HI, CO, denoised CO and each model with its residual, a pair of rows a tile, Galactic
    coordinates.

    patches : the tiles to show; predictions : model -> (tile, y, x) [K km/s]; denoised : (tile, y,
        x) [K km/s].
    The CO maps of a tile share one scale, its residuals another that is centred on zero.
    """
    n_tile, n_pixel = patches.sizes["example"], patches.sizes["x"]
    half = n_pixel * patches.attrs["pixel_arcmin"] / 120  # degrees from centre to edge
    measured = ["dust", "hi", "target"] + ["denoised"] * (denoised is not None)
    columns = [*measured, *predictions]
    line = patches.attrs.get("line", "CO").replace("J=", "")
    titles = {
        "dust": "dust 857 GHz",
        "hi": "N(HI)",
        "target": f"{line} (observed)",
        "denoised": "CO denoised",
    }
    with plotting.style():
        size = (1.35 * len(columns) + 0.5, 2.95 * n_tile + 0.35)
        figure, axes = plt.subplots(2 * n_tile, len(columns), figsize=size, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for tile in range(n_tile):
            row = patches.isel(example=tile)
            truth = row.target.values
            scale = Normalize(min(0.0, _percentile(truth, 1)), _percentile(truth, 99.7))
            top, below = axes[2 * tile], axes[2 * tile + 1]
            own = {"dust": row.dust.values, "hi": row.hi.values}
            shared = {"target": truth} | (
                {"denoised": denoised[tile]} if denoised is not None else {}
            )
            for ax, name in zip(top, columns, strict=True):
                if name in own:
                    norm = Normalize(_percentile(own[name], 0.3), _percentile(own[name], 99.7))
                    image = _map(ax, own[name], norm, half)
                    _bar(
                        figure,
                        image,
                        ax,
                        {"dust": r"MJy sr$^{-1}$", "hi": r"10$^{20}$ cm$^{-2}$"}[name],
                    )
                else:
                    image = _map(
                        ax, shared[name] if name in shared else predictions[name][tile], scale, half
                    )
                    if name == "target":
                        _bar(figure, image, ax, r"K km s$^{-1}$")
                _graticule(ax, float(row.glon), float(row.glat), half, label=name == "dust")
                _beam(ax, half, float(patches.attrs.get("beam_arcmin", 15)))
                if tile == 0:
                    ax.set_title(titles.get(name, name.replace("_", " ")))
            residuals = {name: values[tile] - truth for name, values in predictions.items()}
            limit = max(_percentile(np.abs(list(residuals.values())), 99), 1e-3)
            for ax, name in zip(below[len(measured) :], residuals, strict=True):
                image = _map(
                    ax, residuals[name], Normalize(-limit, limit), half, plotting.DIVERGING
                )
                _beam(ax, half, float(patches.attrs.get("beam_arcmin", 15)), "0.2")
            _bar(
                figure,
                image,
                below[len(measured) - 1],
                "model \N{MINUS SIGN} observed\n" + r"K km s$^{-1}$",
                beside=True,
            )
            about = f"tile {int(row.tile)}\n$l$ = {float(row.glon):.1f}\N{DEGREE SIGN}\n"
            about += f"$b$ = {float(row.glat):+.1f}\N{DEGREE SIGN}".replace("-", "\N{MINUS SIGN}")
            below[0].text(0, 0.52, about, transform=below[0].transAxes, va="top", fontsize=8)
    return figure


def _percentile(values: np.ndarray, q: float) -> float:
    return float(np.nanpercentile(values, q)) if np.isfinite(values).any() else 1.0


def _map(ax, values: np.ndarray, norm, half: float, cmap: str = plotting.MAP):
    """A tile with offsets in degrees from its centre, longitude to the left; masked
    pixels in grey.
    """
    ax.set_axis_on()
    ax.set_facecolor("0.8")
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    # columns run from east (column 0) to west: decreasing offset in longitude from left to right
    return ax.imshow(
        values, norm=norm, cmap=cmap, origin="lower", extent=(half, -half, -half, half)
    )


def _bar(figure: Figure, image, ax, label: str, beside: bool = False) -> None:
    """A colour bar under `ax`, or in the right part of the empty `ax` for the maps beside it."""
    place, orientation = (
        ([0.82, 0.05, 0.09, 0.9], "vertical") if beside else ([0, -0.13, 1, 0.06], "horizontal")
    )
    bar = figure.colorbar(image, cax=ax.inset_axes(place), orientation=orientation)
    bar.set_label(label, fontsize=7, labelpad=1)
    bar.ax.tick_params(labelsize=6, length=2, pad=1)
    bar.ax.locator_params(nbins=4)
    bar.outline.set_visible(False)
    if beside:
        bar.ax.yaxis.set_ticks_position("left")
        bar.ax.yaxis.set_label_position("left")


def _beam(ax, half: float, fwhm_arcmin: float, colour: str = "white") -> None:
    place = 0.86 * half
    ax.add_patch(
        Circle((place, -place), fwhm_arcmin / 120, fill=False, color=colour, linewidth=0.9)
    )


def _graticule(ax, glon: float, glat: float, half: float, label: bool) -> None:
    """Lines of Galactic longitude and latitude over a tangent plane, exact also near the poles."""
    offset = np.linspace(-half, half, 61)
    directions = tile_vectors(glon, glat, 0.0, 2 * half * 61 / 60, 61)[
        ..., ::-1
    ]  # its pixels' centres are `offset`
    lon, lat = (v.reshape(61, 61) for v in healpy.vec2ang(directions.reshape(3, -1).T, lonlat=True))
    lon = (lon - glon + 180) % 360 - 180 + glon
    if np.ptp(lon) > 180:  # the pole lies on the tile
        return
    wide = np.searchsorted(LON_STEPS, 0.9 / np.cos(np.radians(glat))).clip(max=len(LON_STEPS) - 1)
    # (values, step, the profile along which labels stand: longitudes below the top edge, latitudes
    # inside the left one)
    for values, step, profile in ((lon, LON_STEPS[wide], lon[56]), (lat, 1, lat[:, -5])):
        levels = np.arange(np.ceil(values.min() / step), np.floor(values.max() / step) + 1) * step
        if len(levels):
            ax.contour(
                offset,
                offset,
                values,
                levels,
                colors="white",
                linewidths=0.4,
                alpha=0.6,
                linestyles="solid",
            )
        for level in levels if label else ():
            along = np.interp(level, profile, offset, np.nan, np.nan)
            if abs(along) > 0.75 * half or np.isnan(
                along
            ):  # the corner belongs to the other coordinate's labels
                continue
            look = {"fontsize": 6, "color": "white", "va": "center", "path_effects": HALO}
            if values is lon:
                ax.text(along, offset[56], f"{level % 360:.0f}\N{DEGREE SIGN}", ha="center", **look)
            else:
                text = f"{level:{'+' if level else ''}.0f}\N{DEGREE SIGN}".replace(
                    "-", "\N{MINUS SIGN}"
                )
                ax.text(0.98 * half, along, text, ha="left", **look)


# --- the selection on the sky
# ----------------------------------------------------------------------------------------


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
    with plotting.style():
        figure = plt.figure(figsize=(9.5, 5.6))
        ax = figure.add_subplot(projection="mollweide")
        ax.set_facecolor(MASKED)
        x, y = np.radians(-lon), np.radians(lat)  # longitude grows to the left
        shown = np.where(np.isfinite(values), np.clip(values, FAINTEST, None), np.nan)
        image = ax.pcolormesh(
            x,
            y,
            shown,
            norm=LogNorm(FAINTEST, 100),
            cmap="Greys",
            rasterized=True,
            shading="nearest",
        )
        for split, colour in SPLIT_COLOURS.items():
            part = tiles[tiles.split == split]
            where = np.radians(-((part.glon + 180) % 360 - 180)), np.radians(part.glat)
            ax.scatter(
                *where,
                s=7,
                color=colour,
                linewidth=0,
                label=f"{split}: {len(part)} tiles",
                rasterized=True,
            )
        named = tiles[tiles["complex"].fillna("") != ""]
        for name, part in named.groupby("complex"):
            covered = _covered(lon, lat, part, tile_deg)
            ax.contour(x, y, covered.astype(float), [0.5], colors="black", linewidths=1.1)
            top = np.flatnonzero(covered.any(1))[-1]
            label = {
                "fontsize": 8,
                "fontweight": "bold",
                "path_effects": [withStroke(linewidth=2, foreground="white")],
            }
            ax.annotate(
                name.replace("_", " ").title(),
                (np.angle(np.exp(1j * x[covered.any(0)]).mean()), y[top]),
                (0, 4),
                textcoords="offset points",
                ha="center",
                **label,
            )
        ax.grid(color="0.5", linewidth=0.3)
        ticks = np.arange(-120, 121, 60)
        ax.set_xticks(np.radians(ticks), [])
        for tick in ticks:  # below the crowded plane, where matplotlib would put them
            ax.text(
                np.radians(tick),
                np.radians(-48),
                f"{-tick % 360}\N{DEGREE SIGN}",
                fontsize=7,
                color="0.3",
                ha="center",
            )
        degrees = np.array([-60, -30, 30, 60])
        signed = [f"{b:+d}\N{DEGREE SIGN}".replace("-", "\N{MINUS SIGN}") for b in degrees]
        ax.set_yticks(np.radians(degrees), signed, fontsize=7)
        bar = figure.colorbar(
            image, orientation="horizontal", shrink=0.45, aspect=40, pad=0.03, extend="both"
        )
        bar.set_label(f"{line} signal / noise (selection: > {threshold:g}; beige: masked)")
        bar.ax.axvline(threshold, color="#D55E00", linewidth=2)
        figure.legend(loc="outside upper right", markerscale=2, ncols=3)
    return figure


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


def require(dataset: xr.Dataset, names: Sequence[str], path) -> None:
    """Refuse a file without the variables that a figure shows."""
    missing = [name for name in names if name not in dataset.variables]
    if missing:
        raise BadInput(
            f"{path}: variables {', '.join(missing)} not found (variables: "
            f"{', '.join(dataset.variables)})"
        )
