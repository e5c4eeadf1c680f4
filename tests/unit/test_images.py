"""FITS images: chosen by extension or dimensions, and every refusal with its message."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from astropy.io import fits

from skyloom.cli import BadInput
from skyloom.images import opened, read_image, require_unit

MAP = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
CUBE = np.random.default_rng(1).normal(size=(3, 6, 8)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    """A file with an empty primary HDU, a map, a cube and a table."""
    table = fits.BinTableHDU.from_columns([fits.Column("T", "E", array=MAP[0])], name="HITS")
    images = fits.ImageHDU(MAP, name="DUST"), fits.ImageHDU(CUBE, name="LINE")
    images[0].header["BUNIT"] = "mag"
    fits.HDUList([fits.PrimaryHDU(), *images, table]).writeto(tmp_path / "a.fits")
    return tmp_path / "a.fits"


def test_first_image_of_the_dimensions_is_read_with_its_header(path):
    values, header = read_image(path, 2)
    assert values.dtype == np.float64 and header["BUNIT"] == "mag"
    np.testing.assert_array_equal(values, MAP)
    np.testing.assert_array_equal(read_image(path, 3)[0], CUBE)


def test_extension_is_taken_by_its_name_in_any_case(path):
    np.testing.assert_array_equal(read_image(path, 3, extension="line")[0], CUBE)
    message = r"extension flux not found \(extensions: primary, dust, line\)"
    with pytest.raises(BadInput, match=message):
        read_image(path, 2, extension="FLUX")


def test_error_map_is_never_the_first_choice(tmp_path):
    named = {
        name: fits.ImageHDU(MAP + k, name=name)
        for k, name in enumerate(("ERROR", "N", "WEIGHT", "TEMPERATURE"))
    }
    fits.HDUList([fits.PrimaryHDU(), *list(named.values())[:3]]).writeto(tmp_path / "a.fits")
    np.testing.assert_array_equal(read_image(tmp_path / "a.fits", 2)[0], named["N"].data)
    fits.HDUList([fits.PrimaryHDU(), *named.values()]).writeto(tmp_path / "b.fits")
    message = "images of 2 axes are error, n, weight, temperature; expected one: name its extension"
    with pytest.raises(BadInput, match=message):
        read_image(tmp_path / "b.fits", 2)
    np.testing.assert_array_equal(
        read_image(tmp_path / "b.fits", 2, extension="error")[0], named["ERROR"].data
    )
    fits.HDUList([fits.PrimaryHDU(), named["ERROR"]]).writeto(tmp_path / "c.fits")
    with pytest.raises(BadInput, match="images of 2 axes are error; expected one: name its"):
        read_image(tmp_path / "c.fits", 2)
    fits.HDUList([fits.PrimaryHDU(MAP), named["TEMPERATURE"]]).writeto(tmp_path / "d.fits")
    np.testing.assert_array_equal(read_image(tmp_path / "d.fits", 2)[0], MAP)


def test_compressed_image_is_read(tmp_path):
    image = fits.CompImageHDU((MAP * 1000).astype(np.int32))
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / "a.fits.fz")
    np.testing.assert_array_equal(read_image(tmp_path / "a.fits.fz", 2)[0], image.data)


def test_scaled_integers_and_axes_of_length_one_are_read_as_astropy_scales_them(tmp_path):
    image = fits.PrimaryHDU(CUBE[:1][None].copy())  # scaled in place
    image.scale("int16", bscale=0.01, bzero=3)
    image.writeto(tmp_path / "a.fits")
    values, header = read_image(tmp_path / "a.fits", 2)
    assert header["NAXIS"] == 4 and values.shape == (6, 8)
    np.testing.assert_allclose(values, CUBE[0], atol=0.0051)


def test_image_of_other_dimensions_is_refused_with_its_shape(path, tmp_path):
    with pytest.raises(BadInput, match=r"shape \(6, 8\); expected an image of 3 axes"):
        read_image(path, 3, extension="dust")
    with pytest.raises(BadInput, match=r"\(6, 8\), \(3, 6, 8\); expected an image of 4 axes"):
        read_image(path, 4)
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(BadInput, match="image of shape none; expected an image of 2 axes"):
        read_image(tmp_path / "empty.fits", 2)


def test_image_without_a_valid_pixel_is_refused(tmp_path):
    fits.PrimaryHDU(np.full((4, 4), np.nan)).writeto(tmp_path / "a.fits")
    with pytest.raises(BadInput, match=r"a\.fits: no valid pixel"):
        read_image(tmp_path / "a.fits", 2)


def test_missing_file_is_refused_in_the_words_of_the_reader(tmp_path):
    with pytest.raises(BadInput, match="no such file; expected a map of dust"):
        read_image(tmp_path / "a.fits", 2, expected="a map of dust")
    (tmp_path / "a.fits").write_text("<!DOCTYPE html><html>moved</html>")
    with pytest.raises(BadInput, match="not a FITS file: begins b'<!DOCTYPE"):
        read_image(tmp_path / "a.fits", 2)
    with pytest.raises(BadInput, match="is a folder; expected a FITS image"):
        read_image(tmp_path, 2)


@pytest.mark.parametrize("kept", [0, 100, 2880, 3000, 5000, 25_000, 26_100, 30_000])
def test_file_cut_short_is_refused(tmp_path, kept):
    """In the first header, its image, the header of the second image, and that image."""
    image = np.tile(MAP, (10, 10))
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(image)]).writeto(tmp_path / "a.fits")
    data = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits").write_bytes(data[:kept])
    with pytest.raises(BadInput, match=r"a\.fits: cut short"):
        read_image(tmp_path / "a.fits", 2)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["a.fits.gz", "A.FITS.GZ", "b.fits", "b.bz2"])
def test_compressed_file_is_known_by_its_first_bytes(path, compress, name):
    packed = path.with_name(name)
    packed.write_bytes(compress(path.read_bytes()))
    np.testing.assert_array_equal(read_image(packed, 2)[0], MAP)
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(BadInput, match=rf"{name}: cut short: .*; fetch it again"):
        read_image(packed, 2)


def test_compressed_file_that_is_damaged_or_holds_no_fits_is_not_called_cut_short(path):
    packed = path.with_name("b.fits.gz")
    data = bytearray(gzip.compress(path.read_bytes()))
    data[-6] ^= 1  # in the checksum
    packed.write_bytes(data)
    with pytest.raises(BadInput, match=r"b\.fits\.gz: damaged: CRC check failed"):
        read_image(packed, 2)
    packed.write_bytes(gzip.compress(b"1 2 3"))
    with pytest.raises(BadInput, match="not a FITS file: begins b'1 2 3'"):
        read_image(packed, 2)


def test_plain_file_named_gz_is_read(path):
    np.testing.assert_array_equal(read_image(path.rename(path.with_name("a.fits.gz")), 2)[0], MAP)


def test_mapped_file_gives_the_same_pixels(path):
    with opened(path, memmap=True) as hdus:
        np.testing.assert_array_equal(hdus["DUST"].data, MAP)


@pytest.mark.parametrize(
    ("unit", "expected"), [("K km s-1", "K_RJ km/s"), ("MJy/sr", "MJy/sr"), ("1/cm^2", "cm-2")]
)
def test_spellings_of_a_unit_pass(unit, expected):
    require_unit("a.fits", "the image", unit, expected)


def test_other_and_absent_units_are_refused():
    with pytest.raises(BadInput, match="a.fits: the image is in 'mJy/sr'; expected MJy/sr"):
        require_unit("a.fits", "the image", "mJy/sr", "MJy/sr")
    for absent in (None, "", "  "):
        with pytest.raises(BadInput, match="a.fits: the image has no unit; expected K"):
            require_unit("a.fits", "the image", absent, "K")
        require_unit("a.fits", "the image", absent, "K", lenient=True)
