"""Mock dust: the power of random profiles, the prior, and a coherent cube."""

import numpy as np
import pytest
import torch

from skyloom.extinction.simulate import draws, skies
from skyloom.extinction.simulate.galaxy import Place, place

GRID = skies.Grid()
MEAN = torch.as_tensor(skies.mean_profile(284.0, 0.0, GRID)).float()


def examples(number, seed=0, epoch=0):
    return draws.seeds(seed, epoch, torch.arange(number))


@pytest.mark.parametrize("beta", [1.6, 2.4, 3.2])
def test_random_fields_have_the_correlation_of_their_power(beta):
    """The correlation is the cosine transform of k^-beta, summed here mode by mode."""
    n = 6000
    field = skies.random_fields(examples(n), 100, torch.full((n, 1), beta)).double()
    k = np.arange(1, 100)
    power = k**-beta
    for lag in (0, 5, 20, 60):
        expected = (power * np.cos(np.pi * k * lag / 100)).sum() / power.sum()
        products = (field[:, : 100 - lag] * field[:, lag:]).mean(1)
        error = float(products.std() / n**0.5)
        assert abs(float(products.mean()) - expected) < 5 * error


def test_profiles_have_the_range_of_the_prior():
    found = skies.profiles(examples(8000), MEAN)
    assert found.shape == (8000, 100) and (found > 0).all()
    total = found.sum(1)
    low, middle, high = np.quantile(total, [0.05, 0.5, 0.95])
    assert middle == pytest.approx(8.0, rel=0.05)
    # a lognormal of 0.75
    assert np.log(high / middle) == pytest.approx(1.645 * 0.75, rel=0.05)
    assert np.log(middle / low) == pytest.approx(1.645 * 0.75, rel=0.05)
    assert total.max() <= 40.01


def test_profiles_are_those_of_their_seeds_in_any_batch():
    whole = skies.profiles(examples(50), MEAN)
    parts = [skies.profiles(examples(50)[a:b], MEAN) for a, b in ((0, 7), (7, 8), (8, 50))]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, skies.profiles(examples(50, seed=1), MEAN))
    assert not torch.equal(whole, skies.profiles(examples(50, epoch=1), MEAN))


def test_profiles_follow_the_smooth_dust_in_half_of_their_mass():
    """Without structure the mean profile is halfway between the disc and a flat line."""
    steep = torch.linspace(2, 0.02, 100)
    smooth = skies.Prior(spread=(1e-3, 1e-3))
    mean = skies.profiles(examples(8000), steep / steep.sum(), smooth)
    mean = (mean / mean.sum(1, keepdim=True)).mean(0)
    halfway = 0.5 * steep / steep.sum() + 0.5 / 100
    np.testing.assert_allclose(mean, halfway, rtol=0.02)


def test_cube_is_lognormal_and_depends_on_its_generator():
    settings = skies.CubeSettings(voxels=(64, 64, 32))
    fields = [skies.cube(settings, np.random.default_rng(k)).field for k in (0, 0, 1)]
    np.testing.assert_array_equal(fields[0], fields[1])
    assert not np.array_equal(fields[0], fields[2])
    log = np.log(fields[0])
    assert log.std() == pytest.approx(1.2, rel=1e-3)
    assert log.mean() == pytest.approx(-0.5 * 1.2**2, abs=1e-3)


def test_power_of_the_cube_has_its_slope():
    """Beyond the outer scale ln density has P ~ k^-11/3, by a fit to shells of a Fourier sum."""
    settings = skies.CubeSettings(voxels=(96, 96, 96), outer=1e6)
    log = np.log(skies.cube(settings, np.random.default_rng(0)).field)
    power = np.abs(np.fft.fftn(log)) ** 2
    axis = np.fft.fftfreq(96, 1 / 96)
    k = np.sqrt(sum(a**2 for a in np.meshgrid(axis, axis, axis, indexing="ij")))
    shells = [(4, 6), (8, 12), (16, 24), (30, 40)]
    middle = [k[(k >= a) & (k < b)].mean() for a, b in shells]
    mean = [power[(k >= a) & (k < b)].mean() for a, b in shells]
    assert np.polyfit(np.log(middle), np.log(mean), 1)[0] == pytest.approx(-11 / 3, abs=0.1)


def test_neighbours_in_the_cube_agree_and_far_sightlines_do_not():
    longitude = np.arange(260.0, 300.0, 0.5)
    correlation = []
    for seed in range(4):
        sky = skies.cube(skies.CubeSettings(), np.random.default_rng(seed))
        total = skies.sightlines(sky, longitude, np.zeros_like(longitude), GRID).sum(1)
        total = np.log(total)
        pairs = [np.corrcoef(total[:-k], total[k:])[0, 1] for k in (1, 30)]
        correlation.append(pairs)
    near, far = np.mean(correlation, 0)
    assert near > 0.85 and far < 0.4


def test_sightlines_are_integrals_of_the_density():
    """A constant field and a fine sum of the disc along one sightline."""
    settings = skies.CubeSettings(voxels=(8, 8, 8), arms=0.0)
    flat = skies.Cube(np.ones(settings.voxels, np.float32), settings)
    found = skies.sightlines(flat, np.array([285.0]), np.array([1.0]), GRID)[0]
    fine = skies.Grid(10000, 1.0)
    one = skies.sightlines(flat, np.array([285.0]), np.array([1.0]), fine, 1)[0]
    np.testing.assert_allclose(found, one.reshape(100, 100).sum(1), rtol=2e-4)
    # 0.5 mag/kpc next to the Sun, 15 pc above the plane
    assert found[0] == pytest.approx(0.05, rel=0.15)


def test_cube_is_linear_between_the_middles_of_voxels():
    field = np.arange(4**3, dtype=np.float32).reshape(4, 4, 4)
    middle = skies._trilinear(field, (75.0, 25.0, 125.0), 50.0)
    assert middle == field[1, 0, 2]
    assert (
        skies._trilinear(field, (50.0, 25.0, 25.0), 50.0) == (field[0, 0, 0] + field[1, 0, 0]) / 2
    )
    # periodic
    assert skies._trilinear(field, (0.0, 25.0, 25.0), 50.0) == (field[3, 0, 0] + field[0, 0, 0]) / 2


def test_arms_are_where_reid_found_them():
    """Inwards of the Sun the Sagittarius arm is 1.3 to 2 kpc away, outwards Perseus some 2 kpc.

    The tangent of the Carina arm is near l = 285: that sightline has more arm than its neighbours.
    """
    distance = np.arange(0.0, 4000, 50)
    zero = np.zeros_like(distance)
    inwards = skies.arms(Place(8500 - distance, zero, zero))
    near = (distance > 1000) & (distance < 2500)
    assert 1300 < distance[near][inwards[near].argmax()] < 2000 and inwards[near].max() > 0.95
    outwards = skies.arms(Place(8500 + distance, zero, zero))
    near = (distance > 1200) & (distance < 3000)
    assert 1500 < distance[near][outwards[near].argmax()] < 2500
    tangent, low, high = (
        skies.arms(place(angle, 0.0, np.arange(50.0, 6000, 100))).mean()
        for angle in (286, 276, 300)
    )
    assert tangent > 1.5 * max(low, high)


def test_sky_of_the_cube_has_the_range_of_a_published_map():
    """A_V at 10 kpc in the sector of the Carina arm, 5 to 95 %: 0.8 to 9.0 (GeDR3mock map)."""
    longitude, latitude = np.meshgrid(np.arange(257.5, 303, 2), np.arange(-4.5, 5, 1))
    quantiles = []
    for seed in range(4):
        sky = skies.cube(skies.CubeSettings(), np.random.default_rng(seed))
        found = skies.sightlines(sky, longitude.ravel(), latitude.ravel(), GRID, 2)
        quantiles.append(np.quantile(found.sum(1), [0.05, 0.5, 0.95]))
    low, middle, high = np.mean(quantiles, 0)
    assert 0.4 < low < 1.6 and 1.5 < middle < 4 and 4.5 < high < 13
