"""A residual network that is also told the image's summary statistics, so that it need not find
them in few examples.

The statistics are those of `skyloom.turbulence.statistics`, computed within the network: they turn
with the image, are on the GPU where the network is, and a gradient goes through them (saliency).
Names of the image's own part are those of `residual`, so that `start` may carry either into the
other.
"""

import numpy as np
import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.examples import Split
from skyloom.turbulence.models.blocks import views
from skyloom.turbulence.models.residual import ResidualEncoder
from skyloom.turbulence.models.task import TurbulenceTask, features, predict
from skyloom.turbulence.statistics import (
    CACHED,
    HEIGHT,
    morlet_bank,
    scattering_coefficients,
    structure_functions,
)

__all__ = ["features", "make_task", "predict"]

SCALES, ANGLES = 3, 4  # octaves and directions of the wavelets
LEAST_PIXELS = 16  # wavelets of three octaves, seven rings of wave numbers
HIDDEN = 32
CHUNK = 256  # images whose statistics are computed at once


def make_task(entry: dict, meta: dict) -> "HybridTask":
    """entry : `features`, the kinds of statistics, of `STATISTICS`; and as of `residual`."""
    if meta["pixels"] < LEAST_PIXELS:
        raise BadInput(
            f"hybrid: images of {meta['pixels']} pixels; expected at least {LEAST_PIXELS}"
        )
    statistics = [STATISTICS[name](meta["pixels"]) for name in entry["features"]]
    encoder = HybridEncoder(entry["width"], entry["depth"], entry["dropout"], statistics)
    # features of the image are dropped, statistics are not: their weights balance one another
    return HybridTask(entry | {"dropout": 0.0}, meta, encoder, encoder.features)


class HybridTask(TurbulenceTask):
    """Begins where linear learning of the statistics ends: what the image adds is learned as a
    correction of that.
    """

    @torch.no_grad()
    def prepare(self, train: Split) -> None:
        batches = [
            train[rows] for rows in np.array_split(np.arange(len(train)), -(-len(train) // CHUNK))
        ]
        statistics = torch.cat([self.encoder.known(batch["input"]) for batch in batches])
        self.encoder.mean.copy_(statistics.mean(0))
        self.encoder.scale.copy_(statistics.std(0) + HEIGHT)
        truth = {name: torch.cat([batch[name] for batch in batches]) for name in ("label", "index")}
        weight, bias = self.answer.linear(self.encoder.normalised(statistics), truth)
        head = self.head[-1]
        head.weight.zero_()
        head.weight[:, self.encoder.place] = weight.float()
        head.bias.copy_(bias)

    def features_seen(self, x: Tensor) -> list[Tensor]:
        """The statistics, by far the most of the work, are those of the image as it stands: a view
        has the same.
        """
        known = self.encoder.known(x)
        return [self.encoder(view, known).float() for view in views(x)]


class HybridEncoder(ResidualEncoder):
    """Images (n, 1, y, x) -> features: the image's, the normalised statistics, and what a small MLP
    makes of these.

    The statistics also reach the head as they are: a linear classifier of them is a part of the
    network. They are normalised by `mean` and `scale` of the training set, not of a batch, so that
    its weights keep what they mean.
    """

    def __init__(self, width: int, depth: int, dropout: float, statistics: list["Statistics"]):
        super().__init__(width, depth, dropout)
        self.statistics = nn.ModuleList(statistics)
        count = sum(kind.features for kind in statistics)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.drop = nn.Dropout(dropout)
        self.mlp = nn.Sequential(nn.Linear(count, HIDDEN), nn.SiLU(), nn.Dropout(dropout))
        self.place = slice(
            self.features, self.features + count
        )  # of the statistics among the features
        self.features += count + HIDDEN

    def known(self, x: Tensor) -> Tensor:
        """The statistics of images (n, 1, y, x), not normalised: (n, statistic)."""
        return torch.cat([kind(x) for kind in self.statistics], 1)

    def normalised(self, statistics: Tensor) -> Tensor:
        return (statistics - self.mean) / self.scale

    def forward(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        statistics = self.normalised(self.known(x) if known is None else known)
        return torch.cat(
            [self.drop(super().forward(x)).float(), statistics, self.mlp(statistics).float()], 1
        )


class Statistics(nn.Module):
    """In single precision always: their digits matter, and there are no half-precision FFTs."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.compute(x.float())


class Scattering(Statistics):
    """`statistics.scattering` of three octaves and four angles, averaged over the square's
    symmetries: (n, 24).

    (n, 1, y, x) -> for each of three scales, along an axis or a diagonal; for each of three pairs
    of scales, the six pairs of angles that no symmetry turns into one another.
    """

    SYMMETRIES = (
        (0, 1, 2, 3),
        (0, 3, 2, 1),
        (2, 3, 0, 1),
        (2, 1, 0, 3),
    )  # what they do to the angles, of 45 degrees
    PAIRS = ((0, 1, 0, 1, 0, 1), (0, 1, 2, 3, 1, 0))

    def __init__(self, pixels: int):
        super().__init__()
        bank = torch.from_numpy(morlet_bank(pixels, SCALES, ANGLES)).float()
        self.register_buffer("bank", bank, persistent=False)
        self.features = SCALES * 2 + SCALES * (SCALES - 1) // 2 * len(self.PAIRS[0])

    def compute(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.symmetric(part) for part in x.split(CACHED if x.device.type == "cpu" else len(x))]
        )

    def symmetric(self, x: Tensor) -> Tensor:
        first, second = self.coefficients(x)
        first = sum(first[..., turned] for turned in self.SYMMETRIES) / len(self.SYMMETRIES)
        second = sum(second[..., turned, :][..., turned] for turned in self.SYMMETRIES) / len(
            self.SYMMETRIES
        )
        return torch.cat([first[..., :2].flatten(1), second[..., *self.PAIRS].flatten(1)], 1)

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """ln of order one (n, scale, angle) and, over it, of order two (n, pair of scales, angle,
        angle).
        """
        first, second = scattering_coefficients(x, self.bank, ANGLES)
        return first, torch.cat([wider.movedim(1, 2) for wider in second], 1)


class Power(Statistics):
    """`statistics.power_spectrum` of an image with edges: (n, 1, y, x) -> (n, y / 2 - 1), log10 by
    ring.
    """

    def __init__(self, pixels: int):
        super().__init__()
        window = np.hanning(pixels + 2)[1:-1]
        wave = np.fft.fftfreq(pixels, 1 / pixels)
        ring = torch.from_numpy(np.rint(np.hypot(wave[:, None], wave)).ravel())
        average = (ring[:, None] == torch.arange(1, pixels // 2)).double()
        self.register_buffer(
            "window", torch.from_numpy(window[:, None] * window).float(), persistent=False
        )
        self.register_buffer("average", (average / average.sum(0)).float(), persistent=False)
        self.features = pixels // 2 - 1

    def compute(self, x: Tensor) -> Tensor:
        inside = (x * self.window).sum((-1, -2), keepdim=True) / self.window.sum()
        power = torch.fft.fft2((x - inside) * self.window).abs().square()
        return (power.flatten(1) @ self.average + HEIGHT).log10()


class Structure(Statistics):
    """`statistics.structure_functions`: (n, 1, y, x) -> (n, feature)."""

    def __init__(self, pixels: int):
        super().__init__()
        self.features = structure_functions(torch.zeros(1, pixels, pixels)).shape[1]

    def compute(self, x: Tensor) -> Tensor:
        return structure_functions(x[:, 0])


STATISTICS = {"structure": Structure, "scattering": Scattering, "power": Power}
