"""Intervals of A_V(d) from quantiles, and the factors with which they cover on validation."""

import torch
from torch import Tensor

from skyloom.scores.forecasts import NOMINAL, NOMINAL95

LEVELS = NOMINAL, NOMINAL95
QUANTILES = 0.025, 0.16, 0.5, 0.84, 0.975
NAMES = "lower95", "lower68", "prediction", "upper68", "upper95"
# columns of the ends of each level
ENDS = (1, 3), (0, 4)
MEDIAN = 2
LEAST = 1e-3  # width of a side of an interval [mag], so that a factor can widen it


def factors(predicted: Tensor, target: Tensor) -> Tensor:
    """The factor on the interval of each level (level,) with which it covers its share.

    predicted (n, quantile, bin), target (n, bin) of validation. The share is that of all distances
    together.
    """
    middle = predicted[:, MEDIAN]
    error = target - middle
    found = []
    for level, (low, high) in zip(LEVELS, ENDS, strict=True):
        below = (middle - predicted[:, low]).clamp(min=LEAST)
        above = (predicted[:, high] - middle).clamp(min=LEAST)
        ratio = torch.where(error < 0, -error / below, error / above)
        # `torch.quantile` takes 16 million values at most
        ordered = ratio.flatten().sort().values
        found.append(ordered[min(int(level * len(ordered)), len(ordered) - 1)])
    return torch.stack(found)


def widened(predicted: Tensor, by: Tensor) -> Tensor:
    """Quantiles (n, quantile, bin) with the intervals of each level times its factor.

    They stay monotone in distance: a lower end is the running maximum, and so is an upper one.
    """
    middle = predicted[:, MEDIAN]
    result = predicted.clone()
    for factor, (low, high) in zip(by, ENDS, strict=True):
        below = (middle - predicted[:, low]).clamp(min=LEAST)
        above = (predicted[:, high] - middle).clamp(min=LEAST)
        result[:, low] = (middle - factor * below).clamp(min=0)
        result[:, high] = middle + factor * above
    # the factors of a poor model may let the levels cross
    (low, high), (lowest, highest) = ENDS
    result[:, lowest] = torch.minimum(result[:, lowest], result[:, low])
    result[:, highest] = torch.maximum(result[:, highest], result[:, high])
    return result.cummax(2).values


def named(quantiles: Tensor) -> dict[str, Tensor]:
    """`prediction` and the ends of both intervals (n, bin) from (n, quantile, bin)."""
    return dict(zip(NAMES, quantiles.unbind(1), strict=True))
