"""The eight symmetries of a square (the dihedral group D4), of images and of several planes alike.

An element is a number from 0 to 7: bit 0 flips x, bit 1 flips y, and then bit 2 swaps the axes.
Isotropic physics has no direction, so that these symmetries are exact.
"""

import torch
from torch import Tensor

from skyloom.networks.devices import to_device

ORDER = 8
FLIP_X, FLIP_Y, SWAP = 1, 2, 4
VIEWS = 0, 5, 3, 6, 4, 1, 7, 2  # the quarter turns, then their transposes


def draw(n: int) -> Tensor:
    """Random elements (n,) from torch's default generator on the CPU, equal for every device."""
    return torch.randint(ORDER, (n,))


def apply(batch: dict[str, Tensor], elements: Tensor) -> dict[str, Tensor]:
    """Each example of a batch under its own element (n,), all its planes alike.

    Planes are the tensors (n, c, y, x) with y = x; others pass as they are.
    """
    planes = {name: values for name, values in batch.items() if values.ndim == 4}
    x = torch.cat(list(planes.values()), 1)
    elements = to_device(elements, x.device)[:, None, None, None]
    x = torch.where((elements & FLIP_X).bool(), x.flip(-1), x)
    x = torch.where((elements & FLIP_Y).bool(), x.flip(-2), x)
    x = torch.where((elements & SWAP).bool(), x.mT, x)
    parts = x.split([plane.shape[1] for plane in planes.values()], 1)
    return batch | dict(zip(planes, parts, strict=True))


def turned(x: Tensor, element: int) -> Tensor:
    """Images (..., y, x) under one element."""
    axes = [axis for axis, bit in ((-1, FLIP_X), (-2, FLIP_Y)) if element & bit]
    x = x.flip(axes) if axes else x
    return x.mT if element & SWAP else x


def inverse(element: int) -> int:
    """The element that undoes `element`: itself, but for the two quarter turns."""
    return {5: 6, 6: 5}.get(element, element)


def views(x: Tensor) -> list[Tensor]:
    """Images (n, c, y, x) under all eight elements."""
    return [turned(x, element) for element in VIEWS]
