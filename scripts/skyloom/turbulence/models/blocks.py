"""What the networks share: the symmetries of a square, the edge of an image, the reversed
gradient.
"""

import torch
from torch import Tensor

EDGE = (
    "reflect"  # what lies beyond an image: a frame of zeros would be an edge that turbulence lacks
)

# --- symmetries
# --------------------------------------------------------------------------------------------------


def views(x: Tensor) -> list[Tensor]:
    """Square images (n, c, y, x) from the eight sides of a square."""
    turned = [x.rot90(quarter, (-2, -1)) for quarter in range(4)]
    return turned + [image.transpose(-2, -1) for image in turned]


def random_view(x: Tensor) -> Tensor:
    """Each image (n, c, y, x) from a random one of the eight sides, drawn on the CPU: the same on
    every device.

    Isotropic turbulence knows no direction, so that these symmetries are exact.
    """
    drawn = torch.randint(2, (3, len(x), 1, 1, 1)).bool().to(x.device)
    for chosen, moved in zip(
        drawn, (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT), strict=True
    ):
        x = torch.where(chosen, moved(x), x)
    return x


# --- adversaries
# --------------------------------------------------------------------------------------------------


class ReversedGradient(torch.autograd.Function):
    """x as it is, its gradient times -weight: what lies before learns to spoil what lies behind
    (Ganin+ 2016).
    """

    @staticmethod
    def forward(context, x: Tensor, weight: float) -> Tensor:
        context.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.weight * gradient, None


def reverse_gradient(x: Tensor, weight: float) -> Tensor:
    return ReversedGradient.apply(x, weight)
