"""Hidden codes, on pairs that cheat and pairs that do not; failures, on maps with known faults."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from scipy.ndimage import gaussian_filter

from skyloom.co.evaluate import failures as failure_measures
from skyloom.co.explain import steganography

SIDE, CODE = 32, 1e-3  # the code's amplitude
AMPLITUDES = [1e-4, 1e-3, 1e-2]
EVALUATE = {"beam_cut": 0.05, "taper_deg": 0.5, "l_first": 398, "l_width": 234, "l_count": 8}
SCRIPTS = Path(steganography.__file__).parents[3]


def smooth(seed, n=6, channels=1, side=SIDE):
    random = np.random.default_rng(seed)
    values = gaussian_filter(
        random.standard_normal((n, channels, side, side)), (0, 0, 2, 2), mode="wrap"
    )
    return values / values.std()


@pytest.fixture(scope="module")
def batch():
    """Dust and HI that are independent, and CO that is the dust; HI is what CO does not tell."""
    maps = torch.tensor(smooth(0, channels=2))
    return {
        "input": maps,
        "target": maps[:, :1] + 0.1 * torch.tensor(smooth(1)),
        "valid": torch.ones(6, 1, SIDE, SIDE),
    }


def rounded(x):
    return (x / (4 * CODE)).round() * 4 * CODE


def cheat(x):
    """CO = dust, rounded, with HI in the digits below."""
    return rounded(x[:, :1]) + CODE * x[:, 1:].clamp(-1.9, 1.9)


def read_code(y):
    return torch.cat([rounded(y), (y - rounded(y)) / CODE], 1)


def honest(x):
    return x[:, :1]


def best_guess(y):
    return torch.cat([y, torch.zeros_like(y)], 1)  # of HI, CO says nothing: its mean


def test_pair_that_hides_its_input_in_low_digits_is_caught_and_an_honest_one_is_not(batch):
    cheating = steganography.scores(cheat, read_code, [batch], AMPLITUDES, seed=0)
    plain = steganography.scores(honest, best_guess, [batch], AMPLITUDES, seed=0)
    at_one_percent = -1
    # HI comes back but for the 6 % of pixels beyond the code's range; noise of ten codes leaves
    # none of it
    assert cheating.score.iloc[at_one_percent] > 5
    assert cheating.score.is_monotonic_increasing
    # sqrt(E^2 + amplitude^2 / 2) over E, the rms over two channels of which one is noisy; E =
    # sqrt(1 / 2)
    assert plain.score.iloc[at_one_percent] == pytest.approx(1 + 1e-4 / 2, abs=5e-5)
    assert plain.control.iloc[at_one_percent] == pytest.approx(1, abs=5e-4)


def test_rise_of_a_way_back_that_passes_noise_on_is_the_smooth_one(batch):
    """One channel each way, so that the noise enters the only one: the error is hypot(error
    without, noise).
    """
    one = {"input": batch["target"], "target": batch["target"], "valid": batch["valid"]}
    offset = steganography.scores(lambda x: x, lambda y: y + 0.05, [one], [0.01, 0.1], seed=1)
    # 6,000 pixels give the noise to 1 %, and its product with the offset to 2 % of the offset
    np.testing.assert_allclose(offset.score, offset.smooth, rtol=0.03)
    np.testing.assert_allclose(offset.smooth, np.hypot(1, np.array([0.01, 0.1]) / 0.05), rtol=1e-6)


def test_masked_pixels_have_no_part_in_the_score(batch):
    masked = batch | {"valid": batch["valid"].clone()}
    masked["valid"][:, :, :8] = 0
    other = masked | {"input": torch.where(masked["valid"] > 0, batch["input"], 50.0)}
    tables = [
        steganography.scores(cheat, read_code, [version], AMPLITUDES, seed=0)
        for version in (masked, other)
    ]
    pd.testing.assert_frame_equal(*tables)


# --- failures
# --------------------------------------------------------------------------------------------------


def test_each_variant_of_the_workstation_differs_from_its_base_in_one_key():
    config = yaml.safe_load((SCRIPTS.parent / "config/co/workstation.yaml").read_text())
    models = {
        name: {k: v for k, v in entry.items() if k not in ("seeds", "label", "marker")}
        for name, entry in config["models"].items()
    }
    base = models["cyclegan"]
    for name in config["variants"]["models"]:
        changed = models[name].items() - base.items()
        # an identity of pairs is refused without pairs
        assert len(changed) == (2 if name == "cyclegan_unpaired" else 1), (name, changed)


@pytest.fixture(scope="module")
def sky():
    """Tiles of 3 degrees: dust, and CO that follows it; weight one."""
    dust = 10 + smooth(2, side=64)[:, 0]
    target = dust + 0.3 * smooth(3, side=64)[:, 0]
    return {"target": target, "dust": dust}, np.ones_like(dust)


def failures(sky, prediction):
    maps, weight = sky
    return failure_measures.failures(
        maps | {"prediction": prediction}, weight, 180 / 64, 15.0, EVALUATE
    )


def test_failures_of_the_truth_itself_are_none(sky):
    found = failures(sky, sky[0]["target"])
    assert found["rho_dust"] > 0.9
    assert [
        found[name] for name in ("std_ratio", "cl_ratio_last", "checkerboard")
    ] == pytest.approx([1, 1, 1])


def test_turned_contrast_collapse_and_checkerboard_are_each_told_by_their_number(sky):
    target = sky[0]["target"]
    turned = failures(sky, -target)
    assert (
        turned["rho_dust"] == pytest.approx(-failures(sky, target)["rho_dust"])
        and turned["std_ratio"] == 1
    )
    flat = failures(sky, 5 + 0.2 * target)
    assert flat["std_ratio"] == pytest.approx(0.2) and flat["cl_ratio_last"] == pytest.approx(0.04)
    board = 0.05 * (-1.0) ** np.arange(64)
    chequered = failures(sky, target + board)  # period of two pixels along x: l = pi / pixel = 3840
    assert chequered["checkerboard"] > 100 and chequered["std_ratio"] == pytest.approx(1, abs=0.01)
    assert chequered["cl_ratio_last"] == pytest.approx(1, abs=0.2)  # l = 2036 is far from it


@pytest.fixture
def run(sky, tmp_path):
    """Files of a CycleGAN and of one whose contrast is turned; (the script, its folder)."""
    maps, weight = sky
    n = len(weight)
    split = np.array([0, *[2] * (n - 1)], np.int8)
    dims = ("example", "y", "x")
    patches = xr.Dataset({name: (dims, values.astype(np.float32)) for name, values in maps.items()})
    patches["weight"] = (dims, weight.astype(np.float32))
    patches = patches.assign(split=("example", split), tile=("example", np.arange(n)))
    patches.attrs = {
        "bright_fraction": 0.25,
        "pixel_arcmin": 180 / 64,
        "beam_arcmin": 15.0,
        "data_kind": "simulated",
    }
    (tmp_path / "co10").mkdir()
    patches.to_netcdf(tmp_path / "co10" / "patches.nc")
    test = split == 2
    files = {"predictions": [], "steganography": []}
    for model, sign in (("base", 1), ("turned", -1)):
        folder = tmp_path / model / "seed0"
        folder.mkdir(parents=True)
        coords = {
            "tile": ("example", np.flatnonzero(test)),
            "complex": ("example", np.zeros(n - 1)),
            "bright_fraction": ("example", np.ones(n - 1)),
        }
        attrs = {"model": model, "seed": 0, "set": "co10"}
        prediction = {"prediction": (dims, sign * maps["target"][test])}
        xr.Dataset(prediction, coords, attrs).to_netcdf(folder / "predictions.nc")
        table = pd.DataFrame({"amplitude": [0.01, 0.1], "score": [2.0, 3.0], "control": [1.0, 1.5]})
        if model == "base":
            table.to_csv(folder / "steganography.csv", index=False)
            files["steganography"].append(folder / "steganography.csv")
        files["predictions"].append(folder / "predictions.nc")

    def measure(score_at=0.01):
        config = json.dumps({"score_at": score_at, "evaluate": EVALUATE})
        command = [sys.executable, SCRIPTS / "co_measure_failures.py", "--config", config]
        command += ["--patches", tmp_path / "co10" / "patches.nc"]
        command += ["--predictions", *files["predictions"]]
        command += ["--steganography", *files["steganography"]]
        command += ["--output", tmp_path / "failures.csv"]
        return subprocess.run(command, capture_output=True, text=True)

    return measure, tmp_path


def test_failures_have_a_row_a_model_and_the_hidden_code_of_a_cyclegan(run):
    measure, folder = run
    done = measure()
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(folder / "failures.csv").set_index("model")
    assert table.seed.tolist() == [0, 0]
    assert table.rho_dust["base"] > 0.9 and table.rho_dust["turned"] < -0.9
    assert table.steganography["base"] == 2 and table.steganography_control["base"] == 1
    assert np.isnan(table.steganography["turned"])


def test_score_at_an_amplitude_that_was_not_tested_is_refused(run):
    measure, _ = run
    done = measure(score_at=0.02)
    assert done.returncode == 2
    assert "steganography.score_at is 0.02; expected one of the amplitudes 0.01, 0.1" in done.stderr
