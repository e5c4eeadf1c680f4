"""The choice of a denoiser, its comparison with others, and its entry points."""

import json
import subprocess
import sys

import healpy as hp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from test_co_denoise_sphere import NOISE, clouds

from skyloom import patchset
from skyloom.cli import BadInput
from skyloom.co.data.patches import cut_patches
from skyloom.co.denoise import choose, compare, sphere
from skyloom.co.denoise.patch import nlm_patch

SETTINGS = {
    "fwhm_arcmin": [15.0],
    "alpha": [0.2, 0.4],
    "reach": 24,
    "pixels": 2000,
    "seed": 0,
    "margin_deg": 2.0,
}


# --- the choice of its parameters ----------------------------------------------------------------


def test_cross_validation_chooses_what_is_best_against_the_truth():
    truth, noise = clouds(64)
    null = np.roll(noise, 5000)
    error = np.full(truth.size, NOISE, np.float32)
    pixels = choose.drawn_pixels(np.ones(truth.size, bool), 3000, 0)
    grid = {"fwhm_arcmin": [480.0, 960.0], "alpha": [0.02, 0.1, 0.3, 1.0], "reach": 16}
    scores = choose.score_sphere(truth + noise, null, error, pixels, grid)
    real = []
    for row in scores.itertuples():
        half = truth + noise + null
        mean = sphere.average(
            half[:, None], sphere.features(half, row.fwhm_arcmin), pixels, row.alpha, 16 / 64
        )[:, 0]
        real.append(np.mean((mean - truth[pixels]) ** 2) / NOISE**2)
    # over the same 3,000 pixels; the noise of the other half adds sqrt(8 (1 + mse) / 3000), some
    # 0.06 to 0.1
    np.testing.assert_allclose(scores["mse"], real, atol=0.15, rtol=0.2)
    assert real[scores["mse"].idxmin()] < 1.05 * min(real)
    assert choose.best(scores)["gain_db"] == scores["gain_db"].max() > 2


def test_border_of_a_grid_is_where_a_parameter_has_no_neighbour_on_one_side():
    grid = pd.DataFrame(
        [(f, a) for f in (15, 30, 60) for a in (0.1, 0.2, 0.4)], columns=["fwhm_arcmin", "alpha"]
    )
    inner = ~choose.on_border(grid, "fwhm_arcmin", "alpha")
    assert grid[inner].to_numpy().tolist() == [[30, 0.2]]
    # a parameter with a single candidate has no border
    one = grid[grid["fwhm_arcmin"] == 15]
    assert choose.on_border(one, "fwhm_arcmin", "alpha").tolist() == [True, False, True]


def test_same_seed_draws_the_same_pixels():
    eligible = hp.pix2vec(64, np.arange(hp.nside2npix(64)))[2] > 0.5
    one, again, other = (choose.drawn_pixels(eligible, 2000, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert eligible[one].all() and 2000 <= len(one) < 2000 + 2 * 16


@pytest.mark.parametrize(
    ("null", "found"),
    [(None, "missing"), (np.nan, "NaN everywhere"), (0.0, "0 everywhere")],
    ids=str,
)
def test_empty_null_map_is_refused_by_file_and_column(tmp_path, null, found):
    maps = xr.Dataset({"co10": ("pixel", np.ones(48, np.float32))})
    if null is not None:
        maps["co10_null"] = "pixel", np.full(48, null, np.float32)
    patchset.write(maps, tmp_path / "maps.nc")
    with pytest.raises(
        BadInput,
        match=rf"maps.nc: variable co10_null \(column N10 .* is {found}; expected the null",
    ):
        choose.read_null(patchset.PatchSet(tmp_path / "maps.nc"), "co10")


# --- comparison with other denoisers -------------------------------------------------------------


@pytest.fixture(scope="module")
def compared():
    settings = {
        "nside": 128,
        "seed": 1,
        "tiles": 6,
        "pixels": 64,
        "gaussian_arcmin": [6, 10],
        "patch_h": [0.6, 1.0],
    }
    patch = {"h": 0.6, "patch_size": 5, "patch_distance": 6}
    return compare.compare(settings, {"nlm_patch": patch, "nlm_sphere": SETTINGS})


def test_several_decibel_on_white_noise_and_none_on_noise_of_the_beam(compared):
    # earlier runs gave, for white noise at 80 pixels a beam, 5 to 8 dB within patches and 3 dB on
    # the sphere, and for correlated noise 0.1 to 0.7 dB
    gain = compared[0].set_index(["noise", "denoiser"])["gain_db"]
    assert gain["white", "nlm_patch"] > 3 and gain["white", "nlm_sphere"] > 2
    for denoiser in ("gaussian", "nlm_patch", "nlm_sphere"):
        assert gain["beam-correlated", denoiser] <= 0.7


def test_intervals_of_gain_and_transfer_hold_what_was_measured(compared):
    table, curves = compared
    for gain in ("gain_db", "gain_bright_db"):
        assert ((table[f"{gain}_lo"] <= table[gain]) & (table[gain] <= table[f"{gain}_hi"])).all()
        other = table[table["denoiser"] != "raw"]
        assert (other[f"{gain}_hi"] - other[f"{gain}_lo"] > 0.01).all()  # six tiles differ
    raw = table[table["denoiser"] == "raw"]
    assert (raw[["gain_db", "gain_db_lo", "gain_db_hi"]] == 0).all(axis=None)
    assert ((curves.transfer_lo <= curves.transfer) & (curves.transfer <= curves.transfer_hi)).all()
    # gains are numbers, not text
    assert table.select_dtypes("number").columns.str.startswith("gain").sum() == 6
    # a gain in PSNR is the ratio of the rmse
    white = table[table["noise"] == "white"].set_index("denoiser")
    ratio = white.loc["raw", "rmse"] / white.loc["gaussian", "rmse"]
    assert white.loc["gaussian", "gain_db"] == pytest.approx(20 * np.log10(ratio), abs=1e-9)


def test_strength_within_tiles_is_chosen_by_the_null_as_by_the_truth():
    truth = np.tile(4 * np.exp(np.sin(np.linspace(0, 6, 48))), (3, 48, 1))
    noise = NOISE * np.random.default_rng(2).standard_normal((2, *truth.shape))
    patch, strengths = {"patch_size": 5, "patch_distance": 6}, [0.1, 0.5, 1.0, 3.0]
    scores = choose.score_patch(truth + noise[0], noise[1], strengths, patch)
    real = []
    for h in strengths:
        out = nlm_patch(
            truth + noise.sum(0), np.full_like(truth, np.sqrt(2) * NOISE), patch | {"h": h}
        )
        real.append(np.mean((out - truth) ** 2) / NOISE**2)
    # over the same 7,000 pixels the noise of the other half adds 0.03 to 0.05
    np.testing.assert_allclose(scores["mse"], real, atol=0.15)
    assert scores["mse"].idxmin() == np.argmin(real) not in (0, 3)


def test_beam_of_the_map_as_it_is_stays_and_a_gaussian_adds_its_own(compared):
    # 15 and 6 arcmin add in quadrature to 16.2; noise and the taper of the tiles change it by a few
    # tenths. The effect of non-local means depends on its parameters: narrower than the Gaussian
    # here, wider at NSIDE 512
    beam = compared[0].set_index(["noise", "denoiser"])["effective_fwhm_arcmin"]
    assert beam["white", "raw"] == pytest.approx(15, abs=0.1)
    assert (
        compared[0].set_index(["noise", "denoiser"])["parameters"]["white", "gaussian"]
        == "FWHM 6 arcmin"
    )
    assert beam["white", "gaussian"] == pytest.approx(np.hypot(15, 6), abs=0.5)


def test_effective_beam_of_a_gaussian_is_the_quadratic_sum():
    ell, sigma = np.array([398.0, 632.0, 866.0]), np.radians(10 / 60) / np.sqrt(8 * np.log(2))
    # the logarithm of a Gaussian is linear in l^2, and transfers are interpolated in l^2
    assert compare.effective_fwhm(ell, np.exp(-((ell * sigma) ** 2) / 2)) == pytest.approx(
        np.hypot(15, 10), rel=1e-6
    )


# --- entry points --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A folder with maps.nc, patches cut from it, and the raw map as denoised map.

    The maps have NSIDE 64 and a hole.
    """
    folder = tmp_path_factory.mktemp("cut")
    truth, noise = clouds(64)
    sky = (truth + noise).astype(np.float32)
    sky[hp.query_disc(64, hp.ang2vec(100, 20, lonlat=True), np.radians(2))] = np.nan
    error = np.where(np.isfinite(sky), np.float32(NOISE), np.float32(np.nan))
    maps = {
        "dust": truth,
        "hi": truth,
        "co10": sky,
        "co10_error": error,
        "co10_null": noise[::-1].copy(),
    }
    attrs = {"nside": 64, "data_kind": "simulated", "beam_arcmin": 15.0, "line": "CO J=1-0"}
    dataset = xr.Dataset({name: ("pixel", plane) for name, plane in maps.items()}, attrs=attrs)
    patchset.write(dataset, folder / "maps.nc")
    patchset.write(dataset.assign_attrs(fwhm_arcmin=15.0, alpha=0.2), folder / "denoised_map.nc")
    columns = [
        "tile",
        "glon",
        "glat",
        "split",
        "complex",
        "bright_fraction",
        "sampling_weight",
        "view",
        "angle",
    ]
    rows = [
        [1, 100.3, 20.4, "train", "", 0.5, 1.0, 0, 0.0],
        [1, 99.1, 21.0, "train", "", 0.5, 1.0, 1, 211.7],
    ]
    names = {
        "dust": "dust",
        "hi": "hi",
        "target": "co10",
        "error": "co10_error",
        "null": "co10_null",
    }
    planes = {name: maps[column] for name, column in names.items()}
    patches = cut_patches(planes, pd.DataFrame(rows, columns=columns), [], 9.0, 32)
    patchset.write(patches.assign_attrs(attrs), folder / "patches.nc")
    return folder


def run(repository, script, config, **paths):
    command = [
        sys.executable,
        repository / "scripts" / f"{script}.py",
        "--config",
        json.dumps(config),
    ]
    command += [
        str(word) for name, path in paths.items() for word in (f"--{name.replace('_', '-')}", path)
    ]
    return subprocess.run(command, capture_output=True, text=True)


def test_patches_of_an_unchanged_map_are_the_raw_patches_to_the_last_bit(cut, repository, tmp_path):
    paths = {
        "patches": cut / "patches.nc",
        "maps": cut / "maps.nc",
        "denoised_map": cut / "denoised_map.nc",
    }
    done = run(
        repository,
        "co_denoise_patches",
        {"method": "nlm_sphere"},
        **paths,
        output=tmp_path / "denoised.nc",
    )
    assert done.returncode == 0, done.stderr
    raw, out = patchset.PatchSet(cut / "patches.nc"), patchset.PatchSet(tmp_path / "denoised.nc")
    assert np.isnan(raw.array("target")).any()
    for name in ("target", "error"):
        np.testing.assert_array_equal(out.array(name), raw.array(name))
    assert out.coords["view"].tolist() == [0, 1]
    assert json.loads(out.attrs["denoiser"]) == {
        "method": "nlm_sphere",
        "fwhm_arcmin": 15.0,
        "alpha": 0.2,
    }


def test_script_filters_near_bright_sky_and_records_how_it_chose(cut, repository, tmp_path):
    split = {"block_deg": 30, "valid_blocks": [3], "test_blocks": [1], "complexes": {}}
    grid = SETTINGS | {"fwhm_arcmin": [480.0], "reach": 16, "pixels": 1000}
    config = {"line": "10", "snr": 20.0, "nlm_sphere": grid, "split": split}
    done = run(
        repository,
        "co_denoise_sphere",
        config,
        maps=cut / "maps.nc",
        output=tmp_path / "out.nc",
        scores=tmp_path / "scores.csv",
    )
    assert done.returncode == 0, done.stderr
    raw, scores = (
        patchset.PatchSet(cut / "maps.nc").array("co10"),
        pd.read_csv(tmp_path / "scores.csv"),
    )
    with xr.open_dataset(tmp_path / "out.nc") as out:
        filtered = out["filtered"].values == 1
        assert 0.05 < filtered.mean() < 0.95
        np.testing.assert_array_equal(out["co10"].values[~filtered], raw[~filtered])
        np.testing.assert_array_equal(np.isnan(out["co10"].values), np.isnan(raw))
        assert float(out["co10_error"].where(filtered).median()) < NOISE
        assert len(json.loads(out.attrs["cross_validation"])) == len(scores) == 2
        assert out.attrs["alpha"] == scores[scores["chosen"]]["alpha"].item()
    # two strengths of one smoothing: either is an end of its grid
    assert scores["border"].tolist() == [True, True]
    assert (
        "warning: FWHM 480 arcmin" in done.stdout
        and "lie on the border of their grid" in done.stdout
    )


def test_counts_are_listed_next_to_the_published_ones_with_flips(cut, repository, tmp_path):
    split = {
        "block_deg": 30,
        "guard_deg": 3.5,
        "valid_blocks": [3, 9],
        "test_blocks": [1, 6],
        "complexes": {},
    }
    tiles = {
        "nside": 16,
        "size_deg": 3.0,
        "snr_threshold": 8.0,
        "bright_fraction": 0.25,
        "valid_fraction": 0.5,
    }
    published = repository / "config/co/published.yaml"
    paths = {"maps": cut / "maps.nc", "denoised": cut / "denoised_map.nc", "published": published}
    config = {"lines": ["10"], "tiles": tiles, "split": split}
    done = run(repository, "co_count_patches", config, **paths, output=tmp_path / "counts.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "counts.csv").set_index(["cut", "split"])
    assert (table["with_flips"] == 3 * table["tiles"]).all()
    tiles_of = table["tiles"]["raw"]
    assert tiles_of["train"] + tiles_of["valid"] == tiles_of["train and valid"] < tiles_of["all"]
    assert tiles_of.equals(table["tiles"]["denoised"])  # the denoised map is the raw one here
    known = yaml.safe_load(published.read_text())["patch_counts"]["patches"]
    assert table["published"]["raw", "test"] == known["raw"]["test"] == 2790
    assert table["published"]["denoised", "train and valid"] == 10488 + 1166
