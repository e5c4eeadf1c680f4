"""Block bootstrap: intervals of any statistic of test examples that are not independent.

Examples that share sky (or a simulation) are not independent, so whole blocks of them are drawn. A
statistic is a function of the multiplicity of each example: all draws are one matrix product. Row
0 of `multiplicities` is the sample itself, so that a statistic's `draws` are (1 + draws, ...) and
begin with its value.
"""

from collections.abc import Sequence

import numpy as np

# percentiles of the two intervals: tables show the first, verdicts go by the second
INTERVAL_68 = (15.865, 84.135)
INTERVAL_95 = (2.5, 97.5)
# three blocks can be drawn in 10 ways, two in 3: too few for percentiles
MIN_BLOCKS = 4


def multiplicities(blocks: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often each example counts in the sample itself (row 0: ones) and in each draw of blocks.

    blocks : (n,) label of each example. Returns (1 + draws, n) float64.
    """
    labels, inverse = np.unique(blocks, return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), size=draws
    )
    return np.vstack([np.ones(len(blocks)), drawn[:, inverse]])


def mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over examples for each draw.

    values : (n, ...); counts : `multiplicities`. Returns (draws, ...).
    """
    flat = counts @ values.reshape(len(values), -1) / counts.sum(1, keepdims=True)
    return flat.reshape(len(counts), *values.shape[1:])


def median(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Median over examples for each draw: half of the weight lies below, half above.

    values : (n, k); counts : `multiplicities`, or those times weights. Returns (draws, k); of an
    even count the mean of the two middle examples.
    """
    out = np.empty((len(counts), values.shape[1]))
    for k, column in enumerate(values.T):
        order = np.argsort(column)
        below = counts[:, order].cumsum(1)
        half = below[:, -1:] / 2
        # an even count has two middle examples: the first that reaches half and the first that
        # exceeds it
        middle = [
            column[order][np.argmax(reached, axis=1)] for reached in (below >= half, below > half)
        ]
        out[:, k] = np.mean(middle, axis=0)
    return out


def summary(
    values: np.ndarray, ends: tuple[float, float] = INTERVAL_68
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value (row 0) and percentile interval (from the other rows) of a statistic's draws.

    The interval is moved so that the median of the draws lies on the value. A statistic that noise
    alone lowers (the overlap of two bands) is lower in every draw than in the sample, and its plain
    interval can miss the value.
    """
    value, drawn = values[0], np.asarray(values[1:], dtype=np.float64)
    finite = np.isfinite(drawn).any(0) if len(drawn) else np.zeros(np.shape(value), bool)
    drawn = np.where(finite, drawn, 0) if len(drawn) else np.zeros((1, *np.shape(value)))
    # nanpercentile takes ten times as long
    percentile = np.percentile if np.isfinite(drawn).all() else np.nanpercentile
    lo, middle, hi = percentile(drawn, (ends[0], 50, ends[1]), axis=0)
    return (
        value,
        np.where(finite, value + lo - middle, np.nan),
        np.where(finite, value + hi - middle, np.nan),
    )


def bracket(values: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`summary`, its interval NaN where the examples come from fewer than MIN_BLOCKS blocks."""
    value, lo, hi = summary(values)
    if len(np.unique(blocks)) < MIN_BLOCKS:
        lo = hi = np.full(np.shape(value), np.nan)
    return value, lo, hi


def pooled(
    seeds: Sequence[np.ndarray], ends: tuple[float, float] = INTERVAL_68
) -> tuple[float, float, float]:
    """Mean of a statistic over training seeds, and the interval of their draws taken together.

    seeds : (1 + draws,) each. Each seed's draws are moved as in `summary`, so that the interval
    holds the scatter of test blocks and of training seeds. Up to three seeds all values lie within
    the 68 % interval, up to twenty within the 95 % interval.
    """
    value = float(np.mean([draws[0] for draws in seeds]))
    if len(seeds) == 1:
        return value, *(float(end) for end in summary(seeds[0], ends)[1:])
    parts = [np.asarray(draws[1:], np.float64) for draws in seeds]
    parts = [part[np.isfinite(part)] for part in parts]
    if not all(map(len, parts)) or not np.isfinite(value):
        return value, np.nan, np.nan
    centred = [part + draws[0] - np.median(part) for part, draws in zip(parts, seeds, strict=True)]
    lo, hi = np.percentile(np.concatenate(centred), ends)
    return value, float(lo), float(hi)
