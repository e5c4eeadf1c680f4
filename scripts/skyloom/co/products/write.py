"""The FITS files of a product: maps of both lines as in Planck's CO maps, and a template for PySM.

HEALPix RING, Galactic, float32. Columns: `I10` [K_RJ km/s], `E10` (its 1 sigma), `R10` (one
realisation of a stochastic model), `M10` (mask bits), then those of 2-1. Missing pixels are UNSEEN.
"""

import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import healpy as hp
import numpy as np
import pandas as pd
import xarray as xr
from astropy.io import fits

from skyloom.cli import BadInput, atomic
from skyloom.co.data.patches import LINE_NAMES
from skyloom.co.data.tiles import frame
from skyloom.healpix import read_healpix
from skyloom.images import opened

MISSING, EXTRAPOLATED, TRAINED = 1, 2, 4
BITS = {
    MISSING: "most of the input is missing",
    EXTRAPOLATED: "extrapolation, see below",
    TRAINED: "sky on which the network was trained",
}
HIGH_LATITUDE = 30.0  # [deg] the training sky has hardly a bright pixel beyond it
TRANSITIONS = {"10": "1-0", "21": "2-1"}
REST_FREQUENCY = {"10": 115.2712018e9, "21": 230.538e9}  # [Hz] of 12CO, CDMS
COMMENT_WIDTH = 72  # characters of a FITS card of text


@dataclass(frozen=True)
class LineMap:
    """One line of a product over `pixel` (RING): maps [K km/s], mask bits, header keywords."""

    intensity: np.ndarray
    error: np.ndarray  # NaN for a model without an error
    realisation: np.ndarray | None
    bits: np.ndarray
    facts: dict


def join_seeds(
    skies: list[xr.Dataset], paths: list[Path]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    """Mean over the seeds of a model, its error, a realisation, and the parts of the error.

    The error is 1 sigma of the mixture. Its variance has three parts: that of the model, that
    between overlapping tiles, and that between seeds. The model's part is the spread that it
    predicts, or the scatter of two or more samples. The scatter of four samples is known to 40 %
    only. A model without either and with one seed has no error.

    Raises BadInput where the skies of the seeds differ in area or NSIDE.
    """
    first = skies[0]
    for sky, path in zip(skies, paths, strict=True):
        if (
            sky.sizes["pixel"] != first.sizes["pixel"]
            or (sky.pixel.values != first.pixel.values).any()
        ):
            raise BadInput(
                f"{path}: another area or NSIDE than {paths[0]}; expected all seeds on one sky"
            )
    intensity = np.mean([sky.prediction.values for sky in skies], axis=0)
    model_error = next((name for name in ("spread", "sample_std") if name in first), None)
    parts = [model_error] * (model_error is not None) + ["seeds"] * (len(skies) > 1)
    variance = np.zeros_like(intensity)
    if model_error:
        variance += np.mean([sky[model_error].values ** 2 for sky in skies], axis=0)
    if len(skies) > 1:
        variance += np.var([sky.prediction.values for sky in skies], axis=0, ddof=1)
    variance += np.mean([sky.disagreement.values**2 for sky in skies], axis=0)
    error = np.sqrt(variance) if parts else np.full_like(intensity, np.nan)
    realisation = first.realisation.values if "realisation" in first else None
    return intensity, error, realisation, "+".join([*parts, "tiles"]) if parts else "none"


def mask_bits(
    sky: xr.Dataset,
    intensity: np.ndarray,
    noise: np.ndarray,
    snr: float,
    views: pd.DataFrame,
    size_deg: float,
) -> np.ndarray:
    """Mask bits (pixel,) uint8: 1 missing, 2 extrapolated, 4 trained on.

    A pixel is extrapolated where |b| > 30 deg, or where the predicted emission is below `snr` times
    the noise: bright training tiles do not hold such pixels. A pixel in any training example was
    trained on.

    noise : (n_pix,) error of the observed line [K km/s]; its median is used where it is masked
    views : `glon`, `glat`, `angle` of the training examples (`regions.tile_views`)
    """
    nside, pixel = int(sky.attrs["nside"]), sky.pixel.values
    _, glat = hp.pix2ang(nside, pixel, lonlat=True)
    level = noise[pixel]
    level = np.where(np.isfinite(level), level, np.nanmedian(noise))
    with np.errstate(invalid="ignore"):
        faint = ~(intensity >= snr * level)
    trained = np.zeros(hp.nside2npix(nside), bool)
    half = np.radians(size_deg) / 2
    for glon, lat, angle in zip(views["glon"], views["glat"], views["angle"], strict=True):
        centre, east, north = frame(glon, lat, angle)
        corners = [
            centre + half * (x * east + y * north) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        trained[hp.query_polygon(nside, np.array([c / np.linalg.norm(c) for c in corners]))] = True
    bits = MISSING * (sky.known.values < 0.5) | EXTRAPOLATED * (
        (np.abs(glat) > HIGH_LATITUDE) | faint
    )
    return (bits | TRAINED * trained[pixel]).astype(np.uint8)


def write_product(
    lines: dict[str, LineMap], pixel: np.ndarray, nside: int, facts: dict, path: Path
) -> None:
    """Write the product. `facts` of product and line are header keywords: (value, comment) each."""
    columns = []
    for line, line_map in lines.items():
        maps = {"I": line_map.intensity, "E": line_map.error}
        if line_map.realisation is not None:
            maps["R"] = line_map.realisation
        for letter, values in maps.items():
            columns.append(
                fits.Column(
                    f"{letter}{line}", "E", unit="K_RJ km/s", array=_full_sky(values, pixel, nside)
                )
            )
        bits = np.full(hp.nside2npix(nside), MISSING, np.uint8)
        bits[pixel] = line_map.bits
        columns.append(fits.Column(f"M{line}", "B", array=bits))
    table = _table(
        columns,
        nside,
        facts | {k: v for line_map in lines.values() for k, v in line_map.facts.items()},
    )
    texts = [f"Mask bit {bit}: {meaning}." for bit, meaning in BITS.items()] + [
        f"Extrapolation: |b| > {HIGH_LATITUDE:g} deg, or I below SNRCUT times the error of the "
        "observed map there.",
        "R: one realisation, with small-scale power; I is the mean of the predicted distribution.",
    ]
    _write(table, texts, path)


def write_pysm(
    lines: dict[str, LineMap], pixel: np.ndarray, nside: int, facts: dict, path: Path
) -> None:
    """Write a template for `pysm3`: K_CMB, one column a line, 0 where the product has no value.

    The unit is K_CMB and not uK_CMB, since `pysm3.models.COLines` reads its template with that
    unit, whatever the header says. For a stochastic model the template is its realisation, since
    its mean has too little small-scale power for a foreground. `facts` has the conversion of each
    line as `CNV10`, `CNV21` [K_CMB / (K_RJ km/s)].
    """
    columns = []
    for line, line_map in lines.items():
        values = line_map.intensity if line_map.realisation is None else line_map.realisation
        template = _full_sky(facts[f"CNV{line}"][0] * values, pixel, nside)
        template[template == np.float32(hp.UNSEEN)] = 0
        columns.append(fits.Column(f"I{line}", "E", unit="K_CMB", array=template))
    table = _table(
        columns,
        nside,
        facts | {k: v for line_map in lines.values() for k, v in line_map.facts.items()},
    )
    texts = [
        "0 where the product has no value: its own file has a mask, a template has none.",
        "CNV is of Planck's bandpass; another telescope scales by its own.",
    ]
    _write(table, texts, path)


def line_facts(
    line: str,
    skies: list[xr.Dataset],
    intensity: np.ndarray,
    realisation: np.ndarray | None,
    parts: str,
) -> dict:
    """Header keywords of one line: its model and the quality of its map, the worst of its seeds.

    A stochastic model also has the seam of its realisations, and the ratio of their mass to that of
    the mean. Blending and the nonlinear transform back to K km/s may change either.
    """
    attrs = [sky.attrs for sky in skies]

    def worst(name: str) -> float:
        return round(float(max(a[name] for a in attrs)), 5)

    name = LINE_NAMES[line]
    facts = {
        f"RESTF{line}": (REST_FREQUENCY[line], f"[Hz] rest frequency of {name}"),
        f"MODEL{line}": (attrs[0]["model"], f"model of {name}"),
        f"SEEDS{line}": (",".join(str(a["seed"]) for a in attrs), "its seeds, averaged"),
        f"DIGST{line}": (",".join(str(a["digest"])[:12] for a in attrs), "its trainings"),
        f"ERROR{line}": (parts, f"parts of E{line}"),
        f"BEAM{line}": (worst("beam_arcmin"), "[arcmin] FWHM after both interpolations"),
        f"CLOSE{line}": (worst("closure_rms"), "rms of dust, cut and returned, over its std"),
        f"SEAM{line}": (worst("seam"), "rms between overlapping tiles over std"),
        f"NTILE{line}": (int(attrs[0]["tiles"]), "tiles"),
        f"NSAMP{line}": (int(attrs[0]["samples"]), "realisations, 0 of a deterministic model"),
    }
    if realisation is not None:
        ratio = np.nanmean(realisation, dtype=np.float64) / np.nanmean(intensity, dtype=np.float64)
        facts[f"SEAMR{line}"] = (worst("seam_realisation"), f"SEAM{line} of R{line}")
        facts[f"MASSR{line}"] = (round(float(ratio), 5), f"mean of R{line} over mean of I{line}")
    return facts


def read_product(path: Path) -> tuple[dict[str, dict[str, np.ndarray]], fits.Header]:
    """Maps of each line of a product file, full sky, NaN where UNSEEN; and its header.

    The maps are line -> letter (I, E, R, M) -> (n_pix,). Raises BadInput where the file is no
    table.
    """
    with opened(path, "a product of co_write_product") as hdus:
        if len(hdus) < 2:
            raise BadInput(f"{path}: no table; expected a product of co_write_product")
        header = hdus[1].header
    columns = [str(header[f"TTYPE{i + 1}"]).strip() for i in range(header["TFIELDS"])]
    # the error column of a model without an error holds no value
    filled = [
        c
        for c in columns
        if not (c.startswith("E") and str(header.get(f"ERROR{c[1:]}", "")) == "none")
    ]
    table = read_healpix(path, {c: None if c.startswith("M") else "K_RJ km/s" for c in filled})
    lines: dict[str, dict[str, np.ndarray]] = {}
    for column in filled:
        lines.setdefault(column[1:], {})[column[0]] = table[column]
    return lines, header


def _full_sky(values: np.ndarray, pixel: np.ndarray, nside: int) -> np.ndarray:
    sky = np.full(hp.nside2npix(nside), hp.UNSEEN, np.float32)
    sky[pixel] = np.where(np.isfinite(values), values, hp.UNSEEN)
    return sky


def _table(columns: list[fits.Column], nside: int, facts: dict) -> fits.BinTableHDU:
    table = fits.BinTableHDU.from_columns(columns)
    layout = {
        "EXTNAME": "COMP-MAP",
        "PIXTYPE": ("HEALPIX", "HEALPix pixelisation"),
        "ORDERING": ("RING", "pixel ordering scheme"),
        "COORDSYS": ("GALACTIC", "coordinate system"),
        "NSIDE": (nside, "resolution parameter"),
        "FIRSTPIX": 0,
        "LASTPIX": hp.nside2npix(nside) - 1,
        "INDXSCHM": "IMPLICIT",
        "OBJECT": "FULLSKY",
        "BAD_DATA": (hp.UNSEEN, "value of missing pixels"),
        "AST-COMP": "CO",
        "CREATOR": "Skyloom",
        "DATE": (datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "UTC of this file"),
    }
    for key, value in (layout | facts).items():
        table.header[key] = value
    return table


def _write(table: fits.BinTableHDU, texts: list[str], path: Path) -> None:
    for text in (*texts, "SHA_: sha256 of the raw maps."):
        for line in textwrap.wrap(text, COMMENT_WIDTH):
            table.header["COMMENT"] = line
    with atomic(path) as part:
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(part, overwrite=True)
