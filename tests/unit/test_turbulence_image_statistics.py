"""Statistics of images against fields whose statistics are known."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from skyloom.cli import BadInput
from skyloom.turbulence import image_statistics

SIDE = 64


def power_law(index: float, n: int, side: int = SIDE) -> np.ndarray:
    """Periodic Gaussian fields of power k**-index, (n, side, side)."""
    wave = np.hypot(np.fft.fftfreq(side, 1 / side)[:, None], np.fft.rfftfreq(side, 1 / side))
    wave[0, 0] = np.inf
    noise = np.random.default_rng(0).normal(size=(n, side, side))
    return np.fft.irfft2(np.fft.rfft2(noise) * wave ** (-index / 2), s=(side, side))


def test_power_of_a_wave_stands_in_its_ring():
    x = np.arange(SIDE) / SIDE
    wave = 3 * np.cos(2 * np.pi * 6 * x)[None, :] * np.ones((SIDE, 1))
    k, power = image_statistics.power_spectrum(wave[None], periodic=True)
    rings = np.rint(np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(SIDE, 1 / SIDE)])))
    # two modes of amplitude 3 N**2 / 2 each, over the modes of the ring
    expected = 2 * (1.5 * SIDE**2) ** 2 / (rings == 6).sum()
    assert 10 ** power[0, k == 6][0] == pytest.approx(expected, rel=1e-9)
    assert np.delete(power[0], np.flatnonzero(k == 6)).max() < -6


@pytest.mark.parametrize("index", [2.0, 3.0])
def test_slope_of_a_power_law_is_its_index(index):
    k, power = image_statistics.power_spectrum(power_law(index, 40), periodic=True)
    found = image_statistics.slope(k, power, 4, 24)
    # scatter of the log power of some 100 modes a ring, over twenty rings and 40 fields: below 0.02
    assert found.mean() == pytest.approx(-index, abs=0.05)


def test_window_keeps_a_steep_spectrum_steep_in_a_part_of_a_map():
    parts = power_law(4.0, 40, 2 * SIDE)[:, :SIDE, :SIDE]
    k, windowed = image_statistics.power_spectrum(parts, periodic=False)
    _, bare = image_statistics.power_spectrum(parts, periodic=True)
    assert image_statistics.slope(k, windowed, 4, 24).mean() == pytest.approx(-4, abs=0.2)
    # the jump at the edge has a shallower spectrum
    assert image_statistics.slope(k, bare, 4, 24).mean() > -3.4


def test_gradient_of_a_ramp_is_in_one_direction():
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    ramp = np.cos(np.radians(50)) * x + np.sin(np.radians(50)) * y
    found = np.exp(
        image_statistics.gradient_histograms(ramp[None], cells=4, orientations=8)
    ).reshape(16, 8)
    assert (found.argmax(1) == 2).all()  # 50 of 22.5 degrees
    np.testing.assert_allclose(found[:, 2], 1, rtol=1e-5)
    assert np.delete(found, 2, axis=1).max() < 1e-5


# of 16 pixels, each with the highest order whose points span 12 at most
LAGS = [(1, 4), (2, 4), (4, 3), (8, 1)]


def structure(
    images: np.ndarray, lags: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Features' lags and orders, and the structure functions along axes and along diagonals, (n,
    feature) each.
    """
    found = image_statistics.structure_functions(torch.from_numpy(images)).exp().numpy()
    lag, order = np.array(
        [(lag, order) for lag, highest in lags for order in range(1, highest + 1)]
    ).T
    return lag, order, dict(zip(("axes", "diagonals"), np.split(found, 2, axis=1), strict=True))


def test_difference_of_an_order_is_blind_to_polynomials_of_less():
    y, x = np.mgrid[:16, :16].astype(float)
    lag, order, found = structure(np.stack([3 * y, x**2 / 2]), LAGS)
    np.testing.assert_allclose(
        found["diagonals"][0], np.where(order == 1, 9 * lag**2, 0), atol=1e-9
    )
    # not along x
    np.testing.assert_allclose(found["axes"][0], np.where(order == 1, 9 * lag**2 / 2, 0), atol=1e-9)
    above = order > 1
    np.testing.assert_allclose(
        found["diagonals"][1, above], np.where(order == 2, lag**4, 0)[above], atol=1e-9
    )
    np.testing.assert_allclose(
        found["axes"][1, above], np.where(order == 2, lag**4 / 2, 0)[above], atol=1e-9
    )


def test_structure_functions_of_many_points_follow_a_spectrum_that_is_too_steep_for_two():
    parts = power_law(5.0, 60, 2 * SIDE)[:, :SIDE, :SIDE]
    lag, order, found = structure(parts, [(1, 4), (2, 4), (4, 4), (8, 4), (16, 3), (32, 1)])
    mean = found["axes"].mean(0)
    rise = {
        m: np.log2(mean[(order == m) & (lag == 8)] / mean[(order == m) & (lag == 4)])[0]
        for m in (1, 2, 3, 4)
    }
    assert 1.7 < rise[1] < 2  # lag**2 is the most that two points can show
    for m in (3, 4):  # D(lag) ~ lag**(5 - 2)
        assert rise[m] == pytest.approx(3, abs=0.15)


def test_pooled_hog_knows_neither_place_nor_direction_and_hog_does():
    field = power_law(3.0, 1)
    moved, turned = np.roll(field, (8, 24), (1, 2)), field.transpose(0, 2, 1)
    inner = slice(2, -2)  # skimage takes one-sided gradients of zero at the border
    same = uniform_filter(field, 3, mode="wrap", axes=(1, 2))
    pooled = [
        image_statistics.pooled_hog(each, 8, 8) for each in (same, np.roll(same, (8, 24), (1, 2)))
    ]
    assert np.abs(pooled[0] - pooled[1]).max() < 0.1 * np.abs(pooled[0]).max()
    plain = [image_statistics.hog_features(each, 8, 8) for each in (field, moved)]
    assert np.abs(plain[0] - plain[1])[:, inner].max() > 0.3
    # bins of a transposed image's gradients are those of the image in another order, and pooled_hog
    # sorts them
    pair = [image_statistics.pooled_hog(each, 8, 8) for each in (same, same.transpose(0, 2, 1))]
    assert np.abs(pair[0] - pair[1]).max() < 0.1 * np.abs(pair[0]).max()
    plain = [image_statistics.hog_features(each, 8, 8) for each in (field, turned)]
    assert np.abs(plain[0] - plain[1]).max() > 0.3


def test_wavelets_have_no_mean_and_cover_their_octaves():
    bank = image_statistics.morlet_bank(SIDE, 3, 4)
    assert np.abs(bank[:, 0, 0]).max() < 1e-12
    wave = 2 * np.pi * np.fft.fftfreq(SIDE)
    distance = np.hypot(*np.meshgrid(wave, wave, indexing="ij"))
    peaks = [distance.ravel()[wavelet.argmax()] for wavelet in bank]
    np.testing.assert_allclose(peaks, np.repeat(0.75 * np.pi / 2.0 ** np.arange(3), 4), rtol=0.1)


def test_wavelets_that_are_wider_than_the_image_are_refused():
    assert image_statistics.morlet_bank(16, 4, 2).shape == (8, 16, 16)
    with pytest.raises(BadInput, match="scattering: 5 scales of images of 16 pixels; .*at most 4"):
        image_statistics.scattering(np.ones((1, 16, 16)), 5, 2)


def test_scattering_is_unmoved_by_shifts_and_its_second_order_by_amplitude():
    field = power_law(3.0, 3)
    found = image_statistics.scattering(field, 3, 4)
    assert found.shape == (3, 12 + 4 * 8 + 4 * 4)
    np.testing.assert_allclose(
        image_statistics.scattering(np.roll(field, (5, 9), (1, 2)), 3, 4), found, atol=1e-3
    )
    louder = image_statistics.scattering(7 * field, 3, 4)
    np.testing.assert_allclose(louder[:, :12], found[:, :12] + np.log(7), atol=1e-3)
    np.testing.assert_allclose(louder[:, 12:], found[:, 12:], atol=1e-3)


def test_scattering_of_a_turned_image_is_that_of_its_angles_exchanged():
    field = power_law(3.0, 2)
    found, turned = (
        image_statistics.scattering(each, 2, 4)[:, :8].reshape(2, 2, 4)
        for each in (field, np.rot90(field, axes=(1, 2)))
    )
    np.testing.assert_allclose(turned, np.roll(found, 2, axis=2), atol=2e-3)
