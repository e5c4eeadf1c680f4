"""Dust in excess of N(HI), as a predictor of CO.

Dust emission of atomic gas follows N(HI) with one emissivity (Planck 2011 XXIV). Molecular gas
causes dust emission in excess of it (Planck 2011 XIX). CO appears above a threshold in column
density.
"""

import numpy as np
from scipy.optimize import least_squares

from skyloom.cli import BadInput

ATOMIC_NHI = 3.0  # [1e20 cm-2] below it hydrogen is atomic and dust follows HI
MIN_PIXELS = 30  # atomic pixels, and pixels with detected CO, for a fit
# arguments of `excess_co` in the result of `fit_excess`
EXCESS = ("eps", "offset", "x_factor", "w0")


def fit_emissivity(
    dust: np.ndarray, hi: np.ndarray, select: np.ndarray
) -> tuple[float, float, float]:
    """Least-squares line `dust = eps * hi + offset` over the pixels in `select`.

    Parameters
    ----------
    dust : (n,) [MJy/sr]
    hi : (n,) [1e20 cm-2]
    select : (n,) bool, the atomic sky (N(HI) < 3e20 cm-2, |b| > 30 deg)

    Returns
    -------
    eps [MJy/sr per 1e20 cm-2], offset [MJy/sr], Pearson correlation of the pixels used.

    Raises
    ------
    BadInput : fewer than three finite pixels, or constant dust or HI
    """
    return _line(hi[select], dust[select], "dust against N(HI)")


def excess_co(
    dust: np.ndarray, hi: np.ndarray, eps: float, offset: float, x_factor: float, w0: float
) -> np.ndarray:
    """W(CO) [K km/s] of dust in excess of HI: max(0, ((I - I0) / eps - NHI) / (2 X) - W0).

    Parameters
    ----------
    dust, offset : [MJy/sr]
    hi : [1e20 cm-2]
    eps : [MJy/sr per 1e20 cm-2], of `fit_emissivity`
    x_factor : N(H2) / W(CO) [1e20 cm-2 per K km/s], 2 in the Milky Way (Bolatto, Wolfire & Leroy
        2013)
    w0 : [K km/s], equivalent emission of the molecular gas without CO
    """
    # N(H2) [1e20 cm-2]: two hydrogen nuclei a molecule
    molecular = ((dust - offset) / eps - hi) / 2
    return np.maximum(molecular / x_factor - w0, 0)


def fit_threshold(x: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    """Slope and threshold [unit of x] of the least-squares line `w = slope * (x - threshold)`.

    Pairs that are not finite are left out. Raises BadInput as `fit_emissivity` does.
    """
    slope, intercept, _ = _line(np.ravel(x), np.ravel(w), "CO against column")
    return slope, -intercept / slope


def fit_excess(pixels: dict[str, np.ndarray], where: str) -> dict[str, float]:
    """Constants of `excess_co` by least squares.

    Emissivity and offset are fitted on atomic sky, then X and threshold to the clipped relation.
    Atomic pixels have N(HI) < 3e20 cm-2 and no detection of CO. If fewer than 1 % of the pixels
    have so low a column, the limit is the lowest percentile of N(HI).

    Parameters
    ----------
    pixels : (n,) `dust` [MJy/sr], `hi` [1e20 cm-2], `target_physical` and its `error` [K km/s],
        `loss_weight`
    where : file of the pixels, for the message

    Returns
    -------
    The constants of `excess_co`, the `correlation` of the atomic pixels, and the limit `nhi_limit`
    [1e20 cm-2].

    Raises
    ------
    BadInput : too few atomic pixels, or too few with detected CO
    """
    dust, hi, co = pixels["dust"], pixels["hi"], pixels["target_physical"]
    limit = max(ATOMIC_NHI, float(np.quantile(hi, 0.01)))
    detected = co > 3 * pixels["error"]
    atomic = (hi <= limit) & ~detected
    for name, count in (("atomic", atomic.sum()), ("of detected CO", detected.sum())):
        if count < MIN_PIXELS:
            raise BadInput(f"{where}: {count} pixels {name} in train; expected {MIN_PIXELS}")
    eps, offset, correlation = fit_emissivity(dust, hi, atomic)
    molecular = ((dust - offset) / eps - hi) / 2
    slope, threshold = fit_threshold(molecular[detected], co[detected])
    start = (np.log(1 / max(slope, 1e-3)), max(threshold * slope, 0.0))
    root = np.sqrt(pixels["loss_weight"])

    def residual(parameters: np.ndarray) -> np.ndarray:
        log_x, w0 = parameters
        return root * (excess_co(dust, hi, eps, offset, np.exp(log_x), w0) - co)

    log_x, w0 = least_squares(residual, start, x_scale=(0.1, 1.0)).x
    constants = {
        "eps": eps,
        "offset": offset,
        "x_factor": np.exp(log_x),
        "w0": w0,
        "correlation": correlation,
    }
    return {name: float(value) for name, value in constants.items()} | {"nhi_limit": limit}


def _line(x: np.ndarray, y: np.ndarray, relation: str) -> tuple[float, float, float]:
    """Slope, intercept and correlation.

    The sums are float64: in float32 the sums over a sky of 5e7 pixels lose their digits.
    """
    valid = np.isfinite(x) & np.isfinite(y)
    x, y = x[valid].astype(np.float64), y[valid].astype(np.float64)
    if x.size < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        ranges = "".join(
            f", {name} {v.min():g} to {v.max():g}" for name, v in (("x", x), ("y", y)) if v.size
        )
        raise BadInput(
            f"line of {relation}: {x.size} finite pixels{ranges}; expected at least 3 in which "
            "both vary"
        )
    slope, intercept = np.polyfit(x, y, 1)
    return float(slope), float(intercept), float(np.corrcoef(x, y)[0, 1])
