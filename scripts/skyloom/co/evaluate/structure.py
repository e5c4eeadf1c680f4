"""Structure against scale: rho_l and the C_l ratio with the observed CO, medians over tiles in
bands of l.

Beside the model stand the raw dust map and the best that noise permits ("ceiling"): sqrt(S / (S +
N)) for rho_l, S / (S + N) for the C_l ratio of a noise-free prediction, N from the null map.
"""

import numpy as np
import xarray as xr

from skyloom import metrics
from skyloom.co.evaluate import spectra

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


def records(tiles: dict, counts: np.ndarray, ell: np.ndarray, in_beam: np.ndarray, about: dict):
    """Medians over tiles (curves), and as `rho_l_beam`, `cl_ratio_beam` their means over the bands
    within the beam.

    Of bright tiles also each of these bands (`rho_l_398`), and what rho_l has more than the dust
    map in the same draw of tiles (`rho_l_minus_dust_398`): the two share their tiles, so that their
    difference is known far better.
    """
    found, variables = [], {}
    kinds = [of for of, (rho, _) in CURVES.items() if rho in tiles]
    for column, (name, better) in enumerate((("rho_l", "higher"), ("cl_ratio", "one"))):
        curves, scalars = (
            np.full((3, len(kinds), len(ell)), np.nan),
            np.full((3, len(kinds)), np.nan),
        )
        medians = {
            of: metrics.median(tiles[CURVES[of][column]], counts)
            for of in kinds
            if CURVES[of][column]
        }
        for of, draws in medians.items():
            row = kinds.index(of)
            curves[:, row] = metrics.bracket(draws, about["blocks"])
            if in_beam.any():
                within = draws[:, in_beam].mean(1)
                found.append(metrics.record(f"{name}_beam", within, better, of=of, **about))
                scalars[:, row] = metrics.bracket(within, about["blocks"])
            for band in np.flatnonzero(in_beam) if about["subset"] == "bright" else ():
                found.append(
                    metrics.record(
                        f"{name}_{ell[band]:.0f}", draws[:, band], better, of=of, **about
                    )
                )
                if name == "rho_l" and of in metrics.OWN:
                    more, label = (
                        draws[:, band] - medians["dust"][:, band],
                        f"rho_l_minus_dust_{ell[band]:.0f}",
                    )
                    found.append(metrics.record(label, more, "higher", of=of, **about))
        for end, curve, scalar in zip(("", "_lo", "_hi"), curves, scalars, strict=True):
            variables |= {f"{name}{end}": (("of", "l"), curve), f"{name}_beam{end}": ("of", scalar)}
    return found, xr.Dataset(variables, {"of": kinds, "l": ell}).assign(
        n_tiles=len(about["blocks"])
    )
