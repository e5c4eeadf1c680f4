"""Tensors from the host to a GPU without making the host wait for it."""

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on `device`; from pinned memory a GPU copies it while the host goes on.

    Random numbers of a loss are drawn on the CPU, so that every device gets the same ones.
    """
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
