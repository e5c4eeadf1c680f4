"""HEALPix tables by column name: what is read, and what is refused with which message."""

import gzip

import healpy
import numpy as np
import pytest
from astropy.io import fits
from healpix_files import galactic_sky, to_nested, write_table

from skyloom.cli import BadInput
from skyloom.healpix import HealpixTable, check_same_sky, drop_repeated, read_healpix

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
    # exact: pixels are moved, never computed with
    np.testing.assert_array_equal(table["E"], RING[1])
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
        ({"INDXSCHM": "EXPLICIT"}, "INDXSCHM is EXPLICIT, but no column PIXEL or PIXINDEX"),
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
    with pytest.raises(BadInput, match="not a FITS file"):
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
            BadInput,
            match="column PIX runs from .* expected pixels of NSIDE 8, 0 to 767, once each",
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
    assert check_same_sky(right, hi, minimum=0.75) > 0.75
    for values, label, other in (
        (sky["dust"], "NESTED", "RING"),
        (to_nested(sky["dust"]), "RING", "NESTED"),
    ):
        wrong = galactic_map(tmp_path / "dust.fits", values, label)
        with pytest.raises(
            BadInput, match=rf"dust\.fits: column I has correlation .* the map is read as {other}"
        ):
            check_same_sky(wrong, hi)


def test_masked_pixels_do_not_enter_the_ordering_guard(tmp_path):
    sky = galactic_sky(32)  # no coarser than the comparison: the mask passes through unaveraged
    hi = galactic_map(tmp_path / "hi.fits", sky["hi"], "RING")
    whole = check_same_sky(galactic_map(tmp_path / "dust.fits", sky["dust"], "RING"), hi)
    sky["dust"][::30] = healpy.UNSEEN
    masked = check_same_sky(galactic_map(tmp_path / "dust.fits", sky["dust"], "RING"), hi)
    # a sample of 97%: scatter (1 - r^2) / sqrt(400)
    assert masked == pytest.approx(whole, abs=5e-3)


def test_maps_of_another_sky_are_refused(tmp_path):
    sky = galactic_sky(32)
    hi = galactic_map(tmp_path / "hi.fits", sky["hi"], "RING")
    # and its header says Galactic
    celestial = healpy.Rotator(coord="GC").rotate_map_pixel(sky["dust"])
    with pytest.raises(BadInput, match="do not show the same sky"):
        check_same_sky(galactic_map(tmp_path / "dust.fits", celestial, "RING"), hi, minimum=0.75)


# --- tables of other kinds ------------------------------------------------------------------------


@pytest.mark.parametrize("nest", [True, False])
@pytest.mark.parametrize("name", ["PIXEL", "pixindex"])
def test_part_of_the_sky_as_healpy_writes_it_is_read_with_nan_elsewhere(tmp_path, nest, name):
    whole = np.full(RING[0].size, healpy.UNSEEN, np.float32)
    whole[:300] = RING[0][:300]
    path = tmp_path / "part.fits"
    units = dict(column_names=["I"], column_units="MJy/sr", coord="G", dtype=np.float32)
    healpy.write_map(path, whole, nest=nest, partial=True, **units)
    with fits.open(path, mode="update") as hdus:
        assert hdus[1].header["INDXSCHM"] == "EXPLICIT" and len(hdus[1].data) == 300
        hdus[1].columns["PIXEL"].name = name
    ring = healpy.reorder(whole, n2r=True) if nest else whole
    found = read_healpix(path, {"I": "MJy/sr"})["I"]
    np.testing.assert_array_equal(found, np.where(ring == whole.min(), np.nan, ring))


def test_table_in_a_later_extension_is_found_and_two_are_refused_by_name(tmp_path):
    path = write(tmp_path / "map.fits")
    with fits.open(path) as hdus:
        other = fits.BinTableHDU.from_columns([fits.Column("B_L", "E", array=np.ones(5))])
        other.name, hdus[1].name = "WINDOW", "MAP"
        fits.HDUList([hdus[0], other, hdus[1]]).writeto(tmp_path / "later.fits")
        second = hdus[1].copy()
        second.name = "HALF-RING"
        fits.HDUList([hdus[0], hdus[1], second]).writeto(tmp_path / "two.fits")
    table = read_healpix(tmp_path / "later.fits", {"I": "MJy/sr"})
    np.testing.assert_array_equal(table["I"], RING[0])
    with pytest.raises(BadInput, match=r"columns I in the extensions MAP, HALF-RING; expected one"):
        read_healpix(tmp_path / "two.fits", {"I": "MJy/sr"})
    with pytest.raises(BadInput, match=r"column N not found \(columns: I, E\)"):
        read_healpix(tmp_path / "later.fits", {"I": "MJy/sr", "N": "MJy/sr"})


def test_columns_in_lower_case_are_the_same_columns(tmp_path):
    columns = {"i": (to_nested(RING[0]), "MJy/sr")}
    path = write_table(tmp_path / "map.fits", columns, {"NSIDE": NSIDE})
    np.testing.assert_array_equal(read_healpix(path, {"I": "MJy/sr"})["I"], RING[0])


@pytest.mark.parametrize("bad", ["none", "", True, 1e40])
def test_bad_data_that_is_no_value_marks_nothing(tmp_path, bad):
    path = write(tmp_path / "map.fits", {"BAD_DATA": bad})
    np.testing.assert_array_equal(read_healpix(path, {"I": "MJy/sr"})["I"], RING[0])


@pytest.mark.parametrize("blank", [-1e28, -9999, -32768, -999, -99, -np.inf])
def test_blank_of_any_spelling_becomes_nan(tmp_path, blank):
    values = RING.copy()
    values[0, 5] = blank
    found = read_healpix(write(tmp_path / "map.fits", values=values), {"I": "MJy/sr"})["I"]
    np.testing.assert_array_equal(np.isnan(found), np.arange(found.size) == 5)


def survey(values, kind="survey"):
    values = np.float32(values)[None].copy()
    nside = healpy.npix2nside(values.size)
    return HealpixTable("map.fits", ("I",), values, nside, "RING", kind, None)


@pytest.mark.parametrize("value", [0, -1, -4.5])
def test_value_that_a_survey_repeats_is_sky_without_observation(value, capsys):
    """Over more than a few per cent of the map, or of a tile of 1.8 deg."""
    sky = np.float32(np.abs(np.random.default_rng(0).normal(size=healpy.nside2npix(128))))
    lon, lat = healpy.pix2ang(128, np.arange(sky.size), lonlat=True)
    for unobserved in (lat > 30, (np.abs(lat) < 3) & (np.abs(lon - 180) < 3)):
        table = survey(np.where(unobserved, value, sky))
        drop_repeated(table, "I")
        np.testing.assert_array_equal(np.isnan(table["I"]), unobserved)
        share = f"{unobserved.mean():.2%} of the sky: counted as not observed"
        assert f"column I is exactly {value:g} on {share}" in capsys.readouterr().out


def test_single_zeros_and_zeros_of_a_simulation_are_values(capsys):
    sky = np.random.default_rng(0).normal(size=healpy.nside2npix(256))
    sky[healpy.nest2ring(256, np.arange(0, sky.size, 640))] = 0  # one in every tenth tile of 64
    for table in (survey(sky), survey(np.maximum(sky, 0), "simulated")):
        before = table.maps.copy()
        drop_repeated(table, "I")
        np.testing.assert_array_equal(table.maps, before)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("value", [0, -3])
def test_map_of_one_value_is_refused(value):
    with pytest.raises(BadInput, match=f"map.fits: column I is {value} everywhere"):
        drop_repeated(survey(np.full(192, value)), "I")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("value", [0, 2.5])
def test_constant_map_has_no_correlation_and_is_refused_with_any_minimum(which, value):
    sky = survey(galactic_sky(32)["dust"])
    pair = [sky, sky]
    pair[which] = survey(np.full(sky.maps.size, value))
    with pytest.raises(BadInput, match=f"column I is {value} everywhere; expected a map of the"):
        check_same_sky(*pair)


def test_maps_without_a_common_pixel_are_refused():
    sky = galactic_sky(32)
    north = np.arange(sky["dust"].size) < 6000
    pair = (survey(np.where(part, sky["dust"], np.nan)) for part in (north, ~north))
    with pytest.raises(BadInput, match="column I has correlation nan with"):
        check_same_sky(*pair)


TURNS = {
    "mirrored east-west": lambda lon, lat: (-lon, lat),
    "mirrored north-south": lambda lon, lat: (lon, -lat),
    "turned by 180 deg of longitude": lambda lon, lat: (lon + 180, lat),
    "turned from celestial to Galactic": lambda *place: healpy.Rotator(coord="CG")(
        *place, lonlat=True
    ),
}


@pytest.mark.parametrize("turn", TURNS)
def test_turned_map_is_refused_with_the_turn_that_mends_it(turn):
    sky = galactic_sky(64)
    lon, lat = healpy.pix2ang(64, np.arange(sky["co"].size), lonlat=True)
    wrong = sky["co"][healpy.ang2pix(64, *TURNS[turn](lon, lat), lonlat=True)]
    dust = survey(sky["dust"])
    assert check_same_sky(survey(sky["co"]), dust, 0.4) > 0.75
    with pytest.raises(BadInput, match=f"when the map is {turn}"):
        check_same_sky(survey(wrong), dust, -1)


def test_region_is_judged_by_its_correlation_alone():
    """Another part of the sky may look more alike by chance."""
    sky = galactic_sky(64)
    lon, lat = healpy.pix2ang(64, np.arange(sky["co"].size), lonlat=True)
    region = (np.abs(lat + 15) < 12) & (np.abs(lon - 208) < 20)
    co, dust = survey(np.where(region, sky["co"], np.nan)), survey(sky["dust"])
    expected = check_same_sky(co, dust, 0.4)
    assert expected > 0.5
    with pytest.raises(BadInput, match=r"expected at least 0\.99 \(co\.x of the config\)"):
        check_same_sky(co, dust, 0.99, "co.x")
