"""The Gaussian likelihood against scipy, its calibration against drawn errors."""

import numpy as np
import pytest
import torch
from scipy import stats

from skyloom.networks.likelihoods import bounded, gaussian_nll, mixture, unbounded, widening

CONSTANT = np.log(2 * np.pi) / 2
RANDOM = np.random.default_rng(0)
MEAN, TARGET = RANDOM.normal(size=(2, 50))
LOG_SPREAD = RANDOM.uniform(-2, 1, 50)
NOISE = RANDOM.uniform(0.1, 2, 50)


def tensors(*arrays):
    return [torch.tensor(values) for values in arrays]


def test_likelihood_is_the_normal_one_without_its_constant():
    found = gaussian_nll(*tensors(MEAN, LOG_SPREAD, TARGET))
    expected = -stats.norm.logpdf(TARGET, MEAN, np.exp(LOG_SPREAD)) - CONSTANT
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_noise_adds_to_the_spread_in_quadrature():
    found = gaussian_nll(*tensors(MEAN, LOG_SPREAD, TARGET, NOISE))
    deviation = np.hypot(np.exp(LOG_SPREAD), NOISE)
    expected = -stats.norm.logpdf(TARGET, MEAN, deviation) - CONSTANT
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_spread_is_within_its_bounds_and_the_output_can_be_recovered():
    bounds = (-4.0, 1.0)
    raw = torch.tensor([-1e4, -3.0, 0.0, 3.0, 1e4], dtype=torch.float64)
    log_spread = bounded(raw, bounds)
    assert log_spread.tolist() == pytest.approx(sorted(log_spread.tolist()))
    assert (log_spread[0], log_spread[2], log_spread[-1]) == (-4.0, -1.5, 1.0)
    torch.testing.assert_close(unbounded(log_spread[1:4], bounds), raw[1:4])
    assert unbounded(log_spread, bounds).isfinite().all()


def test_mixture_has_the_moments_of_draws_from_its_parts():
    means, deviations = np.array([-1.0, 0.5, 2.0]), np.array([0.3, 1.0, 2.0])
    draws = means + deviations * RANDOM.normal(size=(200_000, 3))
    mean, variance = mixture(*tensors(means, deviations**2))
    assert mean.item() == pytest.approx(draws.mean(), abs=5 * draws.std() / 600_000**0.5)
    assert variance.item() == pytest.approx(draws.var(), rel=0.02)  # five sigma


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_widening_of_normal_errors_is_their_deviation_over_the_stated_one(scale):
    spread = RANDOM.uniform(0.5, 2, 20_000)
    error = scale * spread * RANDOM.normal(size=20_000)
    factor = widening(*tensors(error, spread))
    assert factor.item() == pytest.approx(scale, rel=0.04)  # five sigma of the quantile
    assert (np.abs(error) < factor.item() * spread).mean() == pytest.approx(0.6827, abs=1e-3)
