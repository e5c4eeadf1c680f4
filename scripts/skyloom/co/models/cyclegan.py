"""CycleGAN between A = (dust, HI) and B = CO (Zhu+ 2017, arXiv:1703.10593).

Two generators and two PatchGAN discriminators. Its two published forms are entries of the config:

- as presented (May 2024): U-Net generators, binary cross-entropy, pairs of one sky, cycle weight
  10, identity 5;
- as published (arXiv:2604.16167): ResNet generators of six blocks, least squares (LSGAN), a
  discriminator of four halvings, unpaired, a replay buffer of 50 images, equal weights, no average
  of the weights, no decay.

Both: Adam 2e-4 with beta1 0.5. For departures and stabilisers see `gan.py`. One is of the cycle:

- `cycle_noise`: (dust, HI) -> CO loses information that the cycle needs, so that G hides it in
  faint texture (Chu+ 2017, steganography). Noise of this standard deviation on the way back, in
  normalised asinh space, covers it.

The identity term needs an image of one domain as input of the other's generator. A has two channels
and B one, so that `identity` chooses a reading:

- `paired_l1`: |B - G(A)| + |A - F(B)|, as printed in the presentation; a paired loss, refused for
  unpaired training.
- `zhu`: |G(B) - B| + |F(A) - A| with channels copied as in the published code: CO repeated into the
  dust and HI channels of G; each channel of A alone through F, compared with that channel of the
  result. It rewards copying dust to CO. Refused where B has neither one channel nor as many as A.
- `none`.
"""

import torch
from torch import Tensor, nn

from skyloom.cli import BadInput
from skyloom.co.data.examples import INPUTS, to_physical
from skyloom.co.models import gan
from skyloom.co.models.gan import l1
from skyloom.networks import symmetries
from skyloom.networks.devices import to_device
from skyloom.training import Task
from skyloom.training.feed import seed_of

IDENTITIES = ("zhu", "paired_l1", "none")


def make_task(entry: dict, meta: dict) -> "CycleGANTask":
    """The four networks and their losses from a model entry and the examples' `meta`.

    entry : `generator` (unet, resnet), `generator_width`, `generator_depth`, `discriminator_width`,
        `discriminator_depth`, `upsample`, `norm`, `gan_loss` (bce, lsgan, hinge), `lambda_cycle`,
        `lambda_identity`, `identity`, `paired`, `cycle_noise`, `buffer`, `r1`, `r1_every`, `decay`

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


def scheme(task: "CycleGANTask", meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of G, and the shape of their input."""
    return task.to_b, (len(INPUTS), meta["pixels"], meta["pixels"])


class CycleGANTask(Task):
    """Two optimisers, stepped in turn: `generators`, then `discriminators`.

    G is `to_b`, F is `to_a`.
    """

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.constants = meta["normalisation"]["target"]
        n_a, n_b = len(INPUTS), 1
        self.to_b = gan.make_generator(entry, n_a, n_b)
        self.to_a = gan.make_generator(entry, n_b, n_a)
        self.judge_a = gan.make_discriminator(entry, n_a)
        self.judge_b = gan.make_discriminator(entry, n_b)
        self.replay_a, self.replay_b = gan.Replay(entry["buffer"]), gan.Replay(entry["buffer"])

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "generators": gan.adam([self.to_b, self.to_a], self.plan),
            "discriminators": gan.adam([self.judge_a, self.judge_b], self.plan),
        }

    def schedules(self, optimisers):
        return gan.falling(optimisers, self.plan, self.entry["decay"])

    def memory(self) -> dict[str, gan.Replay]:
        if not self.entry["buffer"]:
            return {}
        return {"replay_a": self.replay_a, "replay_b": self.replay_b}

    def losses(self, batch: dict[str, Tensor], step: int):
        batch = symmetries.apply(batch, symmetries.draw(len(batch["input"])))
        a, b, mask_a, mask_b = batch["input"], batch["target"], batch["valid"], batch["valid"]
        if not self.entry["paired"]:
            order = to_device(torch.randperm(len(b)), b.device)
            b, mask_b = b[order], mask_b[order]
        a, b = a * mask_a, b * mask_b  # masked pixels look alike in true and generated images
        fake_b, fake_a = self.to_b(a) * mask_a, self.to_a(b) * mask_b
        adversarial, entry = gan.GAN_LOSSES[self.entry["gan_loss"]], self.entry
        loss = adversarial(self.judge_b(fake_b), True, False)
        loss = loss + adversarial(self.judge_a(fake_a), True, False)
        back_a = self.to_a(self.noisy(fake_b, mask_a))
        back_b = self.to_b(self.noisy(fake_a, mask_b))
        loss = loss + entry["lambda_cycle"] * (l1(back_a, a, mask_a) + l1(back_b, b, mask_b))
        if entry["identity"] == "paired_l1":
            loss = loss + entry["lambda_identity"] * (l1(fake_b, b, mask_b) + l1(fake_a, a, mask_a))
        elif entry["identity"] == "zhu":
            copies = copy_error(self.to_b, a, b, mask_b) + copy_error(self.to_a, b, a, mask_a)
            loss = loss + entry["lambda_identity"] * copies
        yield "generators", loss

        fake_a, fake_b = self.replayed(fake_a.detach(), fake_b.detach(), step)
        pairs = ((self.judge_a, a, fake_a), (self.judge_b, b, fake_b))
        yield "discriminators", sum(gan.discriminator_loss(*pair, entry, step) for pair in pairs)

    def noisy(self, fake: Tensor, mask: Tensor) -> Tensor:
        """A generated image as input of the way back."""
        noise = self.entry["cycle_noise"]
        return fake + noise * torch.randn_like(fake) * mask if noise > 0 else fake

    def replayed(self, fake_a: Tensor, fake_b: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Generated images for the discriminators: some are of earlier steps."""
        if not self.entry["buffer"]:
            return fake_a, fake_b
        # equal on all processes
        draws = torch.Generator().manual_seed(seed_of(self.plan.seed, "replay", step))
        return self.replay_a.exchange(fake_a, draws), self.replay_b.exchange(fake_b, draws)

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Paired L1 in normalised asinh space over valid pixels; validation always has pairs."""
        return {"l1": gan.tile_l1(self.to_b(batch["input"]), batch["target"], batch["valid"])}


def copy_error(generator: nn.Module, input_like: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Zhu's identity term |generator(image) - image|, with channels copied where numbers differ."""
    n_in, n = input_like.shape[1], image.shape[1]
    if n_in == n:
        return l1(generator(image), image, mask)
    if n == 1:
        return l1(generator(image.expand(-1, n_in, -1, -1)), image, mask)
    if n_in == 1:
        channels = [image[:, c : c + 1] for c in range(n)]
        errors = (l1(generator(x)[:, c : c + 1], x, mask) for c, x in enumerate(channels))
        return sum(errors) / n
    raise BadInput(
        f"cyclegan: identity 'zhu' is undefined between images of {n_in} and {n} channels"
    )
