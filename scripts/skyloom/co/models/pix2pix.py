"""pix2pix: (dust, HI) -> CO by a generator and a discriminator that sees input and output (Isola+
2017, 1611.07004).

What the pairs are worth to an adversarial model: the discriminator judges whether this CO belongs
to this dust and HI, an absolute error of weight 100 holds the amplitude, and no cycle asks the CO
to carry HI back. Least squares stands in for the paper's cross-entropy. No noise enters: the
paper's dropout gave it next to none, and a prediction is to repeat.
"""

import torch
from torch import Tensor

from skyloom.co.data.examples import INPUTS, to_physical
from skyloom.co.models import gan
from skyloom.co.models.blocks import random_symmetry
from skyloom.training import Task


def make_task(entry: dict, meta: dict) -> "Pix2PixTask":
    """The two networks and their losses from a model entry and the examples' `meta`.

    entry : `generator` (unet, resnet), `generator_width`, `generator_depth`, `discriminator_width`,
        `discriminator_depth`, `upsample`, `norm`, `gan_loss` (bce, lsgan, hinge), `lambda_l1`,
            `r1`, `r1_every`,
        `decay`.
    Raises BadInput for an unknown choice, or tiles that the generator cannot halve so often.
    """
    gan.check(entry, meta, "pix2pix")
    return Pix2PixTask(entry, meta)


@torch.no_grad()
def predict(task: "Pix2PixTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction` in K km/s, (n, 1, y, x)."""
    return {"prediction": to_physical(task.generator(batch["input"]).float(), task.constants)}


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
        batch = random_symmetry(batch)
        mask = batch["valid"]
        seen, real = (
            batch["input"] * mask,
            batch["target"] * mask,
        )  # masked pixels look alike in true and generated
        fake = self.generator(seen) * mask
        adversarial = gan.GAN_LOSSES[self.entry["gan_loss"]]
        loss = adversarial(self.discriminator(torch.cat([seen, fake], 1)), True, False)
        yield "generator", loss + self.entry["lambda_l1"] * gan.l1(fake, real, mask)

        real, fake = torch.cat([seen, real], 1), torch.cat([seen, fake.detach()], 1)
        yield (
            "discriminator",
            gan.discriminator_loss(self.discriminator, real, fake, self.entry, step),
        )

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Paired L1 in normalised asinh space over the valid pixels of each tile."""
        return {"l1": gan.tile_l1(self.generator(batch["input"]), batch["target"], batch["valid"])}
