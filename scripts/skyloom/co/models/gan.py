"""Parts of the adversarial models: generators, PatchGAN, losses, optimisers, replay buffer.

Each network has the layout of its paper, at any width, with three departures for maps whose
amplitude matters: no tanh at the output, which would need a range for every tile; group norm in
place of instance norm, which removes mean and contrast of a tile (`norm: instance` restores it);
zeros, the normalised mean, beyond the edge.

The stabilisers are switches of the model's entry, so that each can be measured:

- `upsample`: `nearest` and a convolution, or `transpose`, the transposed convolution of the papers.
  Its kernel of three at a stride of two covers pixels unevenly and leaves a checkerboard (Odena+
  2016).
- `r1`, `r1_every`: penalty on the slope of the discriminator at real images (Mescheder+ 2018), at
  every `r1_every`-th step and multiplied by that number (Karras+ 2020).
- `buffer`: the discriminators also get generated images of earlier steps (Shrivastava+ 2017).
- `decay`: the learning rate falls to zero over the second half of the training, as Zhu's does.
- `ema`, of the training engine: the average of the weights is scored and published.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skyloom.cli import BadInput
from skyloom.networks.blocks import ResidualBlock, Upsample, conv, norm
from skyloom.networks.devices import to_device
from skyloom.networks.unet import require_multiple
from skyloom.training import Plan

BETAS = (0.5, 0.999)
INITIAL_STD = 0.02  # of all convolutions, Zhu+ 2017
LEAK = 0.2
WIDEST = 8  # channels of the widest level, in units of the first layer's
UPSAMPLINGS = ("nearest", "transpose")
NORMS = ("group", "instance")


def check(entry: dict, meta: dict, model: str) -> None:
    """Raise BadInput for an unknown choice, or tiles that the U-Net cannot halve so often."""
    require_choice(entry, "generator", GENERATORS, model)
    require_choice(entry, "gan_loss", GAN_LOSSES, model)
    require_choice(entry, "upsample", UPSAMPLINGS, model)
    require_choice(entry, "norm", NORMS, model)
    if entry.get("compile") and entry["r1"] > 0:
        raise BadInput(
            f"{model}: compile is {entry['compile']!r} and r1 is {entry['r1']:g}; torch cannot"
            " compile the gradient of a gradient: set one of them to null or 0"
        )
    if entry["generator"] == "unet":
        least = 2 ** entry["generator_depth"]
        require_multiple(meta["pixels"], least, model, "generator_depth")


def require_choice(entry: dict, key: str, choices: Iterable[str], model: str) -> None:
    if entry[key] not in choices:
        raise BadInput(f"{model}: {key} is {entry[key]!r}; expected one of {', '.join(choices)}")


# --- networks


def make_generator(entry: dict, n_in: int, n_out: int) -> nn.Module:
    """(n, n_in, y, x) -> (n, n_out, y, x); entry : `generator`, its `_width` and `_depth`,
    `upsample`, `norm`.
    """
    width, depth = entry["generator_width"], entry["generator_depth"]
    network = GENERATORS[entry["generator"]](n_in, n_out, width, depth, entry["upsample"])
    return first_weights(network, entry["norm"])


def make_discriminator(entry: dict, n_in: int) -> nn.Module:
    """(n, n_in, y, x) -> a map of logits; entry : its `_width` and `_depth`, `norm`."""
    network = PatchGAN(n_in, entry["discriminator_width"], entry["discriminator_depth"])
    return first_weights(network, entry["norm"])


class UNetGenerator(nn.Module):
    """Strided 4 x 4 convolutions down, doublings up, skips by concatenation (Isola+ 2017).

    (n, n_in, y, x) -> (n, n_out, y, x); y and x must be multiples of `2**depth`.
    """

    def __init__(self, n_in: int, n_out: int, width: int, depth: int, upsample: str = "nearest"):
        super().__init__()
        channels = [width * min(2**level, WIDEST) for level in range(depth)]
        down = zip([n_in, *channels[:-1]], channels, strict=True)
        self.down = nn.ModuleList(halve(a, b) for a, b in down)
        inputs = [channels[-1], *(2 * c for c in reversed(channels[:-1]))]
        outputs = [*reversed(channels[:-1]), width]
        up = zip(inputs, outputs, strict=True)
        self.up = nn.ModuleList(double(a, b, upsample) for a, b in up)
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
    """7 x 7, two halvings, `depth` residual blocks, two doublings, 7 x 7 (Zhu+ 2017).

    (n, n_in, y, x) -> (n, n_out, y, x); y and x must be multiples of 4.
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
    """`depth` halvings, then a map of logits, each of `6 * 2**depth - 2` pixels (Isola+ 2017).

    With four halvings, as published, 94 pixels: 2.2 degrees at 128 pixels a tile, as three at 64.
    """

    def __init__(self, n_in: int, width: int, depth: int):
        channels = [width * min(2**level, WIDEST) for level in range(depth)]
        # no norm in the first layer, which keeps the amplitude
        first = nn.Sequential(nn.Conv2d(n_in, width, 4, 2, 1), nn.LeakyReLU(LEAK))
        further = (halve(a, b) for a, b in zip(channels[:-1], channels[1:], strict=True))
        # a kernel of four needs three more rows and columns to keep the size
        even = nn.ZeroPad2d((1, 0, 1, 0))
        super().__init__(first, *further, even, nn.Conv2d(channels[-1], 1, 4, 1, 1))


def halve(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 4, 2, 1), norm(n_out), nn.LeakyReLU(LEAK))


def double(n_in: int, n_out: int, upsample: str) -> nn.Sequential:
    """Twice the pixels; both ways have equal numbers of weights."""
    if upsample == "transpose":
        grow = [nn.ConvTranspose2d(n_in, n_out, 3, 2, 1, output_padding=1)]
    else:
        grow = [Upsample("nearest"), conv(n_in, n_out)]
    return nn.Sequential(*grow, norm(n_out), nn.ReLU())


def first_weights(network: nn.Module, kind: str) -> nn.Module:
    """Draw the first weights and set the norm; instance norm is group norm of single channels."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=INITIAL_STD)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GroupNorm) and kind == "instance":
            module.num_groups = module.num_channels
    return network


GENERATORS = {"unet": UNetGenerator, "resnet": ResNetGenerator}


# --- losses


def bce(logits: Tensor, real: bool, judge: bool) -> Tensor:
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def lsgan(logits: Tensor, real: bool, judge: bool) -> Tensor:
    return (logits - float(real)).square().mean()


def hinge(logits: Tensor, real: bool, judge: bool) -> Tensor:
    sign = 1.0 if real else -1.0
    return (1 - sign * logits).relu().mean() if judge else -sign * logits.mean()


GAN_LOSSES = {"bce": bce, "lsgan": lsgan, "hinge": hinge}
"""Loss of logits with the label `real`, for the discriminator (`judge`) or the generator."""


def l1(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of valid pixels."""
    return ((a - b).abs() * mask).sum() / (mask.sum() * a.shape[1]).clamp(min=1)


def tile_l1(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of the valid pixels of each tile, (n,)."""
    return ((a - b).abs() * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)


def discriminator_loss(
    judge: nn.Module, real: Tensor, fake: Tensor, entry: dict, step: int
) -> Tensor:
    """Half the loss of real and generated images, and the penalty.

    The half slows the discriminator (Isola+ 2017).
    """
    gan = GAN_LOSSES[entry["gan_loss"]]
    loss = (gan(judge(real), True, True) + gan(judge(fake), False, True)) / 2
    if entry["r1"] > 0 and step % entry["r1_every"] == 0:
        loss = loss + entry["r1_every"] * entry["r1"] / 2 * slope_at(judge, real)
    return loss


def slope_at(judge: nn.Module, real: Tensor) -> Tensor:
    """Mean over tiles of |d (sum of logits) / d pixels|^2 over the number of logits.

    Mescheder+ 2018, eq. 9. Without overlap of patches that is the mean squared slope of a patch's
    logit. It is in single precision throughout, as it is differentiated once more.
    """
    real = real.detach().float().requires_grad_()
    with torch.autocast(real.device.type, enabled=False):
        logits = judge(real)
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean() / logits[0].numel()


# --- optimisers


def adam(networks: Iterable[nn.Module], plan: Plan) -> torch.optim.Adam:
    """One Adam for the weights of all these networks, in its fused form."""
    weights = nn.ModuleList(networks).parameters()
    return torch.optim.Adam(weights, plan.learning_rate, BETAS, fused=True)


def falling(
    optimisers: dict, plan: Plan, decay: bool
) -> dict[str, torch.optim.lr_scheduler.LRScheduler]:
    """With `decay`, a learning rate that falls to zero over the second half of the steps."""
    if not decay:
        return {}

    def share(step: int) -> float:
        return min(1.0, 2 * (1 - step / plan.steps))

    schedule = torch.optim.lr_scheduler.LambdaLR
    return {name: schedule(optimiser, share) for name, optimiser in optimisers.items()}


# --- replay buffer


class Replay:
    """The last generated images, some of which the discriminators get in place of new ones.

    Shrivastava+ 2017 as in Zhu+ 2017: images fill the buffer and pass. Once it is full, a new image
    replaces a random old one with probability one half, and the old one is returned for it.

    The buffer is state of the training and no part of the model. All processes keep the same one:
    each stores the images of all and takes its share, so that the copy of one process is enough for
    a resume.
    """

    def __init__(self, size: int):
        self.size, self.images = size, None

    def exchange(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(n, c, y, x) -> as many; `generator`, on the CPU, must draw alike on all processes."""
        n, rank = len(images), dist.get_rank() if dist.is_initialized() else 0
        images = of_all_processes(images)
        stored = images[:0] if self.images is None else self.images.to(images)
        free = self.size - len(stored)
        self.images = torch.cat([stored, images[:free]])
        rest = torch.arange(min(free, len(images)), len(images))[: self.size]
        swap = torch.rand(len(rest), generator=generator) < 0.5
        old = torch.randperm(self.size, generator=generator)[: len(rest)][swap]
        new, old = (to_device(rows, images.device) for rows in (rest[swap], old))
        out = images.clone()
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
