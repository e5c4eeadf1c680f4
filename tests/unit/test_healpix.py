"""HEALPix tables by column name: what is read, and what is refused with which message."""

import gzip

import healpy
import numpy as np
import pytest
from healpix_files import galactic_sky, to_nested, write_table

from skyloom.cli import BadInput
from skyloom.healpix import check_ordering, read_healpix

NSIDE = 8
RING = np.random.default_rng(0).normal(size=(2, healpy.nside2npix(NSIDE))).astype(np.float32)


def write(path, keywords=None, unit="MJy/sr", values=RING, per_row=16, **more):
    columns = {"I": (to_nested(values[0]), unit), "E": (to_nested(values[1]), unit)}
    return write_table(path, columns, {"NSIDE": NSIDE, **(keywords or {})}, per_row, **more)


@pytest.mark.parametrize("per_row", [1, 16])
def test_nested_columns_of_any_row_length_come_out_in_ring_order_as_healpy_reads_them(
    tmp_path, per_row
):
    path = write(tmp_path / "map.fits", per_row=per_row)
    table = read_healpix(path, {"E": "MJy/sr", "I": "MJy/sr"})
    np.testing.assert_array_equal(
        table["E"], RING[1]
    )  # exact: pixels are moved, never computed with
    np.testing.assert_array_equal(table["I"], healpy.read_map(path, field=0, dtype=np.float32))
    assert table.maps.dtype == np.float32 and table.nside == NSIDE and table.ordering == "NESTED"


def test_ring_file_and_gzip_file_read_the_same(tmp_path):
    path = write_table(
        tmp_path / "ring.fits", {"I": (RING[0], "MJy/sr")}, {"NSIDE": NSIDE, "ORDERING": "RING"}
    )
    (tmp_path / "ring.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    for name in ("ring.fits", "ring.fits.gz"):
        np.testing.assert_array_equal(read_healpix(tmp_path / name, {"I": "MJy/sr"})["I"], RING[0])


def test_unseen_bad_data_and_infinite_pixels_become_nan(tmp_path):
    values = RING.copy()
    values[0, :4] = healpy.UNSEEN, np.nan, np.inf, -999
    table = read_healpix(
        write(tmp_path / "map.fits", {"BAD_DATA": -999.0}, values=values), {"I": "MJy/sr"}
    )
    assert np.isnan(table["I"][values[0] != RING[0]]).all() and np.isnan(table["I"]).sum() == 4


def test_data_kind_is_survey_unless_the_header_says_otherwise(tmp_path):
    assert read_healpix(write(tmp_path / "a.fits"), {"I": "MJy/sr"}).data_kind == "survey"
    path = write(tmp_path / "b.fits", {"SKYKIND": "simulated"})
    assert read_healpix(path, {"I": "MJy/sr"}).data_kind == "simulated"


def test_keywords_in_the_primary_header_count_as_lambda_writes_them(tmp_path):
    there = {"ORDERING": "NESTED", "NSIDE": NSIDE, "SKYCOORD": "Galactic"}
    path = write(
        tmp_path / "map.fits", {"ORDERING": None, "NSIDE": None, "COORDSYS": None}, primary=there
    )
    np.testing.assert_array_equal(read_healpix(path, {"I": "MJy/sr"})["I"], RING[0])


@pytest.mark.parametrize(
    "spelling", ["K_RJ km/s", "K_RJ km/sec", "K km/s", "K km s-1", "K.km/s", "K_RJ km s^(-1)"]
)
def test_documented_spellings_of_a_unit_are_accepted(tmp_path, spelling):
    read_healpix(write(tmp_path / "map.fits", unit=spelling), {"I": "K_RJ km/s"})


@pytest.mark.parametrize(
    ("found", "expected"),
    [("K_CMB", "K_RJ km/s"), ("K_CMB km/s", "K_RJ km/s"), ("mJy/sr", "MJy/sr"), ("m-2", "cm-2")],
)
def test_another_unit_is_refused_by_file_column_and_both_units(tmp_path, found, expected):
    path = write(tmp_path / "map.fits", unit=found)
    with pytest.raises(
        BadInput, match=rf"map\.fits: column I is in '{found}'; expected {expected}"
    ):
        read_healpix(path, {"I": expected})


def test_missing_unit_passes_only_where_the_caller_is_lenient(tmp_path):
    path = write(tmp_path / "map.fits", {"COORDSYS": None}, unit=None)
    with pytest.raises(BadInput, match="column I has no unit; expected MJy/sr"):
        read_healpix(path, {"I": "MJy/sr"})
    read_healpix(path, {"I": "MJy/sr"}, lenient=True)


def test_missing_column_is_refused_with_the_columns_that_are_there(tmp_path):
    with pytest.raises(BadInput, match=r"map\.fits: column I10 not found \(columns: I, E\)"):
        read_healpix(write(tmp_path / "map.fits"), {"I10": "K_RJ km/s"})


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"COORDSYS": "C"}, "COORDSYS is 'C'; expected galactic"),
        ({"COORDSYS": None}, "COORDSYS is not in the header; expected galactic"),
        ({"ORDERING": None}, "ORDERING is not in the header; expected RING or NESTED"),
        ({"ORDERING": "SPIRAL"}, "ORDERING is 'SPIRAL'; expected RING or NESTED"),
        ({"NSIDE": None}, "NSIDE is not in the header; expected a power of 2"),
        ({"NSIDE": 12}, "NSIDE is 12; expected a power of 2"),
        ({"NSIDE": 16}, "768 pixels in column I; NSIDE 16 needs 3072"),
        ({"INDXSCHM": "EXPLICIT"}, "INDXSCHM is EXPLICIT"),
    ],
)
def test_header_that_does_not_fit_is_refused(tmp_path, keywords, message):
    path = write(tmp_path / "map.fits", keywords)
    with pytest.raises(BadInput, match=rf"map\.fits: {message}"):
        read_healpix(path, {"I": "MJy/sr"})


def test_wrong_frame_is_refused_even_by_a_lenient_reader(tmp_path):
    with pytest.raises(BadInput, match="COORDSYS is 'C'"):
        read_healpix(write(tmp_path / "map.fits", {"COORDSYS": "C"}), {"I": "MJy/sr"}, lenient=True)


@pytest.mark.parametrize("lost_bytes", [2880, 5760, 8000, 100_000])
def test_file_cut_short_is_refused(tmp_path, lost_bytes):
    path = write(tmp_path / "map.fits")
    data = path.read_bytes()
    path.write_bytes(data[: max(len(data) - lost_bytes, 0)])
    with pytest.raises(BadInput, match=r"map\.fits: .*cut short"):
        read_healpix(path, {"I": "MJy/sr"})


def test_gzip_file_cut_short_is_refused(tmp_path):
    packed = gzip.compress(write(tmp_path / "map.fits").read_bytes())
    for kept in (len(packed) // 2, len(packed) - 4):
        (tmp_path / "map.fits.gz").write_bytes(packed[:kept])
        with pytest.raises(BadInput, match=r"map\.fits\.gz: .*cut short"):
            read_healpix(tmp_path / "map.fits.gz", {"I": "MJy/sr"})


def test_missing_file_and_web_page_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        read_healpix(tmp_path / "none.fits", {"I": "MJy/sr"})
    (tmp_path / "page.fits").write_text("<!DOCTYPE html><html>moved</html>")
    with pytest.raises(BadInput, match="not a readable FITS file"):
        read_healpix(tmp_path / "page.fits", {"I": "MJy/sr"})


@pytest.mark.parametrize("nothing", [np.nan, healpy.UNSEEN])
def test_column_without_any_valid_pixel_is_refused(tmp_path, nothing):
    path = write(tmp_path / "map.fits", values=np.stack([np.full_like(RING[0], nothing), RING[1]]))
    with pytest.raises(BadInput, match=r"map\.fits: column I has no valid pixel"):
        read_healpix(path, {"I": "MJy/sr"})


def test_index_column_places_rows_and_must_name_each_pixel_once(tmp_path):
    order = np.random.default_rng(1).permutation(RING[0].size).astype(np.int32)
    header = {"NSIDE": NSIDE, "ORDERING": "RING", "INDXSCHM": "EXPLICIT"}
    path = write_table(
        tmp_path / "map.fits", {"PIX": (order, None), "I": (RING[0][order], "mag")}, header
    )
    np.testing.assert_array_equal(read_healpix(path, {"I": "mag"}, index="PIX")["I"], RING[0])
    for wrong in (order + 1, order // 2):
        write_table(path, {"PIX": (wrong.astype(np.int32), None), "I": (RING[0], "mag")}, header)
        with pytest.raises(
            BadInput, match="column PIX runs from .* expected each pixel of NSIDE 8, 0 to 767, once"
        ):
            read_healpix(path, {"I": "mag"}, index="PIX")


def galactic_map(path, values, ordering):
    header = {"NSIDE": healpy.npix2nside(values.size), "ORDERING": ordering}
    return read_healpix(
        write_table(path, {"I": (np.float32(values), "MJy/sr")}, header), {"I": "MJy/sr"}
    )


@pytest.mark.parametrize("nside", [32, 128])
def test_swapped_ordering_of_a_synthetic_map_is_found_at_any_nside(tmp_path, nside):
    sky = galactic_sky(nside)
    hi = galactic_map(tmp_path / "hi.fits", sky["hi"], "RING")
    right = galactic_map(tmp_path / "dust.fits", to_nested(sky["dust"]), "NESTED")
    assert check_ordering(right, hi, minimum=0.75) > 0.75
    for values, label, other in (
        (sky["dust"], "NESTED", "RING"),
        (to_nested(sky["dust"]), "RING", "NESTED"),
    ):
        wrong = galactic_map(tmp_path / "dust.fits", values, label)
        with pytest.raises(
            BadInput, match=rf"dust\.fits: column I is not in {label} order .* read as {other}"
        ):
            check_ordering(wrong, hi)


def test_masked_pixels_do_not_enter_the_ordering_guard(tmp_path):
    sky = galactic_sky(32)  # no coarser than the comparison: the mask passes through unaveraged
    hi = galactic_map(tmp_path / "hi.fits", sky["hi"], "RING")
    whole = check_ordering(galactic_map(tmp_path / "dust.fits", sky["dust"], "RING"), hi)
    sky["dust"][::30] = healpy.UNSEEN
    masked = check_ordering(galactic_map(tmp_path / "dust.fits", sky["dust"], "RING"), hi)
    assert masked == pytest.approx(
        whole, abs=5e-3
    )  # a sample of 97%: scatter (1 - r^2) / sqrt(400)


def test_maps_of_another_sky_are_refused(tmp_path):
    sky = galactic_sky(32)
    hi = galactic_map(tmp_path / "hi.fits", sky["hi"], "RING")
    celestial = healpy.Rotator(coord="GC").rotate_map_pixel(
        sky["dust"]
    )  # and its header says Galactic
    with pytest.raises(BadInput, match="do not show the same sky"):
        check_ordering(galactic_map(tmp_path / "dust.fits", celestial, "RING"), hi, minimum=0.75)
