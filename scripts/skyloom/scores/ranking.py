"""The ROC and the area under it, of many bootstrap draws at once.

Scores are sorted once; draws only weigh them. Examples have two classes, positive and negative.
"""

import numpy as np


def auc(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Chance that a positive example scores above a negative one, ties counting half.

    scores, positive : (n,); counts : `bootstrap.multiplicities` (draws, n). Returns (draws,), NaN
    where a draw lacks a class.
    """
    false, true = _rates(scores, positive, counts)
    return np.trapezoid(true, false, axis=1)


def roc(
    scores: np.ndarray, positive: np.ndarray, counts: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """True positive rate where the false positive rate is `grid`, (draws, grid)."""
    curves = np.full((len(counts), len(grid)), np.nan)
    for curve, false, true in zip(curves, *_rates(scores, positive, counts), strict=True):
        if np.isfinite(false[-1] + true[-1]):
            # of several points at one false positive rate numpy takes the last, the highest
            curve[:] = np.interp(grid, false, true)
    return curves


def _rates(
    scores: np.ndarray, positive: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate from the highest threshold down, (draws, distinct scores + 1): 0
    first, 1 last.
    """
    order = np.argsort(-scores, kind="stable")
    # examples of one score are passed together
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    rates = []
    for side in (False, True):
        weights = counts[:, order] * (positive[order] == side)
        passed = np.add.reduceat(weights, starts, axis=1).cumsum(1)
        with np.errstate(invalid="ignore"):
            passed /= passed[:, -1:]
        rates.append(np.pad(passed, ((0, 0), (1, 0))))
    return rates[0], rates[1]
