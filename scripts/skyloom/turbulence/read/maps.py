"""Maps of real clouds, or of other codes, in FITS: column density or extinction on the sky.

A map is cut into squares. It has one line of sight, no known index and no seed, and its edges do
not meet: images that are cut from it must not wrap around. Only N / <N> is read, so that any unit
proportional to column density will do.
"""

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from skyloom.cli import BadInput
from skyloom.images import read_image
from skyloom.turbulence import NEIGHBOURS
from skyloom.turbulence.physics import HYDROGEN_G
from skyloom.turbulence.read import units
from skyloom.turbulence.read.columns import dataset
from skyloom.turbulence.read.simulation import FACTS

AXES = ("sky",)
# gas behind A_V = 1 mag: 1.87e21 hydrogen atoms (Bohlin, Savage & Drake 1978, ApJ 224, 132,
# R_V = 3.1), and helium
EXTINCTION_G_CM2 = 1.87e21 * 1.4 * HYDROGEN_G
RELATIVE = ("1", "relative")  # the unit of a map proportional to column density


@dataclass(frozen=True)
class Sky:
    """A map and its scales.

    column : (y, x) float64 in the unit of the file
    to_g_cm2 : g cm-2 in one such unit, NaN for a relative one
    """

    path: Path
    column: np.ndarray
    to_g_cm2: float
    pixel_deg: float  # side, NaN without coordinates
    data_kind: str


def sky_columns(paths: list[str], settings: dict) -> xr.Dataset:
    """Square cut-outs of maps as a file of column maps: a `simulation` each, on one axis, `sky`.

    paths : FITS files
    settings : `pixels` along a side of a cut-out; `assume` {"column": unit} of files without BUNIT:
        one that converts to g cm-2 ("mag" is of A_V), or "relative"; `mu`, mean mass of the
        particles that a unit of cm-2 counts; `distance_pc` of the clouds, or None; `simulations`,
        the `FACTS` of each map, or None

    Cut-outs of map m have the seed 2m: they share sky as views of a simulation share a field, and
    maps are split one by one. A cut-out with NaN or without positive values is left out; its reason
    goes to stderr and to `failures`. Raises BadInput where nothing is left of a map, and as `read`.
    """
    pixels, facts = settings["pixels"], settings.get("simulations") or [{}] * len(paths)
    if not pixels:
        message = "pixels is null; expected the pixels along a side of a cut-out of the maps"
        raise BadInput(f"config families: {message}")
    if len(facts) != len(paths) or any(row.keys() - FACTS.keys() for row in facts):
        message = f"{facts}; expected {len(paths)} entries, of {', '.join(FACTS)}"
        raise BadInput(f"config outputs: {message}")
    maps, rows, failures, boxes, kinds = [], [], {}, set(), {}
    distance_pc = settings.get("distance_pc") or np.nan
    for number, path in enumerate(paths):
        sky = read(path, settings)
        cuts, reasons = cut_outs(sky, pixels)
        failures |= reasons
        maps += cuts
        kinds[sky.data_kind] = None
        boxes.add(float(np.deg2rad(sky.pixel_deg) * pixels * distance_pc))
        row = FACTS | {"seed": NEIGHBOURS * number} | facts[number] | {"ok": 1}
        rows += [row | {"mean_column": float(cut.mean()) * sky.to_g_cm2} for cut in cuts]
    for name, reason in failures.items():
        print(f"warning: {name} left out: {reason}", file=sys.stderr)
    maps = np.stack(maps)[:, None]
    contrast = (maps / maps.mean(axis=(2, 3), keepdims=True) - 1).astype(np.float32)
    attributes = {
        "box_pc": boxes.pop() if len(boxes) == 1 else np.nan,
        "data_kind": next(iter(kinds)) if len(kinds) == 1 else "mixed",
        "source": "maps",
        "grid": pixels,
        "order": 0,
        "initial_kmax": 0,
        "scheme": "unknown",
        "failures": json.dumps(failures),
    }
    return dataset(contrast, np.full_like(contrast, np.nan), rows, attributes, AXES)


def read(path: str | Path, settings: dict) -> Sky:
    """The first image of two dimensions in a FITS file.

    Raises BadInput as `images.read_image`, and for a unit that is absent, or neither of column
    density nor of extinction.
    """
    path = Path(path)
    values, header = read_image(path, 2, expected="a map (FITS)")
    unit = _unit(path, header, settings)
    return Sky(path, values, unit, _pixel_deg(header), _kind(header))


def cut_outs(sky: Sky, pixels: int) -> tuple[list[np.ndarray], dict[str, str]]:
    """Cut-outs of `pixels` x `pixels` around the middle of the map, and reasons of those left out.

    Raises BadInput where none is left.
    """
    count = [size // pixels for size in sky.column.shape]
    first = [(size - n * pixels) // 2 for size, n in zip(sky.column.shape, count, strict=True)]
    good, reasons = [], {}
    for row, column in np.ndindex(*count):
        y, x = first[0] + row * pixels, first[1] + column * pixels
        cut = sky.column[y : y + pixels, x : x + pixels]
        for what, bad in (("NaN", ~np.isfinite(cut)), ("not above 0", ~(cut > 0))):
            if bad.any():
                name = f"{sky.path.name}[{y}:{y + pixels},{x}:{x + pixels}]"
                reasons[name] = f"{bad.sum()} pixels are {what}"
                break
        else:
            good.append(cut)
    if not good:
        ny, nx = sky.column.shape
        raise BadInput(
            f"{sky.path}: {len(reasons)} cut-outs of {pixels} pixels in {ny} x {nx}, each with NaN"
            " or values not above 0; expected at least one without (key `pixels`)"
        )
    return good, reasons


def _unit(path: Path, header: fits.Header, settings: dict) -> float:
    """g cm-2 a unit of the map; NaN for a map that is only proportional to column density."""
    assumed = (settings.get("assume") or {}).get("column", "")
    text = str(header.get("BUNIT", "")).strip() or str(assumed)
    if text.lower() in RELATIVE:
        return np.nan
    if text == "mag":
        return EXTINCTION_G_CM2
    return units.factor(path, "the map", text, "g cm-2", mu=settings.get("mu"))


def _pixel_deg(header: fits.Header) -> float:
    """Side of a square with the area of a pixel."""
    if not str(header.get("CTYPE1", "")).strip():
        return np.nan
    with warnings.catch_warnings(action="ignore", category=FITSFixedWarning):
        return float(np.sqrt(WCS(header).celestial.proj_plane_pixel_area().to_value("deg2")))


def _kind(header: fits.Header) -> str:
    return str(header.get("SKYKIND", "")).strip() or "survey"
