"""Minkowski functionals against the theory of Gaussian fields, and the overlap of bands against
hand-made ones.
"""

import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import erfc

from skyloom.co.evaluate import minkowski

# pixels: covariance exp(-r^2 / (4 s^2)), so that a gradient component has variance 1 / (2 s^2)
SMOOTHING = 3.0
PIXEL_DEG = 3 / 128
THRESHOLDS = np.linspace(-3, 3, 25)


@pytest.fixture(scope="module")
def gaussian_fields():
    noise = np.random.default_rng(0).standard_normal((50, 256, 256))
    # the variance of white noise smoothed by a Gaussian is 1 / (4 pi s^2)
    return (
        gaussian_filter(noise, (0, SMOOTHING, SMOOTHING), mode="wrap", truncate=6)
        * np.sqrt(4 * np.pi)
        * SMOOTHING
    )


def gaussian_theory(u):
    """Adler (1981), Tomita (1986): V0, V1, V2 per unit area for unit variance, gradient variance
    mu.
    """
    mu = 1 / (2 * SMOOTHING**2 * PIXEL_DEG**2)
    v0 = erfc(u / np.sqrt(2)) / 2
    v1 = np.sqrt(mu) / 8 * np.exp(-(u**2) / 2)
    v2 = mu * u * np.exp(-(u**2) / 2) / (2 * np.pi) ** 1.5
    return np.array([v0, v1, v2])


def test_functionals_of_gaussian_fields_agree_with_theory(gaussian_fields):
    found = minkowski.functionals(gaussian_fields, THRESHOLDS, PIXEL_DEG).mean(0)
    theory = gaussian_theory(THRESHOLDS)
    worst = np.abs(found - theory).max(1) / np.abs(theory).max(1)
    # the study's acceptance; discretisation alone is 0.2, 0.5, 0.8 % (400 fields), the rest is this
    # sample's scatter
    assert worst[0] < 0.02 and worst[1] < 0.02 and worst[2] < 0.03


def test_functionals_of_coarse_pixels_stay_within_a_few_percent():
    noise = np.random.default_rng(1).standard_normal((100, 128, 128))
    # pixels: white noise under a 15 arcmin beam on 5.6 arcmin pixels, the worst case (second order:
    # -17 %)
    sigma = 1.14
    fields = gaussian_filter(noise, (0, sigma, sigma), mode="wrap", truncate=6)
    fields /= fields.std()
    found = minkowski.functionals(fields, THRESHOLDS, PIXEL_DEG).mean(0)[1].max()
    theory = np.sqrt(1 / (2 * sigma**2 * PIXEL_DEG**2)) / 8
    assert found == pytest.approx(theory, rel=0.06)


def test_a_disc_has_euler_characteristic_one_and_its_own_boundary():
    n, radius = 128, 30.0
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    cone = (radius - np.hypot(x, y))[None] / 10  # crosses 0 on a circle of 30 pixels
    v = minkowski.functionals(cone, np.linspace(-1, 1, 9), 1.0)[0][:, 4] * (n - 4) ** 2
    assert v[0] == pytest.approx(np.pi * radius**2, rel=0.01)
    # V1 is a quarter of the boundary
    assert v[1] == pytest.approx(2 * np.pi * radius / 4, rel=0.02)
    assert v[2] == pytest.approx(1, rel=0.02)  # V2 is the Euler characteristic


def test_masked_pixels_do_not_count(gaussian_fields):
    fields, weight = gaussian_fields.copy(), np.ones_like(gaussian_fields)
    weight[:, 40:60, 20:70] = 0
    fields[weight == 0] = 1e6
    masked = minkowski.functionals(fields, THRESHOLDS, PIXEL_DEG, weight).mean(0)
    whole = minkowski.functionals(gaussian_fields, THRESHOLDS, PIXEL_DEG).mean(0)
    # a few percent of the area less: they differ by sampling only
    assert (np.abs(masked - whole).max(1) < 0.02 * np.abs(whole).max(1)).all()


def test_standardising_takes_out_any_scale_and_offset(gaussian_fields):
    weight = np.ones_like(gaussian_fields)
    weight[:, :5] = 0
    first = minkowski.standardised(gaussian_fields, weight)
    second = minkowski.standardised(7 * gaussian_fields - 300, weight)
    np.testing.assert_allclose(first, second, atol=1e-9)
    assert first[:, 5:].std((1, 2)) == pytest.approx(1, abs=1e-6)
    assert (minkowski.standardised(np.full((1, 8, 8), 3.0), np.ones((1, 8, 8))) == 0).all()


def test_a_patch_costs_at_most_ten_milliseconds_of_cpu(gaussian_fields):
    patches = gaussian_fields[:, :128, :128]
    start = time.process_time()
    minkowski.functionals(patches, THRESHOLDS, PIXEL_DEG)
    assert (time.process_time() - start) / len(patches) < 0.010


def test_overlap_of_equal_bands_is_one_of_disjoint_bands_zero_of_shifted_bands_a_third():
    u = np.linspace(0, 1, 11)
    band = np.sin(u), np.sin(u) + 0.2
    assert minkowski.overlap(band, band, u) == pytest.approx(1)
    assert minkowski.overlap(band, (band[0] + 5, band[1] + 5), u) == 0
    # 0.1 of 0.3
    assert minkowski.overlap(band, (band[0] + 0.1, band[1] + 0.1), u) == pytest.approx(1 / 3)
    assert np.isnan(minkowski.overlap((band[0], band[0]), (band[0], band[0]), u))


def test_unequal_threshold_steps_are_refused(gaussian_fields):
    with pytest.raises(ValueError, match="equal steps"):
        minkowski.functionals(gaussian_fields[:1], np.array([0.0, 1.0, 3.0]), PIXEL_DEG)
