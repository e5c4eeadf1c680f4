"""Maps of real clouds: cut-outs, units, refusals, and images without an index."""

import json
import sys

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from test_turbulence_image_statistics import power_law

import turbulence_read_outputs
from skyloom.cli import BadInput
from skyloom.turbulence.data import images
from skyloom.turbulence.read import maps

MAP = 10 ** power_law(3.0, 1, 40)[0] / 40  # positive, 40 x 40 pixels
MAPS = {"pixels": 16, "mu": 2.33, "outputs": None}
CUT = {
    "field": "column",
    "parts": 2,
    "variant": "standardised",
    "lowpass": None,
    "seed": 0,
    "zoom": 1,
}
CUT |= {"blur_pixels": 0, "noise": 0, "valid_share": 0, "test_share": 1, "classes": [3.5, 4]}


def write_map(path, values=MAP, **cards):
    hdu = fits.PrimaryHDU(np.asarray(values, np.float32))
    hdu.header.update({"BUNIT": "g cm-2"} | cards)
    hdu.writeto(path, overwrite=True)
    return str(path)


def test_cut_outs_are_side_by_side_around_the_middle_and_share_the_seed_of_their_map(tmp_path):
    other = write_map(tmp_path / "b.fits", MAP[:20, :30])
    data = maps.sky_columns([write_map(tmp_path / "a.fits"), other], MAPS)
    assert data["column"].dims == ("simulation", "axis", "y", "x") and data["column"].shape == (
        5,
        1,
        16,
        16,
    )
    corner = MAP[4:20, 20:36]  # 2 x 2 cut-outs of 16 in 40 pixels leave 4 on either side
    # float32
    np.testing.assert_allclose(
        data["column"].values[1, 0], corner / corner.mean() - 1, rtol=0, atol=1e-6
    )
    assert (
        data["seed"].values.tolist() == [0, 0, 0, 0, 2]
        and np.isnan(data["index"]).all()
        and data["ok"].all()
    )
    np.testing.assert_allclose(data["mean_column"].values[1], corner.mean(), rtol=1e-6)
    assert (data.attrs["data_kind"], data.attrs["source"]) == ("survey", "maps")


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("kg m-2", 0.1),
        ("Msun pc-2", 2.0885e-4),
        ("cm-2", 2.33 * 1.6736e-24),  # particles of the mean mass
        ("mag", 4.38e-3),  # of A_V: 1.87e21 hydrogen atoms (Bohlin+ 1978), 1.4 for helium
    ],
)
def test_units_of_column_density_and_extinction_become_grams(tmp_path, unit, factor):
    data = maps.sky_columns([write_map(tmp_path / "a.fits", MAP[:16, :16], BUNIT=unit)], MAPS)
    np.testing.assert_allclose(data["mean_column"].values, MAP[:16, :16].mean() * factor, rtol=1e-3)


@pytest.mark.parametrize(
    ("cards", "assumed", "factor"),
    [
        ({"BUNIT": "Mag"}, None, 4.38e-3),
        ({"BUNIT": "A_V"}, None, 4.38e-3),
        ({"BUNIT": "A_K"}, None, 4.38e-3 / 0.112),  # Rieke & Lebofsky 1985
        ({"BUNIT": "mag", "BTYPE": "AK"}, None, 4.38e-3 / 0.112),
        ({"BUNIT": "mag"}, "A_K", 4.38e-3 / 0.112),
        ({"BUNIT": ""}, "mag", 4.38e-3),
        ({"BUNIT": "H2/cm^2"}, None, 2.8 * 1.6736e-24),
        ({"BUNIT": "CM-2"}, None, 2.33 * 1.6736e-24),
        ({"BUNIT": "10^20 cm^-2"}, None, 2.33 * 1.6736e-4),
        ({"BUNIT": "K km/s"}, "cm-2", 2.33 * 1.6736e-24),
        ({"BUNIT": "K km/s"}, "relative", np.nan),
        ({"BUNIT": "Jy/beam"}, "relative", np.nan),
        ({"BUNIT": "N(H2)"}, "relative", np.nan),
    ],
)
def test_spellings_of_units_and_bands_of_extinction(tmp_path, capsys, cards, assumed, factor):
    path = write_map(tmp_path / "a.fits", MAP[:16, :16], **cards)
    data = maps.sky_columns([path], MAPS | {"assume": {"column": assumed} if assumed else {}})
    expected = MAP[:16, :16].mean() * factor
    np.testing.assert_allclose(data["mean_column"].values, expected, rtol=1e-3)
    if "K" in cards["BUNIT"] and assumed:
        words = f"the map is in 'K km/s': assume.column holds, {assumed}"
        assert words in capsys.readouterr().out and words in data.attrs["remarks"]


def test_logarithm_of_a_column_density_is_refused_whatever_is_assumed(tmp_path):
    path = write_map(tmp_path / "a.fits", BUNIT="log10(cm-2)")
    with pytest.raises(BadInput, match="the map is a logarithm, .*; expected g cm-2: write 10..x"):
        maps.sky_columns([path], MAPS | {"assume": {"column": "relative"}})


def test_map_is_the_extension_that_is_named_or_that_is_no_error(tmp_path):
    images = [
        fits.ImageHDU(np.full_like(MAP, 9), fits.Header({"BUNIT": "cm-2"}), name="N_ERR"),
        fits.ImageHDU(MAP, fits.Header({"BUNIT": "g cm-2"}), name="N"),
        fits.ImageHDU(MAP[::-1], fits.Header({"BUNIT": "g cm-2"}), name="M"),
    ]
    fits.HDUList([fits.PrimaryHDU(), *images[:2]]).writeto(tmp_path / "a.fits")
    data = maps.sky_columns([tmp_path / "a.fits"], MAPS)
    corner = MAP[4:20, 4:20]
    expected = corner / corner.mean() - 1
    np.testing.assert_allclose(data["column"].values[0, 0], expected, atol=1e-6)
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "b.fits")
    with pytest.raises(BadInput, match="images of 2 axes are n_err, n, m; expected one: name its"):
        maps.sky_columns([tmp_path / "b.fits"], MAPS)
    named = maps.sky_columns([tmp_path / "b.fits"], MAPS | {"column": "N"})
    np.testing.assert_array_equal(named["column"], data["column"])


FRAME = {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CDELT1": -0.01, "CDELT2": 0.01}


@pytest.mark.parametrize(
    ("cards", "stated", "expected"),
    [
        ({}, None, np.nan),
        ({"BMAJ": 0.025}, None, 2.5),
        ({"BMAJ": 0.04, "BMIN": 0.01}, None, 2.0),
        ({"BMAJ": 0.04}, 90.0, 2.5),
        ({"BMAJ": 0.04}, None, 4.0),
    ],
)
def test_pixels_a_beam_are_recorded_and_many_are_warned_of(
    tmp_path, capsys, cards, stated, expected
):
    path = write_map(tmp_path / "a.fits", **FRAME, **cards)
    data = maps.sky_columns([path], MAPS | {"beam_arcsec": stated})
    np.testing.assert_allclose(data["pixels_per_beam"].values, [expected] * 4)
    output = capsys.readouterr()
    assert ("4.0 pixels a beam; above 3 images are smooth" in output.err) == (expected > 3)
    assert ("beam unknown" in output.out) == np.isnan(expected)


def test_map_is_averaged_to_half_a_beam(tmp_path):
    """A beam of 4.9 pixels: squares of 2 pixels, of which 2.45 are a beam."""
    path = write_map(tmp_path / "a.fits", **FRAME, BMAJ=0.049)
    settings = MAPS | {"rebin": True, "distance_pc": 300}
    data = maps.sky_columns([path], settings)
    expected = MAP.reshape(20, 2, 20, 2).mean((1, 3))[2:18, 2:18]
    np.testing.assert_allclose(
        data["column"].values[0, 0], expected / expected.mean() - 1, atol=1e-6
    )
    assert data["pixels_per_beam"].values.tolist() == pytest.approx([2.45])
    assert data.attrs["box_pc"] == pytest.approx(16 * 300 * np.pi / 180 * 0.02, rel=1e-9)
    with pytest.raises(BadInput, match="rebin: beam is nan deg.*expected BMAJ and CDELT, or beam_"):
        maps.sky_columns([write_map(tmp_path / "a.fits", **FRAME)], settings)


def test_map_without_coordinates_on_the_sky_has_no_size(tmp_path):
    path = write_map(tmp_path / "a.fits", CTYPE1="LINEAR", CTYPE2="LINEAR", CUNIT1="pc")
    data = maps.sky_columns([path], MAPS | {"distance_pc": 300})
    assert np.isnan(data.attrs["box_pc"]) and data.sizes["simulation"] == 4


def test_cut_outs_have_the_name_of_their_map_and_the_properties_of_its_label(tmp_path):
    for name in ("a", "b"):
        write_map(tmp_path / f"{name}.fits", MAP[:16, :16])
    data = maps.sky_columns(
        sorted(tmp_path.iterdir()), MAPS | {"outputs": {"b.fits": {"index": 4.0}}}
    )
    assert data["name"].values.tolist() == ["a.fits[0:16,0:16]", "b.fits[0:16,0:16]"]
    np.testing.assert_array_equal(data["index"], [np.nan, 4.0])


def test_pixel_at_a_distance_has_a_size(tmp_path):
    frame = {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CDELT1": -0.01, "CDELT2": 0.01}
    data = maps.sky_columns([write_map(tmp_path / "a.fits", **frame)], MAPS | {"distance_pc": 300})
    assert data.attrs["box_pc"] == pytest.approx(16 * 300 * np.pi / 180 * 0.01, rel=1e-9)


def test_cut_out_with_a_hole_is_left_out_by_name_and_the_rest_is_kept(tmp_path, capsys):
    hole, dark = MAP.copy(), MAP.copy()
    hole[5, 5], dark[30, 5] = np.nan, -0.1
    data = maps.sky_columns(
        [write_map(tmp_path / "a.fits", hole), write_map(tmp_path / "b.fits", dark)], MAPS
    )
    assert data["seed"].values.tolist() == [0, 0, 0, 2, 2, 2]
    reasons = json.loads(data.attrs["failures"])
    assert reasons == {
        "a.fits[4:20,4:20]": "1 pixels are NaN",
        "b.fits[20:36,4:20]": "1 pixels are not above 0",
    }
    assert "warning: a.fits[4:20,4:20] left out: 1 pixels are NaN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "cards", "settings", "found"),
    [
        (MAP, {"BUNIT": "K"}, {}, "a.fits: the map is in 'K'"),
        (MAP, {"BUNIT": ""}, {}, "a.fits: the map has no unit"),
        (-MAP, {}, {}, "a.fits: 4 cut-outs of 16 pixels in 40 x 40"),
        (np.ones_like(MAP), {}, {}, "a.fits: 4 cut-outs .* or of one value"),
        (MAP, {}, {"pixels": 64}, "a.fits: 0 cut-outs of 64 pixels"),
        (MAP, {}, {"pixels": None}, "pixels is null"),
        (
            MAP[None].repeat(3, 0),
            {},
            {},
            r"a.fits: image of shape \(3, 40, 40\); expected an image of 2 axes",
        ),
    ],
)
def test_maps_that_cannot_be_used_are_refused_by_name(tmp_path, values, cards, settings, found):
    with pytest.raises(BadInput, match=found):
        maps.sky_columns([write_map(tmp_path / "a.fits", values, **cards)], MAPS | settings)


def test_map_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "a.fits"
    write_map(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(BadInput, match="a.fits: cut short: 3000 bytes"):
        maps.sky_columns([str(path)], MAPS)


def test_images_of_maps_are_cut_without_an_index_and_nothing_wraps_around(tmp_path):
    data = maps.sky_columns([write_map(tmp_path / "a.fits")], MAPS)
    cut = images.cut_images({"cloud": data}, CUT)
    assert (
        cut.sizes == {"example": 16, "y": 8, "x": 8}
        and np.isnan(cut["target"]).all()
        and (cut["split"] == 2).all()
    )
    quarter = np.log10(MAP[4:12, 4:12])
    expected = (quarter - quarter.mean()) / quarter.std()
    # the contrast is stored as float32
    np.testing.assert_allclose(cut["image"].values[0], expected, rtol=0, atol=1e-4)
    for key, value in (("lowpass", 4), ("zoom", 2), ("blur_pixels", {"low": 0, "high": 1})):
        with pytest.raises(BadInput, match=f"{key} .* for cloud, whose maps have edges"):
            images.cut_images({"cloud": data}, CUT | {key: value})


def test_maps_are_refused_for_a_model_of_the_index_and_accepted_for_an_autoencoder(tmp_path):
    from skyloom import patchset
    from skyloom.turbulence.data import examples

    data = maps.sky_columns([write_map(tmp_path / "a.fits")], MAPS)
    patchset.write(images.cut_images({"cloud": data}, CUT), tmp_path / "patches.nc")
    assert len(examples.load([tmp_path / "patches.nc"], {"module": "autoencoder"}).test) == 16
    with pytest.raises(BadInput, match="the index of its images is not known"):
        examples.load([tmp_path / "patches.nc"], {"learns": "class"})


def test_genuine_maps_of_perseus_and_of_simulated_dust(realdata, tmp_path, monkeypatch, capsys):
    """rms of log A_V: 0.20 dex above 0.3 mag over the whole map, measured at the download."""
    folder = realdata / "turbulence"
    perseus = str(folder / "dust_extinction/PerA_Extn2MASS_F_Gal.fits")
    config = MAPS | {
        "source": "maps",
        "pixels": 64,
        "assume": {"column": "mag"},
        "distance_pc": 300,
        "refine": None,
    }
    words = [
        "x",
        "--config",
        json.dumps(config),
        "--inputs",
        perseus,
        "--output",
        str(tmp_path / "c.nc"),
    ]
    monkeypatch.setattr(sys, "argv", words)
    turbulence_read_outputs.main()
    # one of 4 x 3 cut-outs has a pixel below 0
    assert "11 cut-outs, 64 x 64 pixels" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "c.nc") as data:
        assert data.attrs["box_pc"] == pytest.approx(64 * 2.5 / 60 * np.pi / 180 * 300, rel=1e-4)
        rms = np.log10(1 + data["column"].values).std((2, 3))
        assert 0.1 < np.median(rms) < 0.25
    dust = [str(folder / f"mhd_dust_maps/I_{k}.fits") for k in (1, 2)]
    data = maps.sky_columns(dust, MAPS | {"pixels": 128, "assume": {"column": "relative"}})
    assert data.sizes["simulation"] == 32 and np.isnan(data["mean_column"]).all()
    with pytest.raises(BadInput, match="filaments_updatedhdr.fits: the map is in 'K'"):
        maps.sky_columns([str(folder / "mhd_dust_maps/filaments_updatedhdr.fits")], MAPS)
