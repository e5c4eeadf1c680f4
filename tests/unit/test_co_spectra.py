"""Flat-sky spectra against fields with known spectra, and rho_l against its noise ceiling."""

import numpy as np
import pytest

from skyloom.co.evaluate import spectra

N, TILE_DEG = 64, 3.0
PIXEL = np.radians(TILE_DEG) / N


def gaussian_field(n_fields, power, rng, margin=2):
    """Gaussian fields of spectrum power(l), cut from a periodic plane `margin` times wider than the
    tile.
    """
    wide = margin * N
    ell = np.hypot(
        2 * np.pi * np.fft.fftfreq(wide, PIXEL)[:, None], 2 * np.pi * np.fft.rfftfreq(wide, PIXEL)
    )
    white = np.fft.rfft2(rng.standard_normal((n_fields, wide, wide)))  # of power PIXEL^2
    return np.fft.irfft2(white * np.sqrt(power(ell)) / PIXEL, s=(wide, wide))[:, :N, :N]


def banded(fields, pairs, weight=None, taper_deg=0.5):
    ell, matrix = spectra.bands(N, TILE_DEG, 398, 234, 8)
    weight = np.ones((len(next(iter(fields.values()))), N, N)) if weight is None else weight
    taper = spectra.window(N, TILE_DEG, taper_deg)
    return ell, spectra.banded(fields, pairs, weight, taper, matrix, TILE_DEG)


def test_known_spectrum_is_recovered_in_amplitude():
    def power(ell):
        return 1e-6 / (1 + (ell / 600) ** 2)

    rng = np.random.default_rng(0)
    ell, found = banded({"a": gaussian_field(300, power, rng)}, [("a", "a")])
    # 20 modes a band, 300 tiles: 1.3 % of scatter; the tile's mean takes 6 % of the first band with
    # it
    np.testing.assert_allclose(found["a", "a"].mean(0)[0], power(ell)[0], rtol=0.09)
    np.testing.assert_allclose(found["a", "a"].mean(0)[1:], power(ell)[1:], rtol=0.04)


def test_masked_sky_does_not_change_the_amplitude_of_a_white_spectrum():
    rng = np.random.default_rng(1)
    field, weight = (
        gaussian_field(300, lambda ell: np.full_like(ell, 2e-6), rng),
        np.ones((300, N, N)),
    )
    weight[:, 10:25, 20:50] = 0
    field[weight == 0] = 1e9  # must not be looked at
    _, found = banded({"a": field}, [("a", "a")], weight)
    np.testing.assert_allclose(found["a", "a"].mean(0), 2e-6, rtol=0.05)


def test_rho_of_a_field_with_itself_plus_noise_is_the_noise_ceiling():
    rng = np.random.default_rng(2)
    signal = gaussian_field(400, lambda ell: 1e-6 / (1 + (ell / 600) ** 2), rng)
    noisy, null = (gaussian_field(400, lambda ell: np.full_like(ell, 3e-7), rng) for _ in range(2))
    fields = {"s": signal, "t": signal + noisy, "n": null}
    ell, c = banded(fields, [("s", "s"), ("t", "t"), ("s", "t"), ("n", "n")])
    rho = spectra.coherence(c["s", "t"].mean(0), c["s", "s"].mean(0), c["t", "t"].mean(0))
    theory = np.sqrt(1 / (1 + 0.3 * (1 + (ell / 600) ** 2)))  # sqrt(S / (S + N)) of what was put in
    ceiling = np.sqrt(spectra.signal_share(c["t", "t"].mean(0), c["n", "n"].mean(0)))
    np.testing.assert_allclose(rho, theory, atol=0.02)  # 400 tiles of 20 or more modes: 0.01
    np.testing.assert_allclose(ceiling, theory, atol=0.03)


def test_rho_has_no_unit_and_is_zero_for_a_constant():
    rng = np.random.default_rng(3)
    a = gaussian_field(5, lambda ell: 1 / (1 + ell), rng)
    fields = {"a": a, "b": -3 * a + 7, "c": np.full_like(a, 2.0)}
    _, c = banded(fields, [("a", "a"), ("b", "b"), ("a", "b"), ("c", "c"), ("a", "c")])
    np.testing.assert_allclose(
        spectra.coherence(c["a", "b"], c["a", "a"], c["b", "b"]), -1, rtol=1e-9
    )
    assert np.abs(spectra.coherence(c["a", "c"], c["a", "a"], c["c", "c"])).max() <= 1
    assert (spectra.coherence(np.zeros(3), np.ones(3), np.zeros(3)) == 0).all()


def test_plane_wave_lands_in_its_own_band():
    y, x = np.mgrid[:N, :N] * PIXEL
    ell = 1100.0
    _, c = banded({"a": np.cos(ell * (0.6 * x + 0.8 * y))[None]}, [("a", "a")])
    power = c["a", "a"][0]
    assert power.argmax() == 3 and power[3] > 20 * np.delete(power, 3).max()  # 398 + 3 x 234 = 1100


@pytest.mark.parametrize(("n", "count"), [(32, 7), (64, 8), (128, 8)])
def test_bands_beyond_the_nyquist_multipole_are_left_out(n, count):
    ell, matrix = spectra.bands(n, TILE_DEG, 398, 234, 8)
    assert len(ell) == count and matrix.shape == (n * (n // 2 + 1), count)
    assert ell[-1] + 117 <= 180 / TILE_DEG * n
    np.testing.assert_allclose(matrix.sum(0), 1)


def test_beam_power_of_15_arcmin_falls_to_a_tenth_at_819_and_a_twentieth_at_934():
    np.testing.assert_allclose(
        spectra.beam_power(np.array([819, 934, 1158]), 15), [0.1, 0.05, 0.01], rtol=0.01
    )
