"""A compact dense network, for a CPU: diagrams averaged to half their pixels, two dense layers."""

from torch import nn

from skyloom.extinction.models.layers import dense
from skyloom.extinction.models.task import Profiles, predict, scheme

__all__ = ["make_task", "predict", "scheme"]


def make_task(entry: dict, meta: dict) -> Profiles:
    """entry : `width` of the first dense layer, of which the second has half, and `dropout`."""
    inputs = 2 * len(meta["diagrams"]) * (meta["pixels"] // 2) ** 2
    widths = entry["width"], entry["width"] // 2
    encoder = nn.Sequential(
        nn.AvgPool2d(2), nn.Flatten(), *dense((inputs, *widths), entry["dropout"])
    )
    return Profiles(entry, meta, encoder, widths[-1])
