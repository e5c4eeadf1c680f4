"""The network of the reference study (Cornu et al. 2022, arXiv:2201.05571; CIANNA).

    diagrams -> conv 5 x 5, 12 filters -> max pool 2 -> dense 3072 -> 3072 -> 2048 -> output

With dropout in the dense layers and leaky ReLUs. The source names a last layer of 128 outputs; here
it has the quantiles of each bin.
"""

from torch import nn

from skyloom.extinction.models.layers import convolution, dense
from skyloom.extinction.models.task import Profiles, predict, scheme

__all__ = ["make_task", "predict", "scheme"]

FILTERS, PIXELS = 12, 5


def make_task(entry: dict, meta: dict) -> Profiles:
    """entry : `width`, 3072 in the study, of the first two dense layers; `dropout`."""
    width = entry["width"]
    inputs = FILTERS * (meta["pixels"] // 2) ** 2
    widths = width, width, 2 * width // 3
    encoder = nn.Sequential(
        *convolution(2 * len(meta["diagrams"]), FILTERS, PIXELS),
        nn.MaxPool2d(2),  # (n, 12, y / 2, x / 2)
        nn.Flatten(),
        *dense((inputs, *widths), entry["dropout"]),
    )
    return Profiles(entry, meta, encoder, widths[-1])
