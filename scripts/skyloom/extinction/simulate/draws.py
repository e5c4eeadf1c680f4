"""Random numbers of examples: each is a hash of the example's seed, a stream and a counter.

An example is the same in any batch, on any device and after a resumed training.
"""

import math

import torch
from torch import Tensor

from skyloom.hashing import STEP, key, mix, shifted

# streams; those of a band are BAND plus its index
NUMBER, BLOCK, COUNT, LIMIT, ZERO, LAW = range(6)
FIELD, SHAPE, TOTAL, MISSING = range(6, 10)
BAND = 16


def seeds(seed: int, epoch: int, index: Tensor) -> Tensor:
    """One int64 for each example `index` (n,) of an epoch."""
    return mix(mix(index + key(seed, 0)) + key(epoch, 1))


def stream(examples: Tensor, number: int) -> Tensor:
    """The seeds of one stream of the examples."""
    return mix(examples + key(number, 2))


def words(examples: Tensor, number: int, count: int) -> Tensor:
    """Hashes (n, count) of a stream."""
    counter = torch.arange(1, count + 1, device=examples.device) * STEP
    return mix(stream(examples, number)[:, None] + counter)


def uniform(examples: Tensor, number: int, count: int = 1) -> Tensor:
    """Uniform in (0, 1), (n, count) float32."""
    return (shifted(words(examples, number, count), 41).float() + 0.5) * 2.0**-23


def normal(examples: Tensor, number: int, count: int = 1) -> Tensor:
    """Standard normal (n, count) float32, by Box and Muller."""
    first, second = uniform(examples, number, 2 * count).chunk(2, 1)
    return (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()


def poisson(examples: Tensor, mean: Tensor) -> Tensor:
    """Poisson numbers (n,) int64 of means (n,) of 20 or more.

    The quantile by Cornish and Fisher's expansion to the second term (Abramowitz & Stegun 26.2.49).
    """
    z = normal(examples, NUMBER)[:, 0].double()
    mean = mean.double()
    skewed = mean + mean.sqrt() * z + (z**2 - 1) / 6
    return (skewed + 0.5).floor().clamp(min=0).long()
