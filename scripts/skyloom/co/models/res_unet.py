"""Paired residual U-Net: (dust, HI) -> the distribution of CO in every pixel.

The successor of the presentation's Res-UNet. It predicts a Gaussian in the normalised asinh of W(CO), mean and spread,
fitted by its likelihood (Nix & Weigend 1994), with two physical ingredients:

- The target's noise is known. The likelihood's variance is `spread**2 + noise**2`, the noise carried from K km/s to
  asinh space at the predicted mean (at the noisy target it would favour pixels that fluctuated low), so that `spread`
  is what dust and HI leave open, not the noise of the survey.
- The prediction is the mean in K km/s, closed form for the asinh-normal distribution, and not the median, which is
  biased low by the spread. A small Huber term on that mean, in units of its error, ties the linear scale, in which
  maps are judged.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from skyloom.co.data.examples import INPUTS
from skyloom.co.models.blocks import ResUNet, random_symmetry
from skyloom.training import Task

LOG_SPREAD = (-4.0, 0.0)  # bounds of ln(spread): 1 is the target's own standard deviation, all that can be unknown
WARM_UP = 0.15  # share of the steps in which the learning rate rises
RELATIVE_ERROR = 0.1  # a share of W added to its noise in the linear term: the calibration and scatter of X(CO) at best


def make_task(entry: dict, meta: dict) -> "ResUNetTask":
    """The network and its losses from a model entry and the examples' `meta`."""
    return ResUNetTask(entry, meta)


@torch.no_grad()
def predict(task: "ResUNetTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction`, the mean, and `spread`, the intrinsic standard deviation, both (n, 1, y, x) [K km/s]."""
    mean, log_spread = task(batch["input"])
    return dict(zip(("prediction", "spread"), asinh_normal(mean, log_spread.exp(), task.constants), strict=True))


def asinh_normal(mean: Tensor, spread: Tensor, constants: dict[str, float]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation in physical units of a normal distribution in normalised asinh space.

    For u ~ N(m, v), E[sinh u] = sinh(m) exp(v / 2) and Var[sinh u] = (exp(v) - 1) (exp(v) cosh(2 m) + 1) / 2.
    """
    m = mean * constants["asinh_std"] + constants["asinh_mean"]
    v = (spread * constants["asinh_std"]).square()
    variance = v.expm1() * (v.exp() * (2 * m).cosh() + 1) / 2
    return constants["asinh_scale"] * m.sinh() * (v / 2).exp(), constants["asinh_scale"] * variance.sqrt()


class ResUNetTask(Task):
    """One optimiser, `net`: AdamW under OneCycle (Smith & Topin 2018)."""

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.constants = meta["normalisation"]["target"]
        self.net = ResUNet(len(INPUTS), 2, entry["width"], entry["depth"], entry["dropout"])
        self.linear = nn.Conv2d(len(INPUTS), 1, 1)  # the power law in dust and HI that the network corrects

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 2, y, x) -> mean and ln(spread), each (n, 1, y, x), of the normalised target."""
        correction, raw = self.net(x).float().split(1, 1)
        low, high = LOG_SPREAD
        return self.linear(x).float() + correction, low + (high - low) * raw.sigmoid()

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": torch.optim.AdamW(self.parameters(), rate, weight_decay=decay, fused=True)}

    def schedules(self, optimisers):
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimisers["net"], self.plan.learning_rate, total_steps=self.plan.steps, pct_start=WARM_UP
        )
        return {"net": cycle}

    def losses(self, batch: dict[str, Tensor], step: int):
        batch = random_symmetry(batch)
        mean, log_spread = self(batch["input"])
        loss = self.nll(mean, log_spread, batch)
        if self.entry["linear_loss"] > 0:
            loss = loss + self.entry["linear_loss"] * self.linear_error(mean, log_spread, batch)
        yield "net", average(loss, batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mean, log_spread = self(batch["input"])
        prediction, _ = asinh_normal(mean, log_spread.exp(), self.constants)
        chi2 = ((prediction - batch["target_physical"]) / batch["error"].clamp(min=1e-6)).square()
        return {
            "nll": average(self.nll(mean, log_spread, batch), batch),
            "chi2": average(chi2, batch),
        }

    def nll(self, mean: Tensor, log_spread: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Negative log likelihood a pixel, without the constant, (n, 1, y, x)."""
        noise = noise_in_asinh(batch["error"], mean.detach(), self.constants)
        variance = (2 * log_spread).exp() + noise.square()
        return (variance.log() + (mean - batch["target"]).square() / variance) / 2

    def linear_error(self, mean: Tensor, log_spread: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Huber loss of the mean in K km/s, in units of the noise and a share of the signal, (n, 1, y, x)."""
        prediction, _ = asinh_normal(mean, log_spread.detach().exp(), self.constants)
        error = (batch["error"].square() + (RELATIVE_ERROR * batch["target_physical"]).square()).sqrt().clamp(min=1e-6)
        return huber_loss(prediction / error, batch["target_physical"] / error, reduction="none")


def noise_in_asinh(error: Tensor, mean: Tensor, constants: dict[str, float]) -> Tensor:
    """An error in physical units as one in normalised asinh space, at `mean`: dz/dx = 1 / (std scale cosh u)."""
    u = mean * constants["asinh_std"] + constants["asinh_mean"]
    return error / (constants["asinh_std"] * constants["asinh_scale"] * u.cosh())


def average(values: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """The mean over a tile's pixels, invalid ones counting as 0, times its sampling weight; (n,).

    Over all pixels, not over the valid ones: a tile that is mostly masked carries as little weight as it has data.
    """
    return (values * batch["valid"]).mean((1, 2, 3)) * batch["sampling_weight"]
