"""Parts of the test sky that are scored on their own.

| subset | tiles |
|---|---|
| `bright`, `faint` | bright: at least `bright_fraction` of the pixels exceed the threshold (8) |
| `extrapolation` | |b| > 30 degrees or faint: what training on bright tiles hardly shows |
| `block_<k>` | longitude block k of the split, from 0 at longitude 0: a fold of the test sky |
| `snr_below_4`, `snr_4_8`, ..., `snr_above_32` | bins of the tile's SNR |
| `b_below_5`, `b_5_10`, `b_10_30`, `b_above_30` | bins of |b| of the tile's centre [deg] |
| the name of a complex | a held-out complex; its tiles are in no other subset |

The SNR of a tile is the SNR that the share `bright_fraction` of its pixels exceeds: a tile is
bright where it is above the threshold, so that `snr_8_16` and higher are bright, up to pixels that
selection sampled differently.
"""

from itertools import pairwise

import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.patchset import flag_names


def subsets(patches: xr.Dataset, snr: np.ndarray, settings: dict) -> dict[str, np.ndarray]:
    """Name -> rows of every subset that has a tile.

    patches : test rows, with the attribute `bright_fraction`, and `block_deg` where there are
        longitude blocks.
    snr : `tile_snr`; settings : `snr_edges`, `latitude_edges` [deg], `extrapolation_deg`.
    Errors: BadInput where a complex has the name of another subset.
    """
    complexes = patches["complex"].values
    outside = complexes == 0
    latitude = np.abs(patches.glat.values)
    bright = patches.bright_fraction.values >= patches.attrs["bright_fraction"]
    chosen = {"bright": bright, "faint": ~bright}
    chosen["extrapolation"] = ~bright | (latitude > settings["extrapolation_deg"])
    if "block_deg" in patches.attrs:
        block = (patches.glon.values // patches.attrs["block_deg"]).astype(int)
        chosen |= {f"block_{k}": block == k for k in np.unique(block[outside])}
    chosen |= _bins("snr", snr, settings["snr_edges"]) | _bins(
        "b", latitude, settings["latitude_edges"]
    )
    chosen = {name: rows & outside for name, rows in chosen.items()}
    for code, name in flag_names(patches["complex"]).items():
        if name in chosen:
            raise BadInput(
                f"config: co.split.complexes: {name!r} is the name of another subset; expected "
                "a new one"
            )
        if code:
            chosen[name] = complexes == code
    return {name: np.flatnonzero(rows) for name, rows in chosen.items() if rows.any()}


def tile_snr(target: np.ndarray, error: np.ndarray, weight: np.ndarray, share: float) -> np.ndarray:
    """The signal-to-noise that the part `share` of each tile's valid pixels exceeds, (n,); maps are
    (n, y, x).
    """
    snr = np.divide(target, error, out=np.full(target.shape, np.nan), where=weight > 0)
    return np.nanquantile(snr.reshape(len(snr), -1), 1 - share, axis=1)


def _bins(prefix: str, values: np.ndarray, edges: list[float]) -> dict[str, np.ndarray]:
    names = [f"{prefix}_below_{_text(edges[0])}"]
    names += [f"{prefix}_{_text(low)}_{_text(high)}" for low, high in pairwise(edges)]
    names += [f"{prefix}_above_{_text(edges[-1])}"]
    where = np.searchsorted(edges, values, side="right")
    return {name: where == k for k, name in enumerate(names)}


def _text(edge: float) -> str:
    return f"{edge:g}".replace(".", "p")
