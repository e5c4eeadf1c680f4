"""What the CO networks share: the U-Net around residual blocks, and the symmetries of a square
tile.

Upsampling is nearest neighbour followed by a convolution: transposed convolutions leave a
checkerboard, seen as excess power at the smallest scales (Odena+ 2016).
"""

import torch
from torch import Tensor, nn

from skyloom.blocks import ResidualBlock, conv, norm
from skyloom.cli import BadInput

WIDEST = 4  # times the channels at full resolution, beyond which a level grows no wider


class ResUNet(nn.Module):
    """Residual U-Net: `depth` halvings, channels `width * min(2**level, 4)`, one block a level on
    either side.

    (n, n_in, y, x) -> (n, n_out, y, x); y and x must be multiples of `2**depth`.
    """

    def __init__(self, n_in: int, n_out: int, width: int, depth: int, dropout: float = 0.0):
        super().__init__()
        channels = [width * min(2**level, WIDEST) for level in range(depth + 1)]
        steps = list(zip(channels[:-1], channels[1:], strict=True))
        self.stem = conv(n_in, width)
        self.down = nn.ModuleList(ResidualBlock(c, c) for c in channels[:-1])
        self.shrink = nn.ModuleList(conv(c, wide, stride=2) for c, wide in steps)
        self.bottom = ResidualBlock(channels[-1], channels[-1], dropout)
        self.grow = nn.ModuleList(conv(wide, c) for c, wide in reversed(steps))
        self.up = nn.ModuleList(ResidualBlock(2 * c, c, dropout) for c in reversed(channels[:-1]))
        self.head = nn.Sequential(norm(width), nn.SiLU(), conv(width, n_out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        skips = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = block(x)
            skips.append(x)
            x = shrink(x)
        x = self.bottom(x)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = grow(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = block(torch.cat([x, skips.pop()], 1))
        return self.head(x)


def require_multiple(meta: dict, model: str, keys: str, least: int) -> None:
    """Raise BadInput where a tile's side is no multiple of what the halvings (`keys` of the entry)
    ask for.
    """
    if meta["pixels"] % least:
        raise BadInput(
            f"{model}: {keys} ask for tiles of a multiple of {least} pixels, found {meta['pixels']}"
        )


# --- symmetries
# --------------------------------------------------------------------------------------------------


def random_symmetry(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each example under a random one of the square's eight symmetries (D4), all its planes alike.

    The relation of dust, HI and CO knows no direction, so that these are exact; only vectors over
    the batch pass as they are. Drawn from torch's default generator on the CPU: the same draw on
    every device.
    """
    n = next(iter(batch.values())).shape[0]
    return symmetry(batch, torch.randint(8, (n,)))


def symmetry(batch: dict[str, Tensor], element: Tensor) -> dict[str, Tensor]:
    """Apply D4 `element` (n,) 0..7: bit 0 flips x, bit 1 flips y, bit 2 then swaps the axes (square
    tiles).
    """
    planes = {name: value for name, value in batch.items() if value.ndim == 4}
    x = torch.cat(list(planes.values()), 1)
    flip_x, flip_y, swap = (
        (element.to(x.device) >> bit & 1).bool()[:, None, None, None] for bit in range(3)
    )
    x = torch.where(flip_x, x.flip(-1), x)
    x = torch.where(flip_y, x.flip(-2), x)
    x = torch.where(swap, x.transpose(-1, -2), x)
    parts = x.split([plane.shape[1] for plane in planes.values()], 1)
    return batch | dict(zip(planes, parts, strict=True))


def inverse(element: int) -> int:
    """The D4 element that undoes `element`: itself, but for the two quarter turns."""
    return {5: 6, 6: 5}.get(element, element)
