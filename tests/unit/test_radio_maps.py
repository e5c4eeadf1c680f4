"""Maps of one's own simulations: what is read, refused, and where their flux goes."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from test_radio_simulate import SETTINGS

from skyloom.cli import BadInput
from skyloom.radio.data import patches
from skyloom.radio.simulate import field, maps
from skyloom.radio.simulate.field import DIFFUSE

REAL = os.environ.get("SKYLOOM_REALDATA")
WITH_REAL = pytest.mark.skipif(not REAL, reason="SKYLOOM_REALDATA is not set")


def power(n: int = 60) -> np.ndarray:
    y, x = np.mgrid[:n, :n] - n / 2
    return (1e29 * np.exp(-(x**2 + (y / 3) ** 2) / 20)).astype("<f4")


@pytest.fixture
def raw(tmp_path) -> Path:
    power().tofile(tmp_path / "map.dat")
    return tmp_path / "map.dat"


def test_raw_and_fits_maps_are_the_same_in_any_unit(raw, tmp_path):
    fits.PrimaryHDU(power() * 1e-7, fits.Header({"BUNIT": "W/Hz"})).writeto(tmp_path / "map.fits")
    one = maps.read_map(str(raw), "erg/s/Hz", 20.0, None)
    other = maps.read_map(str(tmp_path / "map.fits"), None, 20.0, None)
    np.testing.assert_allclose(one.power, other.power, rtol=1e-6)
    flux = power() / (4 * np.pi * (100 * 3.0857e24) ** 2 * 1e-23)
    fits.PrimaryHDU(flux.astype("f4")).writeto(tmp_path / "flux.fits")
    third = maps.read_map(str(tmp_path / "flux.fits"), "Jy", 20.0, 100.0)
    np.testing.assert_allclose(third.power, one.power, rtol=1e-3)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ((None, 20.0, None), "no BUNIT; state its unit"),
        (("erg/s/Hz", None, None), "says nothing of its pixels; state pixel_kpc"),
        (("Jy", 20.0, None), "state distance_mpc"),
        (("K", 20.0, None), "its unit is 'K'; expected erg/s/Hz"),
    ],
)
def test_map_that_says_too_little_is_refused(raw, stated, message):
    with pytest.raises(BadInput, match=message) as refused:
        maps.read_map(str(raw), *stated)
    assert str(raw) in str(refused.value)


def test_broken_maps_are_refused(tmp_path):
    path = tmp_path / "cut.dat"
    path.write_bytes(power().tobytes()[:-10])
    with pytest.raises(BadInput, match="14390 bytes; expected FITS, or a square"):
        maps.read_map(str(path), "erg/s/Hz", 20.0, None)
    values = power()
    values[3, 3] = np.nan
    values.tofile(tmp_path / "nan.dat")
    with pytest.raises(BadInput, match="negative or not finite"):
        maps.read_map(str(tmp_path / "nan.dat"), "erg/s/Hz", 20.0, None)


@pytest.mark.parametrize(("z", "pixel"), [(0.05, 1.5), (0.2, 1.5), (0.2, 6.0), (0.4, 4.5)])
def test_placed_map_has_the_flux_of_its_luminosity(raw, z, pixel):
    """Whatever pixels and angle: S = P (1 + z)^(1 - a) / (4 pi D_L^2)."""
    found = maps.read_map(str(raw), "erg/s/Hz", 20.0, None)
    distance, _ = maps.distances(z)
    expected = found.power.sum() * (1 + z) ** -0.3 / (4 * np.pi * distance**2 * 1e-23)
    rng = np.random.default_rng(0)
    for _ in range(5):
        box = maps.placed(found, z, 1.3, 400.0, 400.0, pixel, 800, rng)
        assert box.values.sum() == pytest.approx(expected, rel=0.03)


def test_distance_is_that_of_the_cosmology():
    """Ned Wright's calculator: z = 0.2, H0 = 70, Omega_M = 0.3: 980.0 Mpc, 3.300 kpc/arcsec."""
    distance, scale = maps.distances(0.2)
    assert distance / 3.0857e24 == pytest.approx(980, rel=1e-3)
    assert scale == pytest.approx(3.300, rel=1e-3)


def test_fields_of_maps_are_labelled_by_them_and_say_so(raw):
    stated = {"path": str(raw), "unit": "erg/s/Hz", "pixel_kpc": 20.0, "distance_mpc": None}
    own = SETTINGS | {"maps": [stated], "map_share": 1.0, "galaxies": 0, "redshift": [0.1, 0.11]}
    found = field.draw(own | {"diffuse": 16.0, "borders": 0.0}, np.random.default_rng(0))
    assert {kind for *_, kind in found.places} == {"map"} and (found.label == DIFFUSE).any()
    assert patches.shard(own, 0, 4).attrs["data_kind"] == "user-simulation"
    assert patches.shard(SETTINGS, 0, 4).attrs["data_kind"] == "simulated"


@WITH_REAL
def test_real_relic_is_the_same_as_fits_and_raw():
    folder = Path(REAL) / "radio/sim"
    one = maps.read_map(str(folder / "relic1_erg_s_hz.dat"), "erg/s/Hz", 32.0, None)
    other = maps.read_map(str(folder / "relic1.fits"), "Jy", 32.0, 100.0)
    bright = one.power > 0.1 * one.power.max()
    np.testing.assert_allclose(other.power[bright] / one.power[bright], 1.0, rtol=0.01)
