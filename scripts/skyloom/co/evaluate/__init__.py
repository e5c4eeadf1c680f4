"""Test-set metrics of a predicted CO map, in K km/s and always against the raw target with its error map.

Amplitude: rmse_over_noise, bias; order: Pearson, Spearman; structure at a scale: rho_l and the C_l ratio, per tile and
then the median over tiles, as the published curves (studied in COnet's notebooks) are; morphology: overlap of Minkowski
bands. Beside the model stand the raw dust map ("dust", what a network must beat) and the best that noise permits
("ceiling"): sqrt(S / (S + N)) for rho_l, S / (S + N) for the C_l ratio of a noise-free prediction, N from the null map;
for the overlap, that of two random halves of the real tiles (a yardstick, not a bound: a prediction shares its tiles).

Intervals resample blocks, NSIDE 8 super-pixels of 7.3 degrees: 3-degree tiles at NSIDE 32 centres lie 1.8 degrees
apart and overlap, so that single tiles would count the same sky up to five times and give intervals far too narrow.
"""

from collections.abc import Iterator

import healpy
import numpy as np
import xarray as xr
from scipy.stats import rankdata

from skyloom import metrics
from skyloom.cli import BadInput
from skyloom.co.evaluate import minkowski, spectra
from skyloom.patchset import flag_names

CHUNK = 128  # tiles whose spectra are held at once
PAIRS = [("prediction", "prediction"), ("target", "target"), ("dust", "dust"), ("null", "null")]
PAIRS += [("prediction", "target"), ("dust", "target")]
PIXELWISE = ("prediction", "target", "error", "spread")
HALVES = 200  # random halves of the real tiles for the ceiling of the overlap


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> tuple[list[dict], xr.Dataset]:
    """Metrics of one model on the test tiles.

    patches : the test rows of patches.nc; predictions : `prediction`, where there is one `spread` (example, y, x)
    [K km/s], the same rows. entry : the model's section of the config, unused here.
    settings : `beam_cut` (bands with B_l^2 above it make the `_beam` scalars); `taper_deg`; `l_first`, `l_width`,
    `l_count`; `threshold_min`, `threshold_max`, `threshold_count` [tile standard deviations]; `block_nside`, `draws`,
    `seed` (bootstrap). The beam, and what divides bright from faint, are the patch set's `beam_arcmin` and
    `bright_fraction`.
    Returns the records for metrics.json and the curves: `rho_l`, `cl_ratio (of, subset, l)` with `_lo`, `_hi`, `beam`,
    and `v0 v1 v2 (field, subset, threshold)` with `_sigma`.
    Errors: BadInput where the prediction has another shape or is not finite on valid sky.
    """
    fields, weight = _fields(patches, predictions)
    n = weight.shape[-1]
    tile_deg = n * patches.attrs["pixel_arcmin"] / 60
    ell, matrix = spectra.bands(n, tile_deg, settings["l_first"], settings["l_width"], settings["l_count"])
    if not len(ell):
        raise BadInput(f"evaluate: no band of l fits {n} pixels over {tile_deg:g} deg; expected a smaller l_first")
    beam_arcmin = float(patches.attrs["beam_arcmin"])
    beam = spectra.beam_power(ell, beam_arcmin)
    thresholds = np.linspace(settings["threshold_min"], settings["threshold_max"], settings["threshold_count"])
    taper = spectra.window(n, tile_deg, settings["taper_deg"])
    tiles = _spectra(fields, weight, matrix, taper, tile_deg) | _functionals(fields, weight, thresholds, tile_deg / n)
    blocks = healpy.ang2pix(settings["block_nside"], patches.glon.values, patches.glat.values, lonlat=True)

    records, curves = [], []
    for subset, rows in _subsets(patches, patches.attrs["bright_fraction"]):
        part = {name: values[rows] for name, values in tiles.items()}
        counts = metrics.multiplicities(blocks[rows], settings["draws"], settings["seed"])
        pixels = {name: values[rows] for name, values in fields.items() if name in PIXELWISE}
        about = {"blocks": blocks[rows], "subset": subset}
        records += _pixel_records(pixels, weight[rows], counts, about)
        structure, curve = _spectrum_records(part, counts, ell, beam > settings["beam_cut"], about)
        records += structure
        morphology, bands = _overlap_records(part, counts, thresholds, settings["seed"], about)
        records += morphology
        curves.append(curve.merge(bands))
    curves = xr.concat(
        curves, dim=xr.IndexVariable("subset", [c.attrs["subset"] for c in curves]), combine_attrs="drop"
    )
    curves["beam"] = ("l", beam, {"long_name": f"B_l^2 of {beam_arcmin:g} arcmin FWHM"})
    curves.attrs = {"beam_arcmin": beam_arcmin, "beam_cut": settings["beam_cut"]}
    curves.attrs |= {"interval": "68 % of a bootstrap over blocks of tiles"}
    return records, curves


def _fields(patches: xr.Dataset, predictions: xr.Dataset) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Maps and the weight of their pixels, 0 where a measured map or its error is missing."""
    fields = {name: patches[name].values for name in ("target", "error", "null", "dust")}
    fields["prediction"] = predictions["prediction"].values
    if "spread" in predictions:
        fields["spread"] = predictions["spread"].values
    if fields["prediction"].shape != fields["target"].shape:
        raise BadInput(f"prediction has the shape {fields['prediction'].shape}, expected {fields['target'].shape}")
    measured = [np.isfinite(fields[name]) for name in ("target", "error", "null", "dust")]
    weight = np.where(np.logical_and.reduce(measured) & (fields["error"] > 0), patches["weight"].values, 0)
    lost = (weight > 0) & ~np.isfinite(fields["prediction"])
    if lost.any():
        raise BadInput(
            f"prediction is not finite in {lost.sum()} pixels of {lost.any((1, 2)).sum()} tiles of valid sky"
        )
    empty = ~(weight > 0).any((1, 2))
    if empty.any():
        raise BadInput(
            f"patches: {empty.sum()} test tiles have no valid pixel (tiles {patches.tile.values[empty][:5]}...)"
        )
    return fields, weight.astype(np.float64)


def _subsets(patches: xr.Dataset, bright_fraction: float) -> Iterator[tuple[str, np.ndarray]]:
    """(name, rows): `bright` and `faint` (extrapolation) outside the held-out complexes, then each complex."""
    names = flag_names(patches["complex"])
    held_out = patches["complex"].values
    bright = patches.bright_fraction.values >= bright_fraction
    chosen = [("bright", (held_out == 0) & bright), ("faint", (held_out == 0) & ~bright)]
    chosen += [(name, held_out == value) for value, name in names.items() if value != 0]
    return ((name, np.flatnonzero(rows)) for name, rows in chosen if rows.any())


def _spectra(fields: dict, weight: np.ndarray, matrix: np.ndarray, taper: np.ndarray, tile_deg: float) -> dict:
    """Per tile and band: rho_l of prediction and dust with the target, its ceiling, C_l ratio and its ceiling."""
    parts = []
    for start in range(0, len(weight), CHUNK):
        rows = slice(start, start + CHUNK)
        maps = {name: values[rows] for name, values in fields.items()}
        parts.append(spectra.banded(maps, PAIRS, weight[rows], taper, matrix, tile_deg))
    power = {pair: np.concatenate([part[pair] for part in parts]) for pair in PAIRS}
    target = power["target", "target"]
    share = spectra.signal_share(target, power["null", "null"])
    rho = {
        f"rho_{name}": spectra.coherence(power[name, "target"], power[name, name], target)
        for name in ("prediction", "dust")
    }
    ratio = power["prediction", "prediction"] / np.where(target > 0, target, np.inf)
    return rho | {"rho_ceiling": np.sqrt(share), "ratio": ratio, "ratio_ceiling": share}


def _functionals(fields: dict, weight: np.ndarray, thresholds: np.ndarray, pixel_deg: float) -> dict[str, np.ndarray]:
    """Minkowski functionals (tile, 3, threshold) of target, prediction, dust, each in its own standard deviations."""
    out = {}
    for name in ("target", "prediction", "dust"):
        parts = []
        for start in range(0, len(weight), CHUNK):
            rows = slice(start, start + CHUNK)
            field = minkowski.standardised(fields[name][rows], weight[rows])
            parts.append(minkowski.functionals(field, thresholds, pixel_deg, weight[rows]))
        out[f"mf_{name}"] = np.concatenate(parts)
    return out


def _pixel_records(fields: dict, weight: np.ndarray, counts: np.ndarray, about: dict) -> list[dict]:
    """rmse_over_noise, bias, Pearson, Spearman over all pixels of the subset, from sums per tile.

    rmse_over_noise = sqrt(<((prediction - target) / error)^2>): 1 where only the target's noise is left. A spread adds
    `pull`, the same with error^2 + spread^2 in the denominator: 1 where the spread is honest.
    """
    valid = weight > 0
    prediction, target, error = (np.where(valid, fields[name], 1) for name in ("prediction", "target", "error"))
    difference = prediction.astype(np.float64) - target

    def over_tiles(values: np.ndarray) -> np.ndarray:
        return counts @ (weight * values).sum((1, 2)) / (counts @ weight.sum((1, 2)))

    def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = (v - np.average(v, weights=weight) for v in (a, b))  # keeps the sums of squares well conditioned
        mean_a, mean_b = over_tiles(a), over_tiles(b)
        spread = np.sqrt(np.maximum((over_tiles(a * a) - mean_a**2) * (over_tiles(b * b) - mean_b**2), 0))
        return np.where(spread > 0, (over_tiles(a * b) - mean_a * mean_b) / np.where(spread > 0, spread, 1), 0.0)

    def ranks(values: np.ndarray) -> np.ndarray:
        out = np.zeros(values.shape)
        out[valid] = rankdata(values[valid]) / valid.sum()
        return out

    rmse = np.sqrt(over_tiles((difference / error) ** 2))
    spearman = correlation(ranks(prediction), ranks(target))  # draws keep the ranks of the whole subset
    records = [
        metrics.record("rmse_over_noise", rmse, "lower", **about),
        metrics.record("bias", over_tiles(difference), "zero", unit="K km/s", **about),
        metrics.record("pearson", correlation(prediction, target), "higher", **about),
        metrics.record("spearman", spearman, "higher", **about),
    ]
    if "spread" in fields:
        variance = error**2 + np.where(valid, fields["spread"], 0) ** 2
        records.append(metrics.record("pull", np.sqrt(over_tiles(difference**2 / variance)), "one", **about))
    return records


def _spectrum_records(tiles: dict, counts: np.ndarray, ell: np.ndarray, in_beam: np.ndarray, about: dict):
    """rho_l and C_l ratio: medians over tiles in each band (curves), and their means over the bands within the beam."""
    names = {"rho_l": ("rho_prediction", "rho_dust", "rho_ceiling"), "cl_ratio": ("ratio", None, "ratio_ceiling")}
    records, variables = [], {}
    for name, columns in names.items():
        rows = []
        for of, key in zip(("model", "dust", "ceiling"), columns, strict=True):
            if key is None:  # dust has another unit
                rows.append(np.full((3, len(ell)), np.nan))
                continue
            draws = metrics.median(tiles[key], counts)
            rows.append(np.array(metrics.summary(draws)))
            if in_beam.any():
                better = "higher" if name == "rho_l" else "one"
                records.append(metrics.record(f"{name}_beam", draws[:, in_beam].mean(1), better, of=of, **about))
        value, lo, hi = np.moveaxis(rows, 1, 0)
        variables |= {name: (("of", "l"), value), f"{name}_lo": (("of", "l"), lo), f"{name}_hi": (("of", "l"), hi)}
    coords = {"of": ["model", "dust", "ceiling"], "l": ell}
    curve = xr.Dataset(variables, coords, {"subset": about["subset"]})
    return records, curve.assign(n_tiles=len(about["blocks"]))


def _overlap_records(tiles: dict, counts: np.ndarray, thresholds: np.ndarray, seed: int, about: dict):
    """mf_overlap and its three parts: model and dust against the target, and the target's halves against each other."""

    def bands(name: str, multiplicity: np.ndarray):
        values = tiles[f"mf_{name}"]
        return minkowski.bands(metrics.mean(values, multiplicity), metrics.mean(values**2, multiplicity))

    real = bands("target", counts)
    scores = {of: minkowski.overlap(bands(name, counts), real, thresholds) for of, name in _OVERLAPS}
    blocks = about["blocks"]
    labels, inverse = np.unique(blocks, return_inverse=True)
    if len(labels) > 1:
        rng = np.random.default_rng(seed)
        half = rng.permuted(np.tile(np.arange(len(labels)) % 2, (HALVES, 1)), axis=1)[:, inverse].astype(float)
        halves = minkowski.overlap(bands("target", half), bands("target", 1 - half), thresholds)
        scores["ceiling"] = np.vstack([halves.mean(0), halves])
    records = []
    for of, score in scores.items():  # (1 + draws, 3)
        parts = {"mf_overlap": score.mean(1)} | {f"mf_overlap_v{k}": score[:, k] for k in range(3)}
        records += [metrics.record(name, values, "higher", of=of, **about) for name, values in parts.items()]
    fields = ("target", "prediction", "dust")
    values = np.array([tiles[f"mf_{name}"].mean(0) for name in fields])
    sigmas = np.array([tiles[f"mf_{name}"].std(0) for name in fields])
    curve = xr.Dataset(coords={"field": list(fields), "threshold": thresholds})
    for k, unit in enumerate(("1", "deg-1", "deg-2")):
        curve[f"v{k}"] = (("field", "threshold"), values[:, k], {"units": unit})
        curve[f"v{k}_sigma"] = (("field", "threshold"), sigmas[:, k], {"units": unit})
    return records, curve


_OVERLAPS = (("model", "prediction"), ("dust", "dust"))
