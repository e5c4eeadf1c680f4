"""A U-Net whose bottom is a transformer (TransUNet, Chen+ 2021, arXiv:2102.04306), without
pretrained weights.

Every token sees the whole tile. Its classes depend on the size of the tile, which is that of the
training, and mosaics blend overlapping tiles.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from skyloom.networks.unet import require_multiple
from skyloom.radio.models.task import Segmentation, predict, scheme
from skyloom.radio.models.unet import UNet

__all__ = ["make_task", "predict", "scheme"]

LEVELS = 3  # poolings before the transformer: a token is 8 x 8 pixels


def make_task(entry: dict, meta: dict) -> Segmentation:
    """entry : `width`, channels at full resolution, `layers` and `heads` of the transformer."""
    require_multiple(meta["pixels"], 2**LEVELS, "transunet", "poolings")
    net = TransUNet(2, len(meta["classes"]), entry["width"], entry["layers"], entry["heads"])
    return Segmentation(entry, meta, net)


class TransUNet(UNet):
    """A U-Net of `LEVELS` poolings whose coarsest pixels are the tokens of a transformer."""

    def __init__(self, n_in: int, n_out: int, width: int, layers: int, heads: int):
        super().__init__(n_in, n_out, width, LEVELS)
        channels = width * 2**LEVELS
        self.blocks = nn.Sequential(*(Block(channels, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(channels)

    def bottom(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).mT + positions(x)
        return x + self.norm(self.blocks(tokens)).mT.reshape(x.shape)


class Block(nn.Module):
    """Self-attention and a perceptron, each behind a layer norm (Vaswani+ 2017, Xiong+ 2020).

    Written as products of matrices: fused kernels add their gradients in an order of their own.
    """

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.project = nn.Linear(channels, 3 * channels)
        self.merge = nn.Linear(channels, channels)
        self.wide = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, token, channel) -> the same shape."""
        parts = self.project(self.norms[0](x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (n, head, token, channel)
        weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)
        x = x + self.merge((weights @ value).transpose(1, 2).flatten(2))
        return x + self.narrow(gelu(self.wide(self.norms[1](x))))


def positions(x: Tensor) -> Tensor:
    """Sines and cosines of the row and column of each token, (token, channel)."""
    _, channels, height, width = x.shape
    waves = torch.exp(torch.arange(channels // 4, device=x.device) * (-8 / (channels // 4)))
    rows, columns = (torch.arange(n, device=x.device)[:, None] * waves for n in (height, width))
    rows = rows[:, None].expand(-1, width, -1).flatten(0, 1)
    columns = columns.expand(height, -1, -1).flatten(0, 1)
    return torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], 1).to(x.dtype)
