"""A conventional deep network: convolutions of 3 x 3 and poolings, then two dense layers.

The reference study found "common architectures" inefficient. This is one of them.
"""

from torch import nn

from skyloom.extinction.models.layers import convolution, dense
from skyloom.extinction.models.task import Profiles, predict, scheme
from skyloom.networks.unet import require_multiple

__all__ = ["make_task", "predict", "scheme"]

DENSE = 384, 256


def make_task(entry: dict, meta: dict) -> Profiles:
    """entry : `width`, channels of the first convolution, doubled at each of `depth` poolings."""
    pixels, depth = meta["pixels"], entry["depth"]
    require_multiple(pixels, 2**depth, "deep", "depth")
    channels = [2 * len(meta["diagrams"])] + [entry["width"] * 2**k for k in range(depth)]
    layers = []
    for n_in, n_out in zip(channels[:-1], channels[1:], strict=True):
        layers += [*convolution(n_in, n_out), nn.MaxPool2d(2)]
    inputs = channels[-1] * (pixels // 2**depth) ** 2
    encoder = nn.Sequential(*layers, nn.Flatten(), *dense((inputs, *DENSE), entry["dropout"]))
    return Profiles(entry, meta, encoder, DENSE[-1])
