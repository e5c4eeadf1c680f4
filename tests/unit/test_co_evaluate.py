"""The evaluation of known predictions, and the entry point that makes and measures them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml

import compare_models
import evaluate_model
import skyloom.checkpoint
from skyloom.cli import BadInput
from skyloom.co.evaluate import evaluate
from skyloom.scores.pairs import difference
from skyloom.scores.records import RECORD

SETTINGS = {
    "beam_cut": 0.05,
    "taper_deg": 0.5,
    "l_first": 398,
    "l_width": 234,
    "l_count": 8,
    "threshold_min": -3,
    "threshold_max": 5,
    "threshold_count": 33,
    "pdf_min": -5,
    "pdf_max": 1000,
    "pdf_count": 150,
    "snr_edges": [4, 8],
    "latitude_edges": [5, 10],
    "extrapolation_deg": 15,
    "latitude_bins": [0, 5, 20, 90],
    "block_nside": 8,
    "draws": 100,
    "seed": 1,
}
REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ["none", "orion", "taurus"]


def smooth_fields(n, size, slope, rng, beam_arcmin=15.0):
    """Gaussian fields of unit variance with a spectrum l^slope under a Gaussian beam, cut from a
    wider plane.
    """
    wide, pixel = 2 * size, np.radians(3) / size
    ell = np.hypot(
        2 * np.pi * np.fft.fftfreq(wide, pixel)[:, None], 2 * np.pi * np.fft.rfftfreq(wide, pixel)
    )
    sigma = np.radians(beam_arcmin / 60) / 2.3548
    amplitude = np.maximum(ell, 1) ** (slope / 2) * np.exp(-((ell * sigma) ** 2) / 2) * (ell > 0)
    fields = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((n, wide, wide))) * amplitude, s=(wide, wide)
    )
    return (fields / fields.std())[:, :size, :size].astype(np.float32)


def fake_patches(n=60, size=32, seed=0):
    """A patch set as cut from a sky where CO follows dust with scatter, and the noise-free CO of
    its tiles.
    """
    rng = np.random.default_rng(seed)
    shared, own = smooth_fields(n, size, -2.6, rng), smooth_fields(n, size, -2.6, rng)
    brightness = np.exp(rng.normal(0, 1, n))[:, None, None]
    co = (8 * brightness * np.maximum(np.exp(0.9 * shared) - 0.7, 0)).astype(np.float32)
    dust = brightness * 30 * np.exp(0.6 * (0.8 * shared + 0.6 * own)) + 5
    error = np.broadcast_to(rng.uniform(0.4, 0.5, n)[:, None, None], co.shape)
    noise, null = (smooth_fields(n, size, 0, rng) * error for _ in range(2))
    weight = np.ones_like(co)
    weight[-1, :4, :7] = 0
    split = np.where(np.arange(n) < n // 4, 0, np.where(np.arange(n) < n // 3, 1, 2)).astype(
        np.int8
    )
    held_out = np.where(
        (np.arange(n) % 7 == 0) & (split == 2), 1 + np.arange(n) // 7 % 2, 0
    ).astype(np.int8)

    def maps(values, units):
        return ("example", "y", "x"), np.asarray(values, np.float32), {"units": units}

    def flags(values, names):
        return (
            "example",
            values,
            {"flag_values": np.arange(len(names), dtype=np.int8), "flag_meanings": " ".join(names)},
        )

    patches = xr.Dataset(
        {
            "dust": maps(dust, "MJy sr-1"),
            "hi": maps(10 * brightness * np.exp(0.4 * own), "1e20 cm-2"),
            "target": maps(np.where(weight > 0, co + noise, np.nan), "K km s-1"),
            "error": maps(error, "K km s-1"),
            "null": maps(null, "K km s-1"),
            "weight": maps(weight, "1"),
            "tile": ("example", np.arange(n) + 4000),
            "glon": ("example", rng.uniform(0, 360, n)),
            "glat": ("example", rng.uniform(-20, 20, n)),
            "split": flags(split, ["train", "valid", "test"]),
            "complex": flags(held_out, NAMES),
            "bright_fraction": ("example", (co > 3.6).mean((1, 2)).astype(np.float32)),
            "sampling_weight": ("example", np.ones(n, np.float32)),
        },
        attrs={
            "data_kind": "simulated",
            "pixel_arcmin": 180 / size,
            "beam_arcmin": 15.0,
            "bright_fraction": 0.5,
        }
        | {"block_deg": 120.0, "line": "CO J=1-0"},
    )
    return patches, co


def measured(prediction, patches, spread=None, samples=None):
    dims = ("example", "y", "x")
    predictions = xr.Dataset({"prediction": (dims, prediction)})
    if spread is not None:
        predictions["spread"] = (dims, spread)
    if samples is not None:
        predictions["samples"] = (("example", "sample", "y", "x"), samples)
    records, curves, *_ = evaluate(patches, predictions, {}, SETTINGS)
    records = [{key: record[key] for key in RECORD} for record in records]
    return {(r["name"], r["of"], r["subset"]): r for r in records}, curves


@pytest.fixture(scope="module")
def tiles():
    patches, co = fake_patches()
    rows = patches.split.values == 2
    return patches.isel(example=rows), co[rows]


# --- metrics of known predictions
# ------------------------------------------------------------------------------------


def test_noise_free_truth_scores_one_in_noise_and_reaches_the_ceiling(tiles):
    records, _ = measured(tiles[1], tiles[0])
    rmse, bias = (records[name, "model", "bright"] for name in ("rmse_over_noise", "bias"))
    # the noise that was added has the error's own size
    assert rmse["value"] == pytest.approx(1, abs=0.05)
    assert bias["ci68"][0] - 0.03 < 0 < bias["ci68"][1] + 0.03
    ceiling = records["rho_l_beam", "ceiling", "bright"]["value"]
    assert records["rho_l_beam", "model", "bright"]["value"] == pytest.approx(ceiling, abs=0.01)
    assert records["cl_ratio_beam", "model", "bright"]["value"] == pytest.approx(1, abs=0.03)
    assert records["mf_overlap", "model", "bright"]["value"] > 0.8  # the presentation's own mark


def test_dust_stands_beside_every_model_and_does_not_depend_on_it(tiles):
    patches, co = tiles
    first, curves = measured(co, patches)
    second, _ = measured(np.ones_like(co), patches)
    key = ("rho_l_beam", "dust", "bright")
    assert first[key] == second[key] and 0.4 < first[key]["value"] < 0.98
    # rho has neither unit nor zero point
    as_prediction, _ = measured(3 * patches.dust.values - 7, patches)
    assert as_prediction["rho_l_beam", "model", "bright"]["value"] == pytest.approx(
        first[key]["value"], abs=1e-6
    )
    assert as_prediction["mf_overlap", "model", "bright"]["value"] == pytest.approx(
        first["mf_overlap", "dust", "bright"]["value"], abs=1e-3
    )
    assert np.isnan(curves.cl_ratio.sel(of="dust")).all()


def test_wrong_amplitude_costs_in_kelvin_and_not_in_rho(tiles):
    patches, co = tiles
    right, half = measured(co, patches)[0], measured(0.5 * co, patches)[0]
    for name in ("rho_l_beam", "pearson", "spearman", "mf_overlap"):
        key = (name, "model", "bright")
        assert half[key]["value"] == pytest.approx(right[key]["value"], abs=0.001)
    assert half["cl_ratio_beam", "model", "bright"]["value"] == pytest.approx(
        0.25 * right["cl_ratio_beam", "model", "bright"]["value"], rel=1e-4
    )
    rows = (patches["complex"].values == 0) & (patches.bright_fraction.values >= 0.5)
    mean = np.average(
        0.5 * co[rows] - np.nan_to_num(patches.target.values[rows]),
        weights=patches.weight.values[rows],
    )
    assert half["bias", "model", "bright"]["value"] == pytest.approx(mean, rel=1e-4)
    assert half["rmse_over_noise", "model", "bright"]["value"] > 5


def test_constant_prediction_knows_nothing(tiles):
    records, _ = measured(np.ones_like(tiles[1]), tiles[0])
    for name in ("rho_l_beam", "pearson", "spearman", "cl_ratio_beam"):
        assert records[name, "model", "bright"]["value"] == pytest.approx(0, abs=1e-6)


def test_honest_spread_pulls_to_one(tiles):
    patches, co = tiles
    wrong = 5 * smooth_fields(len(co), co.shape[-1], -1, np.random.default_rng(9))
    records, _ = measured(co + wrong, patches, np.full_like(co, 5))
    assert records["pull", "model", "bright"]["value"] == pytest.approx(1, abs=0.1)
    assert records["rmse_over_noise", "model", "bright"]["value"] > 8


def test_subsets_part_bright_from_faint_and_keep_held_out_complexes_out_of_both(tiles):
    patches, co = tiles
    records, curves = measured(co, patches)
    count = {subset: records["bias", "model", subset]["n"] for subset in curves.subset.values}
    held_out = (patches["complex"].values > 0).sum()
    assert count["orion"] + count["taurus"] == held_out
    assert curves.n_tiles.values.tolist() == list(count.values())
    for names in (
        ("bright", "faint"),
        ("block_0", "block_1", "block_2"),
        ("snr_below_4", "snr_4_8", "snr_above_8"),
        ("b_below_5", "b_5_10", "b_above_10"),
    ):
        assert sum(count.get(name, 0) for name in names) + held_out == patches.sizes["example"], (
            names
        )
    outside = patches.isel(example=patches["complex"].values == 0)
    assert count["block_1"] == ((outside.glon >= 120) & (outside.glon < 240)).sum()
    assert count["b_5_10"] == ((abs(outside.glat) >= 5) & (abs(outside.glat) < 10)).sum()
    assert (
        count["extrapolation"] == ((outside.bright_fraction < 0.5) | (abs(outside.glat) > 15)).sum()
    )


def test_subsets_of_one_tile_have_values_without_intervals(tiles):
    patches, co = tiles
    rows = np.flatnonzero(patches["complex"].values == 0)[:2]
    few, co = patches.isel(example=rows).assign(glat=("example", [1.0, 80.0])), co[rows]
    records, curves = measured(co, few, np.ones_like(co), np.repeat(co[:, None], 3, axis=1))
    for (name, of, subset), record in records.items():
        assert record["n"] <= 2 and np.isnan(record["ci68"]).all(), (name, of, subset)
    assert np.isfinite(records["bias", "model", "b_above_10"]["value"])
    assert np.isnan(curves.rho_l_lo).all() and np.isnan(curves.pdf_hi).all()


def test_complex_with_the_name_of_a_subset_is_refused(tiles):
    patches, co = tiles
    named = patches.copy()
    named["complex"] = patches["complex"].assign_attrs(flag_meanings="none bright taurus")
    with pytest.raises(BadInput, match="'bright' is the name of another subset"):
        measured(co, named)


def test_curves_hold_the_published_bands_of_l_and_bracket_their_values(tiles):
    _, curves = measured(tiles[1], tiles[0])
    np.testing.assert_allclose(curves.l.values[:3], [398, 632, 866])
    model = curves.sel(of="model")
    assert (
        ((model.rho_l_lo <= model.rho_l) & (model.rho_l <= model.rho_l_hi))
        .sel(subset="bright")
        .all()
    )
    assert curves.beam.values[2] > SETTINGS["beam_cut"] > curves.beam.values[3]


def test_curves_have_the_power_of_maps_and_the_correlation_of_predictions_with_dust(tiles):
    patches, co = tiles
    dust = patches.dust.values
    _, curves = measured(2 * dust - 7, patches)
    bright = curves.sel(subset="bright")
    model = bright.sel(of="model")
    np.testing.assert_allclose(model.rho_l_dust, 1, atol=1e-4)
    np.testing.assert_allclose(model.rho_l, bright.rho_l.sel(of="dust"), atol=1e-4)
    assert np.isnan(bright.cl.sel(of="dust")).all()
    # power of the observed map: of the CO and of its noise, whose level the null map has
    _, curves = measured(co, patches)
    bright = curves.sel(subset="bright")
    truth = bright.cl.sel(of="model") + bright.cl_null
    np.testing.assert_allclose(bright.cl_target[:3], truth[:3], rtol=0.05)
    assert (
        (bright.cl_target_lo <= bright.cl_target) & (bright.cl_target <= bright.cl_target_hi)
    ).all()


def test_power_of_white_noise_is_its_variance_times_the_solid_angle_of_a_pixel(tiles):
    patches, _ = tiles
    n = patches.sizes["x"]
    white = np.random.default_rng(0).normal(0, 3, patches.target.shape).astype(np.float32)
    _, curves = measured(white, patches)
    expected = 9 * np.radians(3 / n) ** 2
    power = curves.cl.sel(of="model", subset="bright")
    np.testing.assert_allclose(power[2:], expected, rtol=0.1)


def test_minkowski_differences_are_zero_of_the_observed_map_and_bracketed_for_others(tiles):
    patches, co = tiles
    _, curves = measured(co, patches)
    bright = curves.sel(subset="bright")
    for name in ("v0", "v1", "v2"):
        difference = bright[f"{name}_difference"]
        assert (difference.sel(field="target") == 0).all()
        means = bright[name].sel(field="dust") - bright[name].sel(field="target")
        np.testing.assert_allclose(difference.sel(field="dust"), means, atol=1e-12)
        low, high = (bright[f"{name}_difference_{end}"].sel(field="dust") for end in ("lo", "hi"))
        assert (low <= difference.sel(field="dust") + 1e-12).all() and (low < high).any()


def test_noise_against_latitude_is_that_of_the_null_map(tiles):
    patches, co = tiles
    _, curves = measured(co, patches)
    latitude = np.abs(patches.glat.values)
    rows = (patches["complex"].values == 0) & (latitude < SETTINGS["latitude_bins"][1])
    weight = patches.weight.values[rows]
    squares = np.where(weight > 0, patches.null.values[rows], 0) ** 2
    expected = np.sqrt((weight * squares).sum() / weight.sum())
    assert curves.latitude_noise.values[0] == pytest.approx(expected, rel=1e-6)
    # the noise-free CO leaves the noise of the observed map, which is as large
    assert curves.latitude_rms.values[0] == pytest.approx(expected, rel=0.05)


def test_each_band_within_the_beam_has_its_record(tiles):
    patches, co = tiles
    records, curves = measured(co, patches)
    bright = curves.sel(subset="bright")
    for k, ell in enumerate((398, 632, 866)):
        for of in ("model", "dust", "ceiling"):
            record = records[f"rho_l_{ell}", of, "bright"]
            assert record["value"] == bright.rho_l.sel(of=of).values[k]
            ends = [bright[f"rho_l_{end}"].sel(of=of).values[k] for end in ("lo", "hi")]
            assert record["ci68"] == ends
        ratio = records[f"cl_ratio_{ell}", "model", "bright"]["value"]
        assert ratio == bright.cl_ratio.sel(of="model").values[k]
    assert ("rho_l_1102", "model", "bright") not in records
    assert ("cl_ratio_398", "dust", "bright") not in records
    assert ("rho_l_398", "model", "faint") not in records


def test_dust_map_as_a_model_differs_by_nothing_from_the_dust_map(tiles):
    """The reference and a model share tiles and draws: no scatter is left."""
    patches, _ = tiles
    predictions = xr.Dataset({"prediction": patches.dust})
    records = evaluate(patches, predictions, {}, SETTINGS).records
    draws = {(r["name"], r["of"], r["subset"]): r["draws"] for r in records}
    pair = ([draws["rho_l_398", of, "bright"]] for of in ("model", "dust"))
    assert np.abs(difference(*pair, "higher")[:3]).max() < 1e-6


def test_scores_of_single_tiles_add_up_to_those_of_the_subset(tiles):
    patches, co = tiles
    predictions = xr.Dataset({"prediction": (("example", "y", "x"), 1.2 * co)})
    evaluation = evaluate(patches, predictions, {}, SETTINGS)
    assert evaluation.group == "CO J=1-0"
    scores = {(r["name"], r["of"], r["subset"]): r["value"] for r in evaluation.records}
    bright = (patches["complex"].values == 0) & (patches.bright_fraction.values >= 0.5)
    single = evaluation.examples.isel(example=bright)
    pixels = (patches.weight.values > 0).sum((1, 2))[bright]
    for name, score in (("rms", "rmse"), ("rms_over_noise", "rmse_over_noise")):
        mean = np.sqrt(np.average(single[name] ** 2, weights=pixels))
        assert mean == pytest.approx(scores[score, "model", "bright"], rel=1e-6)
    bias = np.average(single.mean_predicted - single.mean_co, weights=pixels)
    assert bias == pytest.approx(scores["bias", "model", "bright"], rel=1e-6)
    assert evaluation.examples.squared_error_share.sum() == pytest.approx(1)


def test_bands_within_the_beam_are_those_of_the_patch_sets_own_beam(tiles):
    patches, co = tiles
    wide = patches.assign_attrs(beam_arcmin=30.0)
    (_, sharp), (records, blurred) = measured(co, patches), measured(co, wide)
    np.testing.assert_allclose(blurred.beam, sharp.beam**4, rtol=1e-12)  # a Gaussian twice as wide
    assert blurred.attrs["beam_arcmin"] == 30
    # l = 398 alone is left within 30'
    first = blurred.rho_l.sel(of="model", subset="bright").values[0]
    assert records["rho_l_beam", "model", "bright"]["value"] == pytest.approx(first, rel=1e-12)


def test_tile_of_weight_three_counts_as_three_tiles_in_mixed_subsets(tiles):
    """Scores of the whole sky, whose chosen faint tiles stand for more, are those of a sky with
    copies of them.
    """
    patches, co = tiles
    rng = np.random.default_rng(8)
    bright = patches.bright_fraction.values >= 0.5
    weights = np.where(bright, 1.0, 3.0)
    copies = np.repeat(np.arange(len(co)), weights.astype(int))
    prediction = (1.2 * co + smooth_fields(len(co), co.shape[-1], -2, rng)).astype(np.float32)
    samples = np.repeat((prediction + 1)[:, None], 2, axis=1)
    weighted, curves = measured(
        prediction, patches.assign(sampling_weight=("example", weights)), samples=samples
    )
    copied, full = measured(
        prediction[copies], patches.isel(example=copies), samples=samples[copies]
    )
    mixed = [key for key in copied if key[2] in ("b_5_10", "block_1", "snr_4_8", "extrapolation")]
    # noise is drawn onto each copy; the halves of the ceiling too
    drawn_at_random = ("coverage68", "crps", "pull")
    compared = [
        key
        for key in mixed
        if key[0] not in drawn_at_random and key[1] != "ceiling" and "norm" not in key[0]
    ]
    assert len(compared) > 60
    for key in compared:
        assert weighted[key]["value"] == pytest.approx(
            copied[key]["value"], rel=1e-6, abs=1e-9, nan_ok=True
        ), key
        assert weighted[key]["ci68"] == pytest.approx(
            copied[key]["ci68"], rel=1e-6, abs=1e-9, nan_ok=True
        ), key
    alone, _ = measured(prediction, patches, samples=samples)
    for key in alone:
        if key[2] in ("bright", "faint"):
            assert weighted[key] == alone[key], key
    assert (
        weighted["rmse", "model", "extrapolation"]["value"]
        != alone["rmse", "model", "extrapolation"]["value"]
    )
    for name in ("latitude_rms", "v0", "v1_sigma", "pdf"):
        xr.testing.assert_allclose(curves[name], full[name], rtol=1e-6)


def test_pearson_and_spearman_equal_scipy_on_the_pooled_pixels(tiles):
    from scipy.stats import pearsonr, spearmanr

    patches, _ = tiles
    dust, target = patches.dust.values, patches.target.values
    rows = (patches["complex"].values == 0) & (patches.bright_fraction.values >= 0.5)
    valid = rows[:, None, None] & (patches.weight.values > 0)
    records, _ = measured(dust, patches)
    for name, reference in (("pearson", pearsonr), ("spearman", spearmanr)):
        expected = reference(dust[valid].astype(float), target[valid].astype(float)).statistic
        assert records[name, "model", "bright"]["value"] == pytest.approx(expected, abs=1e-6)


def test_prediction_that_is_not_finite_is_refused(tiles):
    patches, co = tiles
    broken = co.copy()
    broken[0, 3, 4:6] = np.nan
    with pytest.raises(BadInput, match="not finite in 2 pixels of 1 tiles"):
        measured(broken, patches)


# --- the entry point
# -------------------------------------------------------------------------------------------------

STUDY = {
    "data/examples.py": """
import numpy as np, torch, xarray as xr
from types import SimpleNamespace
class Split:
    def __init__(self, path, code):
        file = xr.open_dataset(path, decode_cf=False)
        self.dust = file.dust.values[file.split.values == code]
    def __len__(self): return len(self.dust)
    def __getitem__(self, index): return {"dust": torch.from_numpy(self.dust[index])[:, None]}
def load(paths, entry):
    valid, test = Split(paths[0], 1), Split(paths[0], 2)
    return SimpleNamespace(valid=valid, test=test, meta={})
""",
    "models/scale.py": """
import torch
class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.zeros(()))
def make_task(entry, meta): return Scale()
def predict(task, batch): return {"prediction": task.factor * batch["dust"]}
""",
    "baselines.py": "def predict(state, batch, meta): return {'prediction': state['factor'] * "
    "batch['dust'][:, 0]}\n",
    "evaluate.py": "from skyloom.co.evaluate import evaluate, validate, validation_rows\n",
}


OUTPUTS = {name: f"{name}.nc" for name in ("predictions", "curves", "scores")}
OUTPUTS["metrics"] = "metrics.json"


@pytest.fixture
def toy(tmp_path, toy_study, monkeypatch):
    """A study `toy` with a one-weight network and the same as a baseline; returns the arguments of
    evaluate_model.
    """
    for name, text in STUDY.items():
        file = tmp_path / "library" / "toy" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    toy_study(tmp_path / "library")
    patches, _ = fake_patches()
    patches.to_netcdf(tmp_path / "patches.nc")

    def arguments(kind, entry, model="toy_model", meta=None):
        checkpoint = {
            "study": "toy",
            "model": "toy_model",
            "kind": kind,
            "module": "scale",
            "digest": "",
        }
        checkpoint["meta"] = meta or {}
        state = {"factor": torch.tensor(0.25)}
        saved = {"kind": kind, "module": "scale", "set": "bright", "batch": 4, "widths": [8, 16]}
        torch.save(checkpoint | {"entry": saved, "state": state}, tmp_path / "best.ckpt")
        config = json.dumps({"entry": saved | entry, "evaluate": SETTINGS})
        outputs = [f"--{name}={tmp_path / file}" for name, file in OUTPUTS.items()]
        inputs = [
            f"--data={tmp_path}/patches.nc",
            f"--checkpoint={tmp_path}/best.ckpt",
            f"--config={config}",
        ]
        return ["evaluate_model", "--study=toy", f"--model={model}", "--seed=3", *inputs, *outputs]

    def run(*args, **kwargs):
        monkeypatch.setattr("sys.argv", arguments(*args, **kwargs))
        evaluate_model.main()
        return tmp_path

    return run


@pytest.mark.parametrize("kind", ["network", "baseline"])
def test_evaluate_model_writes_maps_metrics_and_curves_of_the_tiles(toy, kind):
    folder = toy(kind, {})
    with (
        xr.open_dataset(folder / "patches.nc") as patches,
        xr.open_dataset(folder / "predictions.nc") as found,
    ):
        rows = patches.split.values == 2
        np.testing.assert_allclose(found.prediction, 0.25 * patches.dust.values[rows], rtol=1e-6)
        np.testing.assert_array_equal(found.tile, patches.tile.values[rows])
        assert (
            found.attrs["data_kind"] == "simulated"
            and found.prediction.attrs["units"] == "K km s-1"
        )
    content = json.loads((folder / "metrics.json").read_text())
    assert {k: content[k] for k in ("study", "model", "kind", "seed", "set", "data", "n_test")} == {
        "study": "toy",
        "model": "toy_model",
        "kind": kind,
        "seed": 3,
        "set": "bright",
        "data": "simulated",
        "n_test": rows.sum(),
    }
    validation = {record["name"]: record for record in content["validation"]}
    assert {
        "rho_l_beam",
        "rmse_over_noise",
        "mf_overlap",
        "mf_overlap_normalised",
    } == validation.keys()
    assert {record["split"] for record in content["metrics"]} == {"test"}
    with xr.open_dataset(folder / "patches.nc", decode_cf=False) as patches:
        bright = patches.isel(
            example=(patches.split.values == 1) & (patches.bright_fraction.values >= 0.5)
        ).load()
    expected, _ = measured(0.25 * bright.dust.values, bright)  # as if these tiles were the test set
    for name, record in validation.items():
        reference = expected[name, "model", "bright"]
        assert (record["split"], record["subset"], record["n"]) == (
            "valid",
            "bright",
            bright.sizes["example"],
        )
        assert record["value"] == (
            None if np.isnan(reference["value"]) else pytest.approx(reference["value"], rel=1e-5)
        )
    with xr.open_dataset(folder / "curves.nc") as curves:
        assert curves.attrs["model"] == "toy_model" and curves.attrs["data_kind"] == "simulated"


def test_checkpoint_of_another_config_or_model_is_refused_by_its_key(toy):
    with pytest.raises(
        BadInput, match=r"best\.ckpt: entry\.batch is 4, expected 8 from the config"
    ):
        toy("network", {"batch": 8})
    with pytest.raises(BadInput, match=r"entry\.widths is \[8, 16\], expected \[8\]"):
        toy("network", {"widths": [8]})
    with pytest.raises(BadInput, match=r"entry\.depth is 'nothing', expected 2"):
        toy("network", {"depth": 2})
    with pytest.raises(BadInput, match=r"model is 'toy_model', expected 'other'"):
        toy("network", {}, model="other")
    with pytest.raises(
        BadInput, match=r"meta\.scale is 2, expected 'nothing' from the training set"
    ):
        toy("network", {}, meta={"scale": 2})


def test_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "best.ckpt").write_text("<html>not found</html>")
    with pytest.raises(BadInput, match=r"best\.ckpt: not a checkpoint that train_model wrote"):
        skyloom.checkpoint.load(tmp_path / "best.ckpt", {})


# --- the comparison
# --------------------------------------------------------------------------------------------------


def test_comparison_of_models_is_written_with_its_verdict_beside_it(toy, tmp_path, monkeypatch):
    folder = toy("network", {})
    headline = [
        {"name": "rho_l_beam", "subset": "bright", "label": "rho_l"},
        {"name": "rmse_over_noise", "subset": "bright"},
    ]
    content = json.loads((folder / "metrics.json").read_text())
    files = []
    for model, kind, shift in (("toy_model", "network", 0), ("<worse>", "network", 0.1)) + (
        ("linear", "baseline", 0),
    ):
        for entry in content["metrics"]:
            if entry["name"] == "rho_l_beam" and entry["of"] == "model":
                entry["value"] -= shift
        place = tmp_path / model.strip("<>")
        place.mkdir()
        text = json.dumps(content | {"model": model, "kind": kind})
        (place / "metrics.json").write_text(text)
        shutil.copy(folder / "scores.nc", place)
        files.append(str(place / "metrics.json"))
    settings = {"headline": headline, "reference": "dust", "chosen_by": "rmse_over_noise"}
    settings |= {"labels": {}, "blocks": "blocks of sky"}
    config = {"comparison": settings, "labels": {}, "abouts": {}, "sets": {}}
    outputs = {"metrics": "csv", "comparison": "csv", "columns": "csv", "verdict": "json"}
    outputs |= {"html": "html"}
    paths = {name: tmp_path / f"{name}.{end}" for name, end in outputs.items()}
    argv = ["compare_models", "--study=toy", "--config", json.dumps(config), "--metrics", *files]
    report = REPOSITORY / "workflow/report"
    argv += ["--words", str(report / "columns.yaml"), str(report / "co/columns.yaml")]
    argv += ["--published", str(REPOSITORY / "config/co/published.yaml")]
    argv += [f"--output-{name}={path}" for name, path in paths.items()]
    monkeypatch.setattr("sys.argv", argv)
    compare_models.main()
    table = pd.read_csv(paths["comparison"])
    assert table.model.tolist()[:3] == ["toy_model", "<worse>", "linear"]
    assert table.flag[1] == "rho_l is below that of the dust"
    assert table.group.dropna().unique() == ["CO J=1-0"]
    assert pd.read_csv(paths["columns"]).column.tolist() == list(table)
    assert {"test", "valid"} == set(pd.read_csv(paths["metrics"])["split"])
    verdict = json.loads(paths["verdict"].read_text())
    assert verdict["text"].startswith("toy model (chosen on validation, best of 2 networks; one")
    # the same predictions as the baseline's
    assert {clause["result"] for clause in verdict["sets"][0]["clauses"]} == {"level"}
    page = paths["html"].read_text()
    assert "&lt;worse&gt;" in page and "<worse>" not in page and "real sky" in page
    monkeypatch.setattr("sys.argv", [a.replace("rho_l_beam", "roh_l_beam") for a in argv])
    with pytest.raises(
        BadInput, match="headline roh_l_beam is in no metrics.json; expected one of auc, bias"
    ):
        compare_models.main()


def test_published_scalars_are_the_means_of_the_published_curves_within_the_beam():
    published = yaml.safe_load((REPOSITORY / "config/co/published.yaml").read_text())
    ell = np.array(published["curves"]["l"])
    for scalar in published["scalars"]:
        curves = published["curves"]["rho_l"]
        curve = next(
            c for c in curves if c["beside"] == scalar["beside"] and c["with"] == "CO J=1-0"
        )
        expected = np.mean(np.array(curve["values"])[ell <= 934])
        # from its ends, 1.4 at l = 400 and 7 at 2040, by a line in the logarithm
        if scalar["metric"] == "cl_ratio_beam":
            expected = np.exp(np.interp(ell[ell <= 934], [400, 2040], np.log([1.4, 7]))).mean()
        assert scalar["value"] == pytest.approx(expected, rel=0.02)
        assert scalar["measured_on"] == "real sky" and scalar["source"]
        assert scalar["metric"] != "mf_overlap"
