"""CycleGAN between A = (dust, HI) and B = CO: two generators, two PatchGAN discriminators (Zhu+
2017, 1703.10593).

One module for its two published forms, which are entries of the config:

- as presented (May 2024): U-Net generators, binary cross-entropy, pairs of the same sky, cycle
    weight 10, identity 5.
- as published (arXiv 2604.16167): ResNet generators of six blocks, least squares (LSGAN), a
    discriminator of four
  halvings, unpaired, a replay buffer of 50 images, the same weights, no average of the weights, no
      decay.

Both: Adam 2e-4 with beta1 0.5. Departures and stabilisers stand in `gan.py`; one is the cycle's
own:

- `cycle_noise`: (dust, HI) -> CO loses what the cycle asks back, so that G hides it in texture too
    faint to see
  (Chu+ 2017, steganography). Noise of this standard deviation on the way back, in normalised asinh
      space, drowns it.

The identity term needs an image of one domain in the input of the other's generator, which A, of
two channels, and B, of one, do not allow as they are. `identity` says how it is read:

- `paired_l1`: |B - G(A)| + |A - F(B)|, as the presentation prints it; a paired loss, refused for
    unpaired training.
- `zhu`: |G(B) - B| + |F(A) - A| with channels copied as the published code pairs them: CO repeated
    into the dust and
  HI slots of G; each channel of A alone through F, compared with the same channel of the result. It
      rewards copying
  dust to CO. Refused where B has neither one channel nor as many as A: nothing says which goes with
      which.
- `none`.
"""

import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.co.data.examples import INPUTS, to_physical
from skyloom.co.models import gan
from skyloom.co.models.blocks import random_symmetry
from skyloom.co.models.gan import l1
from skyloom.training import Task
from skyloom.training.feed import seed_of

IDENTITIES = ("zhu", "paired_l1", "none")


def make_task(entry: dict, meta: dict) -> "CycleGANTask":
    """The four networks and their losses from a model entry and the examples' `meta`.

    entry : `generator` (unet, resnet), `generator_width`, `generator_depth`, `discriminator_width`,
        `discriminator_depth`, `upsample`, `norm`, `gan_loss` (bce, lsgan, hinge), `lambda_cycle`,
            `lambda_identity`,
        `identity`, `paired`, `cycle_noise`, `buffer`, `r1`, `r1_every`, `decay`.
    Raises BadInput for an unknown choice, or an identity term that these domains do not define.
    """
    gan.check(entry, meta, "cyclegan")
    gan.require_choice(entry, "identity", IDENTITIES, "cyclegan")
    if entry["identity"] == "paired_l1" and not entry["paired"]:
        raise BadInput(
            "cyclegan: identity is 'paired_l1' and paired is false; a paired loss needs pairs"
        )
    return CycleGANTask(entry, meta)


@torch.no_grad()
def predict(task: "CycleGANTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction`, G(A) in K km/s, (n, 1, y, x)."""
    return {"prediction": to_physical(task.to_b(batch["input"]).float(), task.constants)}


class CycleGANTask(Task):
    """Two optimisers, stepped in turn: `generators` (G, named `to_b`, and F, `to_a`), then
    `discriminators`.
    """

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.constants = meta["normalisation"]["target"]
        n_a, n_b = len(INPUTS), 1
        self.to_b, self.to_a = (
            gan.make_generator(entry, n_a, n_b),
            gan.make_generator(entry, n_b, n_a),
        )
        self.judge_a, self.judge_b = (
            gan.make_discriminator(entry, n_a),
            gan.make_discriminator(entry, n_b),
        )
        self.replay_a, self.replay_b = gan.Replay(entry["buffer"]), gan.Replay(entry["buffer"])

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        pairs = {
            "generators": (self.to_b, self.to_a),
            "discriminators": (self.judge_a, self.judge_b),
        }
        return {name: gan.adam(pair, self.plan) for name, pair in pairs.items()}

    def schedules(self, optimisers):
        return gan.falling(optimisers, self.plan, self.entry["decay"])

    def memory(self) -> dict[str, gan.Replay]:
        return (
            {"replay_a": self.replay_a, "replay_b": self.replay_b} if self.entry["buffer"] else {}
        )

    def losses(self, batch: dict[str, Tensor], step: int):
        batch = random_symmetry(batch)
        a, b, mask_a, mask_b = batch["input"], batch["target"], batch["valid"], batch["valid"]
        if not self.entry["paired"]:
            order = torch.randperm(len(b)).to(b.device)
            b, mask_b = b[order], mask_b[order]
        a, b = a * mask_a, b * mask_b  # masked pixels look alike in true and generated images
        fake_b, fake_a = self.to_b(a) * mask_a, self.to_a(b) * mask_b
        adversarial, entry = gan.GAN_LOSSES[self.entry["gan_loss"]], self.entry
        loss = adversarial(self.judge_b(fake_b), True, False) + adversarial(
            self.judge_a(fake_a), True, False
        )
        back_a, back_b = (
            self.to_a(self.noisy(fake_b, mask_a)),
            self.to_b(self.noisy(fake_a, mask_b)),
        )
        loss = loss + entry["lambda_cycle"] * (l1(back_a, a, mask_a) + l1(back_b, b, mask_b))
        if entry["identity"] == "paired_l1":
            loss = loss + entry["lambda_identity"] * (l1(fake_b, b, mask_b) + l1(fake_a, a, mask_a))
        elif entry["identity"] == "zhu":
            copied = copy_error(self.to_b, a, b, mask_b) + copy_error(self.to_a, b, a, mask_a)
            loss = loss + entry["lambda_identity"] * copied
        yield "generators", loss

        fake_a, fake_b = self.remembered(fake_a.detach(), fake_b.detach(), step)
        pairs = ((self.judge_a, a, fake_a), (self.judge_b, b, fake_b))
        yield "discriminators", sum(gan.discriminator_loss(*pair, entry, step) for pair in pairs)

    def noisy(self, fake: Tensor, mask: Tensor) -> Tensor:
        """A generated image as the way back sees it."""
        noise = self.entry["cycle_noise"]
        return fake + noise * torch.randn_like(fake) * mask if noise > 0 else fake

    def remembered(self, fake_a: Tensor, fake_b: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Generated images as the discriminators see them: some are of earlier steps."""
        if not self.entry["buffer"]:
            return fake_a, fake_b
        draws = torch.Generator().manual_seed(
            seed_of(self.plan.seed, "replay", step)
        )  # alike on all processes
        return self.replay_a.exchange(fake_a, draws), self.replay_b.exchange(fake_b, draws)

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Paired L1 in normalised asinh space over the valid pixels of each tile: validation has
        pairs in any case.
        """
        return {"l1": gan.tile_l1(self.to_b(batch["input"]), batch["target"], batch["valid"])}


def copy_error(generator: nn.Module, input_like: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Zhu's identity term |generator(image) - image|, channels copied where the two domains have
    different numbers.
    """
    n_in, n = input_like.shape[1], image.shape[1]
    if n_in == n:
        return l1(generator(image), image, mask)
    if n == 1:
        return l1(generator(image.expand(-1, n_in, -1, -1)), image, mask)
    if n_in == 1:
        alone = (
            l1(generator(image[:, c : c + 1])[:, c : c + 1], image[:, c : c + 1], mask)
            for c in range(n)
        )
        return sum(alone) / n
    raise BadInput(
        f"cyclegan: identity 'zhu' is undefined between images of {n_in} and {n} channels"
    )
