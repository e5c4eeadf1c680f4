"""Decision thresholds that are fitted on validation, the same way for networks and baselines."""

import numpy as np


def best_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """Half-way between two scores (n,), where balanced accuracy is best.

    positive : (n,) bool. Of several such places the middle one; 0 where there is nothing to divide
    (one class alone, or all scores equal).
    """
    values = np.unique(scores)
    cuts = (values[1:] + values[:-1]) / 2
    if not len(cuts) or positive.all() or not positive.any():
        return 0.0
    # share of each class below the cut
    below = {
        side: np.searchsorted(np.sort(scores[positive == side]), cuts) / (positive == side).sum()
        for side in (True, False)
    }
    # twice the balanced accuracy, less one
    gain = below[False] - below[True]
    best = cuts[gain >= gain.max() - 1e-9]
    return float(best[len(best) // 2])
