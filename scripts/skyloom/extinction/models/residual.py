"""A residual CNN (He et al. 2016, arXiv:1512.03385) on diagrams of half their pixels.

Features keep their place until the dense layers: where a star is in the diagram is what matters.
"""

from torch import nn

from skyloom.extinction.models.layers import dense
from skyloom.extinction.models.task import Profiles, predict, scheme
from skyloom.networks.blocks import ResidualBlock, conv
from skyloom.networks.unet import require_multiple

__all__ = ["make_task", "predict", "scheme"]

DENSE = 512, 256


def make_task(entry: dict, meta: dict) -> Profiles:
    """entry : `width`, channels; `depth`, blocks of which each but the last is followed by a
    pooling; `dropout` of the dense layers.
    """
    pixels, depth, width = meta["pixels"], entry["depth"], entry["width"]
    require_multiple(pixels, 2**depth, "residual", "depth")
    layers = [nn.AvgPool2d(2), conv(2 * len(meta["diagrams"]), width)]
    for k in range(depth):
        layers += [ResidualBlock(width, width)] + [nn.MaxPool2d(2)] * (k < depth - 1)
    inputs = width * (pixels // 2**depth) ** 2
    encoder = nn.Sequential(*layers, nn.Flatten(), *dense((inputs, *DENSE), entry["dropout"]))
    return Profiles(entry, meta, encoder, DENSE[-1])
