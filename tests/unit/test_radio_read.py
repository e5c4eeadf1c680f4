"""Radio images as they are found: what is read, and what is refused by file and keyword."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from skyloom.cli import BadInput
from skyloom.radio.data.pixels import Pixels, release
from skyloom.radio.products import catalogue
from skyloom.radio.read import read_image, read_noise, smoothed

REAL = os.environ.get("SKYLOOM_REALDATA")
WITH_REAL = pytest.mark.skipif(not REAL, reason="SKYLOOM_REALDATA is not set")
CARDS = {
    "CTYPE1": "RA---SIN",
    "CTYPE2": "DEC--SIN",
    "CRVAL1": 150.0,
    "CRVAL2": 40.0,
    "CRPIX1": 20.0,
    "CRPIX2": 25.0,
    "CDELT1": -1.5 / 3600,
    "CDELT2": 1.5 / 3600,
    "BMAJ": 6 / 3600,
    "BMIN": 6 / 3600,
    "BPA": 90.0,
    "BUNIT": "Jy/beam",
}


def image(shape=(50, 40)) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1e-4, shape).astype(np.float32)


def write(path: Path, data=None, leave=(), **cards) -> Path:
    header = fits.Header({k: v for k, v in (CARDS | cards).items() if k not in leave})
    fits.PrimaryHDU(image() if data is None else data, header).writeto(path)
    return path


def test_image_has_its_beam_pixels_and_place(tmp_path):
    found = read_image(write(tmp_path / "a.fits"))
    assert found.data.shape == (50, 40) and found.pixel == pytest.approx(1.5)
    assert found.beam == pytest.approx((6, 6, 90)) and found.beam_pixels == pytest.approx(4)
    place = found.wcs.pixel_to_world(19, 24)
    assert (place.ra.deg, place.dec.deg) == pytest.approx((150, 40))


def test_degenerate_axes_of_any_order_are_left_out(tmp_path):
    cards = {"CTYPE3": "FREQ", "CTYPE4": "STOKES", "CRVAL3": 1.4e8, "CRVAL4": 1.0}
    first = read_image(write(tmp_path / "a.fits", image()[None, None], **cards))
    np.testing.assert_array_equal(first.data, image())
    turned = {"CTYPE1": "STOKES", "CTYPE2": "RA---SIN", "CTYPE3": "DEC--SIN", "CRVAL1": 1.0}
    turned |= {"CRVAL2": 150.0, "CRVAL3": 40.0, "CRPIX2": 20.0, "CRPIX3": 25.0, "CDELT1": 1.0}
    turned |= {"CDELT2": -1.5 / 3600, "CDELT3": 1.5 / 3600}
    second = read_image(write(tmp_path / "b.fits", image()[:, :, None], **turned))
    np.testing.assert_array_equal(second.data, image())
    swapped = {"CTYPE1": "DEC--SIN", "CTYPE2": "RA---SIN", "CRVAL1": 40.0, "CRVAL2": 150.0}
    swapped |= {"CDELT1": 1.5 / 3600, "CDELT2": -1.5 / 3600}
    third = read_image(write(tmp_path / "c.fits", image().T, **swapped))
    np.testing.assert_array_equal(third.data, image())


@pytest.mark.parametrize("text", ["JY/BEAM", "Jy beam-1", "mJy/beam", " jy/beam "])
def test_spellings_of_the_unit(tmp_path, text):
    found = read_image(write(tmp_path / "a.fits", BUNIT=text))
    scale = 1e-3 if text.startswith("m") else 1
    np.testing.assert_allclose(found.data, scale * image(), rtol=1e-6)


@pytest.mark.parametrize(
    ("leave", "cards", "message"),
    [
        ((), {"BUNIT": "K"}, "BUNIT is 'K'; expected one of Jy/beam"),
        (("BUNIT",), {}, "no BUNIT; expected Jy/beam. State unit"),
        (("BMAJ",), {}, "BMAJ is None; expected the FWHM of the beam"),
        ((), {"BMAJ": 6.0}, "BMAJ is 6; expected degrees"),
        ((), {"BMAJ": 0.1, "BMIN": 0.1}, "the beam of 360 arcsec is wider than the image"),
        (("CTYPE1", "CTYPE2"), {}, r"no celestial WCS \(CTYPE1, CTYPE2: none, none\)"),
        ((), {"CDELT2": 3 / 3600}, "pixels of 1.5 x 3 arcsec"),
    ],
)
def test_header_that_says_too_little_is_refused_by_its_keyword(tmp_path, leave, cards, message):
    path = write(tmp_path / "a.fits", leave=leave, **cards)
    with pytest.raises(BadInput, match=message) as refused:
        read_image(path)
    assert str(path) in str(refused.value)


def test_stated_values_take_the_place_of_missing_ones(tmp_path):
    leave = ("BUNIT", "BMAJ", "BMIN", "BPA", "CTYPE1", "CTYPE2", "CDELT1", "CDELT2")
    stated = {"unit": "mJy/beam", "beam_arcsec": 6, "pixel_arcsec": 1.5, "centre": [10, -30]}
    found = read_image(write(tmp_path / "a.fits", leave=leave), stated)
    assert found.beam == (6, 6, 0) and found.pixel == pytest.approx(1.5)
    np.testing.assert_allclose(found.data, 1e-3 * image(), rtol=1e-6)
    assert found.wcs.pixel_to_world(19.5, 24.5).dec.deg == pytest.approx(-30)


def test_file_that_is_no_whole_fits_is_refused(tmp_path):
    page = tmp_path / "page.fits"
    page.write_text("<!DOCTYPE html><html><body>outside of the survey</body></html>")
    with pytest.raises(BadInput, match="is a web page; expected FITS"):
        read_image(page)
    cut = write(tmp_path / "cut.fits")
    cut.write_bytes(cut.read_bytes()[:6000])
    with pytest.raises(BadInput, match="cut short: 6000 bytes, but its header announces"):
        read_image(cut)
    with pytest.raises(BadInput, match="no such file"):
        read_image(tmp_path / "none.fits")
    with pytest.raises(BadInput, match="0.0% of its pixels are finite"):
        read_image(write(tmp_path / "nan.fits", np.full((50, 40), np.nan, np.float32)))
    with pytest.raises(BadInput, match="axis FREQ has 3 planes; expected one"):
        cube = np.stack([image()] * 3)
        read_image(write(tmp_path / "cube.fits", cube, CTYPE3="FREQ", CRVAL3=1e8))


def test_noise_of_another_shape_is_refused(tmp_path):
    found = read_image(write(tmp_path / "a.fits"))
    other = write(tmp_path / "rms.fits", np.abs(image((30, 40))))
    with pytest.raises(BadInput, match=r"has \(30, 40\) pixels; expected \(50, 40\)"):
        read_noise(other, found)


def test_smoothing_keeps_the_flux_of_a_source(tmp_path):
    y, x = np.mgrid[:120, :120] - 60
    data = np.exp(-0.5 * (x**2 + y**2) / (12 / 2.3548) ** 2).astype(np.float32)  # 12 pixels
    path = write(tmp_path / "a.fits", data, BMAJ=9 / 3600, BMIN=6 / 3600)
    before = read_image(path)
    after = smoothed(before, 20.0)
    fluxes = [np.nansum(i.data) / i.beam_area for i in (before, after)]
    assert fluxes[1] == pytest.approx(fluxes[0], rel=0.01)
    with pytest.raises(BadInput, match="cannot be smoothed to 8 arcsec"):
        smoothed(before, 8.0)


def test_table_of_clusters_without_coordinates_is_refused(tmp_path):
    path = tmp_path / "clusters.fits"
    Table({"NAME": ["A1"], "RAJ2000": [10.0], "DEJ2000": [20.0]}).write(path)
    with pytest.raises(BadInput, match="no column 'ra' for ra .* found NAME, RAJ2000, DEJ2000"):
        catalogue.clusters(path, {})
    columns = {"name": "NAME", "ra": "RAJ2000", "dec": "DEJ2000"}
    assert catalogue.clusters(path, columns)["ra"][0] == 10
    Table({"ra": [10.0, np.nan], "dec": [20.0, 1.0]}).write(tmp_path / "nan.fits")
    with pytest.raises(BadInput, match=r"column ra has 1 value\(s\) that are none, .* row 2"):
        catalogue.clusters(tmp_path / "nan.fits", {})


def test_scaled_integers_are_read_by_parts_with_their_scale_and_blanks(tmp_path):
    stored = np.arange(2000, dtype=np.int16).reshape(50, 40)
    hdu = fits.PrimaryHDU(stored, fits.Header(CARDS | {"BUNIT": "mJy/beam"}))
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.5, 10.0, 7
    hdu.writeto(tmp_path / "a.fits")
    found = read_image(tmp_path / "a.fits")
    expected = 1e-3 * (0.5 * stored.astype(float) + 10)
    expected[0, 7] = np.nan
    np.testing.assert_allclose(found.data, expected, rtol=1e-6)
    np.testing.assert_allclose(found.data[3:5, ::2], expected[3:5, ::2], rtol=1e-6)
    assert isinstance(found.data, Pixels) and found.data.stored.dtype == ">i2"


def test_released_pixels_are_read_again(tmp_path):
    found = read_image(write(tmp_path / "a.fits"))
    np.testing.assert_array_equal(found.data, image())
    release(found.data)
    np.testing.assert_array_equal(found.data, image())
    release(image())  # not mapped: nothing to give back


@WITH_REAL
def test_real_headers_are_read_or_refused():
    folder = Path(REAL) / "radio"
    halo = read_image(folder / "a2744_jvla_1500mhz.fits")
    assert halo.data.shape == (384, 384) and halo.beam[:2] == pytest.approx(
        (13.23, 13.23), abs=0.01
    )
    assert read_image(folder / "scorpio_atca_extended_field.fits").beam[0] == pytest.approx(
        6.5, 0.2
    )
    border = read_image(folder / "compact_field_nan_border_1904-66.fits")
    assert np.isnan(border.data).sum() == 14837
    for name in ("sidelobe_artefact.fits", "3c353_model_fr2.fits", "first_fr2_j000315.fits"):
        with pytest.raises(BadInput, match="WCS|BUNIT|BMAJ"):
            read_image(folder / name)
    stated = {"pixel_arcsec": 1.8, "centre": [0.8, 0.0]}
    assert read_image(folder / "first_fr2_j000315.fits", stated).pixel == pytest.approx(1.8)
