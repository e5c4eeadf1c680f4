"""Tiles returned to the sphere: geometry against astropy's WCS, closure, coverage, seams."""

import healpy as hp
import numpy as np
import pytest
from astropy.wcs import WCS

from skyloom.co.data.sphere import Blend, footprint, uncovered
from skyloom.co.data.tiles import sample, tile_centres, tile_vectors

NSIDE, PIXELS, SIZE_DEG = 1024, 128, 3.0


def smooth_sky(nside: int, fwhm_arcmin: float, lmax: int, seed: int) -> np.ndarray:
    """A lognormal sky with C_l ~ l^-2.8 after a Gaussian beam, as steep as that of CO."""
    ell, m = hp.Alm.getlm(lmax)
    draws = np.random.default_rng(seed).standard_normal((2, len(ell)))
    alm = np.where(m > 0, draws[0] + 1j * draws[1], draws[0]) * np.where(
        ell > 1, np.maximum(ell, 1.0) ** -1.4, 0
    )
    field = hp.alm2map(hp.smoothalm(alm, fwhm=np.radians(fwhm_arcmin / 60)), nside, lmax=lmax)
    return np.exp(0.5 * field / field.std()).astype(np.float32)


def tiles_near(glon: float, glat: float, radius_deg: float):
    lon, lat = tile_centres(32)
    near = np.degrees(hp.rotator.angdist((glon, glat), (lon, lat), lonlat=True)) < radius_deg
    return list(zip(lon[near], lat[near], strict=True))


def returned(sky: np.ndarray, centres, gain=None, flat: bool = False) -> np.ndarray:
    """`sky` cut into tiles, each times its gain, and returned to the sphere."""
    nside = hp.get_nside(sky)
    blend = Blend(nside, 1)
    for k, (glon, glat) in enumerate(centres):
        tile = sample([sky], tile_vectors(glon, glat, 0.0, SIZE_DEG, PIXELS))[0].astype(np.float32)
        place = footprint(nside, glon, glat, SIZE_DEG, PIXELS)
        if flat:
            place.window[:] = 1
        blend.add(place, place.sample(tile) * (1 if gain is None else gain[k]))
    return blend.mean()[0]


@pytest.mark.parametrize(("glon", "glat"), [(0, 0), (209.1, -19.4), (359.5, 60), (120, 89.5)])
def test_pixels_of_a_tile_lie_where_the_wcs_standard_has_them(glon, glat):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["GLON-TAN", "GLAT-TAN"], [glon, glat]
    wcs.wcs.crpix, wcs.wcs.cdelt = [(PIXELS + 1) / 2] * 2, [-SIZE_DEG / PIXELS, SIZE_DEG / PIXELS]
    place = footprint(NSIDE, glon, glat, SIZE_DEG, PIXELS)
    column, row = wcs.wcs_world2pix(*hp.pix2ang(NSIDE, place.pixel, lonlat=True), 0)
    y, x = np.mgrid[:PIXELS, :PIXELS].astype(np.float32)
    found = place.sample(np.array([x, y]))
    # bilinear values of a plane are exact up to float32 at 128 pixels
    np.testing.assert_allclose(found, [column, row], atol=2e-5)
    for i in (column, row):
        # there is no tile pixel beyond
        assert (i > -1e-6).all() and (i < PIXELS - 1 + 1e-6).all()
    area = len(place.pixel) * hp.nside2pixarea(NSIDE, degrees=True)
    # the number is uncertain by a ring of pixels
    assert area == pytest.approx((SIZE_DEG * (PIXELS - 1) / PIXELS) ** 2, rel=0.03)


def test_tile_returned_to_the_sphere_closes_within_half_a_percent():
    sky = smooth_sky(NSIDE, 15, 1500, seed=1)
    # the beam is 4.4 pixels of the sphere; at survey size it is 8.7, which closes better
    back = returned(sky, tiles_near(120, 30, 7))
    inside = hp.query_disc(NSIDE, hp.ang2vec(120, 30, lonlat=True), np.radians(4))
    error = (back - sky)[inside]
    assert np.isfinite(error).all()
    assert error.std() < 0.005 * sky[inside].std()
    assert np.abs(error).max() < 0.05 * sky[inside].std()  # one pixel of the cores


def test_constant_comes_back_exactly_and_no_pixel_of_the_sky_is_uncovered():
    centres = np.column_stack(tile_centres(32))
    blend = Blend(128, 1)
    for glon, glat in centres:
        place = footprint(128, glon, glat, SIZE_DEG, 64)
        blend.add(place, place.sample(np.full((1, 64, 64), 3.0, np.float32)))
    assert (blend.window > 0).all()
    np.testing.assert_allclose(blend.mean()[0], 3, rtol=1e-6)  # float32


def test_coarser_centres_leave_gaps_that_are_counted():
    everywhere = np.ones(hp.nside2npix(64), bool)
    assert uncovered(*tile_centres(32), SIZE_DEG, PIXELS, everywhere) == 0
    gaps = uncovered(*tile_centres(16), SIZE_DEG, PIXELS, everywhere)
    # 3072 tiles of 3^2 square degrees cannot cover more than this of the sphere's 41,253
    assert gaps / everywhere.size > 1 - 3072 * SIZE_DEG**2 / 41253 > 0.3


def test_tiles_of_few_pixels_leave_the_gaps_of_the_blend():
    """A tile has values between its outermost pixel centres: four pixels of 3 deg cover 2.25."""
    blend = Blend(128, 1)
    for glon, glat in np.column_stack(tile_centres(32)):
        place = footprint(128, glon, glat, SIZE_DEG, 4)
        blend.add(place, np.ones((1, len(place.pixel)), np.float32))
    gaps = uncovered(*tile_centres(32), SIZE_DEG, 4, np.ones(blend.window.size, bool))
    assert gaps == np.count_nonzero(blend.window == 0) > 0


def test_window_removes_the_seams_of_tiles_that_disagree():
    """With 10 % random gain a tile, flat weights leave steps of this size."""
    # at NSIDE 2048 the steps of the window between pixels are half as high
    nside = 1024
    sky, centres = np.ones(hp.nside2npix(nside), np.float32), tiles_near(300, -50, 7)
    gain = 1 + 0.1 * np.random.default_rng(3).standard_normal(len(centres))
    inside = hp.query_disc(nside, hp.ang2vec(300, -50, lonlat=True), np.radians(4))
    neighbours = hp.get_all_neighbours(nside, inside)
    jump = {}
    for flat in (False, True):
        back = returned(sky, centres, gain, flat)
        jump[flat] = np.abs(back[neighbours] - back[inside]).max()
    assert jump[True] > 0.09  # one sigma of the gain, at the least
    assert jump[False] < 0.4 * jump[True] and jump[False] < 0.08


def test_masked_sky_carries_no_weight():
    nside = 256
    place = footprint(nside, 80, 10, SIZE_DEG, PIXELS)
    values = np.ones((1, len(place.pixel)), np.float32)
    values[0, :20], valid = 1e6, np.ones(len(place.pixel), np.float32)
    valid[:20] = 0
    blend = Blend(nside, 1)
    blend.add(place, values, valid)
    mean = blend.mean()[0]
    assert np.isnan(mean[place.pixel[:20]]).all() and (mean[place.pixel[20:]] == 1).all()
    assert (blend.window[place.pixel] > 0).all() and (blend.weight[place.pixel[:20]] == 0).all()
