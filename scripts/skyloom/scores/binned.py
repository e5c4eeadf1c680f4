"""Means in bins, of all bootstrap draws at once, and reliability."""

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
    probability: np.ndarray, positive: np.ndarray, blocks: np.ndarray, bins: int
) -> dict[str, np.ndarray]:
    """Share of positive examples in bins of the stated probability that have equal counts.

    probability, positive, blocks : (n,), all examples of a block of one class. Returns `stated`,
    the mean probability of a bin, and the share, `reliability`, with `_lo` and `_hi`, each (bins,).
    Equal probabilities are in one bin, and what they leave empty is NaN. The interval is Wilson's
    (1927) of one standard deviation. Its number of trials is that of equally large blocks.
    """
    # edges that occur among the probabilities leave no bin empty
    shares = np.linspace(0, 1, bins + 1)
    edges = np.unique(np.quantile(probability, shares, method="higher"))
    member = membership(probability, edges if len(edges) > 1 else np.repeat(edges, 2))
    count = member.sum(0)
    _, inverse = np.unique(blocks, return_inverse=True)
    of_block = np.array([np.bincount(inverse, column) for column in member.T])
    trials = count**2 / (of_block**2).sum(1)
    share = positive @ member / count
    middle = (share + 0.5 / trials) / (1 + 1 / trials)
    half = np.sqrt(share * (1 - share) / trials + 0.25 / trials**2) / (1 + 1 / trials)
    values = {"stated": probability @ member / count, "reliability": share}
    values |= {"reliability_lo": middle - half, "reliability_hi": middle + half}
    empty = bins - len(count)
    return {name: np.pad(v, (0, empty), constant_values=np.nan) for name, v in values.items()}


def curve(name: str, dim: str, values: np.ndarray, blocks: np.ndarray) -> dict:
    """Variables `name`, `name_lo` and `name_hi` from the draws (draws, dim) of a curve."""
    ends = zip(("", "_lo", "_hi"), bracket(values, blocks), strict=True)
    return {f"{name}{end}": (dim, row) for end, row in ends}
