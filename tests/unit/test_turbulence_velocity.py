"""The initial velocity: one field a seed on every grid, solenoidal, Gaussian, of its slope."""

import numpy as np
import pytest
from scipy import stats

from skyloom.cli import BadInput
from skyloom.turbulence.simulate.velocity import velocity_field


def modes(velocity: np.ndarray, kmax: int) -> np.ndarray:
    """Fourier coefficients with wave numbers up to `kmax` on each axis, as averages over cells."""
    n = velocity.shape[-1]
    k = np.r_[0 : kmax + 1, n - kmax : n]
    return np.fft.fftn(velocity, axes=(1, 2, 3))[:, k[:, None, None], k[:, None], k] / n**3


def wave_numbers(n: int) -> list[np.ndarray]:
    k = np.fft.fftfreq(n, 1 / n)
    return np.meshgrid(k, k, k, indexing="ij")


def test_same_seed_is_the_same_field_on_16_and_32_cells():
    coarse, fine = (velocity_field(n, 11 / 3, seed=3, rms=0.27, kmax=7) for n in (16, 32))
    # round-off of modes up to 0.05
    np.testing.assert_allclose(modes(coarse, 7), modes(fine, 7), rtol=0, atol=1e-16)


def test_finer_grid_only_adds_modes_under_one_common_factor():
    coarse, fine = (modes(velocity_field(n, 4, seed=3, rms=1.0), 7) for n in (16, 32))
    # modes are 1e-3 and larger; the others are round-off
    nonzero = abs(coarse) > 1e-6
    ratio = fine[nonzero] / coarse[nonzero]
    assert abs(ratio - ratio.mean()).max() < 1e-9
    assert 0.9 < ratio.mean().real < 1  # the rms is shared with the modes added


@pytest.mark.parametrize("index", [11 / 3, 4])
def test_torch_gives_the_field_that_numpy_gives(index):
    ours, theirs = (
        velocity_field(24, index, seed=2**31, rms=1.0, device=device) for device in (None, "cpu")
    )
    # logarithm, cosine and FFT differ in the last digit
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


def test_field_has_no_divergence_no_mean_and_the_given_rms():
    velocity = velocity_field(32, 11 / 3, seed=1, rms=0.265)
    spectrum = np.fft.fftn(velocity, axes=(1, 2, 3)) / 32**3
    divergence = sum(k * v for k, v in zip(wave_numbers(32), spectrum, strict=True))
    assert abs(divergence).max() < 1e-15 * 32  # round-off of modes below 0.1 times k below 28
    assert abs(velocity.mean((1, 2, 3))).max() < 1e-16
    assert (velocity**2).sum(0).mean() == pytest.approx(0.265**2, rel=1e-12)


@pytest.mark.parametrize("index", [3, 11 / 3, 4.5])
def test_power_falls_with_the_given_index(index):
    n = 48
    power = (abs(np.fft.fftn(velocity_field(n, index, seed=9, rms=1.0), axes=(1, 2, 3))) ** 2).sum(
        0
    )
    shell = np.rint(np.sqrt(sum(k**2 for k in wave_numbers(n)))).astype(int)
    k = np.arange(4, 22)
    mean = np.bincount(shell.ravel(), power.ravel())[k] / np.bincount(shell.ravel())[k]
    # a shell of ~4 pi k^2 modes scatters by 1/k
    slope = np.polyfit(np.log(k), np.log(mean), 1, w=k)[0]
    # some 40,000 modes: 0.01, and the shells' width
    assert slope == pytest.approx(-index, abs=0.05)


def test_modes_are_gaussian_and_seeds_independent():
    n = 32
    white = np.array([velocity_field(n, 0, seed, rms=1.0) for seed in (0, 1)])
    cells = (white[0] / white[0].std()).ravel()[::7]
    assert stats.kstest(cells, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(white[0].ravel(), white[1].ravel())[0, 1]) < 4 / np.sqrt(3 * n**3)
    # a single mode is Gaussian by itself, not by the central limit; its projection reduces the
    # amplitude to sin(k, axis)
    kz, ky, kx = wave_numbers(15)
    across = np.sqrt(
        np.divide(
            ky**2 + kx**2,
            kz**2 + ky**2 + kx**2,
            out=np.zeros_like(kz),
            where=kz**2 + ky**2 + kx**2 > 0,
        )
    )
    single = modes(white[0], 7)[0].real[across > 0] / across[across > 0]
    # a mode and its conjugate count once
    assert abs(stats.kurtosis(single)) < 5 * np.sqrt(24 / (len(single) / 2))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"grid": 33}, "grid 33"), ({"kmax": 16}, "kmax 16"), ({"rms": np.nan}, "rms nan")],
)
def test_impossible_field_is_refused_by_name(arguments, named):
    with pytest.raises(BadInput, match=named):
        velocity_field(**{"grid": 32, "index": 4, "seed": 1, "rms": 1.0} | arguments)
