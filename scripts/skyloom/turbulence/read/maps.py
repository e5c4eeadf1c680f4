"""Maps of real clouds, or of other codes, in FITS: column density or extinction on the sky, in
square cut-outs.

A map has one line of sight, no known index and no seed, and its edges do not meet: what cuts images
from it must not wrap around. Only N / <N> is read from it, so that any unit proportional to column
density will do.
"""

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning

from skyloom.cli import BadInput
from skyloom.turbulence import NEIGHBOURS
from skyloom.turbulence.columns import dataset
from skyloom.turbulence.physics import HYDROGEN_G
from skyloom.turbulence.read import units
from skyloom.turbulence.read.simulation import FACTS

AXIS = ("sky",)
# Gas behind A_V = 1 mag: 1.87e21 hydrogen atoms (Bohlin, Savage & Drake 1978, ApJ 224, 132, R_V =
# 3.1) and helium.
EXTINCTION_G_CM2 = 1.87e21 * 1.4 * HYDROGEN_G
RELATIVE = ("1", "relative")  # stated by a user who knows no unit: proportional to column density


@dataclass(frozen=True)
class Sky:
    """A map as read: `column` (y, x) float64 in the file's unit, `to_g_cm2` (NaN: only relative),
    size of a pixel.
    """

    path: Path
    column: np.ndarray
    to_g_cm2: float
    pixel_deg: float  # NaN without coordinates
    data_kind: str


def column_maps(paths: list[str], settings: dict) -> xr.Dataset:
    """Square cut-outs of maps as a file of column maps: a `simulation` each, on one axis, `sky`.

    Parameters ----------
    paths : FITS files
    settings : `pixels`, along a side of a cut-out; `assume` {"column": unit} where BUNIT is absent:
        one that converts
        to g cm-2 ("mag" is of A_V), or "relative"; `mu`, mean mass of the particles that a unit of
            cm-2 counts;
        `distance_pc` of the clouds, or None; `simulations`, what is known of each map (`FACTS`), or
            None

    The cut-outs of map m have the seed 2m: they share sky as views of a simulation share a field,
    and maps are split one by one. One with NaN or without positive values is left out, its reason
    on stderr and in `failures`. Raises BadInput where nothing is left of a map, and what `read`
    raises.
    """
    pixels, known = settings["pixels"], settings.get("simulations") or [{}] * len(paths)
    if not pixels:
        raise BadInput(
            "config families: pixels is null; expected the pixels along a side of a cut-out of "
            "the maps"
        )
    if len(known) != len(paths) or any(row.keys() - FACTS.keys() for row in known):
        raise BadInput(
            f"config outputs: {known}; expected {len(paths)} entries, of {', '.join(FACTS)}"
        )
    found, facts, failures, boxes, kinds = [], [], {}, set(), {}
    for number, path in enumerate(paths):
        sky = read(path, settings)
        cuts, left_out = cut_outs(sky, pixels)
        failures |= left_out
        found += cuts
        kinds[sky.data_kind] = None
        boxes.add(
            float(np.deg2rad(sky.pixel_deg) * pixels * (settings.get("distance_pc") or np.nan))
        )
        for cut in cuts:
            row = FACTS | {"seed": NEIGHBOURS * number} | known[number]
            facts.append(row | {"ok": 1, "mean_column": float(cut.mean()) * sky.to_g_cm2})
    for name, reason in failures.items():
        print(f"warning: {name} left out: {reason}", file=sys.stderr)
    maps = np.stack(found)[:, None]
    contrast = (maps / maps.mean(axis=(2, 3), keepdims=True) - 1).astype(np.float32)
    attributes = {
        "box_pc": boxes.pop()
        if len(boxes) == 1
        else np.nan,  # of different scales there is no one box
        "data_kind": next(iter(kinds)) if len(kinds) == 1 else "mixed",
        "source": "maps",
        "grid": pixels,
        "order": 0,
        "initial_kmax": 0,
        "scheme": "unknown",
        "failures": json.dumps(failures),
    }
    return dataset(contrast, np.full_like(contrast, np.nan), facts, attributes, AXIS)


def read(path: str | Path, settings: dict) -> Sky:
    """The first image of two dimensions in a FITS file.

    Raises BadInput for a file that is cut short or has no such image, and for a unit that is
    absent, or not of column density or extinction.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected a map (FITS)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            with fits.open(path, memmap=False) as hdus:
                images = [
                    (hdu.header, np.squeeze(hdu.data))
                    for hdu in hdus
                    if hdu.is_image and hdu.header["NAXIS"]
                ]
    except (OSError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path}: not a readable FITS file ({error}); cut short, or no FITS file at all?"
        ) from None
    header, values = next((image for image in images if image[1].ndim == 2), (None, None))
    if header is None:
        shapes = ", ".join(str(values.shape) for _, values in images) or "no image"
        raise BadInput(f"{path}: {shapes} found; expected an image of two dimensions")
    return Sky(
        path,
        values.astype(np.float64),
        _unit(path, header, settings),
        _pixel_deg(header),
        _kind(header),
    )


def cut_outs(sky: Sky, pixels: int) -> tuple[list[np.ndarray], dict[str, str]]:
    """Cut-outs of `pixels` x `pixels` side by side around the middle of the map, and why others
    were left out.

    Raises BadInput where none is left.
    """
    count = [size // pixels for size in sky.column.shape]
    first = [(size - n * pixels) // 2 for size, n in zip(sky.column.shape, count, strict=True)]
    good, left_out = [], {}
    for row, column in np.ndindex(*count):
        y, x = first[0] + row * pixels, first[1] + column * pixels
        cut = sky.column[y : y + pixels, x : x + pixels]
        for what, bad in (("NaN", ~np.isfinite(cut)), ("not above 0", ~(cut > 0))):
            if bad.any():
                left_out[f"{sky.path.name}[{y}:{y + pixels},{x}:{x + pixels}]"] = (
                    f"{bad.sum()} pixels are {what}"
                )
                break
        else:
            good.append(cut)
    if not good:
        ny, nx = sky.column.shape
        raise BadInput(
            f"{sky.path}: {len(left_out)} cut-outs of {pixels} pixels in {ny} x {nx}, each with "
            "NaN or values not above"
            " 0; expected at least one without (key `pixels`)"
        )
    return good, left_out


def _unit(path: Path, header: fits.Header, settings: dict) -> float:
    """g cm-2 a unit of the map; NaN where it is only said to be proportional to column density."""
    text = str(header.get("BUNIT", "")).strip() or str(
        (settings.get("assume") or {}).get("column", "")
    )
    if text.lower() in RELATIVE:
        return np.nan
    if text == "mag":
        return EXTINCTION_G_CM2
    return units.factor(path, "the map", text, "g cm-2", mu=settings.get("mu"))


def _pixel_deg(header: fits.Header) -> float:
    """Side of a square pixel with the area of the map's."""
    if not str(header.get("CTYPE1", "")).strip():
        return np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return float(np.sqrt(WCS(header).celestial.proj_plane_pixel_area().to_value("deg2")))


def _kind(header: fits.Header) -> str:
    return str(header.get("SKYKIND", "")).strip() or "survey"
