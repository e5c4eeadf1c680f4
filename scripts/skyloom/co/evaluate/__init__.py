"""Test-set metrics of a predicted CO map, in K km/s and always against the raw target with its
error map.

| room | what | |---|---| | `pixels` | amplitude, order, detection, image quality | | `structure`
(`spectra`) | rho_l and C_l ratio against scale, per tile and then the median over tiles, as
published | | `morphology` (`minkowski`) | overlap of the bands of the Minkowski functionals | |
`distribution` | histograms of W | | `spread` | coverage, CRPS, pull, of models that state an
uncertainty | | `subsets` | the parts of the test sky that are scored on their own |

Each room has `tables`, sums or curves of single tiles, and `records`, what a subset's tiles say
together. Point scores are of `prediction`, of a stochastic model the mean that it states; what is
called texture (rho_l, C_l ratio, overlap, histogram) is measured of one realisation too, `of:
sample`, since a mean is smooth by nature, and so are bias and mass ratio, in which draws can depart
from the mean as a whole.

Intervals resample blocks, NSIDE 8 super-pixels of 7.3 degrees: 3-degree tiles at NSIDE 32 centres
lie 1.8 degrees apart and overlap, so that single tiles would count the same sky up to five times
and give intervals far too narrow. Faint tiles were chosen with a low probability: where they stand
beside bright ones, each tile counts for all that it stands for, by its `sampling_weight`, in sums,
means, medians and ranks alike.
"""

from collections.abc import Callable
from typing import NamedTuple

import healpy
import numpy as np
import xarray as xr

from skyloom import metrics
from skyloom.cli import BadInput
from skyloom.co.evaluate import distribution, morphology, pixels, spectra, spread, structure
from skyloom.co.evaluate.subsets import subsets, tile_snr

CHUNK = 128  # tiles whose spectra and realisations are held at once
MEASURED = ("target", "error", "null", "dust")
VALIDATED = (
    "rho_l_beam",
    "rmse_over_noise",
    "mf_overlap",
    "mf_overlap_normalised",
    "coverage_68",
    "crps",
)


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> tuple[list[dict], xr.Dataset]:
    """Metrics of one model on the test tiles.

    patches : the test rows of patches.nc; predictions : `prediction`, where there is one `spread`
        (example, y, x), and
    `samples` (example, sample, y, x) [K km/s], the same rows. entry : the model's section of the
    config, unused here.
    settings : the section `evaluate` of the config (docs/config.md). The beam, the line, the
        longitude blocks and what
    divides bright from faint are attributes of the patch set. Returns the records for metrics.json
    and the curves (docs/architecture.md). Errors: BadInput where the prediction has another shape
    or is not finite on valid sky.
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
    chosen = subsets(patches, snr, settings)
    bright = patches.bright_fraction.values >= patches.attrs["bright_fraction"]
    stands_for = patches.sampling_weight.values.astype(np.float64)

    records, curves = [], []
    for subset, rows in chosen.items():
        part = {name: values[rows] for name, values in tiles.items()}
        shares = stands_for[rows] / stands_for[rows].min()
        counts = metrics.multiplicities(blocks[rows], settings["draws"], settings["seed"]) * shares
        about = {"blocks": blocks[rows], "subset": subset}
        ranks = pixels.rank_moments(
            {name: values[rows] for name, values in places.items()},
            fields["target"][rows],
            weight[rows],
            shares,
        )
        records += pixels.records(part, ranks, counts, about)
        records.append(
            metrics.record(
                "bright_share", metrics.mean(bright[rows] * 1.0, counts), "higher", **about
            )
        )
        drawn = [
            structure.records(part, counts, grids.ell, grids.in_beam, about),
            morphology.records(part, counts, grids.thresholds, settings["seed"], about),
            distribution.records(part, counts, edges, about),
            spread.records(part, counts, about),
        ]
        records += [record for found, _ in drawn for record in found]
        curves.append(xr.merge([curve for _, curve in drawn], join="outer", compat="no_conflicts"))
    curves = xr.concat(curves, dim=xr.IndexVariable("subset", list(chosen)), combine_attrs="drop")
    outside = patches["complex"].values == 0
    curves = curves.merge(
        _latitude_curves(
            (tiles["moments"] * stands_for[:, None])[outside],
            patches.glat.values[outside],
            blocks[outside],
            settings,
        )
    )
    beam_arcmin = float(patches.attrs["beam_arcmin"])
    curves["beam"] = ("l", grids.beam, {"long_name": f"B_l^2 of {beam_arcmin:g} arcmin FWHM"})
    curves.attrs = {"beam_arcmin": beam_arcmin, "beam_cut": settings["beam_cut"]}
    curves.attrs |= {"interval": "68 % of a bootstrap over blocks of tiles"}
    return records, curves


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
    counts = metrics.multiplicities(blocks, settings["draws"], settings["seed"])
    about = {"blocks": blocks, "subset": "bright", "split": "valid"}
    found = [
        metrics.record(
            "rmse_over_noise", pixels.rmse_over_noise(tiles["moments"], counts), "lower", **about
        )
    ]
    found += structure.records(tiles, counts, grids.ell, grids.in_beam, about)[0]
    found += morphology.records(tiles, counts, grids.thresholds, settings["seed"], about)[0]
    found += spread.records(tiles, counts, about)[0]
    return [
        record for record in found if record["name"] in VALIDATED and record["of"] in metrics.OWN
    ]


class Grids(NamedTuple):
    """What tiles of one size and beam are measured on."""

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
    """The tables of `structure`, `morphology`, `spread`, and of `more(maps, weight)`, over all
    tiles.
    """
    rng = np.random.default_rng(settings["seed"])
    pixel_deg = grids.tile_deg / weight.shape[-1]
    parts = []
    for start in range(0, len(weight), CHUNK):
        rows = slice(start, start + CHUNK)
        maps, w = {name: values[rows] for name, values in fields.items()}, weight[rows]
        part = more(maps, w) | structure.tables(maps, w, grids.taper, grids.matrix, grids.tile_deg)
        part |= morphology.tables(maps, w, grids.thresholds, pixel_deg) | spread.tables(
            maps, w, rng
        )
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
        lost = (weight > 0) & ~finite
        if lost.any():
            raise BadInput(
                f"{name} is not finite in {lost.sum()} pixels of {lost.any((1, 2)).sum()} tiles "
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
