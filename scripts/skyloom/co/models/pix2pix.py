"""pix2pix: (dust, HI) -> CO by a generator and a conditional discriminator.

Isola+ 2017, arXiv:1611.07004. It measures the worth of pairs for an adversarial model: the
discriminator gets input and output, an absolute error of weight 100 fixes the amplitude, and no
cycle needs HI in the CO. Least squares replace the cross-entropy of the paper. No noise enters: the
dropout of the paper gave hardly any, and a prediction must repeat.
"""

import torch
from torch import Tensor, nn

from skyloom.co.data.examples import INPUTS, to_physical
from skyloom.co.models import gan
from skyloom.networks import symmetries
from skyloom.training import Task


def make_task(entry: dict, meta: dict) -> "Pix2PixTask":
    """The two networks and their losses from a model entry and the examples' `meta`.

    entry : `generator` (unet, resnet), `generator_width`, `generator_depth`, `discriminator_width`,
        `discriminator_depth`, `upsample`, `norm`, `gan_loss` (bce, lsgan, hinge), `lambda_l1`,
        `r1`, `r1_every`, `decay`

    Raises BadInput for an unknown choice, or tiles that the generator cannot halve so often.
    """
    gan.check(entry, meta, "pix2pix")
    return Pix2PixTask(entry, meta)


@torch.no_grad()
def predict(task: "Pix2PixTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction` in K km/s, (n, 1, y, x)."""
    return {"prediction": to_physical(task.generator(batch["input"]).float(), task.constants)}


def scheme(task: "Pix2PixTask", meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of the generator, and the shape of their input."""
    return task.generator, (len(INPUTS), meta["pixels"], meta["pixels"])


class Pix2PixTask(Task):
    """Two optimisers, stepped in turn: `generator`, then `discriminator`."""

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.constants = meta["normalisation"]["target"]
        self.generator = gan.make_generator(entry, len(INPUTS), 1)
        self.discriminator = gan.make_discriminator(entry, len(INPUTS) + 1)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: gan.adam([network], self.plan) for name, network in networks.items()}

    def schedules(self, optimisers):
        return gan.falling(optimisers, self.plan, self.entry["decay"])

    def losses(self, batch: dict[str, Tensor], step: int):
        batch = symmetries.apply(batch, symmetries.draw(len(batch["input"])))
        mask = batch["valid"]
        # masked pixels are equal in true and generated images
        x, real = batch["input"] * mask, batch["target"] * mask
        fake = self.generator(x) * mask
        adversarial = gan.GAN_LOSSES[self.entry["gan_loss"]]
        loss = adversarial(self.discriminator(torch.cat([x, fake], 1)), True, False)
        yield "generator", loss + self.entry["lambda_l1"] * gan.l1(fake, real, mask)

        real, fake = torch.cat([x, real], 1), torch.cat([x, fake.detach()], 1)
        loss = gan.discriminator_loss(self.discriminator, real, fake, self.entry, step)
        yield "discriminator", loss

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Paired L1 in normalised asinh space over the valid pixels of each tile."""
        return {"l1": gan.tile_l1(self.generator(batch["input"]), batch["target"], batch["valid"])}
