"""Random numbers as a hash of integers, alike for numpy arrays and torch tensors.

A number depends on its key and counter alone: not on the device, the order of calls or the size of
a batch. The hash is the output function of SplitMix64 (Steele et al. 2014). 64-bit integers wrap
around: the signed ones of numpy and torch do so in the same way.
"""

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def signed(x: int) -> int:
    """The int64 with the bits of an unsigned number."""
    return x - 2**64 if x >= 2**63 else x


STEP, FACTOR1, FACTOR2 = signed(GOLDEN), signed(FIRST), signed(SECOND)


def key(seed: int, stream: int) -> int:
    """A number for (seed, stream), mixed in Python's integers. Streams are 0 to 7."""
    x = ((seed * 8 + stream + 1) * GOLDEN) % 2**64
    for shift, factor in ((30, FIRST), (27, SECOND)):
        x = ((x ^ (x >> shift)) * factor) % 2**64
    return signed(x ^ (x >> 31))


def mix(x):
    """The hash of int64 numbers."""
    x = (x ^ shifted(x, 30)) * FACTOR1
    x = (x ^ shifted(x, 27)) * FACTOR2
    return x ^ shifted(x, 31)


def shifted(x, bits: int):
    """Logical shift to the right of a signed integer: the copies of the sign are masked."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
