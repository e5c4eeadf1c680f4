"""A second CO map: refusals by name, and a known amount of dust in the first map that the second
one shows.
"""

import json

import healpy
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from healpix_files import galactic_sky, to_nested, write_table
from test_co_evaluate import SETTINGS

import co_compare_second_map
from skyloom import patchset
from skyloom.cli import BadInput
from skyloom.co.data.patches import cut_patches
from skyloom.co.evaluate import second_map
from skyloom.healpix import HealpixTable

NSIDE, PIXELS = 256, 32
SETTING = {
    "path": "",
    "kind": "generic",
    "line": "10",
    "column": "W",
    "error_column": None,
    "beam_arcmin": 15.0,
    "unit": None,
    "least_correlation": 0.4,
}
CO_TO_CMB = {"10": 1.42e-5, "21": 4.50e-5}  # Planck 2013 XIII


def write(path, values, unit="K km/s", keywords=None, extra=None):
    columns = {"W": (to_nested(np.float32(values)), unit)} | (extra or {})
    return write_table(path, columns, {"NSIDE": healpy.npix2nside(values.size), **(keywords or {})})


def trusted(dust):
    return HealpixTable(
        "maps.nc", ("dust",), dust[None], healpy.npix2nside(dust.size), "RING", "simulated", None
    )


# --- reading
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sky():
    return galactic_sky(64)


def read(path, sky, **changes):
    settings = SETTING | {"path": path, "co_to_cmb": CO_TO_CMB} | changes
    return second_map.read(settings, trusted(sky["dust"]))


def test_map_in_k_cmb_is_refused_with_the_factor_of_its_header(tmp_path, sky):
    keywords = {"HIERARCH CNV 1-0": 1.42e-5}
    path = write(tmp_path / "type1.fits", 1.42e-5 * sky["co"], "K_CMB", keywords)
    with pytest.raises(BadInput) as refusal:
        read(path, sky)
    text = str(refusal.value)
    assert text.startswith(
        f"{path}: column W is in 'K_CMB'; expected K_RJ km/s: divide it by 1.42e-05 K_CMB per "
        "K_RJ km/s"
    )
    assert "(CNV 1-0 of its header)" in text and "TUNIT1" in text


def test_map_in_k_cmb_without_a_factor_is_refused_with_plancks_own(tmp_path, sky):
    path = write(tmp_path / "map.fits", sky["co"], "uK_CMB")
    with pytest.raises(
        BadInput,
        match=r"in 'uK_CMB'; .* divide it by 4.5e-05 .*Planck's CNV 2-1, not in its header",
    ):
        read(path, sky, line="21")


@pytest.mark.parametrize(
    ("unit", "keywords", "changes", "message"),
    [
        ("MJy/sr", {}, {}, "column W is in 'MJy/sr'; expected K_RJ km/s"),
        (None, {}, {}, "column W has no unit; expected K_RJ km/s"),
        ("K km/s", {"ORDERING": "RING"}, {}, "when the map is read as NESTED"),
        ("K km/s", {"COORDSYS": "C"}, {}, "COORDSYS is 'C'; expected galactic"),
        ("K km/s", {"NSIDE": 32}, {}, "NSIDE 32 needs 12288"),
        ("K km/s", {}, {"column": "INTEN"}, r"column INTEN not found \(columns: W\)"),
        (
            "K km/s",
            {},
            {"column": None},
            "second_map.column: not given, and not known of kind generic",
        ),
        (
            "K km/s",
            {},
            {"beam_arcmin": None},
            "second_map.beam_arcmin: not given, and not known of kind generic",
        ),
    ],
)
def test_map_that_is_not_what_the_config_says_is_refused(
    tmp_path, sky, unit, keywords, changes, message
):
    path = write(tmp_path / "map.fits", sky["co"], unit, keywords)
    with pytest.raises(BadInput, match=message):
        read(path, sky, **changes)


def test_kind_knows_beam_and_columns_of_planck_type_1(tmp_path, sky):
    columns = {
        "I10": (to_nested(np.float32(sky["co"])), "K_RJ km/s"),
        "E10": (np.ones(sky["co"].size, np.float32), "K_RJ km/s"),
    }
    path = write_table(tmp_path / "map.fits", columns, {"NSIDE": 64})
    table, beam = read(path, sky, kind="type1", column=None, beam_arcmin=None)
    assert beam == 9.65 and table.columns == ("I10", "E10")
    np.testing.assert_array_equal(table["I10"], np.float32(sky["co"]))


def test_map_without_a_unit_is_read_in_the_unit_that_the_config_states(tmp_path, sky):
    path = write(tmp_path / "map.fits", sky["co"], None)
    table, _ = read(path, sky, unit="K km/s", column="w")
    np.testing.assert_array_equal(table["w"], np.float32(sky["co"]))
    with pytest.raises(BadInput, match="has no unit; .*; a file that states none: co.second_map.u"):
        read(path, sky)


@pytest.mark.parametrize("blank", [0, -1, healpy.UNSEEN, -1e28, -9999, -32768, np.nan])
def test_unobserved_sky_of_a_regional_survey_is_no_emission_in_any_spelling(
    tmp_path, sky, blank, capsys
):
    """A region of which a quarter was not observed, in a file of the whole sky."""
    lon, lat = healpy.pix2ang(64, np.arange(sky["co"].size), lonlat=True)
    observed = (np.abs(lat + 15) < 12) & (np.abs(lon - 208) < 20) & (lon < 218)
    path = write(tmp_path / "orion.fits", np.where(observed, sky["co"], blank))
    table, _ = read(path, sky)
    np.testing.assert_array_equal(np.isfinite(table.maps[0]), observed)
    output = capsys.readouterr().out
    assert "column W on 1.7% of the sky, correlation 0.92" in output
    assert ("counted as not observed" in output) == (blank in (0, -1))


def test_regional_survey_of_numbered_pixels_is_read(tmp_path, sky):
    pixel = np.flatnonzero(np.abs(healpy.pix2ang(64, np.arange(49152), lonlat=True)[1]) < 10)
    co = np.full(sky["co"].size, healpy.UNSEEN)
    co[pixel] = sky["co"][pixel]
    units = {"column_names": ["W"], "column_units": "K km/s", "coord": "G", "dtype": np.float32}
    healpy.write_map(tmp_path / "part.fits", co, partial=True, **units)
    table, _ = read(tmp_path / "part.fits", sky)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(table.maps[0])), pixel)


@pytest.mark.parametrize("value", [0, 3])
def test_constant_map_is_refused(tmp_path, sky, value):
    path = write(tmp_path / "map.fits", np.full(sky["co"].size, value))
    with pytest.raises(BadInput, match=rf"map\.fits: column W is {value} everywhere"):
        read(path, sky, least_correlation=-1)


def test_map_of_noise_is_refused_with_the_key_of_its_limit(tmp_path, sky):
    path = write(tmp_path / "map.fits", np.random.default_rng(0).normal(size=sky["co"].size))
    with pytest.raises(BadInput, match=r"at least 0\.4 \(co\.second_map\.least_correlation of"):
        read(path, sky)


# --- leakage
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    """Independent CO and dust of one spectrum and variance; the first CO map holds half of the
    dust, the second none.

    The prediction is the first map without its noise: a network that learned the leak perfectly.
    """
    folder = tmp_path_factory.mktemp("leak")
    rng = np.random.default_rng(0)
    ell = np.arange(3 * NSIDE)
    power = (
        np.where(ell > 0, (ell + 5.0) ** -2.6, 0)
        * healpy.gauss_beam(np.radians(0.25), 3 * NSIDE - 1) ** 2
    )
    np.random.seed(3)  # noqa: NPY002 - healpy.synfast draws from the global generator
    co, dust = (
        values / values.std() for values in (healpy.synfast(power, NSIDE) for _ in range(2))
    )
    noise = 0.01 * rng.standard_normal((2, co.size))
    first = co + 0.5 * dust
    maps = {
        "dust": dust,
        "hi": dust,
        "target": first + noise[0],
        "error": 0.01 + 0 * co,
        "null": noise[1],
    }
    maps = {name: np.float32(values) for name, values in maps.items()}
    n = 40
    views = pd.DataFrame(
        {
            "tile": np.arange(n),
            "view": 0,
            "angle": 0.0,
            "bright_fraction": 1.0,
            "sampling_weight": 1.0,
        }
    )
    views["glon"], views["glat"] = (
        (np.arange(n) * 31.0) % 360,
        np.degrees(np.arcsin(np.linspace(-0.9, 0.9, n))),
    )
    views["split"], views["complex"] = "test", ""
    patches = cut_patches(maps, views, [], 3.0, PIXELS)
    patches.attrs |= {
        "data_kind": "simulated",
        "beam_arcmin": 15.0,
        "bright_fraction": 0.5,
        "line": "CO J=1-0",
    }
    patchset.write(patches, folder / "patches.nc")
    whole = {"dust": ("pixel", maps["dust"])}
    patchset.write(
        xr.Dataset(whole, attrs={"nside": NSIDE, "data_kind": "simulated"}), folder / "maps.nc"
    )
    learned = cut_patches(maps | {"target": np.float32(first)}, views, [], 3.0, PIXELS).target
    for model, values in (("leaky", learned), ("flat", xr.zeros_like(learned))):
        predicted = xr.Dataset({"prediction": values, "tile": patches.tile}, attrs={"model": model})
        predicted.to_netcdf(folder / f"{model}.nc")
    write(folder / "second.fits", co)
    return folder


def compared(monkeypatch, folder, second, beam=15.0, **changes):
    """The bright rows of the table that the entry point writes."""
    evaluate = SETTINGS | {"draws": 30} | changes
    # CO and dust are independent here, and do not correlate
    setting = SETTING | {"beam_arcmin": beam, "least_correlation": -1}
    config = json.dumps({"second_map": setting, "co_to_cmb": CO_TO_CMB, "evaluate": evaluate})
    inputs = [
        f"--second-map={second}",
        f"--maps={folder}/maps.nc",
        f"--patches={folder}/patches.nc",
    ]
    predictions = ["--predictions", f"{folder}/leaky.nc", f"{folder}/flat.nc"]
    monkeypatch.setattr(
        "sys.argv", ["x", f"--config={config}", *inputs, *predictions, f"--output={folder}/out.csv"]
    )
    co_compare_second_map.main()
    table = pd.read_csv(folder / "out.csv").set_index(["model", "of", "subset", "name"])
    return table.xs("bright", level="subset").sort_index()


def test_known_leakage_of_dust_shows_as_the_fall_that_it_must_give(leaking, monkeypatch):
    """a = 0.5: rho of co + a dust with co is 1 / sqrt(1 + a^2), of dust with co + a dust it is a /
    sqrt(1 + a^2).
    """
    table = compared(monkeypatch, leaking, leaking / "second.fits")
    leaky, dust = (
        table.loc[("leaky", "model", "rho_l_beam")],
        table.loc[("leaky", "dust", "rho_l_beam")],
    )
    assert leaky["first"] == pytest.approx(1, abs=0.01)
    # medians over 40 tiles of some 20 modes a band: 0.03 for the first, 0.05 where the correlation
    # itself is low
    assert leaky["second"] == pytest.approx(1 / np.sqrt(1.25), abs=0.04)
    assert dust["first"] == pytest.approx(0.5 / np.sqrt(1.25), abs=0.1)
    assert dust["second"] == pytest.approx(0, abs=0.1)
    assert leaky["difference"] == pytest.approx(leaky["second"] - leaky["first"], abs=1e-5)
    assert leaky.difference_hi < 0 and leaky.n == 40 and leaky.beam_arcmin == 15
    with xr.open_dataset(leaking / "patches.nc") as patches:
        leak = 0.5 * np.sqrt((patches.dust.values**2).mean())
    rmse = table.loc[("leaky", "model", "rmse")]
    # noise of 0.01, interpolated
    assert rmse["first"] < 0.01 and rmse["second"] == pytest.approx(leak, rel=1e-3)


def test_power_shared_with_the_second_map_tells_the_leak_through_any_noise(
    leaking, monkeypatch, tmp_path
):
    """Of co + a dust it is 1 / (1 + a^2) of that shared with co + a dust, of dust nothing; noise
    lowers rho only.
    """
    second = healpy.read_map(leaking / "second.fits", field=0, dtype=float)
    # as strong as the signal, pixel by pixel
    noisy = second + np.random.default_rng(5).standard_normal(second.size)
    table = compared(monkeypatch, leaking, write(tmp_path / "noisy.fits", noisy))
    rows = table[table.index.get_level_values("name").str.startswith("cross_ratio_l")]
    of_model, of_dust = rows.loc["leaky", "model"], rows.loc["leaky", "dust"]
    # B_l^2 > 0.05
    assert list(of_model.index) == ["cross_ratio_l398", "cross_ratio_l632", "cross_ratio_l866"]
    assert (of_model["first"] == 1).all() and (of_dust["first"] == 1).all()
    # some 800 modes a band: 0.04 from chance correlations of co with dust, at l = 866 as much from
    # the noise
    np.testing.assert_allclose(of_model["second"], 1 / 1.25, atol=0.1)
    np.testing.assert_allclose(of_dust["second"], 0, atol=0.25)
    rho = table.loc[("leaky", "model", "rho_l_beam")]
    assert rho["second"] < 0.9 / np.sqrt(1.25)
    assert rows.loc["flat", "model"]["second"].isna().all()  # shares nothing with either


def test_dust_map_as_the_second_map_is_what_its_tiles_show(leaking, monkeypatch, tmp_path):
    """A map of which the patch set holds the tiles comes out on them as it was cut."""
    with (
        xr.open_dataset(leaking / "maps.nc") as maps,
        xr.open_dataset(leaking / "patches.nc") as patches,
    ):
        second, mean = maps.dust.values, float(patches.dust.mean())
    table = compared(monkeypatch, leaking, write(tmp_path / "same.fits", second))
    assert table.loc[("flat", "dust", "rho_l_beam"), "second"] == pytest.approx(1, abs=1e-6)
    assert table.loc[("flat", "model", "bias"), "second"] == pytest.approx(-mean, abs=1e-5)


def test_coarser_second_map_brings_all_to_its_beam(leaking, monkeypatch, tmp_path):
    """The second map smoothed on the sphere, the tiles on the plane: equal but for the tiles'
    edges.
    """
    fwhm = np.radians(np.sqrt(25.0**2 - 15.0**2) / 60)
    second = healpy.smoothing(
        healpy.read_map(leaking / "second.fits", field=0, dtype=float), fwhm=fwhm
    )
    table = compared(
        monkeypatch,
        leaking,
        write(tmp_path / "coarse.fits", second),
        25.0,
        l_first=250,
        l_width=200,
    )
    fall = table.loc[("leaky", "model", "rho_l_beam")]
    assert "rmse" in table.loc["leaky", "model"].index
    # the first map's error is of 15 arcmin
    assert "rmse_over_noise" not in table.index.get_level_values("name")
    assert fall.beam_arcmin == 25 and fall["first"] == pytest.approx(1, abs=0.01)
    assert fall["second"] == pytest.approx(1 / np.sqrt(1.25), abs=0.06)
    sharp = compared(monkeypatch, leaking, leaking / "second.fits", 15.0, l_first=250, l_width=200)
    assert "rmse_over_noise" in sharp.index.get_level_values("name")
    # unsmoothed tiles would correlate less with a smoothed map: 25 arcmin take 40 % of the power at
    # l = 450
    assert table.loc[("leaky", "model", "pearson"), "second"] == pytest.approx(
        sharp.loc[("leaky", "model", "pearson"), "second"], abs=0.02
    )


def test_map_without_the_test_sky_is_refused(leaking, monkeypatch, tmp_path):
    second = healpy.read_map(leaking / "second.fits", field=0, dtype=float)
    lat = healpy.pix2ang(NSIDE, np.arange(second.size), lonlat=True)[1]
    second[np.abs(lat) < 80] = np.nan
    with pytest.raises(BadInput, match=r"column W is known on none of the 40 test tiles"):
        compared(monkeypatch, leaking, write(tmp_path / "polar.fits", second))


def test_tiles_that_the_second_map_half_knows_are_scored_on_what_both_know(
    leaking, monkeypatch, tmp_path
):
    second = healpy.read_map(leaking / "second.fits", field=0, dtype=float)
    lon = healpy.pix2ang(NSIDE, np.arange(second.size), lonlat=True)[0]
    second[lon > 180] = healpy.UNSEEN
    table = compared(monkeypatch, leaking, write(tmp_path / "half.fits", second))
    row = table.loc[("leaky", "model", "rho_l_beam")]
    assert 15 <= row.n <= 25 and row["first"] == pytest.approx(1, abs=0.01)
