"""U-Net (Ronneberger+ 2015, arXiv:1505.04597) with batch norm.

A norm over the image would make a pixel's class depend on pixels far away. With batch norm a tile
with a halo of `halo_pixels` gives the classes of the whole mosaic.
"""

import torch
from torch import Tensor, nn

from skyloom.networks.unet import require_multiple
from skyloom.radio.models.task import Segmentation, predict, scheme

__all__ = ["halo_pixels", "make_task", "predict", "scheme"]


def make_task(entry: dict, meta: dict) -> Segmentation:
    """entry : `width`, channels at full resolution, `depth`, poolings, and those of the task."""
    require_multiple(meta["pixels"], 2 ** entry["depth"], "unet", "depth")
    return Segmentation(entry, meta, UNet(2, len(meta["classes"]), entry["width"], entry["depth"]))


def halo_pixels(entry: dict) -> int:
    """Pixels around a tile on which its classes may depend, a multiple of the coarsest pixel.

    Two convolutions of three pixels a level reach two pixels of it down and two up, the bottom two.
    """
    depth = entry["depth"]
    reach = 4 * (2**depth - 1) + 2 * 2**depth
    # a transposed convolution and a pooling may shift by one pixel a level
    reach += 2**depth - 1
    coarsest = 2**depth
    return -(-reach // coarsest) * coarsest


class UNet(nn.Module):
    """(n, n_in, y, x) -> (n, n_out, y, x); y and x must be multiples of `2**depth`."""

    def __init__(self, n_in: int, n_out: int, width: int, depth: int):
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]
        steps = list(zip(channels[:-1], channels[1:], strict=True))
        self.first = double_conv(n_in, width)
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), double_conv(a, b)) for a, b in steps
        )
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(steps))
        self.up = nn.ModuleList(double_conv(2 * a, a) for a, _ in reversed(steps))
        self.head = nn.Conv2d(width, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = self.bottom(skips.pop())
        for grow, up in zip(self.grow, self.up, strict=True):
            x = up(torch.cat([grow(x), skips.pop()], 1))
        return self.head(x)

    def bottom(self, x: Tensor) -> Tensor:
        """What happens to the coarsest features (n, c, y, x); here nothing."""
        return x


def double_conv(n_in: int, n_out: int) -> nn.Sequential:
    """Two convolutions of three pixels, each with batch norm and ReLU."""
    layers = []
    for a, b in ((n_in, n_out), (n_out, n_out)):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers)
