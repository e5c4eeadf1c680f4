"""What is fitted to the validation split beside a model, the same for networks and baselines."""

import numpy as np


def best_threshold(scores: np.ndarray, steep: np.ndarray) -> float:
    """Half-way between two scores (n,), where balanced accuracy is best; of several such places the
    middle one.

    steep : (n,) bool. 0 where there is nothing to divide: one class alone, or all scores equal.
    """
    values = np.unique(scores)
    cuts = (values[1:] + values[:-1]) / 2
    if not len(cuts) or steep.all() or not steep.any():
        return 0.0
    missed, found = (
        np.searchsorted(np.sort(scores[steep == of]), cuts) / (steep == of).sum()
        for of in (True, False)
    )
    best = cuts[
        found - missed >= (found - missed).max() - 1e-9
    ]  # twice the balanced accuracy, less one
    return float(best[len(best) // 2])
