"""Power against scale: rho_l and the C_l ratio with the observed CO, medians over tiles in
bands of l.

References are the raw dust map and the best that noise permits ("ceiling"): sqrt(S / (S +
N)) for rho_l, S / (S + N) for the C_l ratio of a noise-free prediction, N from the null map.
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
    there is one, dust.
    """
    measured = [name for name in ("prediction", "sample", "dust") if name in maps]
    pairs = [(name, name) for name in (*measured, "target", "null")] + [
        (name, "target") for name in measured
    ]
    power = spectra.banded(maps, pairs, weight, taper, matrix, tile_deg)
    target = power["target", "target"]
    share = spectra.signal_share(target, power["null", "null"])
    out = {"rho_ceiling": np.sqrt(share), "ratio_ceiling": share}
    for name in measured:
        own = power[name, name]
        out[f"rho_{name}"] = spectra.coherence(power[name, "target"], own, target)
        out[f"ratio_{name}"] = own / np.where(target > 0, target, np.inf)
    return out


def records(tiles: dict, counts: np.ndarray, ell: np.ndarray, in_beam: np.ndarray, context: dict):
    """Medians over tiles (curves), and as `rho_l_beam`, `cl_ratio_beam` their means over the bands
    within the beam.

    Of bright tiles also each of these bands (`rho_l_398`).
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
    return entries, xr.Dataset(variables, {"of": kinds, "l": ell}).assign(
        n_tiles=len(context["blocks"])
    )
