"""Maps of real clouds, or of other codes, in FITS: column density or extinction on the sky.

A map is cut into squares. It has one line of sight, no known index and no seed, and its edges do
not meet: images that are cut from it must not wrap around. Only N / <N> is read, so that any unit
proportional to column density will do. A map is smooth within its beam, and a smooth image
resembles that of a steep index: `rebin` leaves two pixels or a little more a beam.
"""

import json
import re
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from skyloom.cli import BadInput
from skyloom.images import read_image
from skyloom.turbulence import NEIGHBOURS
from skyloom.turbulence.read import outputs
from skyloom.turbulence.read.columns import dataset
from skyloom.turbulence.read.simulation import FACTS
from skyloom.turbulence.read.units import Units, text_of

AXES = ("sky",)
BAND = re.compile(r"\bA_?([VJHK])s?\b", re.IGNORECASE)  # of an extinction
BAND_KEYS = "BUNIT", "BTYPE", "EXTNAME"  # cards of a header that name a band
RESOLVED = 3  # pixels a beam, above which images are smooth


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
    beam_deg: float  # full width at half maximum, NaN where it is not stated
    data_kind: str
    remarks: tuple[str, ...] = ()

    @property
    def pixels_per_beam(self) -> float:
        return self.beam_deg / self.pixel_deg


def sky_columns(paths: list[str], settings: dict) -> xr.Dataset:
    """Square cut-outs of maps as a file of column maps: a `simulation` each, on one axis, `sky`.

    paths : FITS files, or folders with some
    settings : `pixels` along a side of a cut-out; `column`, extension of the maps (None: the
        primary image, or the only one); `assume` {"column": unit} where BUNIT does not convert: one
        that converts to g cm-2 ("mag" is of A_V, "A_K" of A_K), or "relative"; `mu`, mean mass of
        the particles that a unit of cm-2 counts; `beam_arcsec`, beam (None: BMAJ of the header);
        `rebin`, whether pixels are averaged to half a beam; `distance_pc` of the clouds, or None;
        `outputs`, the `FACTS` of the maps as `outputs.find` reads them

    Cut-outs of map m have the seed 2m: they share sky as views of a simulation share a field, and
    maps are split one by one. A cut-out with NaN, without positive values or of one value is left
    out; its reason goes to stderr and to `failures`. `pixels_per_beam (simulation)` is NaN where
    it is unknown. Raises BadInput where nothing is left of a map, and as `read`.
    """
    pixels = settings["pixels"]
    if not pixels:
        message = "pixels is null; expected the pixels along a side of a cut-out of the maps"
        raise BadInput(f"config families: {message}")
    maps, names, rows, failures, remarks, boxes, kinds = [], [], [], {}, {}, set(), {}
    distance_pc = settings.get("distance_pc") or np.nan
    for number, output in enumerate(outputs.find(paths, "maps", settings.get("outputs"))):
        sky = read(output.path, settings)
        cuts, reasons = cut_outs(sky, pixels)
        print("; ".join([f"{output.name}: {len(cuts)} cut-outs", *sky.remarks]), flush=True)
        for corner, reason in reasons.items():
            failures[output.name + corner] = reason
            print(f"warning: {output.name}{corner} left out: {reason}", file=sys.stderr)
        if sky.remarks:
            remarks[output.name] = sky.remarks
        maps += cuts.values()
        names += [output.name + corner for corner in cuts]
        kinds[sky.data_kind] = None
        boxes.add(float(np.deg2rad(sky.pixel_deg) * pixels * distance_pc))
        row = FACTS | {"seed": NEIGHBOURS * number} | output.facts | {"ok": 1}
        row["pixels_per_beam"] = sky.pixels_per_beam
        rows += [row | {"mean_column": cut.mean() * sky.to_g_cm2} for cut in cuts.values()]
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
        "remarks": json.dumps(remarks),
    }
    data = dataset(contrast, np.full_like(contrast, np.nan), rows, attributes, AXES, names)
    beams = np.array([row["pixels_per_beam"] for row in rows])
    words = {"long_name": "pixels within the full width of the beam at half maximum"}
    return data.assign(pixels_per_beam=("simulation", beams, words))


def read(path: str | Path, settings: dict) -> Sky:
    """The map of a FITS file: the named extension, the primary image, or the only one.

    Raises BadInput as `images.read_image`, for a unit that is neither of column density nor of
    extinction, and for `rebin` without a beam and coordinates.
    """
    path, units = Path(path), Units(path, settings.get("assume"), settings.get("mu"))
    values, header = read_image(path, 2, settings.get("column"), "a map (FITS)")
    unit = _unit(header, (settings.get("assume") or {}).get("column", ""))
    sky = Sky(
        path=path,
        column=values,
        to_g_cm2=units.factor("column", "the map", unit, "g cm-2"),
        pixel_deg=_pixel_deg(header),
        beam_deg=_beam_deg(header, settings.get("beam_arcsec")),
        data_kind=text_of(header.get("SKYKIND", "")) or "survey",
        remarks=tuple(units.remarks),
    )
    return _beam_checked(rebinned(sky) if settings.get("rebin") else sky)


def rebinned(sky: Sky) -> Sky:
    """The map in means of k x k pixels, the largest squares that half a beam covers.

    Squares begin at the first pixel; a square with NaN is NaN. Raises BadInput for an unknown beam.
    """
    if not sky.pixels_per_beam > 0:
        message = f"beam is {sky.beam_deg:g} deg, pixel {sky.pixel_deg:g} deg"
        raise BadInput(f"{sky.path}: rebin: {message}; expected BMAJ and CDELT, or beam_arcsec")
    k = max(1, int(sky.pixels_per_beam / 2))
    ny, nx = (size // k for size in sky.column.shape)
    blocks = sky.column[: ny * k, : nx * k].reshape(ny, k, nx, k)
    remark = f"averaged over {k} x {k} pixels"
    return replace(
        sky,
        column=blocks.mean(axis=(1, 3)),
        pixel_deg=k * sky.pixel_deg,
        remarks=(*sky.remarks, remark),
    )


def cut_outs(sky: Sky, pixels: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Cut-outs of `pixels` x `pixels` around the middle of the map, and reasons of those left out.

    Both are by corner, "[y:y+pixels,x:x+pixels]". Raises BadInput where no cut-out is left.
    """
    count = [size // pixels for size in sky.column.shape]
    first = [(size - n * pixels) // 2 for size, n in zip(sky.column.shape, count, strict=True)]
    good, reasons = {}, {}
    for row, column in np.ndindex(*count):
        y, x = first[0] + row * pixels, first[1] + column * pixels
        corner, cut = f"[{y}:{y + pixels},{x}:{x + pixels}]", sky.column[y:, x:][:pixels, :pixels]
        if reason := _fault(cut):
            reasons[corner] = reason
        else:
            good[corner] = cut
    if not good:
        ny, nx = sky.column.shape
        raise BadInput(
            f"{sky.path}: {len(reasons)} cut-outs of {pixels} pixels in {ny} x {nx}, each with NaN,"
            " values not above 0 or of one value; expected at least one without (key `pixels`)"
        )
    return good, reasons


def _fault(cut: np.ndarray) -> str:
    """The reason to leave a cut-out out, empty for a good one."""
    for name, bad in (("NaN", ~np.isfinite(cut)), ("not above 0", ~(cut > 0))):
        if bad.any():
            return f"{bad.sum()} pixels are {name}"
    return "" if np.ptp(cut) > 0 else "all pixels are equal"


def _unit(header: fits.Header, assumed: str) -> str:
    """BUNIT; of magnitudes the extinction in the band that the header or the config names."""
    text = text_of(header.get("BUNIT", ""))
    band = BAND.search(" ".join([*(str(header.get(key, "")) for key in BAND_KEYS), assumed]))
    magnitudes = text.lower() == "mag" or BAND.search(text)
    return f"A_{band[1].upper()}" if band and magnitudes else text


def _pixel_deg(header: fits.Header) -> float:
    """Side of a square with the area of a pixel, NaN without coordinates on the sky."""
    with warnings.catch_warnings(action="ignore", category=FITSFixedWarning):
        wcs = WCS(header).celestial
        return float(np.sqrt(wcs.proj_plane_pixel_area().to_value("deg2"))) if wcs.naxis else np.nan


def _beam_deg(header: fits.Header, stated_arcsec: float | None) -> float:
    """Full width of the beam at half maximum: as stated, else of BMAJ and BMIN, else NaN."""
    if stated_arcsec:
        return stated_arcsec / 3600
    major = float(header.get("BMAJ", np.nan))
    return float(np.sqrt(major * float(header.get("BMIN", major))))


def _beam_checked(sky: Sky) -> Sky:
    """The map with a remark on its beam, and a warning where its pixels resolve it."""
    number = sky.pixels_per_beam
    if not number > 0:
        return replace(sky, remarks=(*sky.remarks, "beam unknown: neither BMAJ nor beam_arcsec"))
    if number > RESOLVED:
        print(
            f"warning: {sky.path}: {number:.1f} pixels a beam; above {RESOLVED} images are smooth"
            " on their pixels, as of a steep index: rebin: true averages to half a beam",
            file=sys.stderr,
        )
    return replace(sky, remarks=(*sky.remarks, f"{number:.3g} pixels a beam"))
