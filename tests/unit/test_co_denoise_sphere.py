"""The denoiser on the sphere against its definition, geometry, and known noise and truth."""

import healpy as hp
import numpy as np
import pytest

from skyloom.co.denoise import sphere
from skyloom.co.simulate.fields import gaussian_field, noise_field, smooth

NOISE = 0.45  # [K km/s]


def clouds(nside, ell0=10.0):
    """Lognormal clouds [K km/s] with a beam of 8 pixels at any NSIDE, and white noise."""
    scale, config = 2048 / nside, {"nside": nside, "seed": 3}
    field, variance = gaussian_field("sky", lambda ell: (ell * scale + ell0) ** -2.8, config)
    truth = smooth(2 * np.exp(field / np.sqrt(variance)), 15 * scale)
    return truth, NOISE * np.random.default_rng(nside).standard_normal(truth.size).astype(
        np.float32
    )


def exact_disc(values, alpha, sky, pixels, radius):
    """The definition in float64: each pixel's own disc, the weight of every pixel in it."""
    nside, values = hp.npix2nside(sky.size), values.astype(float)
    means = []
    for pixel, centre in zip(pixels, np.transpose(hp.pix2vec(nside, pixels)), strict=True):
        disc = hp.query_disc(nside, centre, radius)
        weight = np.exp(-((values[disc] - values[pixel]) ** 2).sum(1) / (2 * alpha**2))
        means.append(weight @ sky[disc] / weight.sum())
    return np.array(means)


# --- features ------------------------------------------------------------------------------------


def test_derivatives_are_those_of_a_known_function():
    # sin^2 theta cos 2 phi has l = 2 only; 1e-6 is the error of the quadrature over the pixels
    nside = 32
    theta, phi = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)))
    sin, cos, c2, s2 = np.sin(theta), np.cos(theta), np.cos(2 * phi), np.sin(2 * phi)
    alm = hp.map2alm(sin**2 * c2, lmax=2, iter=8)
    expected = (
        sin**2 * c2,
        2 * sin * cos * c2,
        -2 * sin * s2,
        (4 - 2 * sin**2) * c2,
        -2 * cos * s2,
    )
    for found, known in zip(sphere.derivatives(alm, 2, nside), expected, strict=True):
        np.testing.assert_allclose(found, known, atol=1e-6)


def test_features_turn_with_the_sky():
    # a general rotation; the difference is the bilinear interpolation of the rotated feature maps
    nside, lmax = 128, 24
    np.random.seed(2)  # noqa: NPY002 healpy draws from the global state
    alm = hp.synalm(1 / (1 + np.arange(lmax + 1.0)) ** 2, lmax=lmax, new=True)
    turn = hp.Rotator(rot=(40.0, 25.0, 70.0))
    sky, turned = hp.alm2map(alm, nside), hp.alm2map(turn.rotate_alm(alm, lmax=lmax), nside)
    before, after = (sphere.features(plane, 600.0).values.T for plane in (sky, turned))
    there = hp.vec2ang(np.transpose(turn.I(np.array(hp.pix2vec(nside, np.arange(sky.size))))))
    for k, (one, other) in enumerate(zip(before, after, strict=True)):
        off = np.abs(hp.get_interp_val(one, *there) - other) / np.std(one)
        # in units of the scatter of the feature; the third is undefined at extrema and saddles and
        # steep around them, where bilinear interpolation between pixels of half a degree fails
        assert np.median(off) < 0.004 and np.quantile(off, 0.9) < 0.03, f"feature {k + 1}"
        assert k == 2 or np.quantile(off, 0.99) < 0.03, f"feature {k + 1}"


def test_a_mirrored_sky_changes_the_sign_of_the_skeleton_only():
    # value and gradient are scalars, the skeleton is a pseudo-scalar; phi -> -phi maps pixels to
    # pixels
    nside = 32
    truth, noise = clouds(nside)
    theta, phi = hp.pix2ang(nside, np.arange(truth.size))
    mirror = hp.ang2pix(nside, theta, -phi)
    sky = (truth + noise).astype(float)
    there, here = (
        sphere.features(sky[mirror], 300.0).values,
        sphere.features(sky, 300.0).values[mirror],
    )
    np.testing.assert_allclose(there * [1, 1, -1], here, rtol=1e-3, atol=1e-3)


# --- the weighted mean ---------------------------------------------------------------------------


def test_disc_that_holds_the_whole_sky_gives_the_definition():
    # all pixels then have the same disc, so that only the rounding of float32 differs
    truth, noise = clouds(32)
    sky, pixels = truth + noise, np.arange(0, truth.size, 97)
    found = sphere.features(sky, 300.0)
    ours = sphere.average(sky[:, None], found, pixels, 0.3, np.pi)[:, 0]
    np.testing.assert_allclose(
        ours, exact_disc(found.values, 0.3, sky, pixels, np.pi), atol=1e-4 * NOISE
    )


def test_shared_disc_denoises_as_well_as_the_exact_one():
    # the aim is 1.10; the discs share five sixths of their pixels, and the rest are statistically
    # the same
    truth, noise = clouds(128)
    sky, radius = truth + noise, sphere.disc_radius(128, 15.0, 64)
    pixels = np.random.default_rng(0).choice(truth.size, 400, replace=False)
    found = sphere.features(sky, 240.0)
    ours = sphere.average(sky[:, None], found, pixels, 0.2, radius)[:, 0]
    exact = exact_disc(found.values, 0.2, sky, pixels, radius)
    mine, theirs = (np.sqrt(np.mean((out - truth[pixels]) ** 2)) for out in (ours, exact))
    assert theirs < 0.8 * NOISE  # the definition denoises
    assert mine < 1.03 * theirs


def test_alpha_means_the_same_at_each_nside():
    # Clouds of one size in pixels at three NSIDEs, none as large as the sky, scatter by 15 %. A
    # noise scale of norm / pixels would double the effective alpha at each doubled NSIDE, and twice
    # the alpha leaves half of the noise.
    left = {}
    for nside in (64, 128, 256):
        truth, noise = clouds(nside, ell0=300.0)
        found = sphere.features(truth + noise, 15 * 2048 / nside)
        pixels = hp.nest2ring(
            nside, np.arange(0, truth.size, truth.size // 48)[:, None] + np.arange(64)
        ).ravel()
        for alpha in (0.2, 0.4):
            _, kept = sphere.average(
                np.column_stack([truth, noise]), found, pixels, alpha, 16 / nside
            ).T
            left[nside, alpha] = np.std(kept) / np.std(noise[pixels])
    reduction = np.array([left[nside, 0.2] for nside in (64, 128, 256)])
    assert np.ptp(reduction) < 0.15 * reduction.mean()
    assert all(left[nside, 0.4] < 0.6 * left[nside, 0.2] for nside in (64, 128, 256))


def test_masked_pixels_stay_masked_have_no_weight_and_do_not_change_their_surroundings():
    truth, noise = clouds(64)
    sky, null = (truth + noise).astype(np.float32), noise[::-1].copy()
    centre = hp.pix2vec(64, 20000)
    hole, around = (hp.query_disc(64, centre, np.radians(size)) for size in (8, 24))
    holed = sky.copy()
    holed[hole] = np.nan
    settings = {"fwhm_arcmin": 480.0, "alpha": 0.2, "reach": 16}
    full, _, _ = sphere.denoise_sky(sky, null, np.ones(sky.size, bool), settings)
    part, null_part, _ = sphere.denoise_sky(holed, null, np.ones(sky.size, bool), settings)
    assert np.array_equal(np.isnan(part), np.isnan(holed))
    # unchanged where the signal is unknown
    np.testing.assert_array_equal(null_part[hole], null[hole])
    rim = np.setdiff1d(around, hole)
    # within 16 deg of a hole of 16 deg a part of the disc is missing
    assert np.std(part[rim] - full[rim]) < 0.3 * NOISE
    far = np.setdiff1d(np.arange(sky.size), hp.query_disc(64, centre, np.radians(60)))
    # sigma and rho of the whole sky change a little
    assert np.std(part[far] - full[far]) < 0.02 * NOISE


def test_mean_is_taken_over_the_region_of_the_pixel_only():
    truth, noise = clouds(32)
    found = sphere.features(truth + noise, 300.0)
    region = (hp.pix2vec(32, np.arange(truth.size))[2] > 0).astype(np.int8)
    foreign = np.where(region == 1, 1e6, truth)[:, None].astype(np.float32)
    pixels = np.flatnonzero(region == 0)
    np.testing.assert_array_equal(
        sphere.average(foreign, found, pixels, 0.3, 0.5, region),
        sphere.average(truth[:, None], found, pixels, 0.3, 0.5, region),
    )
    # without regions they would
    assert (sphere.average(foreign, found, pixels, 0.3, 0.5) > 1e3).any()


def test_outside_the_bright_area_the_raw_value_stays():
    truth, noise = clouds(64)
    snr = np.zeros(truth.size)
    snr[[100, 30000]] = 9
    area = sphere.bright_area(snr, 8.0, 5.0)
    lonlat = hp.pix2ang(64, np.arange(truth.size), lonlat=True)
    angle = np.degrees(
        np.min(
            [
                hp.rotator.angdist(lonlat, hp.pix2ang(64, p, lonlat=True), lonlat=True)
                for p in (100, 30000)
            ],
            0,
        )
    )
    # the margin is widened by a few coarse pixels
    assert area[angle < 5].all() and not area[angle > 8].any()
    sky = truth + noise
    out, _, _ = sphere.denoise_sky(
        sky, noise, area, {"fwhm_arcmin": 480.0, "alpha": 0.2, "reach": 16}
    )
    assert np.array_equal(out != sky, area)


def test_error_left_is_the_share_of_the_null_map_that_is_left():
    null = noise_field("null", 0.0, {"nside": 64, "seed": 1})
    north = hp.pix2vec(64, np.arange(null.size))[2] > 0
    left = sphere.error_left(np.full(null.size, NOISE), null, np.where(north, 0.5 * null, null))
    z = hp.pix2vec(64, np.arange(null.size))[2]
    # the average over two degrees holds ten pixels of NSIDE 64, which blur the border at z = 0
    assert np.median(left[z > 0.2]) == pytest.approx(0.5 * NOISE, rel=0.03)
    assert np.median(left[z < -0.2]) == pytest.approx(NOISE, rel=0.03)
