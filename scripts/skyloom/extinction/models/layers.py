"""Layers that the networks share."""

from collections.abc import Sequence

from torch import nn

SLOPE = 0.1  # of a leaky ReLU, as in CIANNA, with which the reference study was made


def dense(widths: Sequence[int], dropout: float) -> list[nn.Module]:
    """Dense layers from the first of `widths` to the last, each with activation and dropout."""
    layers = []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]
    return layers


def convolution(n_in: int, n_out: int, pixels: int = 3) -> list[nn.Module]:
    """A convolution that keeps the size, and an activation."""
    return [nn.Conv2d(n_in, n_out, pixels, padding=pixels // 2), nn.LeakyReLU(SLOPE)]
