"""Power against scale: rho_l and the C_l ratio with the observed CO, medians over tiles in
bands of l.

References are the raw dust map and the best that noise permits ("ceiling"): sqrt(S / (S +
N)) for rho_l, S / (S + N) for the C_l ratio of a noise-free prediction, N from the null map.
The power of the maps themselves, and the correlation of predictions with the dust they were made
from, are curves without a score.
"""

import numpy as np
import xarray as xr

from skyloom.co.evaluate import spectra
from skyloom.scores import bootstrap
from skyloom.scores.records import record

CURVES = {  # of -> the tables of rho_l and of the C_l ratio; dust has another unit and so no ratio
    "model": ("rho_prediction", "ratio_prediction"),
    "dust": ("rho_dust", None),
    "ceiling": ("rho_ceiling", "ratio_ceiling"),
    "sample": ("rho_sample", "ratio_sample"),
}


def tables(
    maps: dict, weight: np.ndarray, taper: np.ndarray, matrix: np.ndarray, tile_deg: float
) -> dict:
    """Per tile and band (n, n_band): `rho_<of>` and `ratio_<of>` of prediction, a sample where
    there is one, dust; `dust_<of>`, the correlation of predictions with dust; `power_<map>` of the
    CO maps and the null map, as `spectra.banded` has it.
    """
    predicted = [name for name in ("prediction", "sample") if name in maps]
    measured = [*predicted, "dust"]
    pairs = [(name, name) for name in (*measured, "target", "null")]
    pairs += [(name, "target") for name in measured] + [(name, "dust") for name in predicted]
    power = spectra.banded(maps, pairs, weight, taper, matrix, tile_deg)
    target = power["target", "target"]
    share = spectra.signal_share(target, power["null", "null"])
    out = {"rho_ceiling": np.sqrt(share), "ratio_ceiling": share}
    out |= {f"power_{name}": power[name, name] for name in (*predicted, "target", "null")}
    for name in predicted:
        own, dust = power[name, name], power["dust", "dust"]
        out[f"dust_{name}"] = spectra.coherence(power[name, "dust"], own, dust)
    for name in measured:
        own = power[name, name]
        out[f"rho_{name}"] = spectra.coherence(power[name, "target"], own, target)
        out[f"ratio_{name}"] = own / np.where(target > 0, target, np.inf)
    return out


def records(tiles: dict, counts: np.ndarray, ell: np.ndarray, in_beam: np.ndarray, context: dict):
    """Medians over tiles (curves), and as `rho_l_beam`, `cl_ratio_beam` their means over the bands
    within the beam.

    Of bright tiles also each of these bands (`rho_l_398`). Curves without a record are `cl_target`,
    `cl_null` (l), and `cl`, `rho_l_dust` (of, l) of the predictions.
    """
    entries, variables = [], {}
    kinds = [of for of, (rho, _) in CURVES.items() if rho in tiles]
    for column, (name, better) in enumerate((("rho_l", "higher"), ("cl_ratio", "one"))):
        curves, scalars = (
            np.full((3, len(kinds), len(ell)), np.nan),
            np.full((3, len(kinds)), np.nan),
        )
        for row, of in enumerate(kinds):
            if not CURVES[of][column]:
                continue
            draws = bootstrap.median(tiles[CURVES[of][column]], counts)
            curves[:, row] = bootstrap.bracket(draws, context["blocks"])
            if in_beam.any():
                within = draws[:, in_beam].mean(1)
                entries.append(record(f"{name}_beam", within, better, of=of, **context))
                scalars[:, row] = bootstrap.bracket(within, context["blocks"])
            for band in np.flatnonzero(in_beam) if context["subset"] == "bright" else ():
                label = f"{name}_{ell[band]:.0f}"
                entries.append(record(label, draws[:, band], better, of=of, **context))
        for end, curve, scalar in zip(("", "_lo", "_hi"), curves, scalars, strict=True):
            variables |= {f"{name}{end}": (("of", "l"), curve), f"{name}_beam{end}": ("of", scalar)}
    variables |= _maps_alone(tiles, counts, kinds, context["blocks"])
    return entries, xr.Dataset(variables, {"of": kinds, "l": ell}).assign(
        n_tiles=len(context["blocks"])
    )


def _maps_alone(tiles: dict, counts: np.ndarray, kinds: list[str], blocks: np.ndarray) -> dict:
    """Medians over tiles of the power of maps, and of the predictions' correlation with dust."""
    units = {"units": "(K km/s)2 sr"}
    of = {"model": "prediction", "sample": "sample"}
    variables = {}

    def bracket(table: str) -> np.ndarray:
        return np.array(bootstrap.bracket(bootstrap.median(tiles[table], counts), blocks))

    for name in ("target", "null"):
        for end, curve in zip(("", "_lo", "_hi"), bracket(f"power_{name}"), strict=True):
            variables[f"cl_{name}{end}"] = ("l", curve, units)
    for name, table, attrs in (("cl", "power", units), ("rho_l_dust", "dust", {})):
        curves = np.full((3, len(kinds), tiles["power_target"].shape[1]), np.nan)
        for row, kind in enumerate(kinds):
            if kind in of:
                curves[:, row] = bracket(f"{table}_{of[kind]}")
        for end, curve in zip(("", "_lo", "_hi"), curves, strict=True):
            variables[f"{name}{end}"] = (("of", "l"), curve, attrs)
    return variables
