"""Paired residual U-Net: (dust, HI) -> the distribution of CO in every pixel.

The successor of the Res-UNet of the presentation. Physical ingredients:

- Contrasts. CO needs shielding: the excess of a cloud's core over its surroundings, and steep
  edges. The network's input is each map, ln(map) less its smoothings, and the slope of ln(map). It
  could compute these itself; with them it learns from a few hundred tiles.
- Coefficients. The U-Net predicts the coefficients of a relation, not the clouds: in each pixel
  `W = softplus(gain exp(p) dust - q HI - r)`, dust excess above a threshold (Planck 2011 XIX). A
  linear map of the contrasts, which no norm has changed, is added to the maps p, q, r and the
  spread. Small scales come from the dust map with its phases; the network adds how emissivity, HI
  and X(CO) vary. The start, p = q = r = 0, is a constant times the dust.
- `base: excess`. The relation is the baseline `excess`, fitted to the training sky, and the network
  predicts one map p that is added to its asinh. Far from the training sky the physics remains.
- Noise. The loss is a Gaussian likelihood in the normalised asinh of W with the variance
  `spread**2 + noise**2`. `noise` is the error of the map, carried from K km/s to asinh space at the
  predicted mean: at the noisy target it would favour pixels that fluctuated low. So `spread` is
  what dust and HI leave open, not the noise of the survey.
- Scale. The prediction is the mean in K km/s, in closed form for the asinh-normal distribution; the
  median would be biased low by the spread. A second term of the loss is the squared error on that
  linear scale, over the variance that the network predicts: its optimum is the mean (that of an
  absolute error is not).

The prediction is the mean over the eight symmetries of a square tile.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle, softplus

from skyloom.co.data.examples import INPUTS, to_normalised
from skyloom.networks import symmetries
from skyloom.networks.blocks import resized
from skyloom.networks.likelihoods import bounded, gaussian_nll
from skyloom.networks.unet import ResUNet, require_multiple
from skyloom.training import Task, adamw, one_cycle

# FWHM of the smoothings: from twice the beam to most of a tile
SURROUNDINGS_ARCMIN = (30.0, 60.0, 120.0)
BEAM_ARCMIN = 15.0  # length over which slopes are taken, so that they are of order one
LOG_SPREAD = (-4.0, 0.0)  # bounds of ln(spread); a spread of 1 is all of the target's scatter
W_MAX = 1e6  # scales of the target; keeps an input far from the training range finite
P_MAX = 6.0  # bound of the logarithm of the dust coefficient: four hundred times the typical one
HEAD_START = 0.01  # factor on the first weights of the last layer: maps p, q, r near zero
MIN_MEAN = 0.1  # least mean asinh of W and of dust, in a set whose sign is noise


def make_task(entry: dict, meta: dict) -> "ResUNetTask":
    """The network and its losses from a model entry and the examples' `meta`."""
    least = entry["coarse"] * 2 ** entry["depth"]
    require_multiple(meta["pixels"], least, "res_unet", "coarse and depth")
    return ResUNetTask(entry, meta)


@torch.no_grad()
def predict(task: "ResUNetTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction`, the mean, and `spread`, the intrinsic deviation, (n, 1, y, x) [K km/s].

    Of the mixture of the eight symmetries of a tile, so that `spread` grows where they differ.
    """
    first, second = 0, 0  # moments
    for element in range(symmetries.ORDER):
        mean, log_spread = task(symmetries.turned(batch["input"], element))
        w, spread = asinh_normal(mean, log_spread.exp(), task.constants)
        moments = torch.cat([w, w.square() + spread.square()], 1)
        moments = symmetries.turned(moments, symmetries.inverse(element)) / symmetries.ORDER
        first, second = first + moments[:, :1], second + moments[:, 1:]
    return {"prediction": first, "spread": (second - first.square()).clamp(min=0).sqrt()}


def bottleneck(task: "ResUNetTask") -> nn.Module:
    """The module with the coarsest output, (n, channel, y, x)."""
    return task.net.bottom


def scheme(task: "ResUNetTask", meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of the network, and the shape of their input."""
    side = meta["pixels"] // task.coarse
    return task.net, (task.channels * task.coarse**2, side, side)


def asinh_normal(
    mean: Tensor, spread: Tensor, constants: dict[str, float]
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation in physical units of a normal distribution of normalised asinh.

    For u ~ N(m, v), E[sinh u] = sinh(m) exp(v / 2) and Var[sinh u] = (exp(v) - 1) (exp(v) cosh(2 m)
    + 1) / 2.
    """
    m = mean * constants["asinh_std"] + constants["asinh_mean"]
    v = (spread * constants["asinh_std"]).square()
    variance = v.expm1() * (v.exp() * (2 * m).cosh() + 1) / 2
    scale = constants["asinh_scale"]
    return scale * m.sinh() * (v / 2).exp(), scale * variance.sqrt()


class ResUNetTask(Task):
    """One optimiser, `net`: AdamW under OneCycle (Smith & Topin 2018).

    entry : `width`, `depth`, `dropout`, `coarse`, `weight_decay`, `linear_loss`
    meta : with `base: excess` also `excess`, the constants of `skyloom.co.physics.excess_co`

    The coefficients vary slowly. With `coarse` 2 four pixels are channels of one: half the
    resolution at a quarter of the cost.
    """

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        normalisation = meta["normalisation"]
        self.dust, self.hi, self.constants = (normalisation[name] for name in (*INPUTS, "target"))
        self.pixel_arcmin = meta["pixel_arcmin"]
        self.excess = meta.get("excess")
        w, dust = (math.sinh(max(c["asinh_mean"], MIN_MEAN)) for c in (self.constants, self.dust))
        self.gain = w / dust  # of typical tiles, in units of the scales
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
                self.net.head[-1].weight[0] = 0  # the start is the baseline

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 2, y, x) -> mean and ln(spread), each (n, 1, y, x), of the normalised target."""
        contrasts = self.contrasts(x)  # (n, 10, y, x)
        coarse = pixel_unshuffle(contrasts, self.coarse)  # (n, 10 coarse**2, y / coarse, ...)
        maps = self.net(coarse).float()  # (n, 4 or 2, y / coarse, x / coarse)
        maps = resized(maps, x.shape[-2:]) + self.linear(contrasts)
        *coefficients, spread = maps.split(1, 1)
        dust, hi = in_scales(x[:, :1].float(), self.dust), in_scales(x[:, 1:].float(), self.hi)
        relation = self.above_threshold if self.excess is None else self.added_to_excess
        return relation(dust, hi, *coefficients), bounded(spread, LOG_SPREAD)

    def above_threshold(self, dust: Tensor, hi: Tensor, p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        """The relation with its coefficients p, q, r, all in scales, as normalised asinh."""
        w = softplus(self.gain * (dust * p.clamp(-P_MAX, P_MAX).exp() - hi * q) - r)
        mean, std = self.constants["asinh_mean"], self.constants["asinh_std"]
        return (w.clamp(max=W_MAX).asinh() - mean) / std

    def added_to_excess(self, dust: Tensor, hi: Tensor, p: Tensor) -> Tensor:
        """The physical baseline as normalised asinh, plus p.

        That is a factor where CO is bright and an addition where it is faint.
        """
        excess, scale = self.excess, self.constants["asinh_scale"]
        gas = (self.dust["asinh_scale"] * dust - excess["offset"]) / excess["eps"]
        molecular = gas - self.hi["asinh_scale"] * hi
        w = (molecular / (2 * excess["x_factor"]) - excess["w0"]).clamp(min=0, max=W_MAX * scale)
        return to_normalised(w, self.constants) + p

    def contrasts(self, x: Tensor) -> Tensor:
        """The maps, ln(map) less its surroundings, and its change within a beam: (n, 10, y, x)."""
        stds = self.dust["asinh_std"], self.hi["asinh_std"]
        log = torch.cat([x[:, :1] * stds[0], x[:, 1:] * stds[1]], 1)  # asinh: ln where bright
        fwhms = (fwhm / self.pixel_arcmin for fwhm in SURROUNDINGS_ARCMIN)
        matrices = (smoothing(x.shape[-1], fwhm, x) for fwhm in fwhms)
        contrasts = [log - matrix @ log @ matrix.T for matrix in matrices]
        squares = sum(slope.square() for slope in torch.gradient(log, dim=(2, 3)))
        slopes = (squares + 1e-8).sqrt()  # sqrt has no gradient at 0
        return torch.cat([x, *contrasts, slopes * (BEAM_ARCMIN / self.pixel_arcmin)], 1)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": adamw(self.parameters(), rate, weight_decay=decay)}

    def schedules(self, optimisers):
        return {"net": one_cycle(optimisers["net"], self.plan.steps)}

    def losses(self, batch: dict[str, Tensor], step: int):
        batch = symmetries.apply(batch, symmetries.draw(len(batch["input"])))
        mean, log_spread = self(batch["input"])
        loss = self.nll(mean, log_spread, batch)
        if self.entry["linear_loss"] > 0:
            loss = loss + self.entry["linear_loss"] * self.linear_error(mean, log_spread, batch)
        yield "net", average(loss, batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The rmse over noise of each tile chooses the weights, as it is the headline score.

        No single bright tile dominates it, and it prefers sharp predictions to a wide spread.
        """
        mean, log_spread = self(batch["input"])
        prediction, _ = asinh_normal(mean, log_spread.exp(), self.constants)
        residual = (prediction - batch["target_physical"]) / batch["error"].clamp(min=1e-6)
        chi2 = (residual.square() * batch["valid"]).sum((1, 2, 3))
        pixels = batch["valid"].sum((1, 2, 3)).clamp(min=1)
        nll = average(self.nll(mean, log_spread, batch), batch)
        return {"rmse_over_noise": (chi2 / pixels).sqrt(), "nll": nll}

    def nll(self, mean: Tensor, log_spread: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Negative log likelihood a pixel, without the constant, (n, 1, y, x)."""
        noise = noise_in_asinh(batch["error"], mean.detach(), self.constants)
        return gaussian_nll(mean, log_spread, batch["target"], noise)

    def linear_error(self, mean: Tensor, log_spread: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Half the squared error of the mean in K km/s over its variance, spread and noise.

        (n, 1, y, x)
        """
        prediction, spread = asinh_normal(mean, log_spread.detach().exp(), self.constants)
        variance = (spread.detach().square() + batch["error"].square()).clamp(min=1e-12)
        return (prediction - batch["target_physical"]).square() / variance / 2


def smoothing(n: int, fwhm: float, like: Tensor) -> Tensor:
    """Matrix (n, n) of a Gaussian of `fwhm` [pixels]; rows sum to one, up to the edges."""
    i = torch.arange(n, device=like.device, dtype=like.dtype)
    weights = torch.exp(-4 * math.log(2) * ((i[:, None] - i) / fwhm).square())
    return weights / weights.sum(1, keepdim=True)


def in_scales(z: Tensor, constants: dict[str, float]) -> Tensor:
    """A normalised map as x / scale: linear in the physical quantity, of order one where faint."""
    return (z * constants["asinh_std"] + constants["asinh_mean"]).sinh()


def noise_in_asinh(error: Tensor, mean: Tensor, constants: dict[str, float]) -> Tensor:
    """An error in physical units as one of normalised asinh at `mean`.

    dz/dx = 1 / (std scale cosh u)
    """
    u = mean * constants["asinh_std"] + constants["asinh_mean"]
    return error / (constants["asinh_std"] * constants["asinh_scale"] * u.cosh())


def average(values: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """The mean over the pixels of a tile, invalid ones as 0, times its sampling weight; (n,).

    It is taken over all pixels, so that a tile has as much weight as it has data.
    """
    return (values * batch["valid"]).mean((1, 2, 3)) * batch["sampling_weight"]
