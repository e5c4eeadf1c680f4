"""A Gaussian whose mean and spread a network predicts (Nix & Weigend 1994)."""

from torch import Tensor

from skyloom.scores.forecasts import NOMINAL

LEAST = 1e-3  # distance of an inverted output from its bounds, in units of their distance


def bounded(raw: Tensor, bounds: tuple[float, float]) -> Tensor:
    """An unbounded output as ln(spread) within `bounds`."""
    low, high = bounds
    return low + (high - low) * raw.sigmoid()


def unbounded(log_spread: Tensor, bounds: tuple[float, float]) -> Tensor:
    """The output that `bounded` turns into `log_spread`."""
    low, high = bounds
    return ((log_spread - low) / (high - low)).logit(LEAST)


def gaussian_nll(
    mean: Tensor, log_spread: Tensor, target: Tensor, noise: Tensor | None = None
) -> Tensor:
    """Negative log likelihood without its constant, of the shape of the arguments.

    noise : known standard deviation of the target about the truth; the spread is then the rest
    """
    if noise is None:
        return log_spread + ((target - mean) * (-log_spread).exp()).square() / 2
    variance = (2 * log_spread).exp() + noise.square()
    return (variance.log() + (mean - target).square() / variance) / 2


def mixture(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of an even mixture along the first dimension."""
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)


def widening(error: Tensor, spread: Tensor) -> Tensor:
    """The factor on `spread` (n,) with which 68.27 % of the errors (n,) lie within one spread."""
    return (error.abs() / spread).double().quantile(NOMINAL).to(spread.dtype)
