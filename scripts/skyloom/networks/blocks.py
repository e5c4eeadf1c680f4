"""Residual blocks of convolutions, convolutions that mirror an image at its edges, upsampling.

Norms are group norms, and the identity path passes them by. Amplitudes, which are predicted or
tell the classes apart, reach the output.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import interpolate

GROUPS = 8


def norm(channels: int) -> nn.GroupNorm:
    """Group norm with at least two channels a group: one channel a group would be instance norm."""
    return nn.GroupNorm(max(1, min(GROUPS, channels // 2)), channels)


def conv(
    n_in: int, n_out: int, size: int = 3, stride: int = 1, padding_mode: str = "zeros"
) -> nn.Conv2d:
    """A convolution that keeps the number of pixels (over `stride`).

    padding_mode : values beyond the edge: `zeros`, the mean of a normalised map, or `reflect`
    """
    if padding_mode == "reflect" and size > 1:
        return ReflectedConv2d(n_in, n_out, size, stride)
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, padding_mode=padding_mode)


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))): pre-activation keeps the identity path linear.

    He+ 2016 (arXiv:1603.05027).
    """

    def __init__(self, n_in: int, n_out: int, dropout: float = 0.0, padding_mode: str = "zeros"):
        super().__init__()
        self.body = nn.Sequential(
            norm(n_in),
            nn.SiLU(),
            conv(n_in, n_out, padding_mode=padding_mode),  # (n, n_out, y, x)
            norm(n_out),
            nn.SiLU(),
            nn.Dropout2d(dropout),
            conv(n_out, n_out, padding_mode=padding_mode),
        )
        self.skip = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class ReflectedConv2d(nn.Conv2d):
    """A convolution of an image that is mirrored at its edges; its weights are those of `Conv2d`.

    On CUDA, torch's own reflection adds gradients in an order that changes from run to run.
    """

    def __init__(self, n_in: int, n_out: int, size: int, stride: int = 1):
        super().__init__(n_in, n_out, size, stride)
        self.width = size // 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(Reflection.apply(x, self.width))


class Reflection(torch.autograd.Function):
    """Images (n, c, y, x) -> (n, c, y + 2 width, x + 2 width), mirrored about their edge pixels.

    Each pixel's gradients are added in the order of the padded image's rows and columns, as the
    CPU kernel of torch adds them.
    """

    @staticmethod
    def forward(context, x: Tensor, width: int) -> Tensor:
        context.width = width
        for axis in (-1, -2):
            n = x.shape[axis]
            first = x.narrow(axis, 1, width)
            last = x.narrow(axis, n - 1 - width, width)
            x = torch.cat([_flipped(first, axis), x, _flipped(last, axis)], axis)
        return x

    @staticmethod
    @once_differentiable
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        width = context.width
        total = torch.zeros_like(gradient[..., width:-width, width:-width])
        for rows, inner in _images(gradient, total, -2, width):
            for part, pixels in _images(rows, inner, -1, width):
                pixels += part
        return total, None


def _images(
    padded: Tensor, inner: Tensor, axis: int, width: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """(part of the padded image, the pixels that it shows) along an axis, in the axis' order."""
    n = inner.shape[axis]
    yield _flipped(padded.narrow(axis, 0, width), axis), inner.narrow(axis, 1, width)
    yield padded.narrow(axis, width, n), inner
    last = padded.narrow(axis, width + n, width)
    yield _flipped(last, axis), inner.narrow(axis, n - 1 - width, width)


class Upsample(nn.Module):
    """Images (n, c, y, x) -> (n, c, 2 y, 2 x); mode : `nearest` or `bilinear`."""

    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "nearest":
            return doubled(x)
        return resized(x, [2 * n for n in x.shape[-2:]])


def doubled(x: Tensor) -> Tensor:
    """Images (n, c, y, x) -> (n, c, 2 y, 2 x), each pixel four times."""
    if not torch.compiler.is_compiling():
        return interpolate(x, scale_factor=2.0, mode="nearest")
    # the compiled gradient of `interpolate` adds by index: two thirds of the GPU time of a step
    n, c, rows, columns = x.shape
    x = x.view(n, c, rows, 1, columns, 1).expand(-1, -1, -1, 2, -1, 2)
    return x.reshape(n, c, 2 * rows, 2 * columns)


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Images (n, c, y, x) -> (n, c, *size), bilinear; pixels beyond an edge are those of the edge.

    On CUDA by a matrix an axis: torch's own gradient adds in an order that changes from run to run,
    or, where that is refused, takes most of a step.
    """
    if list(x.shape[-2:]) == list(size):
        return x
    if x.device.type == "cpu":
        return interpolate(x, size=tuple(size), mode="bilinear")
    with torch.autocast(x.device.type, enabled=False):
        rows, columns = (_linear(n, m, x) for n, m in zip(x.shape[-2:], size, strict=True))
        return rows @ x @ columns.T


def _linear(n: int, m: int, like: Tensor) -> Tensor:
    """Weights (m, n) of `n` pixels in `m`, linear between the centres of pixels."""
    places = (torch.arange(m, device=like.device, dtype=torch.float64) + 0.5) * (n / m) - 0.5
    distance = places.clamp(0, n - 1)[:, None] - torch.arange(n, device=like.device)
    return (1 - distance.abs()).clamp(min=0).to(like.dtype)


def _flipped(x: Tensor, axis: int) -> Tensor:
    return x.flip(axis) if x.shape[axis] > 1 else x  # a flip of one row is a copy
