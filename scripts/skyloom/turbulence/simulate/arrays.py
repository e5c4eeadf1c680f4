"""The same lines for arrays of numpy and for tensors of torch, which stay on their device."""

from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # of numpy, or a tensor of torch


def library(values: Array) -> ModuleType:
    """torch for a tensor, else numpy. The names and keywords of this package are alike in both."""
    if isinstance(values, np.ndarray):
        return np
    # a second or two, which a run without tensors need not spend
    import torch

    return torch


def to_host(values: Array) -> np.ndarray:
    """The values as a numpy array."""
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
