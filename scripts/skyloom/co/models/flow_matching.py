"""Conditional flow matching: realisations of CO given dust and HI, with the small scales that a
mean smooths away.

A Res-UNet gives mean m and spread s of the normalised asinh of W in every pixel
(`skyloom.co.models.res_unet`); its maps are the best guess, and smoother than the sky. What it
leaves open, the residual r = (z - m) / s of about unit variance, is a random field with structure
of its own: it follows clouds, and is neither white nor Gaussian. A second U-Net learns to draw it,
by flow matching (Lipman+ 2023, Liu+ 2023): on straight lines x_t = (1 - t) x_0 + t r from a
Gaussian field x_0 to a residual it learns the velocity r - x_0 that is to be expected at x_t, for
the dust and HI of the tile; following that velocity from t = 0 to 1 turns a new x_0 into a new
residual. `z = m + s r` is a realisation.

- Noise. The observed residual is (z - m) / sqrt(s**2 + noise**2), which has unit variance too, be
    it sky or noise. The
  loss weighs each pixel with the sky's share of that variance: the flow learns the structure of
      what is above the
  noise, and the likelihood behind s has taken the noise out of the amplitude. A realisation knows
      no noise.
- Start. x_0 is not white but about as smooth as the map's beam makes the sky, so that one field on
    the sphere serves
  tiles that overlap, and the velocity is `(2 t - 1) / (t**2 + (1 - t)**2) x_t`, exact for residuals
      that are such a
  field themselves, plus what the network has learned: untrained, it hands x_0 through.
- Positive. There is no negative emission: what is drawn below zero is zero, and the rest is scaled
    by what that adds to
  the mean of a Gaussian in asinh, so that realisations average to the prediction.
- Amplitude. On sky that was not trained on, the mean is further off than the training sky's
    likelihood knows: over a
  degree and more, since what moves the amplitude (X(CO), emissivity) changes slowly. A lognormal
      factor of mean one
  stands for that, which is as smooth and grows out of the same x_0. Once the weights are chosen,
      its width is fitted:
  with it 68 % intervals cover 68 % of the validation sky. Wider residuals would too, with twice the
      small-scale power.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from torch.special import ndtr

from skyloom.co.data.examples import to_physical
from skyloom.co.models import res_unet
from skyloom.co.models.blocks import ResUNet, inverse, random_symmetry, require_multiple, symmetry
from skyloom.training import Task, adamw, one_cycle

# FWHM of the Gaussian that makes white noise the base field; at the beam's own 15 arcmin power
BASE_ARCMIN = 22.0
# beyond the beam is left over, at twice the sky's for l = 1100, since the sky's spectrum is steeper
# than a beam's
REACH = (
    1.5  # of the base field's smoothing in FWHM on either side, where the Gaussian is down to 0.002
)
TIMES = 4  # cosines of t that the network sees
COVERAGE = math.erf(math.sqrt(0.5))  # of the central interval of one sigma
AMPLITUDE_ARCMIN = 60.0  # FWHM of the smoothing that makes x_0 the logarithm of the amplitude
AMPLITUDES = (0.0, 1.0)  # between which its standard deviation is sought


def make_task(entry: dict, meta: dict) -> "FlowTask":
    """The networks and their losses from a model entry and the examples' `meta`."""
    require_multiple(
        meta, "flow_matching", "coarse and depth", entry["coarse"] * 2 ** entry["depth"]
    )
    return FlowTask(entry, meta)


def noise_arcmin(task: "FlowTask") -> float:
    """Beam FWHM [arcmin] of the Gaussian field of unit variance that a realisation starts from."""
    return BASE_ARCMIN


@torch.no_grad()
def predict(task: "FlowTask", batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`prediction` and `spread` of the Res-UNet, (n, 1, y, x), and `samples` (n, sample, y, x), all
    in K km/s.

    batch : `input`; where it has `noise` (n, sample, y, x), the base field, one realisation for
        each of its planes.
    """
    mean, log_spread = symmetric(task.mean, batch["input"])
    n, _, *size = mean.shape
    noise = batch.get("noise")
    if noise is None:
        noise = base_field(
            (n, task.entry["samples"], *size), BASE_ARCMIN / task.mean.pixel_arcmin, mean
        )
    residual = task.draw(task.conditions(batch["input"], mean, log_spread), noise)
    predicted = res_unet.predict(task.mean, batch)
    prediction, variance = predicted["prediction"], predicted["spread"].square()
    drawn = realised(prediction, mean, log_spread.exp(), residual, task.mean.constants)
    samples = drawn * lognormal(task.amplitude, task.slow(noise))
    more = task.amplitude.square().exp()  # mean square of the amplitude
    return predicted | {
        "spread": (more * variance + (more - 1) * prediction.square()).sqrt(),
        "samples": samples,
    }


def realised(
    prediction: Tensor, mean: Tensor, spread: Tensor, residual: Tensor, constants: dict[str, float]
) -> Tensor:
    """Realisations [K km/s], none negative, whose mean is the prediction for a residual of normal
    distribution.

    prediction : (..., 1, y, x) [K km/s]; mean, spread : likewise, in normalised asinh; residual :
        (..., sample, y, x).

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
    """Two optimisers, both AdamW under OneCycle: `net` trains the Res-UNet in the first steps,
    `flow` what follows.

    entry : those of the Res-UNet, and `net_share`, the share of the steps that it takes;
        `flow_rate`, peak learning
        rate of the flow; `samples`, how many realisations `predict` draws, in `sample_steps` steps
            each.
    """

    def __init__(self, entry: dict, meta: dict):
        super().__init__()
        self.entry = entry
        self.mean = res_unet.ResUNetTask(entry, meta)
        self.base_pixels = BASE_ARCMIN / meta["pixel_arcmin"]
        self.slow_pixels = AMPLITUDE_ARCMIN / meta["pixel_arcmin"]
        self.register_buffer("amplitude", torch.tensor(0.0))  # standard deviation of its logarithm
        self.coarse = entry["coarse"]
        channels = (self.mean.channels + 2 + 1) * self.coarse**2 + TIMES
        self.flow = ResUNet(channels, self.coarse**2, entry["width"], entry["depth"])
        with torch.no_grad():
            for parameter in self.flow.head[-1].parameters():
                parameter.zero_()

    def conditions(self, x: Tensor, mean: Tensor, log_spread: Tensor) -> Tensor:
        """What the flow sees of a tile beside x_t: (n, channel, y / coarse, x / coarse)."""
        return pixel_unshuffle(
            torch.cat([self.mean.contrasts(x), mean, log_spread], 1), self.coarse
        )

    def velocity(self, x: Tensor, t: Tensor, conditions: Tensor) -> Tensor:
        """x : (n, 1, y, x), t : (n,) in [0, 1] -> dx/dt (n, 1, y, x)."""
        seen = pixel_unshuffle(x, self.coarse)
        t = t[:, None, None, None]
        times = torch.cat([(math.pi * k * t).cos() for k in range(1, TIMES + 1)], 1)
        learned = self.flow(
            torch.cat([seen, conditions, times.expand(-1, -1, *seen.shape[-2:])], 1)
        )
        return (2 * t - 1) / (t.square() + (1 - t).square()) * x + pixel_shuffle(
            learned.float(), self.coarse
        )

    def draw(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Residuals (n, sample, y, x) from base fields of that shape, by Heun's method (of second
        order).
        """
        n, samples, *size = noise.shape
        x = noise.reshape(n * samples, 1, *size)
        conditions = conditions.repeat_interleave(samples, 0)
        times = torch.linspace(0, 1, self.entry["sample_steps"] + 1).tolist()
        for start, end in zip(times[:-1], times[1:], strict=True):
            first = self.velocity(x, x.new_full((len(x),), start), conditions)
            second = self.velocity(
                x + (end - start) * first, x.new_full((len(x),), end), conditions
            )
            x = x + (end - start) * (first + second) / 2
        return x.reshape(n, samples, *size)

    def flow_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Squared error of the velocity at a random time of every tile, times the sky's share, (n,
        1, y, x).

        The times of a batch are spread evenly over [0, 1], which leaves less of their scatter in
        the gradient.
        """
        with torch.no_grad():
            mean, log_spread = self.mean(batch["input"])
            noise = res_unet.noise_in_asinh(batch["error"], mean, self.mean.constants)
            variance = (2 * log_spread).exp()
            share = variance / (variance + noise.square())
            residual = (
                (batch["target"] - mean) * (variance + noise.square()).rsqrt() * batch["valid"]
            )
        n = len(residual)
        start = base_field(residual.shape, self.base_pixels, residual)
        t = (torch.rand(1).to(residual) + torch.arange(n).to(residual) / n) % 1
        along = t[:, None, None, None]
        x = (1 - along) * start + along * residual
        found = self.velocity(x, t, self.conditions(batch["input"], mean, log_spread))
        return share * (found - (residual - start)).square()

    @property
    def net_steps(self) -> int:
        """Steps of the Res-UNet: at least one for either network."""
        return min(
            max(1, round(self.entry["net_share"] * self.plan.steps)), max(1, self.plan.steps - 1)
        )

    @property
    def judged_from(self) -> int:
        """The loss of a flow that has not begun is small where the spread still is too wide."""
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
            batch = random_symmetry(batch)
            yield "flow", res_unet.average(self.flow_loss(batch), batch).mean()

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The flow's loss, for the same times and base fields at each call, and the scores of the
        Res-UNet.
        """
        return {"flow": res_unet.average(self.flow_loss(batch), batch)} | self.mean.score(batch)

    def slow(self, noise: Tensor) -> Tensor:
        """The base field smoothed to `AMPLITUDE_ARCMIN`, of unit variance in every pixel, (..., y,
        x).
        """

        def matrix(n: int) -> Tensor:
            i = torch.arange(n).to(noise)
            distance = (i[:, None] - i).square()
            weights = torch.exp(-4 * math.log(2) * distance / self.slow_pixels**2)
            correlation = torch.exp(-2 * math.log(2) * distance / self.base_pixels**2)
            return weights / ((weights @ correlation) * weights).sum(1, keepdim=True).sqrt()

        return matrix(noise.shape[-2]) @ noise @ matrix(noise.shape[-1]).T

    def calibrate(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """Choose `amplitude` such that intervals of realisations, with the map's noise, cover what
        was observed.

        Judged in the pixels whose spread exceeds the map's error: in the others noise covers
        whatever is drawn.
        """
        parts = []
        for batch in batches:
            mean, log_spread = symmetric(self.mean, batch["input"])
            start = base_field(
                (len(mean), self.entry["samples"], *mean.shape[-2:]), self.base_pixels, mean
            )
            residual = self.draw(self.conditions(batch["input"], mean, log_spread), start)
            predicted = res_unet.predict(self.mean, batch)
            drawn = realised(
                predicted["prediction"], mean, log_spread.exp(), residual, self.mean.constants
            )
            told = ((batch["valid"] > 0) & (predicted["spread"] > batch["error"]))[:, 0]
            maps = batch["target_physical"], batch["error"], drawn, self.slow(start)
            parts.append([values.movedim(1, -1)[told] for values in maps])  # (pixel, 1 or sample)
        observed, error, drawn, slow = (torch.cat(part) for part in zip(*parts, strict=True))
        if not len(observed):
            return
        noise = error * torch.randn_like(drawn)
        within = torch.rand_like(observed)  # spreads a rank evenly over its step

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
    """Mean and ln(spread) of the eight symmetries of tiles (n, 2, y, x), averaged; (n, 1, y, x)
    each.
    """
    total = 0
    for element in range(8):
        maps = torch.cat(net(symmetry({"x": x}, torch.full((len(x),), element))["x"]), 1)
        total = total + symmetry({"x": maps}, torch.full((len(x),), inverse(element)))["x"] / 8
    return total[:, :1], total[:, 1:]


def base_field(shape: tuple[int, ...], fwhm: float, like: Tensor) -> Tensor:
    """White noise smoothed by a Gaussian of `fwhm` [pixels], of unit variance up to the edges;
    (..., y, x).

    Correlation at distance d: exp(-2 ln 2 (d / fwhm)**2). Drawn from torch's default generator on
    the CPU.
    """
    pad = math.ceil(REACH * fwhm)

    def matrix(n: int) -> Tensor:
        i, j = torch.arange(n), torch.arange(-pad, n + pad)
        weights = torch.exp(-4 * math.log(2) * ((i[:, None] - j) / fwhm).square())
        return (weights / weights.square().sum(1, keepdim=True).sqrt()).to(like)

    *rest, y, x = shape
    white = torch.randn(*rest, y + 2 * pad, x + 2 * pad).to(like)
    return matrix(y) @ white @ matrix(x).T
