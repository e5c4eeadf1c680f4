"""A convolutional autoencoder: what its training images are like, learned without their index.

    image -> encoder of `residual` before its average -> `latent` channels -> decoder -> image

An image of another kind is reconstructed otherwise. Not always worse: a smoother one is easier,
whatever it shows (Nalisnick+ 2019, arXiv:1810.09136, of likelihoods). What counts here is how far
ln(error) is from what is typical in validation. The encoder has the names of `residual`'s, so that
`start` carries it, learned on maps of real clouds, to a classifier.
"""

import torch
from torch import Tensor, nn

from skyloom.blocks import ResidualBlock, conv, norm
from skyloom.cli import BadInput
from skyloom.training import Task, adamw, one_cycle
from skyloom.turbulence.models.blocks import EDGE, random_view, views
from skyloom.turbulence.models.residual import ResidualEncoder
from skyloom.turbulence.models.task import features

__all__ = ["features", "make_task", "predict"]

LEAST = 1e-12  # keeps a logarithm finite


def make_task(entry: dict, meta: dict) -> "AutoencoderTask":
    """entry : `width`, `depth` as of `residual`; `latent`, channels of the code, of side pixels /
    2**depth.
    """
    pixels, depth = meta["pixels"], entry["depth"]
    if pixels % 2**depth:
        raise BadInput(
            f"autoencoder: images of {pixels} pixels; expected a multiple of {2**depth} for "
            f"depth {depth}"
        )
    if entry["latent"] >= 4**depth:
        raise BadInput(
            f"autoencoder: latent is {entry['latent']}; expected less than {4**depth}, the pixels "
            "that stand for one"
            f" of the code at depth {depth}, for else it may copy the image"
        )
    return AutoencoderTask(entry, meta)


@torch.no_grad()
def predict(task: "AutoencoderTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`error`, the mean square of what is not reconstructed, mean of the eight views; `anomaly`,
    how far its logarithm is from what is typical: (n, 1) each.
    """
    error = torch.stack([task.error(view) for view in views(batch["input"])]).mean(0)
    return {
        "error": error[:, None],
        "anomaly": ((error + LEAST).log() - task.typical).abs()[:, None],
    }


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
        """Mean square of what is not reconstructed, (n,)."""
        return (self(x) - x).square().mean((1, 2, 3))

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "net": adamw(
                self.parameters(), self.plan.learning_rate, weight_decay=self.entry["weight_decay"]
            )
        }

    def schedules(self, optimisers):
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: dict[str, Tensor], step: int):
        yield "net", self.error(random_view(batch["input"])).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"squared_error": self.error(batch["input"])}

    def calibrate(self, batches) -> None:
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
            nn.Upsample(scale_factor=2, mode="bilinear"),
            ResidualBlock(n_in, n_out, padding_mode=EDGE),
        ]
    return nn.Sequential(*layers, norm(width), nn.SiLU(), conv(width, 1, padding_mode=EDGE))
