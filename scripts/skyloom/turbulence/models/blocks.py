"""What the networks share: the symmetries of a square, the residual block, the reversed gradient."""

import torch
from torch import Tensor, nn

GROUPS = 8

# --- symmetries ---------------------------------------------------------------------------------------------------


def views(x: Tensor) -> list[Tensor]:
    """Square images (n, c, y, x) from the eight sides of a square."""
    turned = [x.rot90(quarter, (-2, -1)) for quarter in range(4)]
    return turned + [image.transpose(-2, -1) for image in turned]


def random_view(x: Tensor) -> Tensor:
    """Each image (n, c, y, x) from a random one of the eight sides, drawn on the CPU: the same on every device.

    Isotropic turbulence knows no direction, so that these symmetries are exact.
    """
    drawn = torch.randint(2, (3, len(x), 1, 1, 1)).bool().to(x.device)
    for chosen, moved in zip(drawn, (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT), strict=True):
        x = torch.where(chosen, moved(x), x)
    return x


# --- layers -------------------------------------------------------------------------------------------------------


def norm(channels: int) -> nn.GroupNorm:
    """Group norm with groups of at least two channels: one channel a group would be instance norm."""
    return nn.GroupNorm(max(1, min(GROUPS, channels // 2)), channels)


def conv(n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
    """3 x 3; what lies beyond the edge is mirrored, since a frame of zeros would be an edge that turbulence lacks."""
    return nn.Conv2d(n_in, n_out, 3, stride, padding=1, padding_mode="reflect")


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))): pre-activation (He+ 2016), so that amplitudes pass by the norms."""

    def __init__(self, n_in: int, n_out: int, dropout: float):
        super().__init__()
        self.body = nn.Sequential(
            norm(n_in), nn.SiLU(), conv(n_in, n_out),
            norm(n_out), nn.SiLU(), nn.Dropout2d(dropout), conv(n_out, n_out),
        )  # fmt: skip
        self.skip = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


# --- adversaries --------------------------------------------------------------------------------------------------


class ReversedGradient(torch.autograd.Function):
    """x as it is, its gradient times -weight: what lies before learns to spoil what lies behind (Ganin+ 2016)."""

    @staticmethod
    def forward(context, x: Tensor, weight: float) -> Tensor:
        context.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.weight * gradient, None


def reverse_gradient(x: Tensor, weight: float) -> Tensor:
    return ReversedGradient.apply(x, weight)
