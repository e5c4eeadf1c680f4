"""The study's readers, guards and fits on real maps reproduce numbers found independently of this
code.

Reference values: the README of the data folder. Tolerances are half a unit of the last digit given
there, unless said.
"""

from dataclasses import replace

import healpy
import numpy as np
import pytest
from scipy.stats import spearmanr

from skyloom.cli import BadInput
from skyloom.co.data import maps
from skyloom.co.physics import excess_co, fit_emissivity, fit_threshold
from skyloom.co.read import read_cube, read_extinction
from skyloom.healpix import HealpixTable, check_same_sky, read_healpix

OTHER = {"RING": "NESTED", "NESTED": "RING"}
MJY_SR_PER_UK_RJ = 24886e-6  # at 900 GHz: 2 k nu^2 / c^2


@pytest.fixture(scope="module")
def folder(realdata):
    return realdata / "co"


@pytest.fixture(scope="module")
def hi(folder):
    return read_healpix(folder / "hi4pi_nhi_nside64.fits", {"I": "cm-2"}, lenient=True)


@pytest.fixture(scope="module")
def dust(folder):
    return read_healpix(
        folder / "pysm_d5_dust_900GHz_nside64.fits", {"TEMPERATURE": "uK_RJ"}, lenient=True
    )


@pytest.fixture(scope="module")
def ebv(folder):
    return read_healpix(folder / "planck13_ebv_nside64.fits", {"I": "mag"}, lenient=True)


@pytest.fixture(scope="module")
def intensity(dust):
    return dust.maps[0] * MJY_SR_PER_UK_RJ


@pytest.fixture(scope="module")
def latitude():
    return np.abs(healpy.pix2ang(64, np.arange(healpy.nside2npix(64)), lonlat=True)[1])


def mislabelled(table: HealpixTable, label: str) -> HealpixTable:
    """What the reader returns where `label` is the wrong ordering of the pixels in the file."""
    wrong = {"n2r": True} if label == "NESTED" else {"r2n": True}
    return replace(table, maps=healpy.reorder(table.maps, **wrong).reshape(1, -1), ordering=label)


def log_correlation(first: HealpixTable, second: HealpixTable) -> float:
    return np.corrcoef(np.log(first.maps[0]), np.log(second.maps[0]))[0, 1]


def test_nside_given_as_a_string_and_a_unit_in_the_header_are_read(folder):
    path = folder / "pysm_d1_dust_353GHz_nside64.fits"
    table = read_healpix(path, {"I_STOKES": "uK_RJ"})  # not lenient: TUNIT and COORDSYS are there
    assert table.nside == 64 and table.data_kind == "survey"
    np.testing.assert_array_equal(
        table["I_STOKES"], healpy.read_map(path, field=0, dtype=np.float32)
    )


def test_percentiles_of_hi_and_dust(hi, intensity):
    found = np.percentile(hi["I"] / 1e20, [1, 5, 25, 50, 75, 95, 99, 100])
    np.testing.assert_allclose(
        found, [0.92, 1.22, 2.68, 5.30, 11.76, 51.5, 102.2, 219.5], rtol=5e-3
    )
    found = np.percentile(intensity, [1, 50, 95, 99, 99.9, 100])
    # 0.34 has two digits
    np.testing.assert_allclose(found, [0.34, 2.49, 34.7, 133.9, 566, 2145], rtol=1.5e-2)


def test_two_hi_surveys_agree(folder, hi):
    lab = read_healpix(folder / "lab_nhi_nside64.fits", {"I": "cm-2"}, lenient=True)
    assert np.corrcoef(np.float64(hi["I"]), np.float64(lab["I"]))[0, 1] == pytest.approx(
        0.9989, abs=5e-5
    )
    assert np.median(hi["I"] / lab["I"]) == pytest.approx(0.991, abs=5e-4)


def test_ordering_slip_takes_the_correlation_of_dust_and_reddening_from_099_to_045(dust, ebv):
    assert log_correlation(dust, ebv) == pytest.approx(0.992, abs=5e-4)
    assert log_correlation(mislabelled(dust, "NESTED"), ebv) == pytest.approx(0.45, abs=5e-3)


@pytest.mark.parametrize("label", ["NESTED", "RING"])
def test_guard_finds_the_slip_in_either_direction_and_in_either_map(hi, dust, ebv, label):
    assert check_same_sky(dust, hi, minimum=0.75) == pytest.approx(0.97, abs=5e-3)
    for table, reference in ((dust, hi), (hi, dust), (ebv, hi), (dust, ebv)):
        with pytest.raises(BadInput, match=f"when the map is read as {OTHER[label]}"):
            check_same_sky(mislabelled(table, label), reference)


@pytest.mark.parametrize("label", ["NESTED", "RING"])
@pytest.mark.parametrize("noise", [0.12, 0.45])
def test_guard_finds_the_slip_of_a_faint_noisy_co_map(hi, dust, intensity, noise, label):
    """CO from the dust excess, with the noise of Type 2 in a 15' beam (0.45) and in a pixel of 13
    beams (0.12).
    """
    w = excess_co(intensity, hi["I"] / 1e20, 0.4, -0.011, 2.0, 1.0)
    w = w + noise * np.random.default_rng(0).standard_normal(w.size)
    co = replace(hi, columns=("I10",), maps=np.float32(w)[None])
    check_same_sky(co, dust)
    with pytest.raises(BadInput, match=f"column I10 has .* the map is read as {OTHER[label]}"):
        check_same_sky(mislabelled(co, label), dust)


@pytest.mark.parametrize(
    ("fault", "found", "reading"),
    [
        ("celestial", -0.065, "turned from celestial to Galactic"),
        ("mirrored", 0.633, "mirrored east-west"),
        ("noise", 0.0, None),
    ],
)
def test_co_of_another_frame_or_none_is_refused_by_its_correlation_with_dust(
    hi, intensity, fault, found, reading
):
    """The correlations were measured apart from this code, on the same excess of dust."""
    brightness = 0.87 * intensity
    w = excess_co(brightness, hi["I"] / 1e20, 0.348, 0.0, 2.0, 1.5)
    rng = np.random.default_rng(0)
    w = w * np.exp(0.3 * rng.standard_normal(w.size)) + 0.45 * rng.standard_normal(w.size)
    lon, lat = healpy.pix2ang(64, np.arange(w.size), lonlat=True)
    place = {
        "celestial": healpy.Rotator(coord="CG")(lon, lat, lonlat=True),
        "mirrored": (-lon, lat),
        "noise": (lon, lat),
    }[fault]
    wrong = w[healpy.ang2pix(64, *place, lonlat=True)]
    wrong = 0.45 * rng.standard_normal(w.size) if fault == "noise" else wrong
    dust, co, bad = (
        replace(hi, columns=("I",), maps=np.float32(values)[None])
        for values in (brightness + 0.64, w, wrong)
    )
    assert check_same_sky(co, dust, 0.4) == pytest.approx(0.75, abs=0.01)
    with pytest.raises(BadInput) as refusal:
        check_same_sky(bad, dust, 0.4)
    text = str(refusal.value)
    number = float(text.split("has correlation ")[1].split()[0])
    assert number == pytest.approx(found, abs=0.01)
    assert f"it is 0.75 when the map is {reading}" in text if reading else "at least 0.4" in text


def test_guard_finds_the_slip_at_a_higher_nside_than_that_of_the_comparison(hi, dust):
    fine = replace(dust, maps=healpy.ud_grade(dust.maps[0], 256)[None], nside=256)
    check_same_sky(fine, hi, minimum=0.75)
    with pytest.raises(BadInput, match="when the map is read as NESTED"):
        check_same_sky(mislabelled(fine, "RING"), hi)


def test_dust_emissivity_of_the_atomic_sky(hi, intensity, latitude):
    column = hi["I"] / 1e20
    eps, offset, r = fit_emissivity(intensity, column, (latitude > 30) & (column < 3))
    assert (eps, offset, r) == pytest.approx((0.400, -0.011, 0.825), abs=5e-4)


def test_dust_excess_covers_the_expected_share_of_the_sky(hi, intensity, latitude):
    w = excess_co(intensity, hi["I"] / 1e20, eps=0.400, offset=0.0, x_factor=2.0, w0=0.0)
    assert [np.mean(w > limit) for limit in (1, 3.6, 10, 30)] == pytest.approx(
        [0.261, 0.128, 0.052, 0.019], abs=1e-3
    )
    assert np.mean(w[latitude < 10] > 3.6) == pytest.approx(0.543, abs=1e-3)
    assert np.sum(w[latitude > 20] > 3.6) / np.sum(latitude > 20) == pytest.approx(0.014, abs=1e-3)


@pytest.fixture(scope="module")
def l1448(folder):
    """W(13CO) [K km/s] of L1448 at full resolution, A_V [mag] on its grid (y, x), and the map that
    A_V is from.
    """
    cube = read_cube(folder / "l1448_13co.fits", assume_unit="K")
    assert cube.channel_width == pytest.approx(0.0664, abs=5e-5)
    extinction = read_extinction(folder / "perseus_av_2mass.fits", assume_unit="mag")
    w = maps.moment0(cube)
    return w, maps.regrid(extinction, w.wcs, w.values.shape), extinction


def test_integrated_intensity_of_l1448(l1448):
    w = l1448[0].values
    assert (w.min(), np.median(w), w.max()) == pytest.approx((0.001, 1.72, 7.39), abs=6e-3)


def test_regridding_equals_reproject(l1448):
    from reproject import reproject_interp

    w, av, extinction = l1448
    source = (extinction.values, extinction.wcs)
    expected, _ = reproject_interp(source, w.wcs, shape_out=w.values.shape, order="bilinear")
    # both bilinear; rounding of the coordinates
    np.testing.assert_allclose(av, expected, rtol=1e-7)
    assert (av.min(), av.max()) == pytest.approx((1.31, 6.04), abs=5e-3)


def test_co_of_l1448_follows_extinction_above_a_threshold_of_08_mag(l1448):
    w, av, _ = l1448
    smooth = maps.smooth_flat(w, 0.0, 5.0).values
    slope, threshold = fit_threshold(av, smooth)
    assert np.corrcoef(av.ravel(), smooth.ravel())[0, 1] == pytest.approx(0.888, abs=5e-4)
    assert spearmanr(av.ravel(), smooth.ravel()).statistic == pytest.approx(0.893, abs=5e-4)
    assert (slope, -slope * threshold, threshold) == pytest.approx((0.87, -0.70, 0.80), abs=5e-3)


def test_threshold_of_l1448_barely_depends_on_the_beam_of_the_telescope(l1448):
    """The reference smooths W by the full 5'; allowing for the telescope's 46" moves the threshold
    by 0.006 mag.
    """
    w, av, _ = l1448
    assert fit_threshold(av, maps.smooth_flat(w, 46 / 60, 5.0).values)[1] == pytest.approx(
        0.80, abs=0.01
    )
