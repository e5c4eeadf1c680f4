"""A scikit-learn model as the bytes of skops in a tensor, so that a checkpoint can hold it.

Unlike a pickle, skops runs no code of the file; classes outside scikit-learn's own are named.
"""

import skops.io
import torch
from torch import Tensor


def packed(model) -> Tensor:
    """The bytes (n,) uint8 of a fitted model."""
    return torch.frombuffer(bytearray(skops.io.dumps(model)), dtype=torch.uint8)


def unpacked(values: Tensor, trusted: list[str]):
    """The model of `packed`; `trusted` are the classes that it needs and skops does not know."""
    return skops.io.loads(values.numpy().tobytes(), trusted=trusted)
