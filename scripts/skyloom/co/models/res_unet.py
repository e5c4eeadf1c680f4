"""Paired residual U-Net: (dust, HI) -> the distribution of CO in every pixel.

The successor of the presentation's Res-UNet. Four physical ingredients:

- Whether gas shines in CO hangs on its shielding: on how far a cloud's core stands out of its
    surroundings and how
  steep its edges are. The network sees each map as it is and as these contrasts: ln(map) less its
      smoothings, and the
  slope of ln(map). It could form them itself; given them, it learns them from a few hundred tiles.
- The network does not draw the clouds, it gives the coefficients of the relation that draws them:
    in each pixel
  `W = softplus(gain exp(p) dust - q HI - r)`, dust excess above a threshold (Planck 2011 XIX), with
      the maps p, q, r
  and the spread from a residual U-Net beside a linear map of the contrasts, which no norm has freed
      of their
  amplitude. Small scales come from the dust map, with its phases; what the network adds is how
      emissivity, HI and
  X(CO) vary. The start, p = q = r = 0, is a constant times the dust.
  With `base: excess` the relation is the one fitted to the training sky, the baseline `excess`, and
      the network gives
  one map p that is added to its asinh: where it has nothing to say, far off its training sky,
      physics remains.
- The target's noise is known. The loss is the likelihood of a Gaussian in the normalised asinh of W
    (Nix & Weigend
  1994) of variance `spread**2 + noise**2`, the noise carried from K km/s to asinh space at the
      predicted mean (at the
  noisy target it would favour pixels that fluctuated low), so that `spread` is what dust and HI
      leave open, not the
  noise of the survey.
- The prediction is the mean in K km/s, closed form for the asinh-normal distribution, and not the
    median, which is
  biased low by the spread. A second term ties it on the linear scale, in which maps are judged: its
      squared error over
  the variance that the network itself expects, which leaves the mean as the optimum (an absolute
      error would not).

A square tile may be seen from eight sides: the prediction is the mean of all eight.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_unshuffle, softplus

from skyloom.co.data.examples import INPUTS, to_normalised
from skyloom.co.models.blocks import ResUNet, inverse, random_symmetry, require_multiple, symmetry
from skyloom.training import Task, adamw, one_cycle

SURROUNDINGS_ARCMIN = (
    30.0,
    60.0,
    120.0,
)  # FWHM of the smoothings: from twice the beam to most of a tile
BEAM_ARCMIN = 15.0  # length over which slopes are taken, so that they are of order one
LOG_SPREAD = (
    -4.0,
    0.0,
)  # bounds of ln(spread): 1 is the target's own standard deviation, all that can be unknown
W_MAX = 1e6  # scales of the target; keeps an input far off the training range finite
P_MAX = 6.0  # bound of the logarithm of the dust coefficient: four hundred times the typical one
HEAD_START = 0.01  # factor on the last layer's first weights: maps p, q, r near zero
MIN_MEAN = 0.1  # of the asinh of W and of dust, where a set is so faint that noise decides its sign


def make_task(entry: dict, meta: dict) -> "ResUNetTask":
    """The network and its losses from a model entry and the examples' `meta`."""
    require_multiple(meta, "res_unet", "coarse and depth", entry["coarse"] * 2 ** entry["depth"])
    return ResUNetTask(entry, meta)


@torch.no_grad()
def predict(task: "ResUNetTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction`, the mean, and `spread`, the intrinsic standard deviation, both (n, 1, y, x) [K
    km/s].

    Of the mixture of the tile's eight symmetries, so that `spread` grows where they disagree.
    """
    first, second = 0, 0  # moments
    for element in range(8):
        seen = symmetry({"x": batch["input"]}, torch.full((len(batch["input"]),), element))["x"]
        mean, log_spread = task(seen)
        w, spread = asinh_normal(mean, log_spread.exp(), task.constants)
        moments = {"first": w, "second": w.square() + spread.square()}
        moments = symmetry(moments, torch.full((len(w),), inverse(element)))
        first, second = first + moments["first"] / 8, second + moments["second"] / 8
    return {"prediction": first, "spread": (second - first.square()).clamp(min=0).sqrt()}


def bottleneck(task: "ResUNetTask") -> nn.Module:
    """The module whose output is the narrowest view of a tile, (n, channel, y, x)."""
    return task.net.bottom


def asinh_normal(
    mean: Tensor, spread: Tensor, constants: dict[str, float]
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation in physical units of a normal distribution in normalised asinh
    space.

    For u ~ N(m, v), E[sinh u] = sinh(m) exp(v / 2) and Var[sinh u] = (exp(v) - 1) (exp(v) cosh(2 m)
    + 1) / 2.
    """
    m = mean * constants["asinh_std"] + constants["asinh_mean"]
    v = (spread * constants["asinh_std"]).square()
    variance = v.expm1() * (v.exp() * (2 * m).cosh() + 1) / 2
    return constants["asinh_scale"] * m.sinh() * (v / 2).exp(), constants[
        "asinh_scale"
    ] * variance.sqrt()


class ResUNetTask(Task):
    """One optimiser, `net`: AdamW under OneCycle (Smith & Topin 2018).

    entry : `width`, `depth`, `dropout`, `coarse`, `weight_decay`, `linear_loss`; the constants of
        `base: excess` stand
        in the meta. The coefficients vary slowly: with `coarse` 2 the network sees four pixels as
            channels, works at
        half the resolution and at a quarter of the cost.
    """

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.dust, self.hi, self.constants = (
            meta["normalisation"][name] for name in (*INPUTS, "target")
        )
        self.pixel_arcmin = meta["pixel_arcmin"]
        self.excess = meta.get(
            "excess"
        )  # constants of `skyloom.co.physics.excess_co` with `base: excess`
        w, dust = (math.sinh(max(c["asinh_mean"], MIN_MEAN)) for c in (self.constants, self.dust))
        self.gain = w / dust  # of typical tiles, both in their scales
        self.coarse = entry["coarse"]
        self.channels = len(INPUTS) * (2 + len(SURROUNDINGS_ARCMIN))
        maps = 4 if self.excess is None else 2
        self.linear = nn.Conv2d(self.channels, maps, 1)
        self.net = ResUNet(
            self.channels * self.coarse**2, maps, entry["width"], entry["depth"], entry["dropout"]
        )
        with torch.no_grad():
            self.net.head[-1].weight *= HEAD_START
            for parameter in (self.net.head[-1].bias, *self.linear.parameters()):
                parameter.zero_()
            if self.excess is not None:
                self.net.head[-1].weight[0] = 0  # starts at the baseline itself

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 2, y, x) -> mean and ln(spread), each (n, 1, y, x), of the normalised target."""
        seen = self.contrasts(x)  # (n, 10, y, x)
        maps = self.net(
            pixel_unshuffle(seen, self.coarse)
        ).float()  # (n, 4 or 2, y / coarse, x / coarse)
        maps = interpolate(maps, size=x.shape[-2:], mode="bilinear") + self.linear(seen)
        *coefficients, spread = maps.split(1, 1)
        dust, hi = (
            in_scales(z.float(), c)
            for z, c in zip(x.split(1, 1), (self.dust, self.hi), strict=True)
        )
        mean = (self.above_threshold if self.excess is None else self.beside_excess)(
            dust, hi, *coefficients
        )
        low, high = LOG_SPREAD
        return mean, low + (high - low) * spread.sigmoid()

    def above_threshold(self, dust: Tensor, hi: Tensor, p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        """The relation with its coefficients p, q, r, all in scales, as normalised asinh."""
        w = softplus(self.gain * (dust * p.clamp(-P_MAX, P_MAX).exp() - hi * q) - r)
        return (w.clamp(max=W_MAX).asinh() - self.constants["asinh_mean"]) / self.constants[
            "asinh_std"
        ]

    def beside_excess(self, dust: Tensor, hi: Tensor, p: Tensor) -> Tensor:
        """The physical baseline as normalised asinh, plus p: a factor where CO is bright, an
        addition where faint.
        """
        excess, scale = self.excess, self.constants["asinh_scale"]
        molecular = (self.dust["asinh_scale"] * dust - excess["offset"]) / excess["eps"] - self.hi[
            "asinh_scale"
        ] * hi
        w = (molecular / (2 * excess["x_factor"]) - excess["w0"]).clamp(min=0, max=W_MAX * scale)
        return to_normalised(w, self.constants) + p

    def contrasts(self, x: Tensor) -> Tensor:
        """The maps, ln(map) less its surroundings, and how much ln(map) changes within a beam: (n,
        10, y, x).
        """
        stds = x.new_tensor([self.dust["asinh_std"], self.hi["asinh_std"]])
        log = x * stds[:, None, None]  # asinh, ln where a map is bright
        pixels = (smoothing(log.shape, fwhm / self.pixel_arcmin, x) for fwhm in SURROUNDINGS_ARCMIN)
        contrasts = [log - along_y @ log @ along_x.T for along_y, along_x in pixels]
        slopes = (
            sum(slope.square() for slope in torch.gradient(log, dim=(2, 3))) + 1e-8
        )  # sqrt has a slope at 0
        return torch.cat([x, *contrasts, slopes.sqrt() * (BEAM_ARCMIN / self.pixel_arcmin)], 1)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": adamw(self.parameters(), rate, weight_decay=decay)}

    def schedules(self, optimisers):
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: dict[str, Tensor], step: int):
        batch = random_symmetry(batch)
        mean, log_spread = self(batch["input"])
        loss = self.nll(mean, log_spread, batch)
        if self.entry["linear_loss"] > 0:
            loss = loss + self.entry["linear_loss"] * self.linear_error(mean, log_spread, batch)
        yield "net", average(loss, batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What is judged in the end chooses the weights: each tile's rmse over noise, which no one
        bright tile rules.

        The likelihood would prefer weights that know little and say so.
        """
        mean, log_spread = self(batch["input"])
        prediction, _ = asinh_normal(mean, log_spread.exp(), self.constants)
        chi2 = (
            (prediction - batch["target_physical"]) / batch["error"].clamp(min=1e-6)
        ).square() * batch["valid"]
        return {
            "rmse_over_noise": (
                chi2.sum((1, 2, 3)) / batch["valid"].sum((1, 2, 3)).clamp(min=1)
            ).sqrt(),
            "nll": average(self.nll(mean, log_spread, batch), batch),
        }

    def nll(self, mean: Tensor, log_spread: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Negative log likelihood a pixel, without the constant, (n, 1, y, x)."""
        noise = noise_in_asinh(batch["error"], mean.detach(), self.constants)
        variance = (2 * log_spread).exp() + noise.square()
        return (variance.log() + (mean - batch["target"]).square() / variance) / 2

    def linear_error(self, mean: Tensor, log_spread: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Half the squared error of the mean in K km/s over its expected variance, spread and
        noise, (n, 1, y, x).
        """
        prediction, spread = asinh_normal(mean, log_spread.detach().exp(), self.constants)
        variance = (spread.detach().square() + batch["error"].square()).clamp(min=1e-12)
        return (prediction - batch["target_physical"]).square() / variance / 2


def smoothing(shape: torch.Size, fwhm: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices (y, y) and (x, x) of a Gaussian [pixels] whose rows sum to one: at an edge it
    averages what there is.
    """

    def matrix(n: int) -> Tensor:
        i = torch.arange(n, device=like.device, dtype=like.dtype)
        weights = torch.exp(-4 * math.log(2) * ((i[:, None] - i) / fwhm).square())
        return weights / weights.sum(1, keepdim=True)

    return matrix(shape[-2]), matrix(shape[-1])


def in_scales(z: Tensor, constants: dict[str, float]) -> Tensor:
    """A normalised map as x / scale: linear in the physical quantity, of order one at its faint
    end.
    """
    return (z * constants["asinh_std"] + constants["asinh_mean"]).sinh()


def noise_in_asinh(error: Tensor, mean: Tensor, constants: dict[str, float]) -> Tensor:
    """An error in physical units as one in normalised asinh space, at `mean`: dz/dx = 1 / (std
    scale cosh u).
    """
    u = mean * constants["asinh_std"] + constants["asinh_mean"]
    return error / (constants["asinh_std"] * constants["asinh_scale"] * u.cosh())


def average(values: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """The mean over a tile's pixels, invalid ones counting as 0, times its sampling weight; (n,).

    Over all pixels, not over the valid ones: a tile that is mostly masked carries as little weight
    as it has data.
    """
    return (values * batch["valid"]).mean((1, 2, 3)) * batch["sampling_weight"]
