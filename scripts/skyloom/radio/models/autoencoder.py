"""Denoising autoencoder (Gheller & Vazza 2022, MNRAS 509, 990): the brightness of diffuse emission
without noise, sidelobes and other sources.

It learns brightness and no classes. A pixel is diffuse where the brightness is above a threshold.
"""

import torch
from torch import Tensor, nn

from skyloom.examples import Batch
from skyloom.networks.unet import require_multiple
from skyloom.radio.data.noise import SOFTENING, signal_to_noise
from skyloom.radio.models.task import Detector, augmented, predict, scheme
from skyloom.radio.models.unet import double_conv
from skyloom.radio.simulate.field import DIFFUSE, NONE

__all__ = ["make_task", "predict", "scheme"]


def make_task(entry: dict, meta: dict) -> "Autoencoder":
    """entry : `width`, channels at full resolution, `depth`, poolings, and those of the task."""
    require_multiple(meta["pixels"], 2 ** entry["depth"], "autoencoder", "depth")
    return Autoencoder(entry, meta, bottleneck(entry["width"], entry["depth"]))


def bottleneck(width: int, depth: int) -> nn.Sequential:
    """(n, 2, y, x) -> (n, 1, y, x), without connections past the coarsest level."""
    channels = [width * 2**level for level in range(depth + 1)]
    layers = [double_conv(2, width)]
    for a, b in zip(channels[:-1], channels[1:], strict=True):
        layers += [nn.MaxPool2d(2), double_conv(a, b)]
    for a, b in zip(reversed(channels[1:]), reversed(channels[:-1]), strict=True):
        layers += [nn.ConvTranspose2d(a, b, 2, 2), double_conv(b, b)]
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 1))


class Autoencoder(Detector):
    """Squared error of the scaled brightness, over the observed pixels."""

    def __init__(self, entry: dict, meta: dict, net: nn.Module):
        super().__init__(entry, meta, net)
        self.classes = len(meta["classes"])

    def probability(self, image: Tensor) -> Tensor:
        """A brightness b [noise] as b / (1 + b), a monotonic score of diffuse emission."""
        brightness = signal_to_noise(self(image)).clamp(min=0)
        found = brightness / (1 + brightness)
        zero = torch.zeros_like(found)
        parts = {NONE: 1 - found, DIFFUSE: found}
        return torch.cat([parts.get(k, zero) for k in range(self.classes)], 1)

    def losses(self, batch: Batch, step: int):
        # another noise would change the brightness in units of it
        batch = augmented(batch, self.invalid, self.entry["beam_jitter"])
        yield "net", self.error(batch).mean()

    def score(self, batch: Batch) -> dict[str, Tensor]:
        return {"squared_error": self.error(batch)}

    def error(self, batch: Batch) -> Tensor:
        """Mean squared error of each image (n,)."""
        observed = (batch["label"] != self.invalid).float()
        residual = (self(batch["input"]) - (batch["diffuse"] / SOFTENING).asinh()) * observed
        return residual.square().sum((1, 2, 3)) / observed.sum((1, 2, 3)).clamp(min=1)
