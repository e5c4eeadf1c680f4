"""A residual network that is also told the image's summary statistics, so that it need not find them in few examples.

The statistics are those of `skyloom.turbulence.statistics`, computed within the network: they turn with the image, are
on the GPU where the network is, and a gradient goes through them (saliency). Names of the image's own part are those
of `residual`, so that `start` may carry either into the other.
"""

import numpy as np
import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.turbulence.models.residual import ResidualEncoder
from skyloom.turbulence.models.task import TurbulenceTask, features, predict
from skyloom.turbulence.statistics import CACHED, HEIGHT, morlet_bank, scattering_coefficients

__all__ = ["features", "make_task", "predict"]

SCALES, ANGLES = 3, 4  # octaves and directions of the wavelets
LEAST_PIXELS = 16  # wavelets of three octaves, seven rings of wave numbers
HIDDEN = 32


def make_task(entry: dict, meta: dict) -> TurbulenceTask:
    """entry : `features`, `scattering` or `power`; and as of `residual`."""
    if meta["pixels"] < LEAST_PIXELS:
        raise BadInput(f"hybrid: images of {meta['pixels']} pixels; expected at least {LEAST_PIXELS}")
    encoder = HybridEncoder(
        entry["width"], entry["depth"], entry["dropout"], STATISTICS[entry["features"]](meta["pixels"])
    )
    return TurbulenceTask(entry, meta, encoder, encoder.features)


class HybridEncoder(ResidualEncoder):
    """Images (n, 1, y, x) -> features: the image's, the normalised statistics, and what a small MLP makes of these.

    The statistics also reach the head as they are: a linear classifier of them is a part of the network.
    """

    def __init__(self, width: int, depth: int, dropout: float, statistics: nn.Module):
        super().__init__(width, depth, dropout)
        self.statistics = statistics
        self.normalise = nn.BatchNorm1d(statistics.features, affine=False)
        self.mlp = nn.Sequential(nn.Linear(statistics.features, HIDDEN), nn.SiLU())
        self.features += statistics.features + HIDDEN

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.normalise(self.statistics(x))
        return torch.cat([super().forward(x).float(), statistics, self.mlp(statistics).float()], 1)


class Statistics(nn.Module):
    """In single precision always: their digits matter, and there are no half-precision FFTs."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.compute(x.float())


class Scattering(Statistics):
    """`statistics.scattering` of three octaves and four angles, averaged over the square's symmetries: (n, 24).

    (n, 1, y, x) -> for each of three scales, along an axis or a diagonal; for each of three pairs of scales, the six
    pairs of angles that no symmetry turns into one another.
    """

    SYMMETRIES = ((0, 1, 2, 3), (0, 3, 2, 1), (2, 3, 0, 1), (2, 1, 0, 3))  # what they do to the angles, of 45 degrees
    PAIRS = ((0, 1, 0, 1, 0, 1), (0, 1, 2, 3, 1, 0))

    def __init__(self, pixels: int):
        super().__init__()
        bank = torch.from_numpy(morlet_bank(pixels, SCALES, ANGLES)).float()
        self.register_buffer("bank", bank, persistent=False)
        self.features = SCALES * 2 + SCALES * (SCALES - 1) // 2 * len(self.PAIRS[0])

    def compute(self, x: Tensor) -> Tensor:
        return torch.cat([self.symmetric(part) for part in x.split(CACHED if x.device.type == "cpu" else len(x))])

    def symmetric(self, x: Tensor) -> Tensor:
        first, second = self.coefficients(x)
        first = sum(first[..., turned] for turned in self.SYMMETRIES) / len(self.SYMMETRIES)
        second = sum(second[..., turned, :][..., turned] for turned in self.SYMMETRIES) / len(self.SYMMETRIES)
        return torch.cat([first[..., :2].flatten(1), second[..., *self.PAIRS].flatten(1)], 1)

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """ln of order one (n, scale, angle) and, over it, of order two (n, pair of scales, angle, angle)."""
        first, second = scattering_coefficients(x, self.bank, ANGLES)
        return first, torch.cat([wider.movedim(1, 2) for wider in second], 1)


class Power(Statistics):
    """`statistics.power_spectrum` of an image with edges: (n, 1, y, x) -> (n, y / 2 - 1), log10 by ring."""

    def __init__(self, pixels: int):
        super().__init__()
        window = np.hanning(pixels + 1)[:pixels]
        wave = np.fft.fftfreq(pixels, 1 / pixels)
        ring = torch.from_numpy(np.rint(np.hypot(wave[:, None], wave)).ravel())
        average = (ring[:, None] == torch.arange(1, pixels // 2)).double()
        self.register_buffer("window", torch.from_numpy(window[:, None] * window).float(), persistent=False)
        self.register_buffer("average", (average / average.sum(0)).float(), persistent=False)
        self.features = pixels // 2 - 1

    def compute(self, x: Tensor) -> Tensor:
        inside = (x * self.window).sum((-1, -2), keepdim=True) / self.window.sum()
        power = torch.fft.fft2((x - inside) * self.window).abs().square()
        return (power.flatten(1) @ self.average + HEIGHT).log10()


STATISTICS = {"scattering": Scattering, "power": Power}
