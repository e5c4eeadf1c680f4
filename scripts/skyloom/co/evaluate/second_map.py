"""The predictions against a second map of the same line: has a network learned the dust that leaked
into its target?

The Type 2 map is a combination of channels in which some dust is left; a network fed with dust can
predict that leak and be rewarded for it. Type 1 and the surveys of Dame+ 2001 have none.
Prediction, first map, dust and second map are brought to the coarser of the two beams on the test
tiles, the same pixels of both maps are scored, and the difference says: a correlation that falls
against the second map was leakage, or noise that the two maps do not share.
"""

import healpy
import numpy as np
import pandas as pd
import xarray as xr
from astropy.stats import gaussian_fwhm_to_sigma
from scipy.ndimage import gaussian_filter

from skyloom.cli import BadInput
from skyloom.co.data.maps import smooth_sphere
from skyloom.co.data.tiles import sample, tile_vectors
from skyloom.co.evaluate import pixels, power, spectra
from skyloom.co.evaluate.evaluate import MEASURED, read_fields
from skyloom.co.evaluate.subsets import subsets, tile_snr
from skyloom.healpix import HealpixTable, Stated, check_same_sky, drop_repeated, read_healpix
from skyloom.images import require_unit
from skyloom.scores import bootstrap

UNIT = "K_RJ km/s"
# Beams [arcmin FWHM] of CO 1-0 and 2-1: Planck 2013 XIII (types 1 and 3), Dame, Hartmann & Thaddeus
# (2001), and Ghosh, Remazeilles & Delabrouille (2024).
BEAMS = {
    "type1": {"10": 9.65, "21": 4.99},
    "type3": {"10": 5.5},
    "dame": {"10": 8.8},
    "ghosh": {"10": 10, "21": 10},
}
COLUMNS = {"type1": ("I{line}", "E{line}")}
VALID = 0.5  # least share of a tile that both maps know, and of a pixel's interpolation weights
SCORES = (
    "bias",
    "rmse",
    "rmse_over_noise",
    "r2",
    "pearson",
    "spearman",
    "spearman_ln",
    "mass_ratio",
)
CROSSED = {"model": "prediction", "dust": "dust"}  # what is correlated with either map


def read(settings: dict, dust: HealpixTable) -> tuple[HealpixTable, float]:
    """The second map [K km/s], with its error where there is a column of it, and its beam [arcmin].

    settings : the section `second_map` of the config, and its `co_to_cmb`
    dust : a trusted map, to find pixels in the wrong order
    Pixels without an observation are NaN, also where the file has zeros there. Raises BadInput
    where column or beam are neither given nor known, or the map is in another unit, order or frame.
    """
    path, kind, line = settings["path"], settings["kind"], settings["line"]
    beam = settings["beam_arcmin"] or BEAMS.get(kind, {}).get(line)
    known = [name.format(line=line) for name in COLUMNS.get(kind, ())]
    column = settings["column"] or (known or [None])[0]
    error = settings["error_column"] or (known[1] if known and column == known[0] else None)
    for name, value in (("column", column), ("beam_arcmin", beam)):
        if value is None:
            raise BadInput(
                f"config: co.second_map.{name}: not given, and not known of kind {kind} for "
                f"line {line}"
            )
    columns = [column, *([error] if error else [])]
    units = dict.fromkeys(columns, settings["unit"]) if settings["unit"] else {}
    stated = Stated(units=units, name_key="co.second_map.column")
    table = read_healpix(path, dict.fromkeys(columns, ""), stated=stated)
    for name in columns:
        _check_unit(table, name, line, settings["co_to_cmb"][line], units.get(name))
    drop_repeated(table, column)
    table.maps[1:, np.isnan(table.maps[0])] = np.nan
    least = settings["least_correlation"]
    correlation = check_same_sky(table, dust, least, "co.second_map.least_correlation")
    share = np.isfinite(table.maps[0]).mean()
    print(f"{path}: column {column} on {share:.1%} of the sky, correlation {correlation:.2f}")
    return table, float(beam)


def _check_unit(
    table: HealpixTable, column: str, line: str, planck: float, stated: str | None
) -> None:
    names = {
        str(table.header[f"TTYPE{k}"]).strip().lower(): k
        for k in range(1, table.header["TFIELDS"] + 1)
    }
    key = f"TUNIT{names[column.lower()]}"
    unit = stated or str(table.header.get(key, "")).strip()
    if "CMB" in unit.upper():
        keyword = f"CNV {line[0]}-{line[1]}"
        factor = table.header.get(keyword)
        source = f"{keyword} of its header" if factor else f"Planck's {keyword}, not in its header"
        raise BadInput(
            f"{table.path}: column {column} is in {unit!r}; expected {UNIT}: divide it by "
            f"{factor or planck:g} K_CMB per {UNIT} ({source}) and set {key}"
        )
    hint = "; a file that states none: co.second_map.unit" * (not unit)
    require_unit(table.path, f"column {column}", unit, UNIT, hint=hint)


def on_tiles(patches: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """A map (n_pixel,) RING on tiles, (n, y, x), NaN where less than half of a pixel's weights fall
    on valid sky.
    """
    size, n = patches.sizes["x"] * patches.attrs["pixel_arcmin"] / 60, patches.sizes["x"]
    out = np.empty((patches.sizes["example"], n, n), np.float32)
    places = zip(patches.glon.values, patches.glat.values, patches.angle.values, strict=True)
    for k, (glon, glat, angle) in enumerate(places):
        (plane,), weight = sample([values], tile_vectors(glon, glat, angle, size, n))
        out[k] = np.where(weight >= VALID, plane, np.nan)
    return out


def compare(
    patches: xr.Dataset,
    predictions: list[xr.Dataset],
    second: HealpixTable,
    beam_arcmin: float,
    settings: dict,
) -> pd.DataFrame:
    """Scores of each model, and rho_l of dust, against the first and the second map and their
    difference.

    patches : test rows; predictions : predictions.nc of the models, the same rows; second,
        beam_arcmin : `read`;
    settings : the section `evaluate` of the config.
    Returns a row a model, subset and score: `first`, `second`, `difference`, each with `_lo`,
    `_hi`. Where the maps have different beams, one was smoothed and its error says nothing any
    more: no `rmse_over_noise` then. `cross_ratio_l<l>` is C_l(prediction x map) over C_l(prediction
    x first map), tiles pooled, for each band within the beam: neither map's noise is in it, only
    what the prediction shares with them. Of dust it is the leak that is left. Errors: BadInput
    where the second map knows none of the tiles.
    """
    own = float(patches.attrs["beam_arcmin"])
    common = max(own, beam_arcmin)
    values = smooth_sphere(second.maps[0], beam_arcmin, common)
    patches = patches.assign(second=(patches.target.dims, on_tiles(patches, values)))
    fill = (
        on_tiles(patches, second.maps[1])
        if len(second.maps) > 1
        else np.full(patches.target.shape, np.nan)
    )
    patches = patches.assign(second_error=(patches.target.dims, fill))
    seen = np.isfinite(patches.second.values)
    shared = (seen & (patches.weight.values > 0)).mean((1, 2)) >= VALID
    if not shared.any():
        raise BadInput(
            f"{second.path}: column {second.columns[0]} is known on none of the {len(shared)} "
            "test tiles;"
            " expected a map that covers some of them"
        )
    patches = patches.isel(example=shared)
    patches["weight"] = patches.weight.where(seen[shared], 0)
    kernel = np.sqrt(common**2 - own**2) / patches.attrs["pixel_arcmin"] * gaussian_fwhm_to_sigma
    rows = []
    for predicted in predictions:
        rows += _rows(patches, predicted.isel(example=shared), kernel, common, settings)
    if own != beam_arcmin:
        rows = [row for row in rows if row["name"] != "rmse_over_noise"]
    return pd.DataFrame(rows)


def _rows(
    patches: xr.Dataset, predicted: xr.Dataset, kernel: float, beam_arcmin: float, settings: dict
) -> list[dict]:
    """The rows of one model. kernel : sigma [pixel] that brings the tiles to the beam of
    `beam_arcmin`.
    """
    fields, weight = read_fields(patches, predicted[["prediction"]])
    snr = tile_snr(fields["target"], fields["error"], weight, patches.attrs["bright_fraction"])
    fields["second"] = patches.second.values
    if kernel > 0:
        fields |= {
            name: _smooth(fields[name], weight, kernel)
            for name in ("prediction", "target", "dust", "null")
        }
    n = weight.shape[-1]
    tile_deg = n * patches.attrs["pixel_arcmin"] / 60
    ell, matrix = spectra.bands(
        n, tile_deg, settings["l_first"], settings["l_width"], settings["l_count"]
    )
    in_beam = spectra.beam_power(ell, beam_arcmin) > settings["beam_cut"]
    taper = spectra.window(n, tile_deg, settings["taper_deg"])
    valid = weight > 0
    targets = {
        "first": fields,
        "second": fields | {"target": fields["second"], "error": patches.second_error.values},
    }
    tiles, places, shared = {}, {}, {}
    for which, maps in targets.items():
        maps = {name: maps[name] for name in (*MEASURED, "prediction")}
        tiles[which] = pixels.tables(maps, weight) | power.tables(
            maps, weight, taper, matrix, tile_deg
        )
        pairs = [(name, "target") for name in CROSSED.values()]
        shared[which] = spectra.banded(maps, pairs, weight, taper, matrix, tile_deg)
        places[which] = {
            name: pixels.dense_ranks(maps[name], valid) for name in ("prediction", "target")
        }
    blocks = healpy.ang2pix(
        settings["block_nside"], patches.glon.values, patches.glat.values, lonlat=True
    )
    rows = []
    for subset, chosen in subsets(patches, snr, settings).items():
        counts = bootstrap.multiplicities(blocks[chosen], settings["draws"], settings["seed"])
        drawn = {}
        for which, maps in targets.items():
            part = {name: values[chosen] for name, values in tiles[which].items()}
            ranked = {name: values[chosen] for name, values in places[which].items()}
            ranks = pixels.rank_moments(ranked, maps["target"][chosen], weight[chosen])
            scores = {
                ("model", name): (draws, unit)
                for name, draws, _, unit in pixels.scores(part, ranks, counts)
            }
            for of, key in (
                (("model", "rho_prediction"), ("dust", "rho_dust")) if in_beam.any() else ()
            ):
                rho = bootstrap.median(part[key], counts)[:, in_beam].mean(1)
                scores[of, "rho_l_beam"] = rho, ""
            drawn[which] = {
                key: draws for key, draws in scores.items() if key[1] in (*SCORES, "rho_l_beam")
            }
            for of, field in CROSSED.items():
                cross, first = (
                    counts @ shared[name][field, "target"][chosen] for name in (which, "first")
                )
                ratio = np.divide(cross, first, out=np.full_like(cross, np.nan), where=first != 0)
                drawn[which] |= {
                    (of, f"cross_ratio_l{ell[k]:.0f}"): (ratio[:, k], "")
                    for k in np.flatnonzero(in_beam)
                }
        for (of, name), (first, unit) in drawn["first"].items():
            against = drawn["second"][of, name][0]
            row = {
                "model": predicted.attrs["model"],
                "of": of,
                "subset": subset,
                "name": name,
                "unit": unit,
            }
            for which, draws in (
                ("first", first),
                ("second", against),
                ("difference", against - first),
            ):
                ends = (float(value) for value in bootstrap.bracket(draws, blocks[chosen]))
                row |= dict(zip((which, f"{which}_lo", f"{which}_hi"), ends, strict=True))
            rows.append(
                row
                | {
                    "n": len(chosen),
                    "blocks": len(np.unique(blocks[chosen])),
                    "beam_arcmin": beam_arcmin,
                }
            )
    return rows


def _smooth(maps: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Tiles (n, y, x) under a Gaussian of `sigma` pixels; masked pixels are left out of
    the mean.
    """
    valid = (weight > 0).astype(float)
    smooth = gaussian_filter(
        np.where(weight > 0, maps, 0).astype(float), (0, sigma, sigma), mode="reflect"
    )
    share = gaussian_filter(valid, (0, sigma, sigma), mode="reflect")
    return np.where(weight > 0, smooth / np.where(share > 0, share, 1), np.nan)
