"""Labelled patches cut from the sphere on the tangent plane, one xarray Dataset a shard."""

import numpy as np
import pandas as pd
import xarray as xr

from skyloom.co.data.regions import SPLITS
from skyloom.co.data.tiles import sample, tile_vectors
from skyloom.patchset import PatchSet, flags

# key of the config -> attribute `line`
LINE_NAMES = {"10": "CO J=1-0", "21": "CO J=2-1"}
UNITS = {
    "dust": "MJy/sr",
    "hi": "1e20 cm-2",
    "target": "K km/s",
    "error": "K km/s",
    "null": "K km/s",
}
LONG_NAMES = {
    "dust": "857 GHz dust intensity, 15' beam, monopole removed",
    "hi": "N(HI)",
    "target": "integrated CO emission",
    "error": "1 sigma error of target",
    "null": "null map of target: noise without signal",
    "weight": "share of the interpolation weights on valid sky",
}


def patch_maps(maps: PatchSet, line: str) -> dict[str, np.ndarray]:
    """Columns of `maps.nc` for CO line "10" or "21", by their names in a patch set."""
    line = f"co{line}"
    columns = {
        "dust": "dust",
        "hi": "hi",
        "target": line,
        "error": f"{line}_error",
        "null": f"{line}_null",
    }
    return {name: maps.array(column) for name, column in columns.items()}


def cut_patches(
    maps: dict[str, np.ndarray],
    views: pd.DataFrame,
    complexes: list[str],
    size_deg: float,
    pixels: int,
) -> xr.Dataset:
    """`cut_planes` of every view with the coordinates of each example.

    `complexes` has the names of the held-out complexes.
    """
    return xr.Dataset(
        {
            name: (
                ("example", "y", "x"),
                array,
                {"units": UNITS.get(name, "1"), "long_name": LONG_NAMES[name]},
            )
            for name, array in cut_planes(maps, views, size_deg, pixels).items()
        },
        coords=example_coords(views, complexes),
        attrs={"pixel_arcmin": 60 * size_deg / pixels, "projection": "TAN", "frame": "galactic"},
    )


def cut_planes(
    maps: dict[str, np.ndarray], views: pd.DataFrame, size_deg: float, pixels: int
) -> dict[str, np.ndarray]:
    """Cut every view from every map. Maps of one NSIDE share their interpolation weights.

    Parameters
    ----------
    maps : dust, hi, target, error, null: (n_pix,) float32 RING, NaN where masked. N(HI) may have
        another NSIDE
    views : rows of `regions.tile_views`, of which glon, glat and angle [deg] are read
    size_deg, pixels : side of a patch [deg], number of pixels along it

    Returns
    -------
    Each map (view, y, x) float32, NaN where any map is masked, and `weight`, the valid share.
    """
    shape = (len(views), pixels, pixels)
    names = [name for name in UNITS if name != "hi"]
    arrays = {name: np.empty(shape, np.float32) for name in [*UNITS, "weight"]}
    planes = [maps[name] for name in names]
    for k, (glon, glat, angle) in enumerate(
        zip(views["glon"], views["glat"], views["angle"], strict=True)
    ):
        values, arrays["weight"][k] = cut_tile(
            planes, maps["hi"], tile_vectors(glon, glat, angle, size_deg, pixels)
        )
        for name, plane in zip([*names, "hi"], values, strict=True):
            arrays[name][k] = plane
    return arrays


def cut_tile(
    planes: list[np.ndarray], hi: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One tile of maps of one NSIDE and of N(HI): values and the valid share of their weights.

    Parameters
    ----------
    planes : (n_pix,) each, RING, NaN where masked
    hi : (n_hi_pix,), the same
    vectors : (3, y, x) of `tiles.tile_vectors`

    Returns
    -------
    values : (n_map + 1, y, x), N(HI) last, NaN where no neighbour is valid
    weight : (y, x), the least valid share of any map, 0 where values are NaN
    """
    values, weight = sample(planes, vectors)
    hi_values, hi_weight = sample([hi], vectors)
    masked = (weight <= 0) | (hi_weight <= 0)
    return (
        np.where(masked, np.nan, np.concatenate([values, hi_values])),
        np.where(masked, 0, np.minimum(weight, hi_weight)),
    )


def example_coords(views: pd.DataFrame, complexes: list[str]) -> dict:
    """Coordinates of each example: position on the sky, split and complex as flags, selection."""

    def coded(column: str, meanings: list[str]) -> tuple:
        codes = [meanings.index(value or "none") for value in views[column]]
        return "example", np.array(codes, np.int8), flags(meanings)

    coords = {
        "split": coded("split", list(SPLITS)),
        "complex": coded("complex", ["none", *complexes]),
        "tile": (
            "example",
            views["tile"].to_numpy(np.int32),
            {"long_name": "RING pixel of the tile's nominal centre"},
        ),
        "view": (
            "example",
            views["view"].to_numpy(np.int8),
            {"long_name": "0 nominal, else recentred and rotated"},
        ),
    }
    descriptions = {
        "glon": ("deg", "Galactic longitude of the centre"),
        "glat": ("deg", "Galactic latitude of the centre"),
        "angle": ("deg", "position angle of the y axis, from north to east"),
        "bright_fraction": ("1", "share of the tile's pixels above the SNR threshold"),
        "sampling_weight": ("1", "1 / probability that the tile was chosen"),
    }
    for name, (units, long_name) in descriptions.items():
        coords[name] = (
            "example",
            views[name].to_numpy(np.float64),
            {"units": units, "long_name": long_name},
        )
    return coords


def shard_rows(n: int, shard: int, shards: int) -> slice:
    """Rows of shard `shard`: contiguous and equal in number to within one.

    A merge of the shards in their order keeps the order of the rows.
    """
    edges = np.linspace(0, n, shards + 1).round().astype(int)
    return slice(edges[shard], edges[shard + 1])
