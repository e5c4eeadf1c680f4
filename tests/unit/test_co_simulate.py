"""The stand-in sky: reproducible, conserved, in the format of the products, near the anchors."""

import json
import subprocess
import sys
from pathlib import Path

import healpy as hp
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from skyloom.cli import BadInput
from skyloom.co.evaluate import anchors
from skyloom.co.simulate import DEFAULTS, emission, observe, simulate_sky
from skyloom.co.simulate.fields import gaussian_field, smooth
from skyloom.co.simulate.galaxy import SUN_RADIUS_KPC, disc_columns, spiral_arms
from skyloom.co.simulate.write import write_co, write_dust, write_hi

CONFIG = {**DEFAULTS, "nside": 64}
SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def truth():
    return emission(CONFIG)


@pytest.fixture(scope="module")
def sky(truth):
    return observe(truth, CONFIG)


@pytest.fixture(scope="module")
def files(sky, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    paths = [folder / name for name in ("co.fits", "dust.fits", "hi.fits")]
    for write, path in zip((write_co, write_dust, write_hi), paths, strict=True):
        write(sky, path, CONFIG)
    return paths


def test_same_seed_gives_the_same_sky_to_the_last_bit_and_another_seed_another(sky):
    again = simulate_sky({"nside": 64})
    assert {sky[name].dtype for name in sky if name[0] != "M"} == {np.dtype(np.float32)}
    assert all(np.array_equal(sky[name], again[name], equal_nan=True) for name in sky)
    other = simulate_sky({"nside": 64, "seed": DEFAULTS["seed"] + 1})
    assert not np.isclose(sky["hi"], other["hi"], rtol=1e-5).mean() > 0.01
    assert (
        abs(np.corrcoef(sky["N10"][valid(sky, other)], other["N10"][valid(sky, other)])[0, 1])
        < 0.02
    )


def valid(*skies):
    return np.all([sky["M10"] == 1 for sky in skies], axis=0)


def test_one_seed_is_one_sky_at_each_nside(truth):
    fine = emission({**DEFAULTS, "nside": 128})
    # the CO threshold is the least linear step
    for name, tolerance in (("hi", 0.01), ("dust", 0.02), ("w10", 0.10)):
        degraded = hp.ud_grade(fine[name], 64, dtype=np.float64)
        assert degraded.mean() == pytest.approx(truth[name].mean(dtype=np.float64), rel=tolerance)
    # the coarse sky lacks the finest structure, some 0.1 of ln(dust), whose rms is 1.3
    assert np.corrcoef(np.log(hp.ud_grade(fine["dust"], 64)), np.log(truth["dust"]))[0, 1] > 0.99


def test_gaussian_field_has_the_given_spectrum_and_variance():
    config = {"nside": 128, "seed": 3}
    field, variance = gaussian_field("any", lambda ell: ell**-2.75, config)
    ell = np.arange(10, 250)
    slope = np.polyfit(np.log(ell), np.log(hp.anafast(field)[ell]), 1, w=np.sqrt(ell))[0]
    # cosmic variance of 240 multipoles: 0.02
    assert slope == pytest.approx(-2.75, abs=0.05)
    flat, flat_variance = gaussian_field("any", np.ones_like, config)
    # scatter of 147,000 modes: 0.4 %; the integral is a sum over pixels
    assert flat.var() == pytest.approx(flat_variance, rel=0.02)
    # a band limit of 383 of 4096 keeps all of a steep spectrum, and (384 / 4097)^2 of a flat one
    assert variance == pytest.approx(1, abs=0.03)
    assert flat_variance == pytest.approx((384 / 4097) ** 2, rel=1e-3)


def test_beam_conserves_flux_and_has_its_width():
    nside, fwhm_deg = 64, 4.0
    centre = hp.ang2pix(nside, 30.0, 40.0, lonlat=True)
    point = np.zeros(hp.nside2npix(nside))
    point[centre] = 1000.0
    seen = smooth(point, fwhm_deg * 60)
    directions = np.array(hp.pix2vec(nside, np.arange(len(point))))
    angle = np.degrees(np.arccos(np.clip(directions[:, centre] @ directions, -1, 1)))
    near = angle < 3 * fwhm_deg
    assert seen.sum() == pytest.approx(1000, rel=0.01)
    # second moment of a round Gaussian; the width of the pixel adds 1 %, and the ring of the band
    # limit is beyond `near`
    assert np.average(angle[near] ** 2, weights=seen[near]) == pytest.approx(
        2 * fwhm_deg**2 / (8 * np.log(2)), rel=0.03
    )
    # a beam narrower than the 55' pixel has no effect
    assert np.array_equal(smooth(point, 30), point)


def test_diffuse_disc_towards_the_pole_is_the_column_of_a_gaussian_layer():
    config = {**DEFAULTS, "local_bubble": 1.0}
    edges = [0.0, *np.geomspace(0.05, 1.0, 8)]
    column = sum(
        disc_columns(16, near, far, config)[0] for near, far in zip(edges, edges[1:], strict=False)
    )
    height_cm = DEFAULTS["hi_height_kpc"] * 3.0857e21
    arms = 0.7 + 0.6 * spiral_arms(np.array(SUN_RADIUS_KPC), np.array(0.0))
    both_sides = DEFAULTS["hi_density"] * arms * height_cm * np.sqrt(2 * np.pi) / 1e20
    north = column[hp.query_disc(16, [0, 0, 1.0], np.radians(5))].mean()
    south = column[hp.query_disc(16, [0, 0, -1.0], np.radians(5))].mean()
    # quadrature of six samples a shell, sec(b) of the disc
    assert north + south == pytest.approx(both_sides, rel=0.02)
    assert south > north  # the Sun is above the plane


def test_sky_is_within_the_measured_anchors_at_low_nside(sky):
    table = anchors.table(sky)
    maps = table[~table.anchor.str.contains("CO 1-0|tiles")]
    assert len(maps) == 21
    assert maps.ok.all(), maps[~maps.ok].to_string()


def test_noise_rms_equals_the_error_columns_and_null_maps_are_independent(truth):
    dark = {**truth, "w10": np.zeros_like(truth["w10"]), "w21": np.zeros_like(truth["w21"])}
    seen = observe(dark, {**CONFIG, "masked_fraction": 0.0})
    for line in ("10", "21"):
        noise, null = seen[f"I{line}"] / seen[f"E{line}"], seen[f"N{line}"] / seen[f"E{line}"]
        assert noise.std() == pytest.approx(1, abs=0.015)  # 36,864 modes: 0.4 %
        assert null.std() == pytest.approx(1, abs=0.015)
        assert abs(np.corrcoef(noise, null)[0, 1]) < 0.02
    assert abs(np.corrcoef(seen["I10"], seen["I21"])[0, 1]) < 0.02
    pole = SkyCoord(0, 90, unit="deg", frame="barycentricmeanecliptic").galactic
    assert seen["E10"][hp.ang2pix(64, pole.l.deg, pole.b.deg, lonlat=True)] == pytest.approx(
        0.225, abs=0.005
    )
    assert np.median(seen["E10"]) == pytest.approx(0.53, abs=0.02)


def test_line_ratio_lies_between_the_disc_s_and_the_inner_galaxy_s(truth):
    bright = truth["w10"] > 1
    ratio = truth["w21"][bright] / truth["w10"][bright]
    # 0.65 to 0.8, with 10 % scatter
    assert np.percentile(ratio, 1) > 0.45 and np.percentile(ratio, 99) < 1.05
    assert 0.6 < np.median(ratio) < 0.8


def test_masked_sky_is_faint_and_of_the_size_of_the_config(sky, truth):
    masked = sky["M10"] == 0
    assert masked.mean() == pytest.approx(DEFAULTS["masked_fraction"], abs=0.002)
    assert truth["w10"][masked].max() < 1
    for name in ("I10", "E10", "N10", "I21", "E21", "N21"):
        assert np.array_equal(np.isnan(sky[name]), masked)


def test_files_have_the_products_columns_units_and_keywords(files):
    co, dust, hi = (fits.open(path)[1] for path in files)
    assert co.columns.names == ["I10", "E10", "N10", "M10", "I21", "E21", "N21", "M21"]
    assert [unit or "" for unit in co.columns.units] == [
        *["K_RJ km/s"] * 3,
        "",
        *["K_RJ km/s"] * 3,
        "",
    ]
    assert (dust.columns.names, dust.columns.units) == (["I"], ["MJy/sr"])
    assert hi.columns.names == ["HPXINDEX", "RA2000", "DEC2000", "GLON", "GLAT", "NHI"]
    assert hi.columns["NHI"].unit == "cm-2"
    assert co.header["AST-COMP"] == "CO-TYPE2"
    for table, ordering in ((co, "NESTED"), (dust, "NESTED"), (hi, "RING")):
        expected = {
            "ORDERING": ordering,
            "COORDSYS": "GALACTIC",
            "PIXTYPE": "HEALPIX",
            "NSIDE": 64,
            "FIRSTPIX": 0,
        }
        expected |= {"LASTPIX": 49151, "SKYKIND": "simulated", "SKYSEED": DEFAULTS["seed"]}
        assert {key: table.header[key] for key in expected} == expected
        assert "Synthetic" in str(table.header["COMMENT"])
    assert co.data["I10"].min() == np.float32(-1.6375e30)
    assert co.header["BAD_DATA"] == -1.6375e30


def test_healpy_reads_the_files_back_as_the_sky_that_was_written(files, sky):
    co, dust, hi = files
    for field, name in ((0, "I10"), (1, "E10"), (6, "N21")):
        seen = hp.read_map(co, field=field, dtype=np.float32)
        assert np.array_equal(np.where(seen < -1e30, np.nan, seen), sky[name], equal_nan=True)
    assert np.array_equal(hp.read_map(dust, dtype=np.float32), sky["dust"])
    table = fits.getdata(hi)
    assert table["NHI"] == pytest.approx(sky["hi"] * 1e20, rel=1e-6)
    equatorial = SkyCoord(
        table["GLON"][::997], table["GLAT"][::997], unit="deg", frame="galactic"
    ).icrs
    listed = SkyCoord(table["RA2000"][::997], table["DEC2000"][::997], unit="deg")
    assert listed.separation(equatorial).arcsec.max() < 1  # float32 degrees; FK5 for ICRS


def test_unknown_key_and_odd_nside_are_refused():
    with pytest.raises(BadInput, match="unknown key nsid"):
        simulate_sky({"nsid": 64})
    with pytest.raises(BadInput, match="nside is 100"):
        simulate_sky({"nside": 100})


def test_anchor_measures_agree_with_skies_whose_answer_is_known():
    rng = np.random.default_rng(5)
    steep = {"nside": 256, "seed": 5}
    first, second = (
        gaussian_field(name, lambda ell: ell**-2.8, steep)[0] for name in ("first", "second")
    )
    tiles = rng.choice(12288, 40, replace=False)
    to_co_beam = np.radians(np.sqrt(200) / 60)
    same = {"dust": first + 9, "I10": hp.smoothing(first, fwhm=to_co_beam)}
    assert dict(anchors.dust_co_correlation(same, tiles))[398] == pytest.approx(1, abs=1e-3)
    mixed = {"dust": first + 9, "I10": hp.smoothing(first + second, fwhm=to_co_beam)}
    # a map against itself plus as much of another: sqrt(1/2); scatter of 40 tiles of 20 modes: 0.03
    assert dict(anchors.dust_co_correlation(mixed, tiles))[398] == pytest.approx(
        np.sqrt(0.5), abs=0.08
    )
    everywhere = np.ones(hp.nside2npix(64), bool)
    coarse, _ = gaussian_field("coarse", lambda ell: ell**-2.8, {"nside": 64, "seed": 5})
    # scatter of 81 multipoles: 0.04
    assert anchors.log_spectrum_slope(np.exp(coarse), everywhere) == pytest.approx(-2.8, abs=0.1)
    hi, molecular = rng.uniform(1, 2.9, 1000), np.r_[np.zeros(500), rng.uniform(0, 9, 500)]
    latitude = np.r_[np.full(500, 60.0), np.full(500, 5.0)]
    excess = anchors.dust_excess(hi, 0.35 * (hi + 2 * molecular), latitude)
    assert excess == pytest.approx(molecular / 2.0, abs=1e-9)  # X = 2e20
    assert anchors.bright_fractions(everywhere).min() == 1


def test_entry_points_write_the_files_and_the_table(tmp_path):
    maps = [f"--{name}-map={tmp_path / name}.fits" for name in ("co", "dust", "hi")]
    config = json.dumps({"nside": 64, "seed": 1})
    subprocess.run(
        [sys.executable, SCRIPTS / "co_simulate_sky.py", f"--config={config}", *maps], check=True
    )
    check = [
        sys.executable,
        SCRIPTS / "co_check_sky.py",
        *maps,
        f"--output={tmp_path / 'anchors.csv'}",
    ]
    printed = subprocess.run(check, check=True, capture_output=True, text=True).stdout
    table = pd.read_csv(tmp_path / "anchors.csv")
    assert list(table.columns) == ["anchor", "model", "target", "lower", "upper", "ok", "source"]
    # without rho_l, which needs NSIDE 256
    assert len(table) == 25
    assert "N(HI) percentile 50" in printed
