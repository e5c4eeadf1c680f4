"""Residual blocks of convolutions, of which the networks of several studies are built.

Norms are group norms with the identity path left free, so that amplitudes, which are what is
predicted or tell what is, pass by the norms and reach the output.
"""

from torch import Tensor, nn

GROUPS = 8


def norm(channels: int) -> nn.GroupNorm:
    """Group norm with groups of at least two channels: one channel a group would be
    instance norm.
    """
    return nn.GroupNorm(max(1, min(GROUPS, channels // 2)), channels)


def conv(
    n_in: int, n_out: int, size: int = 3, stride: int = 1, padding_mode: str = "zeros"
) -> nn.Conv2d:
    """A convolution that keeps the number of pixels (over `stride`).

    padding_mode : what lies beyond the edge: `zeros`, the mean of a normalised map, or `reflect`.
    """
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, padding_mode=padding_mode)


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))): pre-activation (He+ 2016), so that the identity path
    is linear.
    """

    def __init__(self, n_in: int, n_out: int, dropout: float = 0.0, padding_mode: str = "zeros"):
        super().__init__()
        self.body = nn.Sequential(
            norm(n_in),
            nn.SiLU(),
            conv(n_in, n_out, padding_mode=padding_mode),
            norm(n_out),
            nn.SiLU(),
            nn.Dropout2d(dropout),
            conv(n_out, n_out, padding_mode=padding_mode),
        )
        self.skip = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)
