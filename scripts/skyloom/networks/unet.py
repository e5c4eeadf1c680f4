"""A residual U-Net (Ronneberger+ 2015, arXiv:1505.04597) of any number of channels or classes.

Upsampling is nearest neighbour and a convolution: transposed convolutions leave a checkerboard,
visible as excess power at the smallest scales (Odena+ 2016).
"""

import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.networks.blocks import ResidualBlock, conv, doubled, norm

WIDEST = 4  # channels of the widest level, in units of `width`


class ResUNet(nn.Module):
    """`depth` halvings, channels `width * min(2**level, 4)`, a residual block a level either way.

    (n, n_in, y, x) -> (n, n_out, y, x); y and x must be multiples of `2**depth`. For a segmentation
    `n_out` is the number of classes, and the output their logits.

    dropout : share of channels dropped at the bottom and on the way up
    padding_mode : `zeros` or `reflect`, as of `blocks.conv`
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        width: int,
        depth: int,
        dropout: float = 0.0,
        padding_mode: str = "zeros",
    ):
        super().__init__()
        edge = {"padding_mode": padding_mode}
        channels = [width * min(2**level, WIDEST) for level in range(depth + 1)]
        steps = list(zip(channels[:-1], channels[1:], strict=True))
        self.stem = conv(n_in, width, **edge)
        self.down = nn.ModuleList(ResidualBlock(c, c, **edge) for c in channels[:-1])
        self.shrink = nn.ModuleList(conv(c, wide, stride=2, **edge) for c, wide in steps)
        self.bottom = ResidualBlock(channels[-1], channels[-1], dropout, **edge)
        self.grow = nn.ModuleList(conv(wide, c, **edge) for c, wide in reversed(steps))
        self.up = nn.ModuleList(
            ResidualBlock(2 * c, c, dropout, **edge) for c in reversed(channels[:-1])
        )
        self.head = nn.Sequential(norm(width), nn.SiLU(), conv(width, n_out, **edge))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (n, width, y, x)
        skips = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = block(x)
            skips.append(x)
            x = shrink(x)  # half the pixels
        x = self.bottom(x)  # (n, width * min(2**depth, 4), y / 2**depth, x / 2**depth)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = grow(doubled(x))
            x = block(torch.cat([x, skips.pop()], 1))
        return self.head(x)  # (n, n_out, y, x)


def require_multiple(pixels: int, least: int, model: str, keys: str) -> None:
    """Refuse images whose side is no multiple of what the entry's `keys` need."""
    if pixels % least:
        raise BadInput(
            f"{model}: {keys} ask for tiles of a multiple of {least} pixels, found {pixels}"
        )
