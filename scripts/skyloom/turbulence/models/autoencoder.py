"""A convolutional autoencoder of images, trained without their index.

    image -> encoder of `residual` before its average -> `latent` channels -> decoder -> image

Images of another kind have another error of reconstruction, not always a larger one: smoother
images are easier (Nalisnick+ 2019, arXiv:1810.09136, of likelihoods). The score is therefore the
distance of ln(error) from its typical value in validation. The encoder has the parameter names of
`residual`, so that `start` can carry it, trained on maps of real clouds, to a classifier.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.networks import symmetries
from skyloom.networks.blocks import ResidualBlock, Upsample, conv, norm
from skyloom.training import Task, adamw, one_cycle
from skyloom.turbulence.models.residual import EDGE, ResidualEncoder
from skyloom.turbulence.models.task import features, random_view

__all__ = ["features", "make_task", "predict", "scheme"]

LEAST = 1e-12  # keeps a logarithm finite


def make_task(entry: dict, meta: dict) -> "AutoencoderTask":
    """entry : `width`, `depth` as of `residual`; `latent`, channels of the code, of side pixels /
    2**depth.
    """
    pixels, depth = meta["pixels"], entry["depth"]
    if pixels % 2**depth:
        raise BadInput(
            f"autoencoder: images of {pixels} pixels; expected a multiple of {2**depth} for depth"
            f" {depth}"
        )
    if entry["latent"] >= 4**depth:
        raise BadInput(
            f"autoencoder: latent is {entry['latent']}; expected less than {4**depth}, the pixels"
            f" that one pixel of the code replaces at depth {depth}: more could copy the image"
        )
    return AutoencoderTask(entry, meta)


@torch.no_grad()
def predict(task: "AutoencoderTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`error`, mean square of the reconstruction's error over pixels and the eight views, and
    `anomaly`, the distance of its logarithm from the typical one: (n, 1) each.
    """
    error = torch.stack([task.error(view) for view in symmetries.views(batch["input"])]).mean(0)
    anomaly = ((error + LEAST).log() - task.typical).abs()
    return {"error": error[:, None], "anomaly": anomaly[:, None]}


def scheme(task: "AutoencoderTask", meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of the network, and the shape of their input."""
    return task, (1, meta["pixels"], meta["pixels"])


class AutoencoderTask(Task):
    """One optimiser, `net`: AdamW under OneCycle; loss and score are the mean squared error of a
    pixel.
    """

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        width, depth = entry["width"], entry["depth"]
        self.encoder = ResidualEncoder(width, depth, dropout=0.0)
        self.squeeze = nn.Conv2d(self.encoder.features, entry["latent"], 1)
        self.decoder = decoder(width, depth, entry["latent"])
        self.register_buffer("typical", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1, y, x) -> the same, reconstructed."""
        return self.decoder(self.squeeze(self.encoder.map(x))).float()

    def error(self, x: Tensor) -> Tensor:
        """Mean squared error of the reconstruction, (n,)."""
        return (self(x) - x).square().mean((1, 2, 3))

    def features(self, x: Tensor) -> list[Tensor]:
        """Features of the eight views of each image, (n, feature) each."""
        return [self.encoder(view).float() for view in symmetries.views(x)]

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": adamw(self.parameters(), rate, weight_decay=decay)}

    def schedules(self, optimisers):
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: dict[str, Tensor], step: int):
        yield "net", self.error(random_view(batch["input"])).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"squared_error": self.error(batch["input"])}

    def calibrate(self, batches: Iterable[dict[str, Tensor]]) -> None:
        error = torch.cat([predict(self, batch)["error"][:, 0] for batch in batches])
        self.typical.copy_((error + LEAST).log().median())


def decoder(width: int, depth: int, latent: int) -> nn.Sequential:
    """The encoder's levels in reverse, (n, latent, y / 2**depth, x / 2**depth) -> (n, 1, y, x)."""
    channels = [width * 2**level for level in reversed(range(depth + 1))]
    layers = [
        nn.Conv2d(latent, channels[0], 1),
        ResidualBlock(channels[0], channels[0], padding_mode=EDGE),
    ]
    for n_in, n_out in zip(channels[:-1], channels[1:], strict=True):
        layers += [
            Upsample("bilinear"),
            ResidualBlock(n_in, n_out, padding_mode=EDGE),
        ]
    return nn.Sequential(*layers, norm(width), nn.SiLU(), conv(width, 1, padding_mode=EDGE))
