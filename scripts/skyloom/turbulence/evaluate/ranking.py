"""The ROC and the area under it, of many bootstrap draws at once: scores are sorted once, draws
only weigh them.
"""

import numpy as np


def auc(scores: np.ndarray, steep: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Chance that a steep view scores above a shallow one, ties counting half; NaN where a draw
    lacks a class.

    scores, steep : (n,); counts : `metrics.multiplicities` (draws, n). Returns (draws,).
    """
    false, true = _rates(scores, steep, counts)
    return np.trapezoid(true, false, axis=1)


def roc(scores: np.ndarray, steep: np.ndarray, counts: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Share of steep views found where a share `grid` of shallow ones is called steep, (draws,
    grid).
    """
    found = np.full((len(counts), len(grid)), np.nan)
    for row, false, true in zip(found, *_rates(scores, steep, counts), strict=True):
        if np.isfinite(false[-1] + true[-1]):
            row[:] = np.interp(
                grid, false, true
            )  # of several points at one `false` numpy takes the last, the highest
    return found


def _rates(
    scores: np.ndarray, steep: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate from the highest threshold down, (draws, distinct scores + 1): 0
    first, 1 last.
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(
        np.diff(scores[order], prepend=np.inf)
    )  # views of one score are passed together
    rates = []
    for of in (False, True):
        passed = np.add.reduceat(counts[:, order] * (steep[order] == of), starts, axis=1).cumsum(1)
        with np.errstate(invalid="ignore"):
            passed /= passed[:, -1:]
        rates.append(np.pad(passed, ((0, 0), (1, 0))))
    return rates[0], rates[1]
