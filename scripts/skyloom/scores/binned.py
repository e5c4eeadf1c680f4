"""Means in bins and reliability, of all bootstrap draws at once."""

import numpy as np

from skyloom.scores.bootstrap import bracket


def membership(values: np.ndarray, edges: np.ndarray | list[float]) -> np.ndarray:
    """The bin of each value as (n, bins) of 0 and 1.

    The last edge belongs to the last bin; a value beyond the edges is in none.
    """
    edges = np.asarray(edges, np.float64)
    place = np.searchsorted(edges, values, side="right") - 1
    place[values == edges[-1]] = len(edges) - 2
    return (place[:, None] == np.arange(len(edges) - 1)).astype(np.float64)


def binned_mean(values: np.ndarray, member: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean of `values` (n,) in each bin of each draw, (draws, bins); NaN where a bin is empty.

    member : `membership`; counts : `bootstrap.multiplicities` (draws, n).
    """
    with np.errstate(invalid="ignore"):
        return counts @ (values[:, None] * member) / (counts @ member)


def reliability(
    probability: np.ndarray, positive: np.ndarray, counts: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of positive examples in bins of the stated probability.

    probability, positive : (n,). Returns that share (draws, bins), and of each bin the mean
    probability and the number of examples.
    """
    member = membership(probability, edges)
    share = binned_mean(positive, member, counts)
    return share, binned_mean(probability, member, counts[:1])[0], member.sum(0).astype(int)


def curve(name: str, dim: str, values: np.ndarray, blocks: np.ndarray) -> dict:
    """Variables `name`, `name_lo` and `name_hi` from the draws (draws, dim) of a curve."""
    ends = zip(("", "_lo", "_hi"), bracket(values, blocks), strict=True)
    return {f"{name}{end}": (dim, row) for end, row in ends}
