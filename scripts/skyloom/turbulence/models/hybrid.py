"""A residual network with the summary statistics of the image among its features.

It need not learn the statistics from few examples. They are those of
`skyloom.turbulence.image_statistics`, computed within the network: on the GPU where the network is,
and differentiable for saliency. The image's part has the parameter names of `residual`, so that
`start` can carry either into the other.
"""

import numpy as np
import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.examples import Split
from skyloom.networks import symmetries
from skyloom.turbulence.image_statistics import (
    CACHED,
    HEIGHT,
    morlet_bank,
    scattering_coefficients,
    structure_functions,
)
from skyloom.turbulence.models.residual import ResidualEncoder
from skyloom.turbulence.models.task import TurbulenceTask, features, predict, scheme

__all__ = ["features", "make_task", "predict", "scheme"]

SCALES, ANGLES = 3, 4  # octaves and directions of the wavelets
LEAST_PIXELS = 16  # wavelets of three octaves, seven rings of wave numbers
HIDDEN = 32
CHUNK = 256  # images whose statistics are computed at once
# action of the symmetries on the angles of the wavelets, in units of 45 degrees
TURNS = ((0, 1, 2, 3), (0, 3, 2, 1), (2, 3, 0, 1), (2, 1, 0, 3))
# pairs of angles that no symmetry turns into one another
PAIRS = ((0, 1, 0, 1, 0, 1), (0, 1, 2, 3, 1, 0))


def make_task(entry: dict, meta: dict) -> "HybridTask":
    """entry : `features`, the kinds of statistics, of `STATISTICS`; and as of `residual`."""
    if meta["pixels"] < LEAST_PIXELS:
        raise BadInput(
            f"hybrid: images of {meta['pixels']} pixels; expected at least {LEAST_PIXELS}"
        )
    statistics = [STATISTICS[name](meta["pixels"]) for name in entry["features"]]
    encoder = HybridEncoder(entry["width"], entry["depth"], entry["dropout"], statistics)
    # the encoder drops features of the image; weights of the statistics balance one another
    return HybridTask(entry | {"dropout": 0.0}, meta, encoder, encoder.features)


class HybridTask(TurbulenceTask):
    """Starts as a linear model of the statistics; the image's part learns a correction of it."""

    @torch.no_grad()
    def prepare(self, train: Split) -> None:
        chunks = np.array_split(np.arange(len(train)), -(-len(train) // CHUNK))
        batches = [train[rows] for rows in chunks]
        statistics = torch.cat([self.encoder.measured(batch["input"]) for batch in batches])
        self.encoder.mean.copy_(statistics.mean(0))
        self.encoder.scale.copy_(statistics.std(0) + HEIGHT)
        truth = {name: torch.cat([batch[name] for batch in batches]) for name in ("label", "index")}
        weight, bias = self.likelihood.linear(self.encoder.normalised(statistics), truth)
        head = self.head[-1]
        head.weight.zero_()
        head.weight[:, self.encoder.place] = weight.float()
        head.bias.copy_(bias)

    @torch.no_grad()
    def invariants(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The statistics of the images, which all their views share; a quarter of a step's time."""
        return {"statistics": self.encoder.measured(batch["input"])}

    def encoded(self, x: Tensor, batch: dict[str, Tensor]) -> Tensor:
        return self.encoder(x, batch.get("statistics"))

    def features(self, x: Tensor) -> list[Tensor]:
        """Features of the eight views; their statistics, most of the work, are equal."""
        statistics = self.encoder.measured(x)
        return [self.encoder(view, statistics).float() for view in symmetries.views(x)]


class HybridEncoder(ResidualEncoder):
    """Images (n, 1, y, x) -> features: of the image, normalised statistics, and an MLP of these.

    The statistics themselves are features, so that a linear classifier of them is a part of the
    network. They are normalised by `mean` and `scale` of the training set, not of a batch: the
    weights from `prepare` stay valid.
    """

    def __init__(self, width: int, depth: int, dropout: float, statistics: list["Statistics"]):
        super().__init__(width, depth, dropout)
        self.statistics = nn.ModuleList(statistics)
        count = sum(kind.features for kind in statistics)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.drop = nn.Dropout(dropout)
        self.mlp = nn.Sequential(nn.Linear(count, HIDDEN), nn.SiLU(), nn.Dropout(dropout))
        self.place = slice(self.features, self.features + count)  # of the statistics
        self.features += count + HIDDEN

    def measured(self, x: Tensor) -> Tensor:
        """The statistics of images (n, 1, y, x), not normalised: (n, statistic)."""
        return torch.cat([kind(x) for kind in self.statistics], 1)

    def normalised(self, statistics: Tensor) -> Tensor:
        return (statistics - self.mean) / self.scale

    def forward(self, x: Tensor, measured: Tensor | None = None) -> Tensor:
        """`measured` : the statistics of x, where they are known already."""
        statistics = self.normalised(self.measured(x) if measured is None else measured)
        image = self.drop(super().forward(x)).float()
        return torch.cat([image, statistics, self.mlp(statistics).float()], 1)


class Statistics(nn.Module):
    """Always in single precision: small differences count, and FFTs have no half precision."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.compute(x.float())


class Scattering(Statistics):
    """`image_statistics.scattering` of three octaves and four angles, averaged over the symmetries.

    (n, 1, y, x) -> (n, 24): for each of three scales the axes and the diagonals; for each of three
    pairs of scales the six `PAIRS` of angles.
    """

    label = "wavelet scattering"  # in the scheme

    def __init__(self, pixels: int):
        super().__init__()
        bank = torch.from_numpy(morlet_bank(pixels, SCALES, ANGLES)).float()
        constants = {"bank": bank, "turns": torch.tensor(TURNS), "pairs": torch.tensor(PAIRS)}
        for name, values in constants.items():
            self.register_buffer(name, values, persistent=False)
        self.features = SCALES * 2 + SCALES * (SCALES - 1) // 2 * len(PAIRS[0])

    def compute(self, x: Tensor) -> Tensor:
        parts = x.split(CACHED if x.device.type == "cpu" else len(x))
        return torch.cat([self.symmetric(part) for part in parts])

    def symmetric(self, x: Tensor) -> Tensor:
        first, second = self.coefficients(x)
        first = sum(first[..., angles] for angles in self.turns) / len(TURNS)
        second = sum(second[..., angles, :][..., angles] for angles in self.turns) / len(TURNS)
        pairs = second[..., self.pairs[0], self.pairs[1]]
        return torch.cat([first[..., :2].flatten(1), pairs.flatten(1)], 1)

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """ln of order one, and of order two over order one.

        (n, scale, angle) and (n, pair of scales, angle, angle)
        """
        first, second = scattering_coefficients(x, self.bank, ANGLES)
        return first, torch.cat([wider.movedim(1, 2) for wider in second], 1)


class Power(Statistics):
    """`image_statistics.power_spectrum` of an image with edges.

    (n, 1, y, x) -> (n, y / 2 - 1), log10 by ring
    """

    label = "power spectrum"  # in the scheme

    def __init__(self, pixels: int):
        super().__init__()
        window = np.hanning(pixels + 2)[1:-1]
        window = torch.from_numpy(window[:, None] * window).float()
        wave = np.fft.fftfreq(pixels, 1 / pixels)
        ring = torch.from_numpy(np.rint(np.hypot(wave[:, None], wave)).ravel())
        average = (ring[:, None] == torch.arange(1, pixels // 2)).double()
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("average", (average / average.sum(0)).float(), persistent=False)
        self.features = pixels // 2 - 1

    def compute(self, x: Tensor) -> Tensor:
        inside = (x * self.window).sum((-1, -2), keepdim=True) / self.window.sum()
        power = torch.fft.fft2((x - inside) * self.window).abs().square()
        return (power.flatten(1) @ self.average + HEIGHT).log10()


class Structure(Statistics):
    """`image_statistics.structure_functions`: (n, 1, y, x) -> (n, feature)."""

    label = "structure functions"  # in the scheme

    def __init__(self, pixels: int):
        super().__init__()
        self.features = structure_functions(torch.zeros(1, pixels, pixels)).shape[1]

    def compute(self, x: Tensor) -> Tensor:
        return structure_functions(x[:, 0])


STATISTICS = {"structure": Structure, "scattering": Scattering, "power": Power}
