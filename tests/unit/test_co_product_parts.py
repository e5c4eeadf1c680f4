"""Parts of a product that need no model: error, mask bits, keywords, footprints, power."""

import healpy as hp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from astropy.coordinates import SkyCoord
from test_co_sphere import smooth_sky

from skyloom.cli import BadInput
from skyloom.co.products import footprints, power, write

NSIDE = 128

# --- error, mask, keywords ------------------------------------------------------------------------


def member(seed=0, n=6, value=1.0, **extra) -> xr.Dataset:
    names = {"prediction": value, "disagreement": 0.2, "known": 1.0} | extra
    planes = {name: ("pixel", np.full(n, v, np.float32)) for name, v in names.items()}
    attrs = {
        "nside": NSIDE,
        "model": "fake",
        "seed": seed,
        "digest": "0123456789abcdef",
        "line": "10",
        "tiles": 3,
    }
    attrs |= {
        "beam_arcmin": 16.0,
        "closure_rms": 0.003,
        "seam": 0.01,
        "samples": 0,
        "data_kind": "simulated",
    }
    return xr.Dataset(planes, {"pixel": np.arange(n, dtype=np.int32)}, attrs)


def test_variances_of_model_tiles_and_seeds_add():
    skies = [member(0, value=1.0, spread=0.3), member(1, value=2.0, spread=0.5)]
    intensity, error, realisation, made_of = write.join_seeds(skies, ["a", "b"])
    assert intensity[0] == 1.5 and realisation is None and made_of == "spread+seeds+tiles"
    assert error[0] ** 2 == pytest.approx((0.3**2 + 0.5**2) / 2 + 0.5 + 0.2**2, rel=1e-6)
    *_, error, _, made_of = write.join_seeds([member()], ["a"])
    assert np.isnan(error).all() and made_of == "none"
    _, error, realisation, made_of = write.join_seeds(
        [member(sample_std=9, spread=0.4, realisation=7)], ["a"]
    )
    assert error[0] ** 2 == pytest.approx(0.4**2 + 0.2**2, rel=1e-6) and realisation[0] == 7
    assert made_of == "spread+tiles"
    _, error, _, made_of = write.join_seeds([member(sample_std=0.3, realisation=7)], ["a"])
    assert (
        error[0] ** 2 == pytest.approx(0.3**2 + 0.2**2, rel=1e-6) and made_of == "sample_std+tiles"
    )
    with pytest.raises(BadInput, match="b: another area or NSIDE than a"):
        write.join_seeds([member(), member(n=5)], ["a", "b"])


def test_realisation_has_its_own_seam_and_mass_in_the_header():
    skies = [member(0, value=1.0, realisation=3.0), member(1, value=2.0, realisation=9.0)]
    for sky_of, seam in zip(skies, (0.2, 0.3), strict=True):
        sky_of.attrs["seam_realisation"] = seam
    intensity, _, realisation, made_of = write.join_seeds(skies, ["a", "b"])
    facts = write.line_facts("10", skies, intensity, realisation, made_of)
    assert facts["SEAMR10"][0] == 0.3 and facts["MASSR10"][0] == 2.0 and facts["SEAM10"][0] == 0.01
    assert not {"SEAMR10", "MASSR10"} & set(
        write.line_facts("10", [member()], intensity, None, "none")
    )


def test_mask_bits_follow_their_definition():
    lon, lat = np.array([50.0, 50.0, 50.0, 120.0, 120.0]), np.array([0.0, 0.0, 45.0, 3.0, 8.0])
    pixel = hp.ang2pix(NSIDE, lon, lat, lonlat=True)
    found = member(n=5, known=1.0).assign_coords(pixel=pixel)
    found.known.values[0] = 0.4
    noise = np.full(hp.nside2npix(NSIDE), 0.5, np.float32)
    noise[pixel[1]] = np.nan  # replaced by the median
    views = pd.DataFrame({"glon": [120.0], "glat": [4.0], "angle": [30.0]})
    bits = write.mask_bits(found, np.array([10, 4.1, 10, 3.9, 10.0]), noise, 8.0, views, 3.0)
    assert bits.tolist() == [
        write.MISSING,
        0,
        write.EXTRAPOLATED,
        write.EXTRAPOLATED | write.TRAINED,
        0,
    ]


# --- footprints and power ------------------------------------------------------------------------


def test_area_of_a_box_is_that_of_the_sphere():
    box = {"frame": "galactic", "lon": [350, 20], "lat": [-60, -30], "least_b": 0}
    found = footprints.inside(256, box).sum() * hp.nside2pixarea(256, degrees=True)
    expected = 30 * np.degrees(np.sin(np.radians(60)) - np.sin(np.radians(30)))
    assert found == pytest.approx(expected, rel=0.01)
    assert footprints.inside(
        64, box | {"lon": [0, 360], "lat": [-90, 90], "least_b": 30}
    ).mean() == pytest.approx(0.5, rel=0.01)


def test_equatorial_box_agrees_with_astropy():
    box = {"frame": "equatorial", "lon": [300, 60], "lat": [-70, -40], "least_b": 0}
    lon, lat = hp.pix2ang(64, np.arange(hp.nside2npix(64)), lonlat=True)
    sky_of = SkyCoord(lon, lat, unit="deg", frame="galactic").icrs
    expected = (
        (np.abs((sky_of.ra.deg + 180) % 360 - 180) <= 60)
        & (sky_of.dec.deg >= -70)
        & (sky_of.dec.deg <= -40)
    )
    # the rotation of healpy agrees to some arcsec: pixels on the border may differ
    assert (footprints.inside(64, box) != expected).sum() < 5


def test_power_of_white_noise_is_its_variance_times_the_pixel_whatever_the_mask():
    noise = np.random.default_rng(0).normal(0, 2, hp.nside2npix(128))
    for outside in (True, False):
        cl = power.power(noise, noise, power.latitude_window(128, 20, outside), 200)
        # scatter of 40,000 modes on the sky, a third of them in the plane: 1 %
        assert cl[20:].mean() == pytest.approx(4 * hp.nside2pixarea(128), rel=0.04)


def test_returned_beam_is_the_quadrature_sum_of_beam_and_further_smoothing():
    original = smooth_sky(128, 120, 300, seed=3)
    wider = hp.smoothing(original, fwhm=np.radians(1), iter=1)
    found = power.returned_beam(wider, original, np.ones_like(original), 120.0)
    assert found == pytest.approx(np.hypot(120, 60), rel=0.005)
