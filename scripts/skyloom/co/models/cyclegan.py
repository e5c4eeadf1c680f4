"""CycleGAN between A = (dust, HI) and B = CO, as presented: two generators, two PatchGAN discriminators.

Zhu+ 2017 (arXiv 1703.10593) with the presentation's choices: binary cross-entropy as the adversarial loss, cycle weight
10, identity weight 5, Adam 2e-4 with beta1 0.5. Departures: both domains are normalised once for all tiles (no tanh at
the output, which would need every tile's own range), group norm in place of instance norm, which removes a tile's
amplitude, and a learning rate that falls to zero over the second half, as Zhu's does.

The identity term needs an image of one domain in the input of the other's generator, which A, of two channels, and B,
of one, do not allow as they are. `identity` says how it is read:

- `paired_l1`: |B - G(A)| + |A - F(B)|, as the presentation prints it; a paired loss, refused for unpaired training.
- `zhu`: |G(B) - B| + |F(A) - A| with channels copied as the published code pairs them: CO repeated into the dust and
  HI slots of G; each channel of A alone through F, compared with the same channel of the result. It rewards copying
  dust to CO. Refused where B has neither one channel nor as many as A: nothing says which goes with which.
- `none`.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from skyloom.cli import BadInput
from skyloom.co.data.examples import INPUTS, to_physical
from skyloom.co.models.blocks import ResidualBlock, conv, norm, random_symmetry, require_multiple
from skyloom.training import Task

BETAS = (0.5, 0.999)
INITIAL_STD = 0.02  # of all convolutions, Zhu+ 2017
LEAK = 0.2
IDENTITIES = ("zhu", "paired_l1", "none")


def make_task(entry: dict, meta: dict) -> "CycleGANTask":
    """The four networks and their losses from a model entry and the examples' `meta`.

    entry : `generator` (unet, resnet), `generator_width`, `generator_depth`, `discriminator_width`,
        `discriminator_depth`, `gan_loss` (bce, lsgan, hinge), `lambda_cycle`, `lambda_identity`, `identity`, `paired`.
    Raises BadInput for an unknown choice, or an identity term that these domains do not define.
    """
    for key, known in (("generator", GENERATORS), ("gan_loss", GAN_LOSSES), ("identity", IDENTITIES)):
        if entry[key] not in known:
            raise BadInput(f"cyclegan: {key} is {entry[key]!r}; expected one of {', '.join(known)}")
    if entry["identity"] == "paired_l1" and not entry["paired"]:
        raise BadInput("cyclegan: identity is 'paired_l1' and paired is false; a paired loss needs pairs")
    if entry["generator"] == "unet":
        require_multiple(meta, "cyclegan", "generator_depth", 2 ** entry["generator_depth"])
    return CycleGANTask(entry, meta)


@torch.no_grad()
def predict(task: "CycleGANTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction`, G(A) in K km/s, (n, 1, y, x)."""
    return {"prediction": to_physical(task.to_b(batch["input"]).float(), task.constants)}


# --- networks --------------------------------------------------------------------------------------------------------


class UNetGenerator(nn.Module):
    """Strided 4 x 4 convolutions down, nearest-neighbour and 3 x 3 up, skips by concatenation (Ronneberger+ 2015).

    (n, n_in, y, x) -> (n, n_out, y, x); y and x must be multiples of `2**depth`.
    """

    def __init__(self, n_in: int, n_out: int, width: int, depth: int):
        super().__init__()
        channels = [width * min(2**level, 8) for level in range(depth)]
        self.down = nn.ModuleList(halve(a, b) for a, b in zip([n_in, *channels[:-1]], channels, strict=True))
        inputs = [channels[-1], *(2 * c for c in reversed(channels[:-1]))]
        outputs = [*reversed(channels[:-1]), width]
        self.up = nn.ModuleList(
            nn.Sequential(conv(a, b), norm(b), nn.ReLU()) for a, b in zip(inputs, outputs, strict=True)
        )
        self.head = conv(width + n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        skips = [x]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.up:
            x = torch.cat([up(interpolate(x, scale_factor=2.0, mode="nearest")), skips.pop()], 1)
        return self.head(x)


class ResNetGenerator(nn.Module):
    """Johnson+ 2016, as in Zhu+ 2017: 7 x 7, two halvings, `depth` residual blocks, two doublings, 7 x 7."""

    def __init__(self, n_in: int, n_out: int, width: int, depth: int):
        super().__init__()
        wide = 4 * width
        self.body = nn.Sequential(
            conv(n_in, width, 7), norm(width), nn.ReLU(),
            halve(width, 2 * width), halve(2 * width, wide),
            *(ResidualBlock(wide, wide) for _ in range(depth)),
            double(wide, 2 * width), double(2 * width, width),
            conv(width, n_out, 7),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PatchGAN(nn.Sequential):
    """Isola+ 2017: `depth` halvings, then a map of logits, each of which sees a part of the tile only."""

    def __init__(self, n_in: int, width: int, depth: int):
        channels = [width * min(2**level, 8) for level in range(depth)]
        first = nn.Sequential(nn.Conv2d(n_in, width, 4, 2, 1), nn.LeakyReLU(LEAK))  # no norm: it sees amplitude
        further = (halve(a, b) for a, b in zip(channels[:-1], channels[1:], strict=True))
        super().__init__(first, *further, conv(channels[-1], 1))


def halve(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 4, 2, 1), norm(n_out), nn.LeakyReLU(LEAK))


def double(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"), conv(n_in, n_out), norm(n_out), nn.ReLU())


GENERATORS = {"unet": UNetGenerator, "resnet": ResNetGenerator}


# --- losses ----------------------------------------------------------------------------------------------------------


def bce(logits: Tensor, real: bool, judge: bool) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def lsgan(logits: Tensor, real: bool, judge: bool) -> Tensor:
    return (logits - float(real)).square().mean()


def hinge(logits: Tensor, real: bool, judge: bool) -> Tensor:
    sign = 1.0 if real else -1.0
    return (1 - sign * logits).relu().mean() if judge else -sign * logits.mean()


GAN_LOSSES = {"bce": bce, "lsgan": lsgan, "hinge": hinge}
"""Loss of logits that ought to say `real`, for the discriminator (`judge`) or for the generator that wants them so."""


def l1(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of valid pixels."""
    return ((a - b).abs() * mask).sum() / (mask.sum() * a.shape[1]).clamp(min=1)


class CycleGANTask(Task):
    """Two optimisers, stepped in turn: `generators` (G, named `to_b`, and F, `to_a`), then `discriminators`."""

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.constants = meta["normalisation"]["target"]
        n_a, n_b = len(INPUTS), 1
        generator = GENERATORS[entry["generator"]]
        size = entry["generator_width"], entry["generator_depth"]
        self.to_b, self.to_a = generator(n_a, n_b, *size), generator(n_b, n_a, *size)
        size = entry["discriminator_width"], entry["discriminator_depth"]
        self.judge_a, self.judge_b = PatchGAN(n_a, *size), PatchGAN(n_b, *size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=INITIAL_STD)
                nn.init.zeros_(module.bias)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        pairs = {"generators": (self.to_b, self.to_a), "discriminators": (self.judge_a, self.judge_b)}
        return {
            name: torch.optim.Adam(nn.ModuleList(pair).parameters(), self.plan.learning_rate, BETAS, fused=True)
            for name, pair in pairs.items()
        }

    def schedules(self, optimisers):
        steps = self.plan.steps

        def fall(step: int) -> float:
            return min(1.0, 2 * (1 - step / steps))

        return {name: torch.optim.lr_scheduler.LambdaLR(optimiser, fall) for name, optimiser in optimisers.items()}

    def losses(self, batch: dict[str, Tensor], step: int):
        batch = random_symmetry(batch)
        a, b, mask_a, mask_b = batch["input"], batch["target"], batch["valid"], batch["valid"]
        if not self.entry["paired"]:
            order = torch.randperm(len(b)).to(b.device)
            b, mask_b = b[order], mask_b[order]
        a, b = a * mask_a, b * mask_b  # masked pixels look alike in true and generated images
        fake_b, fake_a = self.to_b(a) * mask_a, self.to_a(b) * mask_b
        gan, cycle, identity = (
            GAN_LOSSES[self.entry["gan_loss"]],
            self.entry["lambda_cycle"],
            self.entry["lambda_identity"],
        )
        loss = gan(self.judge_b(fake_b), True, False) + gan(self.judge_a(fake_a), True, False)
        loss = loss + cycle * (l1(self.to_a(fake_b), a, mask_a) + l1(self.to_b(fake_a), b, mask_b))
        if self.entry["identity"] == "paired_l1":
            loss = loss + identity * (l1(fake_b, b, mask_b) + l1(fake_a, a, mask_a))
        elif self.entry["identity"] == "zhu":
            loss = loss + identity * (copy_error(self.to_b, a, b, mask_b) + copy_error(self.to_a, b, a, mask_a))
        yield "generators", loss

        fake_a, fake_b = fake_a.detach(), fake_b.detach()
        pairs = ((self.judge_a, a, fake_a), (self.judge_b, b, fake_b))
        yield "discriminators", sum(gan(d(real), True, True) + gan(d(fake), False, True) for d, real, fake in pairs) / 2

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Paired L1 in normalised asinh space over the valid pixels of each tile: validation has pairs in any case."""
        error = (self.to_b(batch["input"]) - batch["target"]).abs() * batch["valid"]
        return {"l1": error.sum((1, 2, 3)) / batch["valid"].sum((1, 2, 3)).clamp(min=1)}


def copy_error(generator: nn.Module, input_like: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Zhu's identity term |generator(image) - image|, channels copied where the two domains have different numbers."""
    n_in, n = input_like.shape[1], image.shape[1]
    if n_in == n:
        return l1(generator(image), image, mask)
    if n == 1:
        return l1(generator(image.expand(-1, n_in, -1, -1)), image, mask)
    if n_in == 1:
        alone = (l1(generator(image[:, c : c + 1])[:, c : c + 1], image[:, c : c + 1], mask) for c in range(n))
        return sum(alone) / n
    raise BadInput(f"cyclegan: identity 'zhu' is undefined between images of {n_in} and {n} channels")
