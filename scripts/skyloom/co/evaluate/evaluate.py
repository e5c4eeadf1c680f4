"""Scores of a predicted CO map on all test tiles and on parts of the test sky.

| module | what for |
|---|---|
| `pixels` | amplitude, order, detection, image quality |
| `power` (`spectra`) | rho_l and C_l ratio against scale, median over tiles, as published |
| `morphology` (`minkowski`) | overlap of the bands of the Minkowski functionals |
| `distribution` | histograms of W |
| `calibration` | coverage, CRPS, pull, of models that state an uncertainty |
| `subsets` | the parts of the test sky that are scored separately |

Each module has `tables`, sums or curves of single tiles, and `records`, the scores of a subset's
tiles. Point scores are of `prediction`, for a stochastic model the mean that it states. Texture
(rho_l, C_l ratio, overlap, histogram), bias and mass ratio are also measured of one realisation,
`of: sample`: a mean is smooth by nature, and draws can depart from the mean as a whole.

Intervals resample blocks, NSIDE 8 super-pixels of 7.3 degrees: 3-degree tiles at NSIDE 32 centres
lie 1.8 degrees apart and overlap, so that single tiles would count the same sky up to five times
and give intervals far too narrow. Faint tiles were chosen with a low probability: in subsets with
bright and faint tiles each tile counts by its `sampling_weight`, in sums, means, medians and ranks.
"""

from collections.abc import Callable
from typing import NamedTuple

import healpy
import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.co.evaluate import calibration, distribution, morphology, pixels, power, spectra
from skyloom.co.evaluate.subsets import subsets, tile_snr
from skyloom.scores import bootstrap
from skyloom.scores.records import OUTPUTS, Evaluation, record

CHUNK = 128  # tiles whose spectra and realisations are held at once
MEASURED = ("target", "error", "null", "dust")
VALIDATED = (
    "rho_l_beam",
    "rmse_over_noise",
    "mf_overlap",
    "mf_overlap_normalised",
    "coverage68",
    "crps",
)


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> Evaluation:
    """Scores of one model on the test tiles.

    patches : the test rows of patches.nc. The beam, the line, the longitude blocks and what divides
        bright from faint are attributes of the file.
    predictions : the same rows: `prediction`, where there is one `spread` (example, y, x), and
        `samples` (example, sample, y, x) [K km/s].
    entry : the model's section of the config, unused here.
    settings : the section `evaluate` of the config (docs/config.md).
    Curves are listed in docs/architecture.md, scores of single tiles in docs/co.md. Raises BadInput
    where the prediction has another shape or is not finite on valid sky.
    """
    fields, weight = read_fields(patches, predictions)
    grids = make_grids(patches, settings)
    edges = distribution.bin_edges(settings["pdf_min"], settings["pdf_max"], settings["pdf_count"])

    def whole(maps: dict, w: np.ndarray) -> dict:
        return pixels.tables(maps, w) | distribution.tables(maps, w, edges)

    tiles = _tables(fields, weight, grids, settings, whole)
    places = {
        name: pixels.dense_ranks(fields[name], weight > 0) for name in ("prediction", "target")
    }
    blocks = healpy.ang2pix(
        settings["block_nside"], patches.glon.values, patches.glat.values, lonlat=True
    )
    snr = tile_snr(fields["target"], fields["error"], weight, patches.attrs["bright_fraction"])
    rows_of = subsets(patches, snr, settings)
    bright = patches.bright_fraction.values >= patches.attrs["bright_fraction"]
    represented = patches.sampling_weight.values.astype(np.float64)

    records, curves = [], []
    for subset, rows in rows_of.items():
        part = {name: values[rows] for name, values in tiles.items()}
        shares = represented[rows] / represented[rows].min()
        counts = bootstrap.multiplicities(blocks[rows], settings["draws"], settings["seed"])
        counts *= shares
        context = {"blocks": blocks[rows], "subset": subset}
        ranks = pixels.rank_moments(
            {name: values[rows] for name, values in places.items()},
            fields["target"][rows],
            weight[rows],
            shares,
        )
        records += pixels.records(part, ranks, counts, context)
        share = bootstrap.mean(bright[rows] * 1.0, counts)
        records.append(record("bright_share", share, "higher", **context))
        scores = [
            power.records(part, counts, grids.ell, grids.in_beam, context),
            morphology.records(part, counts, grids.thresholds, settings["seed"], context),
            distribution.records(part, counts, edges, context),
            calibration.records(part, counts, context),
        ]
        records += [entry for entries, _ in scores for entry in entries]
        curves.append(xr.merge([curve for _, curve in scores], join="outer", compat="no_conflicts"))
    curves = xr.concat(curves, dim=xr.IndexVariable("subset", list(rows_of)), combine_attrs="drop")
    outside = patches["complex"].values == 0
    curves = curves.merge(
        _latitude_curves(
            (tiles["moments"] * represented[:, None])[outside],
            patches.glat.values[outside],
            blocks[outside],
            settings,
        )
    )
    beam_arcmin = float(patches.attrs["beam_arcmin"])
    curves["beam"] = ("l", grids.beam, {"long_name": f"B_l^2 of {beam_arcmin:g} arcmin FWHM"})
    curves.attrs = {"beam_arcmin": beam_arcmin, "beam_cut": settings["beam_cut"]}
    curves.attrs |= {"interval": "68 % of a bootstrap over blocks of tiles"}
    line = str(patches.attrs.get("line", ""))
    curves.attrs["line"] = line
    return Evaluation(records, curves, pixels.examples(tiles["moments"]), group=line)


def validation_rows(patches: xr.Dataset) -> np.ndarray:
    """The validation tiles that `validate` scores: the bright ones, as the headline's are
    on test.
    """
    return np.flatnonzero(patches.bright_fraction.values >= patches.attrs["bright_fraction"])


def validate(patches: xr.Dataset, predictions: xr.Dataset, settings: dict) -> list[dict]:
    """The scores that models are chosen by, VALIDATED, on the validation tiles `validation_rows`,
    split `valid`.

    patches, predictions, settings : as in `evaluate`, for these rows.
    """
    fields, weight = read_fields(patches, predictions)
    grids = make_grids(patches, settings)
    tiles = _tables(
        fields, weight, grids, settings, lambda maps, w: {"moments": pixels.moments(maps, w)}
    )
    blocks = healpy.ang2pix(
        settings["block_nside"], patches.glon.values, patches.glat.values, lonlat=True
    )
    counts = bootstrap.multiplicities(blocks, settings["draws"], settings["seed"])
    context = {"blocks": blocks, "subset": "bright", "split": "valid"}
    noise = pixels.rmse_over_noise(tiles["moments"], counts)
    records = [record("rmse_over_noise", noise, "lower", **context)]
    records += power.records(tiles, counts, grids.ell, grids.in_beam, context)[0]
    records += morphology.records(tiles, counts, grids.thresholds, settings["seed"], context)[0]
    records += calibration.records(tiles, counts, context)[0]
    return [entry for entry in records if entry["name"] in VALIDATED and entry["of"] in OUTPUTS]


class Grids(NamedTuple):
    """Bands, window and thresholds for tiles of one size and beam."""

    tile_deg: float
    ell: np.ndarray  # centres of the bands
    matrix: np.ndarray  # (mode, band)
    beam: np.ndarray  # (band,) B_l^2
    in_beam: np.ndarray  # (band,)
    taper: np.ndarray  # (y, x)
    thresholds: np.ndarray  # of the Minkowski functionals


def make_grids(patches: xr.Dataset, settings: dict) -> Grids:
    """Errors: BadInput where no band of l fits the tiles."""
    n = patches.sizes["x"]
    tile_deg = n * patches.attrs["pixel_arcmin"] / 60
    ell, matrix = spectra.bands(
        n, tile_deg, settings["l_first"], settings["l_width"], settings["l_count"]
    )
    if not len(ell):
        raise BadInput(
            f"evaluate: no band of l fits {n} pixels over {tile_deg:g} deg; expected a "
            "smaller l_first"
        )
    beam = spectra.beam_power(ell, float(patches.attrs["beam_arcmin"]))
    taper = spectra.window(n, tile_deg, settings["taper_deg"])
    thresholds = np.linspace(
        settings["threshold_min"], settings["threshold_max"], settings["threshold_count"]
    )
    return Grids(tile_deg, ell, matrix, beam, beam > settings["beam_cut"], taper, thresholds)


def _tables(
    fields: dict, weight: np.ndarray, grids: Grids, settings: dict, more: Callable
) -> dict[str, np.ndarray]:
    """The tables of `power`, `morphology`, `calibration`, and of `more(maps, weight)`, of all
    tiles.
    """
    rng = np.random.default_rng(settings["seed"])
    pixel_deg = grids.tile_deg / weight.shape[-1]
    parts = []
    for start in range(0, len(weight), CHUNK):
        rows = slice(start, start + CHUNK)
        maps, w = {name: values[rows] for name, values in fields.items()}, weight[rows]
        part = more(maps, w) | power.tables(maps, w, grids.taper, grids.matrix, grids.tile_deg)
        part |= morphology.tables(maps, w, grids.thresholds, pixel_deg)
        part |= calibration.tables(maps, w, rng)
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_fields(
    patches: xr.Dataset, predictions: xr.Dataset
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Maps (n, y, x) and the weight of their pixels, 0 where a measured map or its error is
    missing.

    A stochastic model's `samples` come along, and the first of them as `sample`.
    """
    fields = {name: patches[name].values for name in MEASURED}
    predicted = {
        name: predictions[name].values
        for name in ("prediction", "spread", "samples")
        if name in predictions
    }
    measured = [np.isfinite(fields[name]) for name in MEASURED]
    weight = np.where(
        np.logical_and.reduce(measured) & (fields["error"] > 0), patches["weight"].values, 0
    )
    shape = weight.shape
    for name, values in predicted.items():
        expected = (shape[0], *values.shape[1:2], *shape[1:]) if name == "samples" else shape
        if values.shape != expected:
            raise BadInput(f"{name} has the shape {values.shape}, expected {expected}")
        finite = np.isfinite(values).all(1) if name == "samples" else np.isfinite(values)
        bad = (weight > 0) & ~finite
        if bad.any():
            raise BadInput(
                f"{name} is not finite in {bad.sum()} pixels of {bad.any((1, 2)).sum()} tiles "
                "of valid sky"
            )
    empty = ~(weight > 0).any((1, 2))
    if empty.any():
        raise BadInput(
            f"patches: {empty.sum()} tiles have no valid pixel (tiles "
            f"{patches.tile.values[empty][:5]}...)"
        )
    if "samples" in predicted:
        predicted["sample"] = predicted["samples"][:, 0]
    return fields | predicted, weight.astype(np.float64)


def _latitude_curves(
    moments: np.ndarray, glat: np.ndarray, blocks: np.ndarray, settings: dict
) -> xr.Dataset:
    """Residual against |b| outside the held-out complexes, bright and faint tiles by what they
    stand for.
    """
    edges = settings["latitude_bins"]
    curves = xr.Dataset(
        {"latitude_edges": ("latitude_edge", np.array(edges, float), {"units": "deg"})}
    )
    for name, values in pixels.against_latitude(
        moments, np.abs(glat), blocks, edges, settings
    ).items():
        for end, row in zip(("", "_lo", "_hi"), values, strict=True):
            curves[f"latitude_{name}{end}"] = ("latitude", row, {"units": "K km/s"})
    return curves
