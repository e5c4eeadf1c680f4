"""The CO study's raw files and their way to maps.nc."""

import hashlib
import json
import sys

import healpy
import numpy as np
import pytest
from astropy.io import fits
from conftest import plan
from healpix_files import galactic_sky, to_nested, write_co, write_dust, write_hi4pi, write_table

from skyloom.cli import BadInput
from skyloom.co.data import maps
from skyloom.co.physics import excess_co, fit_emissivity, fit_threshold
from skyloom.co.read import read_co_type2, read_cube, read_extinction, read_gnilc, read_hi4pi

NSIDE = 32
SKY = galactic_sky(NSIDE)
CONFIG = plan("co")["maps"]


@pytest.fixture
def raw(tmp_path):
    write_co(tmp_path / "co.fits", SKY["co"])
    write_dust(tmp_path / "dust.fits", SKY["dust"])
    write_hi4pi(tmp_path / "hi.fits", SKY["hi"])
    return tmp_path


def prepare(raw, dust="dust.fits", **changes):
    return maps.prepare(raw / "co.fits", raw / dust, raw / "hi.fits", CONFIG | changes)


def test_type2_line_is_read_by_name_with_its_mask_as_nan(tmp_path):
    good = np.arange(SKY["co"].size) % 7 != 0
    table = read_co_type2(write_co(tmp_path / "co.fits", SKY["co"], mask=good), "co21")
    assert table.columns == ("I21", "E21", "N21")
    np.testing.assert_array_equal(np.isnan(table.maps), np.broadcast_to(~good, table.maps.shape))
    np.testing.assert_array_equal(table["I21"][good], np.float32(0.7 * SKY["co"])[good])
    assert set(table["E21"][good]) == {np.float32(0.12)}


MASKS = {  # spelling -> the flags of good and bad pixels, keywords of the file
    "bytes": (np.uint8([1, 0]), {}),
    "bytes beside BAD_DATA = 0": (np.uint8([1, 0]), {"BAD_DATA": 0.0}),
    "logical": (np.array([True, False]), {}),
    "float": (np.float32([1, 0]), {}),
    "UNSEEN": (np.float32([1, healpy.UNSEEN]), {"BAD_DATA": healpy.UNSEEN}),
    "NaN": (np.float32([1, np.nan]), {}),
    "minus one": (np.int32([1, -1]), {}),
    "BAD_DATA = none": (np.uint8([1, 0]), {"BAD_DATA": "none"}),
}


@pytest.mark.parametrize("spelling", MASKS)
def test_mask_of_11_percent_stays_11_percent_in_any_spelling(tmp_path, spelling):
    flags, keywords = MASKS[spelling]
    bad = np.arange(SKY["co"].size) % 9 == 0
    path = write_co(tmp_path / "co.fits", SKY["co"], keywords, mask=flags[bad.astype(int)])
    for line in ("co10", "co21"):
        np.testing.assert_array_equal(np.isnan(read_co_type2(path, line).maps), [bad] * 3)


def test_co_on_less_than_half_of_the_sky_is_taken_with_a_warning(tmp_path, capsys):
    good = np.arange(SKY["co"].size) % 7 == 0
    path = write_co(tmp_path / "co.fits", SKY["co"], mask=good)
    assert np.isfinite(read_co_type2(path, "co10")["I10"]).sum() == good.sum()
    warning = capsys.readouterr().err
    assert "co.fits: CO 10 is valid on 14.3% of the sky (M10 > 0, E10 > 0" in warning
    path = write_co(tmp_path / "co.fits", SKY["co"], mask=np.zeros(good.size, np.uint8))
    with pytest.raises(BadInput, match=r"co\.fits: no valid pixel \(M10 > 0"):
        read_co_type2(path, "co10")


def test_co_of_a_ground_based_survey_is_prepared(raw, capsys):
    """A file of the rows that the survey has, as healpy writes with `partial=True`."""
    latitude = healpy.pix2ang(NSIDE, np.arange(SKY["co"].size), nest=True, lonlat=True)[1]
    rows = np.flatnonzero(np.abs(latitude) < 15)
    with fits.open(raw / "co.fits") as hdus:
        columns = {c.name: (hdus[1].data[c.name][rows], c.unit) for c in hdus[1].columns}
    columns = {k: (v.astype(v.dtype.newbyteorder("=")), unit) for k, (v, unit) in columns.items()}
    columns["PIXEL"] = (rows.astype(np.int32), None)
    write_table(raw / "co.fits", columns, {"NSIDE": NSIDE, "INDXSCHM": "EXPLICIT"})
    dataset = prepare(raw)
    observed = np.zeros(SKY["co"].size, bool)
    observed[healpy.nest2ring(NSIDE, rows)] = True
    np.testing.assert_array_equal(np.isfinite(dataset["co10"]), observed)
    np.testing.assert_array_equal(dataset["co10"].values[observed], np.float32(SKY["co"])[observed])
    assert "is valid on 26.0% of the sky" in capsys.readouterr().err


def test_type2_in_cmb_temperature_is_refused(tmp_path):
    path = write_co(tmp_path / "co.fits", SKY["co"], unit="K_CMB")
    with pytest.raises(BadInput, match="column I10 is in 'K_CMB'; expected K_RJ km/s"):
        read_co_type2(path, "co10")


def test_gnilc_without_a_unit_is_refused(tmp_path):
    with pytest.raises(BadInput, match="column I has no unit; expected MJy/sr"):
        read_gnilc(write_dust(tmp_path / "dust.fits", SKY["dust"], unit=None))


@pytest.mark.parametrize("scheme", ["EXPLICIT", "IMPLICIT"])
def test_hi4pi_gives_nhi_where_healpy_by_field_number_may_give_latitude(tmp_path, scheme):
    path = write_hi4pi(tmp_path / "hi.fits", SKY["hi"], {"INDXSCHM": scheme})
    np.testing.assert_array_equal(read_hi4pi(path)["NHI"], np.float32(SKY["hi"]))
    latitude = healpy.pix2ang(NSIDE, np.arange(SKY["hi"].size), lonlat=True)[1]
    by_number = {"EXPLICIT": SKY["hi"], "IMPLICIT": latitude}[scheme]  # the trap is real:
    np.testing.assert_array_equal(
        healpy.read_map(path, field=4, dtype=np.float32), np.float32(by_number)
    )


def test_hi4pi_rows_in_any_order_come_out_in_pixel_order(tmp_path):
    order = np.random.default_rng(3).permutation(SKY["hi"].size)
    path = write_hi4pi(tmp_path / "hi.fits", SKY["hi"], order=order)
    np.testing.assert_array_equal(read_hi4pi(path)["NHI"], np.float32(SKY["hi"]))


def test_hi4pi_in_the_wrong_ordering_contradicts_its_own_positions(tmp_path):
    path = write_hi4pi(tmp_path / "hi.fits", SKY["hi"], {"ORDERING": "NESTED"})
    with pytest.raises(
        BadInput,
        match="GLON and GLAT lie up to .* deg from the pixel centres .* in NESTED ordering",
    ):
        read_hi4pi(path)


def test_hi4pi_with_rows_missing_is_read_on_the_rest(tmp_path):
    order = np.arange(SKY["hi"].size)[:-5]
    nhi = read_hi4pi(write_hi4pi(tmp_path / "hi.fits", SKY["hi"], order=order))["NHI"]
    assert np.isnan(nhi[-5:]).all()
    np.testing.assert_array_equal(nhi[:-5], np.float32(SKY["hi"])[:-5])


def test_prepared_maps_are_in_ring_order_and_physical_units(raw):
    dataset = prepare(raw)
    # The kernel of 14' is narrower than a pixel of NSIDE 32 (110'), so that dust keeps its values;
    # 1e-6 is float32.
    np.testing.assert_allclose(dataset["dust"], SKY["dust"] - 0.64, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dataset["hi"], SKY["hi"] / 1e20, rtol=1e-6)
    np.testing.assert_array_equal(dataset["co21"], np.float32(0.7 * SKY["co"]))
    lines = {f"{line}{what}" for line in ("co10", "co21") for what in ("", "_error", "_null")}
    assert set(dataset.data_vars) == {"dust", "hi"} | lines
    assert {variable.dtype for variable in dataset.data_vars.values()} == {np.dtype("float32")}
    expected = {"nside": NSIDE, "hi_nside": NSIDE, "data_kind": "survey", "beam_arcmin": 15.0}
    assert expected.items() <= dataset.attrs.items()
    checksum = hashlib.sha256((raw / "hi.fits").read_bytes()).hexdigest()
    assert dataset.attrs["sha256_hi"] == checksum


def turned(values, place):
    """The map with its pixels taken from `place(lon, lat)`, under an unchanged header."""
    lon, lat = healpy.pix2ang(NSIDE, np.arange(values.size), lonlat=True)
    return values[healpy.ang2pix(NSIDE, *place(lon, lat), lonlat=True)]


CELESTIAL = healpy.Rotator(coord="CG")
WRONG = {  # map, what is wrong with it -> message
    ("hi", "scale 1e-20"): r"hi\.fits: median of N\(HI\) is 4.9 cm-2; expected 1e\+20 to 3e\+21",
    ("dust", "scale 0.33"): r"dust\.fits: slope of dust on N\(HI\) .* is 0.132 MJy/sr per 1e20 .*"
    r"another frequency.*co\.maps\.plausible\.dust_slope",
    ("dust", "scale 1000"): r"dust\.fits: slope of dust on N\(HI\) .* is 400 MJy/sr",
    ("dust", "add -0.64"): r"dust\.fits: dust less maps\.dust_monopole, at .* is -0.64 MJy/sr; "
    "expected -0.35 to 0.35 .a file without the monopole needs maps.dust_monopole: 0",
    ("dust", "constant 0"): r"dust\.fits: column I is 0 everywhere",
    ("dust", "constant 3"): r"dust\.fits: column I is 3 everywhere",
    ("co", "constant 0"): r"co\.fits: column I10 is 0 everywhere",
    ("co", "constant 3"): r"co\.fits: column I10 is 3 everywhere",
    (
        "co",
        "noise",
    ): r"co\.fits: column I10 has correlation -?0.0. with .*dust\.fits: .*; expected at "
    r"least 0\.4 \(co\.maps\.plausible\.co_dust_correlation",
    ("co", "celestial"): r"co\.fits: column I10 has correlation .* when the map is turned from cel",
    ("co", "mirrored"): r"co\.fits: column I10 has correlation .* when the map is mirrored east-we",
    ("dust", "mirrored"): r"dust\.fits: column I has correlation .* the map is mirrored east-west",
}


@pytest.mark.parametrize(("which", "fault"), WRONG, ids=" ".join)
def test_map_that_is_not_the_sky_is_refused_before_the_smoothing(raw, which, fault, monkeypatch):
    monkeypatch.setattr(maps, "smooth_sphere", None)
    kind, _, number = fault.partition(" ")
    change = {
        "scale": lambda values: values * float(number),
        "add": lambda values: values + float(number),
        "constant": lambda values: np.full_like(values, float(number)),
        "noise": lambda values: np.random.default_rng(0).standard_normal(values.size),
        "celestial": lambda values: turned(values, lambda *place: CELESTIAL(*place, lonlat=True)),
        "mirrored": lambda values: turned(values, lambda lon, lat: (-lon, lat)),
    }[kind]
    write = {"hi": write_hi4pi, "dust": write_dust, "co": write_co}[which]
    write(raw / f"{which}.fits", change(SKY[which]))
    with pytest.raises(BadInput, match=WRONG[which, fault]):
        prepare(raw)


@pytest.mark.parametrize(
    ("noise", "found"), [(0.0, "0"), (0.4, "0.4"), (3.0, "3"), (np.nan, "nan")]
)
def test_null_map_whose_noise_is_not_the_error_is_refused(raw, noise, found):
    write_co(raw / "co.fits", SKY["co"], noise=noise)
    message = rf"co\.fits: (rms of null map over error is {found}|column N10 has no valid pixel)"
    with pytest.raises(BadInput, match=message):
        prepare(raw)


def test_error_column_that_is_a_variance_is_refused(raw):
    with fits.open(raw / "co.fits", mode="update") as hdus:
        hdus[1].data["E21"] **= 2
    with pytest.raises(BadInput, match="median error of CO 21 is 0.0144 K km/s; expected 0.05 to"):
        prepare(raw)


def test_another_product_states_its_own_range(raw):
    write_dust(raw / "dust.fits", 0.33 * (SKY["dust"] - 0.64))
    ranges = CONFIG["plausible"] | {"dust_slope": [0.1, 0.2]}
    prepare(raw, plausible=ranges, dust_monopole=0)
    with pytest.raises(BadInput, match="slope of dust on N.HI. .* is 0.132"):
        prepare(raw, dust_monopole=0)


@pytest.mark.parametrize("which", ["dust", "co"])
def test_swapped_ordering_of_one_raw_map_stops_the_rule_and_names_the_map(raw, which):
    write = {"dust": write_dust, "co": write_co}[which]
    write(raw / f"{which}.fits", SKY[which], {"ORDERING": "RING"})  # the pixels are NESTED
    with pytest.raises(
        BadInput,
        match=rf"{which}\.fits: column I(10)? has correlation .* when the map is read as NESTED",
    ):
        prepare(raw)


def test_zeros_in_place_of_unobserved_dust_are_masked(raw, capsys):
    sky = SKY["dust"].copy()
    sky[:2000] = 0
    write_dust(raw / "dust.fits", sky)
    dataset = prepare(raw)
    np.testing.assert_array_equal(np.isnan(dataset["dust"]), sky == 0)
    assert "dust.fits: column I is exactly 0 on 16.28% of the sky" in capsys.readouterr().out


def test_files_of_ones_own_state_their_columns_and_units(raw):
    for name, renamed, unit in (("co", {"I10": "wco", "M10": "ok"}, None), ("hi", {}, "cm^-2")):
        with fits.open(raw / f"{name}.fits") as hdus:
            for column in hdus[1].columns:
                column.name = renamed.get(column.name, column.name.lower())
                column.unit = unit if column.unit and column.name != "e10" else column.unit
            hdus.writeto(raw / f"{name}.fits", overwrite=True)
    units = {name: "K km/s" for name in ("I10", "N10", "I21", "E21", "N21")}
    dataset = prepare(raw, columns={"I10": "WCO", "M10": "ok"}, units=units)
    np.testing.assert_array_equal(dataset["co10"], np.float32(SKY["co"]))
    with pytest.raises(BadInput, match=r"column I10, M10 not found .*: set co\.maps\.columns"):
        prepare(raw)
    with pytest.raises(BadInput, match="column wco has no unit; expected .*: set co.maps.units"):
        prepare(raw, columns={"I10": "WCO", "M10": "ok"})


def test_dust_of_a_wider_beam_than_that_of_co_is_masked_by_its_beam_map(raw, capsys):
    fwhm = np.float32(np.where(np.arange(healpy.nside2npix(16)) < 1000, 21.8, 5))
    columns = {"FWHM": (to_nested(fwhm), "arcmin")}
    beam = write_table(raw / "beam.fits", columns, {"NSIDE": 16})
    dust = prepare(raw, dust_beam_map=beam)["dust"].values
    np.testing.assert_array_equal(np.isnan(dust), healpy.ud_grade(fwhm, NSIDE) > 15)
    assert "masked, where the beam of" in capsys.readouterr().out
    write_table(beam, {"FWHM": (to_nested(fwhm / 60), "arcmin")}, {"NSIDE": 16})
    with pytest.raises(BadInput, match="median beam of the dust map is 0.0833 arcmin; .*degrees?"):
        prepare(raw, dust_beam_map=beam)


def test_maps_of_two_kinds_are_refused(raw):
    write_dust(raw / "simulated.fits", SKY["dust"], {"SKYKIND": "simulated"})
    with pytest.raises(BadInput, match=r"do not mix.*simulated\.fits: simulated"):
        prepare(raw, "simulated.fits")


def test_dust_of_another_nside_than_co_is_refused(raw):
    write_dust(raw / "coarse.fits", healpy.ud_grade(SKY["dust"], 16))
    with pytest.raises(BadInput, match=r"co\.fits: NSIDE 32, but .*coarse\.fits has 16"):
        prepare(raw, "coarse.fits")


def test_entry_point_writes_maps_that_xarray_opens(raw, repository, monkeypatch):
    pytest.importorskip("skyloom.patchset")
    import xarray

    monkeypatch.syspath_prepend(repository / "scripts")
    import co_prepare_maps

    monkeypatch.chdir(raw)
    inputs = ["--co-map", "co.fits", "--dust-map", "dust.fits", "--hi-map", "hi.fits"]
    arguments = ["--config", json.dumps(CONFIG), *inputs, "--output", "maps.nc"]
    monkeypatch.setattr(sys, "argv", ["co_prepare_maps.py", *arguments])
    co_prepare_maps.main()
    with xarray.open_dataset("maps.nc") as dataset:
        np.testing.assert_array_equal(dataset["co10"], np.float32(SKY["co"]))


def test_smoothing_gives_the_analytic_profile_of_a_wider_gaussian():
    nside, from_arcmin, to_arcmin = 256, 60.0, 90.0
    vectors = np.array(healpy.pix2vec(nside, np.arange(healpy.nside2npix(nside))))
    angle = np.arccos(np.clip(healpy.ang2vec(40.0, 30.0, lonlat=True) @ vectors, -1, 1))

    def gaussian(fwhm_arcmin):  # of unit integral on the tangent plane
        sigma = np.radians(fwhm_arcmin / 60) / np.sqrt(8 * np.log(2))
        return np.exp(-((angle / sigma) ** 2) / 2) / (2 * np.pi * sigma**2)

    smooth = maps.smooth_sphere(gaussian(from_arcmin), from_arcmin, to_arcmin)
    wide = gaussian(to_arcmin)
    # 2e-4 of the peak: the sphere's curvature over the beam is of order sigma^2 = 1.2e-4
    np.testing.assert_allclose(smooth, wide, atol=2e-4 * wide.max())


def test_smoothing_leaves_a_constant_constant_beside_a_hole():
    sky = np.full(healpy.nside2npix(64), 3.0, dtype=np.float32)
    sky[1000:1500] = np.nan
    smooth = maps.smooth_sphere(sky, 5.0, 90.0)
    np.testing.assert_array_equal(np.isnan(smooth), np.isnan(sky))
    # same kernel above and below the fraction
    np.testing.assert_allclose(smooth[~np.isnan(sky)], 3.0, rtol=1e-5)


@pytest.mark.parametrize("beams", [(15.0, 5.0), (np.nan, 5.0), (5.0, np.nan)])
def test_smoothing_to_a_beam_that_is_not_wider_is_refused(beams):
    with pytest.raises(BadInput, match="cannot sharpen"):
        maps.smooth_sphere(np.ones(12), *beams)


def test_flat_readers_refuse_missing_unit_wrong_shape_and_a_file_cut_short(tmp_path):
    path = tmp_path / "av.fits"
    fits.PrimaryHDU(np.ones((40, 50), np.float32)).writeto(path)
    with pytest.raises(BadInput, match=r"the image \(BUNIT\) has no unit; expected mag"):
        read_extinction(path)
    assert read_extinction(path, assume_unit="mag").values.shape == (40, 50)
    with pytest.raises(BadInput, match=r"image of shape \(40, 50\); expected an image of 3 axes"):
        read_cube(path, assume_unit="K")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match=r"av\.fits: cut short"):
        read_extinction(path, assume_unit="mag")


def test_plate_carree_off_the_equator_is_refused_with_the_keywords_that_mend_it(tmp_path):
    """A grid of longitude and latitude with its reference in Orion: pixel (x, y) is at glon 218 -
    0.125 x, glat -24 + 0.125 y.
    """
    path = tmp_path / "orion.fits"
    card = {"CTYPE1": "GLON-CAR", "CRVAL1": 210.0, "CRPIX1": 65.0, "CDELT1": -0.125}
    card |= {"CTYPE2": "GLAT-CAR", "CRVAL2": -19.0, "CRPIX2": 41.0, "CDELT2": 0.125}
    image = fits.PrimaryHDU(np.ones((60, 130)))
    image.header.update(card | {"BUNIT": "mag"})
    image.writeto(path)
    with pytest.raises(BadInput, match=r"CRVAL2 -19: .* set CRVAL2 = 0 and CRPIX2 = 193 where"):
        read_extinction(path)
    image.header.update({"CRVAL2": 0, "CRPIX2": 193})
    image.writeto(path, overwrite=True)
    place = read_extinction(path).wcs.pixel_to_world(10, 20)
    assert (place.l.deg, place.b.deg) == pytest.approx((216.75, -21.5))


def test_excess_inverts_the_dust_that_known_gas_would_emit():
    rng = np.random.default_rng(5)
    hi, co = rng.uniform(1, 3, 5000), np.where(rng.random(5000) < 0.1, rng.uniform(1, 50, 5000), 0)
    eps, offset, x_factor, dark = 0.4, 0.64, 2.0, 0.5
    dust = eps * (hi + 2 * x_factor * (co + dark * (co > 0))) + offset
    fitted = fit_emissivity(dust, hi, co == 0)
    np.testing.assert_allclose(fitted, (eps, offset, 1.0), rtol=1e-10)  # an exact line
    np.testing.assert_allclose(excess_co(dust, hi, *fitted[:2], x_factor, dark), co, atol=1e-9)


def test_threshold_is_where_the_line_meets_zero():
    x = np.linspace(1, 6, 50)
    assert fit_threshold(x, 0.87 * (x - 0.8)) == pytest.approx((0.87, 0.8), rel=1e-12)


@pytest.mark.parametrize(
    ("x", "w", "found"),
    [
        ([1, 2], [0, 1], "2 finite pixels, x 1 to 2, y 0 to 1"),
        ([1, 2, np.nan, 4], [np.nan, 1, 2, np.nan], "1 finite pixels, x 2 to 2, y 1 to 1"),
        ([3, 3, 3], [0, 1, 2], "3 finite pixels, x 3 to 3, y 0 to 2"),
        ([1, 2, 3], [0, 0, 0], "3 finite pixels, x 1 to 3, y 0 to 0"),
        ([], [], "0 finite pixels; expected at least 3"),
    ],
)
def test_pixels_through_which_no_line_goes_are_refused_with_what_was_found(x, w, found):
    x, w = np.array(x, float), np.array(w, float)
    with pytest.raises(BadInput, match=f"line of CO against column: {found}"):
        fit_threshold(x, w)
    with pytest.raises(BadInput, match="line of dust against N"):
        fit_emissivity(w, x, np.ones(len(x), bool))
