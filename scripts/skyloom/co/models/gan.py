"""What the adversarial models share: generators, the PatchGAN, losses, optimisers, replay buffer,
gradient penalty.

Each network's layout is that of its paper, at any width, with three departures for maps whose
amplitude matters: no tanh at the output, which would need every tile's own range; group norm in
place of instance norm, which removes a tile's mean and contrast (`norm: instance` brings it back);
zeros, the normalised mean, beyond the edge.

The stabilisers are switches of the model's config entry, so that what each is worth can be
measured:

- `upsample`: `nearest` and a convolution, or `transpose`, the transposed convolution of the papers.
    Its kernel of three
  at a stride of two covers pixels unevenly and leaves a checkerboard (Odena+ 2016).
- `r1`, `r1_every`: penalty on the slope of the discriminator at real images (Mescheder+ 2018),
    taken once in so many
  steps and as many times as strong (Karras+ 2020).
- `buffer`: the discriminators also see generated images of earlier steps (Shrivastava+ 2017).
- `decay`: the learning rate falls to zero over the second half of the training, as Zhu's does.
- `ema`, of the training engine: the average of the weights is what is scored and published.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skyloom.blocks import ResidualBlock, conv, norm
from skyloom.cli import BadInput
from skyloom.co.models.blocks import require_multiple
from skyloom.training import Plan

BETAS = (0.5, 0.999)
INITIAL_STD = 0.02  # of all convolutions, Zhu+ 2017
LEAK = 0.2
WIDEST = 8  # times the channels of the first layer, beyond which a level grows no wider
UPSAMPLINGS = ("nearest", "transpose")
NORMS = ("group", "instance")


def check(entry: dict, meta: dict, model: str) -> None:
    """Raise BadInput for an unknown choice, or tiles that the U-Net cannot halve so often."""
    choices = {
        "generator": GENERATORS,
        "gan_loss": GAN_LOSSES,
        "upsample": UPSAMPLINGS,
        "norm": NORMS,
    }
    for key, known in choices.items():
        require_choice(entry, key, known, model)
    if entry["generator"] == "unet":
        require_multiple(meta, model, "generator_depth", 2 ** entry["generator_depth"])


def require_choice(entry: dict, key: str, known: Iterable[str], model: str) -> None:
    if entry[key] not in known:
        raise BadInput(f"{model}: {key} is {entry[key]!r}; expected one of {', '.join(known)}")


# --- networks
# --------------------------------------------------------------------------------------------------


def make_generator(entry: dict, n_in: int, n_out: int) -> nn.Module:
    """(n, n_in, y, x) -> (n, n_out, y, x); entry : `generator`, its `_width` and `_depth`,
    `upsample`, `norm`.
    """
    network = GENERATORS[entry["generator"]]
    return first_weights(
        network(n_in, n_out, entry["generator_width"], entry["generator_depth"], entry["upsample"]),
        entry["norm"],
    )


def make_discriminator(entry: dict, n_in: int) -> nn.Module:
    """(n, n_in, y, x) -> a map of logits; entry : `discriminator_width`, `discriminator_depth`,
    `norm`.
    """
    return first_weights(
        PatchGAN(n_in, entry["discriminator_width"], entry["discriminator_depth"]), entry["norm"]
    )


class UNetGenerator(nn.Module):
    """Strided 4 x 4 convolutions down, doublings up, skips by concatenation (Isola+ 2017, after
    Ronneberger+ 2015).

    (n, n_in, y, x) -> (n, n_out, y, x); y and x must be multiples of `2**depth`.
    """

    def __init__(self, n_in: int, n_out: int, width: int, depth: int, upsample: str = "nearest"):
        super().__init__()
        channels = [width * min(2**level, WIDEST) for level in range(depth)]
        self.down = nn.ModuleList(
            halve(a, b) for a, b in zip([n_in, *channels[:-1]], channels, strict=True)
        )
        inputs = [channels[-1], *(2 * c for c in reversed(channels[:-1]))]
        outputs = [*reversed(channels[:-1]), width]
        self.up = nn.ModuleList(
            double(a, b, upsample) for a, b in zip(inputs, outputs, strict=True)
        )
        self.head = conv(width + n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        skips = [x]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.up:
            x = torch.cat([up(x), skips.pop()], 1)
        return self.head(x)


class ResNetGenerator(nn.Module):
    """Johnson+ 2016, as in Zhu+ 2017: 7 x 7, two halvings, `depth` residual blocks, two doublings,
    7 x 7.
    """

    def __init__(self, n_in: int, n_out: int, width: int, depth: int, upsample: str = "nearest"):
        super().__init__()
        wide = 4 * width
        self.body = nn.Sequential(
            conv(n_in, width, 7),
            norm(width),
            nn.ReLU(),
            conv(width, 2 * width, stride=2),
            norm(2 * width),
            nn.ReLU(),
            conv(2 * width, wide, stride=2),
            norm(wide),
            nn.ReLU(),
            *(ResidualBlock(wide, wide) for _ in range(depth)),
            double(wide, 2 * width, upsample),
            double(2 * width, width, upsample),
            conv(width, n_out, 7),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PatchGAN(nn.Sequential):
    """Isola+ 2017: `depth` halvings, then a map of logits, each of which sees `6 * 2**depth - 2`
    pixels of the tile.

    With four halvings, as published, 94 pixels: 2.2 degrees at 128 pixels a tile, as three are at
    64.
    """

    def __init__(self, n_in: int, width: int, depth: int):
        channels = [width * min(2**level, WIDEST) for level in range(depth)]
        first = nn.Sequential(
            nn.Conv2d(n_in, width, 4, 2, 1), nn.LeakyReLU(LEAK)
        )  # no norm: it sees amplitude
        further = (halve(a, b) for a, b in zip(channels[:-1], channels[1:], strict=True))
        even = nn.ZeroPad2d(
            (1, 0, 1, 0)
        )  # a kernel of four keeps the size with three more rows and columns
        super().__init__(first, *further, even, nn.Conv2d(channels[-1], 1, 4, 1, 1))


def halve(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 4, 2, 1), norm(n_out), nn.LeakyReLU(LEAK))


def double(n_in: int, n_out: int, upsample: str) -> nn.Sequential:
    """Twice the pixels, by either way with the same number of weights."""
    if upsample == "transpose":
        grow = [nn.ConvTranspose2d(n_in, n_out, 3, 2, 1, output_padding=1)]
    else:
        grow = [nn.Upsample(scale_factor=2.0, mode="nearest"), conv(n_in, n_out)]
    return nn.Sequential(*grow, norm(n_out), nn.ReLU())


def first_weights(network: nn.Module, kind: str) -> nn.Module:
    """Draw the first weights and choose the norm: instance norm is group norm with as many groups
    as channels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=INITIAL_STD)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GroupNorm) and kind == "instance":
            module.num_groups = module.num_channels
    return network


GENERATORS = {"unet": UNetGenerator, "resnet": ResNetGenerator}


# --- losses
# --------------------------------------------------------------------------------------------------


def bce(logits: Tensor, real: bool, judge: bool) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def lsgan(logits: Tensor, real: bool, judge: bool) -> Tensor:
    return (logits - float(real)).square().mean()


def hinge(logits: Tensor, real: bool, judge: bool) -> Tensor:
    sign = 1.0 if real else -1.0
    return (1 - sign * logits).relu().mean() if judge else -sign * logits.mean()


GAN_LOSSES = {"bce": bce, "lsgan": lsgan, "hinge": hinge}
"""Loss of logits that ought to say `real`, for the discriminator (`judge`) or for the generator
that wants them so.
"""


def l1(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of valid pixels."""
    return ((a - b).abs() * mask).sum() / (mask.sum() * a.shape[1]).clamp(min=1)


def tile_l1(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """The same of each tile, (n,): the validation score of the adversarial models, in normalised
    asinh space.
    """
    return ((a - b).abs() * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)


def discriminator_loss(
    judge: nn.Module, real: Tensor, fake: Tensor, entry: dict, step: int
) -> Tensor:
    """Half the loss on real and on generated images, which slows the discriminator (Isola+ 2017),
    and the penalty.
    """
    gan = GAN_LOSSES[entry["gan_loss"]]
    loss = (gan(judge(real), True, True) + gan(judge(fake), False, True)) / 2
    if entry["r1"] > 0 and step % entry["r1_every"] == 0:
        loss = loss + entry["r1_every"] * entry["r1"] / 2 * slope_at(judge, real)
    return loss


def slope_at(judge: nn.Module, real: Tensor) -> Tensor:
    """Mean over tiles of |d (sum of logits) / d pixels|^2 over the number of logits (Mescheder+
    2018, eq. 9).

    For patches that do not overlap that is the mean over patches of the squared slope of each
    patch's logit. In single precision throughout: it is differentiated once more.
    """
    real = real.detach().float().requires_grad_()
    with torch.autocast(real.device.type, enabled=False):
        logits = judge(real)
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean() / logits[0].numel()


# --- optimisers
# --------------------------------------------------------------------------------------------------


def adam(networks: Iterable[nn.Module], plan: Plan) -> torch.optim.Adam:
    """One Adam for all these networks' weights, in its fused form."""
    return torch.optim.Adam(
        nn.ModuleList(networks).parameters(), plan.learning_rate, BETAS, fused=True
    )


def falling(
    optimisers: dict, plan: Plan, decay: bool
) -> dict[str, torch.optim.lr_scheduler.LRScheduler]:
    """With `decay`, a learning rate that falls to zero over the second half of the steps."""

    def share(step: int) -> float:
        return min(1.0, 2 * (1 - step / plan.steps))

    schedule = torch.optim.lr_scheduler.LambdaLR
    return (
        {name: schedule(optimiser, share) for name, optimiser in optimisers.items()}
        if decay
        else {}
    )


# --- replay buffer
# --------------------------------------------------------------------------------------------------


class Replay:
    """The last generated images, some of which stand in for new ones: discriminators remember what
    they once saw.

    Shrivastava+ 2017 as in Zhu+ 2017: images fill the buffer and pass; once it is full, each new
    one is, with probability one half, stored in the place of an old one at random, which is
    returned for it.

    It is state of the training and no part of the model. Several processes keep the same buffer:
    each puts in the images of all and takes out its share, so that one process's copy is enough to
    go on from.
    """

    def __init__(self, size: int):
        self.size, self.images = size, None

    def exchange(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(n, c, y, x) -> as many; `generator`, on the CPU, must draw alike on all processes."""
        n, rank = len(images), dist.get_rank() if dist.is_initialized() else 0
        images = of_all_processes(images)
        stored = images[:0] if self.images is None else self.images.to(images)
        room = self.size - len(stored)
        self.images = torch.cat([stored, images[:room]])
        out, rest = images.clone(), torch.arange(min(room, len(images)), len(images))[: self.size]
        swap = torch.rand(len(rest), generator=generator) < 0.5
        new, old = rest[swap], torch.randperm(self.size, generator=generator)[: len(rest)][swap]
        out[new], self.images[old] = self.images[old], images[new]
        return out[rank * n : (rank + 1) * n]

    def state_dict(self) -> dict[str, Tensor | None]:
        return {"images": self.images}

    def load_state_dict(self, state: dict) -> None:
        self.images = state["images"]


def of_all_processes(images: Tensor) -> Tensor:
    """The images of all processes in the order of their ranks, on each of them."""
    if not dist.is_initialized():
        return images
    images = images.contiguous()
    parts = [torch.empty_like(images) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, images)
    return torch.cat(parts)
