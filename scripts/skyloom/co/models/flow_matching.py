"""Conditional flow matching: realisations of CO given dust and HI, small scales included.

A Res-UNet predicts mean m and spread s of the normalised asinh of W in every pixel
(`skyloom.co.models.res_unet`); its map is the best estimate, and smoother than the sky. The
residual r = (z - m) / s has about unit variance. It follows clouds, and is neither white nor
Gaussian. A second U-Net learns to draw it by flow matching (Lipman+ 2023, Liu+ 2023). On straight
lines x_t = (1 - t) x_0 + t r from a Gaussian field x_0 to a residual, it learns the expected
velocity r - x_0 at x_t, given dust and HI of the tile. Following that velocity from t = 0 to 1
turns a new x_0 into a new residual; `z = m + s r` is a realisation.

- Noise. The observed residual is (z - m) / sqrt(s**2 + noise**2), of unit variance, too. The loss
  weighs each pixel by the sky's share of that variance: the flow learns structure above the noise,
  and the likelihood behind s has removed the noise from the amplitude. A realisation has no noise.
- Start. x_0 is about as smooth as the beam makes the sky, so that one field on the sphere serves
  overlapping tiles. The velocity is `(2 t - 1) / (t**2 + (1 - t)**2) x_t`, exact for residuals that
  are such a field, plus the network's output: untrained, it returns x_0.
- Positive. There is no negative emission. Negative values are set to zero, and the others scaled by
  what that adds to the mean of a Gaussian in asinh, so that realisations average to the prediction.
- Amplitude. On sky outside the training set the mean is further off than the likelihood states:
  over a degree and more, since what sets the amplitude (X(CO), emissivity) varies slowly. A
  lognormal factor of mean one, as smooth and derived from the same x_0, accounts for that. Its
  width is fitted to validation after the weights are chosen: 68 % intervals then cover 68 % of that
  sky. Wider residuals would, too, with twice the power on small scales.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from torch.special import ndtr

from skyloom.co.data.examples import to_physical
from skyloom.co.models import res_unet
from skyloom.networks import symmetries
from skyloom.networks.devices import to_device
from skyloom.networks.unet import ResUNet, require_multiple
from skyloom.training import Task, adamw, one_cycle

# FWHM of the Gaussian that smooths white noise to the base field. The 15 arcmin of the beam leave
# twice the sky's power at l = 1100, since the spectrum of the sky is steeper than that of a beam.
BASE_ARCMIN = 22.0
# of the base field's smoothing on either side [FWHM], where the Gaussian is down to 0.002
REACH = 1.5
TIMES = 4  # cosines of t among the inputs of the network
COVERAGE = math.erf(math.sqrt(0.5))  # of the central interval of one sigma
AMPLITUDE_ARCMIN = 60.0  # FWHM of the smoothing from x_0 to the logarithm of the amplitude
AMPLITUDES = (0.0, 1.0)  # search range of its standard deviation


def make_task(entry: dict, meta: dict) -> "FlowTask":
    """The networks and their losses from a model entry and the examples' `meta`."""
    least = entry["coarse"] * 2 ** entry["depth"]
    require_multiple(meta["pixels"], least, "flow_matching", "coarse and depth")
    return FlowTask(entry, meta)


def noise_arcmin(task: "FlowTask") -> float:
    """Beam FWHM [arcmin] of the Gaussian field from which a realisation starts."""
    return BASE_ARCMIN


def scheme(task: "FlowTask", meta: dict) -> tuple[nn.Module, tuple[int, ...]]:
    """The layers of the flow, and the shape of their input."""
    side = meta["pixels"] // task.coarse
    return task.flow, (task.channels, side, side)


@torch.no_grad()
def predict(task: "FlowTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction`, `spread` (n, 1, y, x), and `samples` (n, sample, y, x), all in K km/s.

    batch : `input`, and optionally `noise` (n, sample, y, x), base fields of realisations; without
        it they are drawn tile by tile, so that the size of a batch does not matter
    """
    mean, log_spread = symmetric(task.mean, batch["input"])
    noise = batch.get("noise")
    if noise is None:
        shape = task.entry["samples"], *mean.shape[-2:]
        noise = torch.stack([base_field(shape, task.base_pixels, mean) for _ in mean])
    residual = task.draw(task.conditions(batch["input"], mean, log_spread), noise)
    predicted = res_unet.predict(task.mean, batch)
    prediction, variance = predicted["prediction"], predicted["spread"].square()
    drawn = realised(prediction, mean, log_spread.exp(), residual, task.mean.constants)
    samples = drawn * lognormal(task.amplitude, task.slow(noise))
    square = task.amplitude.square().exp()  # mean square of the amplitude
    spread = (square * variance + (square - 1) * prediction.square()).sqrt()
    return predicted | {"spread": spread, "samples": samples}


def realised(
    prediction: Tensor, mean: Tensor, spread: Tensor, residual: Tensor, constants: dict[str, float]
) -> Tensor:
    """Realisations [K km/s], none negative, with the mean `prediction` for normal residuals.

    prediction : (..., 1, y, x) [K km/s]
    mean, spread : (..., 1, y, x), in normalised asinh
    residual : (..., sample, y, x)

    With u ~ N(m, v) in asinh and s**2 = v, max(sinh u, 0) has the mean [e^(m + v/2) Phi((m + v)/s)
    - e^(-m + v/2) Phi((m - v)/s)] / 2, the partial expectation of a lognormal, twice.
    """
    u = mean * constants["asinh_std"] + constants["asinh_mean"]
    s = (spread * constants["asinh_std"]).clamp(min=1e-6)
    v = s.square()
    above = [(sign * u + v / 2).exp() * ndtr((u + sign * v) / s) for sign in (1, -1)]
    clipped = constants["asinh_scale"] * (above[0] - above[1]) / 2
    share = prediction.clamp(min=0) / clipped.clamp(min=1e-6 * constants["asinh_scale"])
    return share * to_physical(mean + spread * residual, constants).clamp(min=0)


def lognormal(width: Tensor | float, field: Tensor) -> Tensor:
    """exp(width field) over its mean, for a field of unit variance."""
    return (width * field - width**2 / 2).exp()


class FlowTask(Task):
    """Two optimisers, both AdamW under OneCycle: `net` for the first steps, then `flow`.

    entry : keys of the Res-UNet, and `net_share`, its share of the steps; `flow_rate`, peak
        learning rate of the flow; `samples`, number of realisations of `predict`, in `sample_steps`
        steps each
    """

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.mean = res_unet.ResUNetTask(entry, meta)
        self.base_pixels = BASE_ARCMIN / meta["pixel_arcmin"]
        self.slow_pixels = AMPLITUDE_ARCMIN / meta["pixel_arcmin"]
        self.register_buffer("amplitude", torch.tensor(0.0))  # standard deviation of its logarithm
        self.coarse = entry["coarse"]
        self.channels = (self.mean.channels + 2 + 1) * self.coarse**2 + TIMES
        self.flow = ResUNet(self.channels, self.coarse**2, entry["width"], entry["depth"])
        with torch.no_grad():
            for parameter in self.flow.head[-1].parameters():
                parameter.zero_()

    def conditions(self, x: Tensor, mean: Tensor, log_spread: Tensor) -> Tensor:
        """Inputs of the flow besides x_t: (n, channel, y / coarse, x / coarse)."""
        maps = torch.cat([self.mean.contrasts(x), mean, log_spread], 1)
        return pixel_unshuffle(maps, self.coarse)

    def velocity(self, x: Tensor, t: Tensor, conditions: Tensor) -> Tensor:
        """x : (n, 1, y, x), t : (n,) in [0, 1] -> dx/dt (n, 1, y, x)."""
        coarse = pixel_unshuffle(x, self.coarse)
        t = t[:, None, None, None]
        times = torch.cat([(math.pi * k * t).cos() for k in range(1, TIMES + 1)], 1)
        times = times.expand(-1, -1, *coarse.shape[-2:])
        learned = self.flow(torch.cat([coarse, conditions, times], 1)).float()
        gaussian = (2 * t - 1) / (t.square() + (1 - t).square()) * x
        return gaussian + pixel_shuffle(learned, self.coarse)

    def draw(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Residuals (n, sample, y, x) from base fields of that shape, by Heun's method."""
        n, samples, *size = noise.shape
        x = noise.reshape(n * samples, 1, *size)
        conditions = conditions.repeat_interleave(samples, 0)
        times = torch.linspace(0, 1, self.entry["sample_steps"] + 1).tolist()
        for start, end in zip(times[:-1], times[1:], strict=True):
            first = self.velocity(x, x.new_full((len(x),), start), conditions)
            ahead = x + (end - start) * first
            second = self.velocity(ahead, x.new_full((len(x),), end), conditions)
            x = x + (end - start) * (first + second) / 2
        return x.reshape(n, samples, *size)

    def flow_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Squared error of the velocity at a time of every tile, times the sky's share.

        (n, 1, y, x). The times of a batch are evenly spread over [0, 1] from a random start, so
        that their scatter adds less to the gradient's.
        """
        with torch.no_grad():
            mean, log_spread = self.mean(batch["input"])
            noise = res_unet.noise_in_asinh(batch["error"], mean, self.mean.constants)
            variance = (2 * log_spread).exp()
            share = variance / (variance + noise.square())
            residual = (batch["target"] - mean) * (variance + noise.square()).rsqrt()
            residual = residual * batch["valid"]
        n = len(residual)
        start = base_field(residual.shape, self.base_pixels, residual)
        t = to_device((torch.rand(1) + torch.arange(n) / n) % 1, residual.device)
        along = t[:, None, None, None]
        x = (1 - along) * start + along * residual
        velocity = self.velocity(x, t, self.conditions(batch["input"], mean, log_spread))
        return share * (velocity - (residual - start)).square()

    @property
    def net_steps(self) -> int:
        """Steps of the Res-UNet: at least one for either network."""
        steps = max(1, round(self.entry["net_share"] * self.plan.steps))
        return min(steps, max(1, self.plan.steps - 1))

    @property
    def judged_from(self) -> int:
        """After a step of the flow: before, its loss is small where the spread is too wide."""
        return self.net_steps + 1

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        decay = self.entry["weight_decay"]
        return {
            "net": adamw(self.mean.parameters(), self.plan.learning_rate, weight_decay=decay),
            "flow": adamw(self.flow.parameters(), self.entry["flow_rate"], weight_decay=decay),
        }

    def schedules(self, optimisers):
        steps = {"net": self.net_steps, "flow": max(1, self.plan.steps - self.net_steps)}
        return {name: one_cycle(optimiser, steps[name]) for name, optimiser in optimisers.items()}

    def losses(self, batch: dict[str, Tensor], step: int):
        if step < self.net_steps:
            yield from self.mean.losses(batch, step)
        else:
            batch = symmetries.apply(batch, symmetries.draw(len(batch["input"])))
            yield "flow", res_unet.average(self.flow_loss(batch), batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss of the flow, and the scores of the Res-UNet.

        The engine seeds each call, so that times and base fields are equal.
        """
        return {"flow": res_unet.average(self.flow_loss(batch), batch)} | self.mean.score(batch)

    def slow(self, noise: Tensor) -> Tensor:
        """The base field (..., y, x) smoothed to `AMPLITUDE_ARCMIN`, of unit variance."""

        def matrix(n: int) -> Tensor:
            i = torch.arange(n, dtype=noise.dtype, device=noise.device)
            distance = (i[:, None] - i).square()
            weights = torch.exp(-4 * math.log(2) * distance / self.slow_pixels**2)
            correlation = torch.exp(-2 * math.log(2) * distance / self.base_pixels**2)
            return weights / ((weights @ correlation) * weights).sum(1, keepdim=True).sqrt()

        return matrix(noise.shape[-2]) @ noise @ matrix(noise.shape[-1]).T

    def calibrate(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """Choose `amplitude` such that intervals of realisations and noise cover the observed map.

        Counted in pixels whose spread exceeds the map's error; in the others noise dominates.
        """
        parts = []
        for batch in batches:
            mean, log_spread = symmetric(self.mean, batch["input"])
            shape = len(mean), self.entry["samples"], *mean.shape[-2:]
            start = base_field(shape, self.base_pixels, mean)
            residual = self.draw(self.conditions(batch["input"], mean, log_spread), start)
            predicted = res_unet.predict(self.mean, batch)
            prediction, spread = predicted["prediction"], log_spread.exp()
            drawn = realised(prediction, mean, spread, residual, self.mean.constants)
            counted = ((batch["valid"] > 0) & (predicted["spread"] > batch["error"]))[:, 0]
            maps = batch["target_physical"], batch["error"], drawn, self.slow(start)
            parts.append([values.movedim(1, -1)[counted] for values in maps])
        # (pixel, 1 or sample) each
        observed, error, drawn, slow = (torch.cat(part) for part in zip(*parts, strict=True))
        if not len(observed):
            return
        noise = error * torch.randn_like(drawn)
        within = torch.rand_like(observed)  # spreads a rank over its step

        def coverage(amplitude: float) -> float:
            members = drawn * lognormal(amplitude, slow) + noise
            rank = (members < observed).sum(1, keepdim=True)
            transform = (rank + within) / (members.shape[1] + 1)
            return ((2 * transform - 1).abs() < COVERAGE).float().mean().item()

        low, high = AMPLITUDES
        for _ in range(10):  # coverage grows with it
            middle = (low + high) / 2
            low, high = (middle, high) if coverage(middle) < COVERAGE else (low, middle)
        self.amplitude.fill_((low + high) / 2)


def symmetric(net: res_unet.ResUNetTask, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and ln(spread) (n, 1, y, x), averaged over the symmetries of tiles (n, 2, y, x)."""
    total = 0
    for element in range(symmetries.ORDER):
        maps = torch.cat(net(symmetries.turned(x, element)), 1)
        total = total + symmetries.turned(maps, symmetries.inverse(element)) / symmetries.ORDER
    return total[:, :1], total[:, 1:]


def base_field(shape: tuple[int, ...], fwhm: float, like: Tensor) -> Tensor:
    """White noise (..., y, x) smoothed by a Gaussian of `fwhm` [pixels], of unit variance.

    Correlation at distance d: exp(-2 ln 2 (d / fwhm)**2), up to the edges. The noise is drawn from
    torch's default generator on the CPU.
    """
    pad = math.ceil(REACH * fwhm)

    def matrix(n: int) -> Tensor:
        i = torch.arange(n, device=like.device)
        j = torch.arange(-pad, n + pad, device=like.device)
        weights = torch.exp(-4 * math.log(2) * ((i[:, None] - j) / fwhm).square())
        return (weights / weights.square().sum(1, keepdim=True).sqrt()).to(like.dtype)

    *rest, y, x = shape
    white = to_device(torch.randn(*rest, y + 2 * pad, x + 2 * pad).to(like.dtype), like.device)
    return matrix(y) @ white @ matrix(x).T
