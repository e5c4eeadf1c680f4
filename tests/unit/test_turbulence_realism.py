"""Realism: the two-sample test, the autoencoder's anomaly, the panel for a person."""

import importlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from scipy.stats import binom
from test_turbulence_image_statistics import power_law
from test_turbulence_models import train

import turbulence_compare_realism
import turbulence_score_panel
from skyloom.cli import BadInput
from skyloom.scores import ranking
from skyloom.training import Plan
from skyloom.turbulence import realism
from skyloom.turbulence.data import images
from skyloom.turbulence.models import autoencoder, residual
from skyloom.turbulence.realism import panel, two_sample

SIDE, BLOCKS = 16, 24  # pixels along a side; blocks of four images
SETTINGS = {"learner": "lda", "folds": 4, "permutations": 40, "draws": 200, "seed": 0}


def parts(index: float, which: slice) -> np.ndarray:
    """Standardised quarters of different Gaussian fields of power k**-index."""
    fields = power_law(index, 2 * BLOCKS, 2 * SIDE)[which]
    return images.standardised(
        fields.reshape(-1, 2, SIDE, 2, SIDE).swapaxes(2, 3).reshape(-1, SIDE, SIDE)
    )


def classified(
    first: np.ndarray, second: np.ndarray, block: np.ndarray, features: str = "power", **changes
) -> dict:
    of_second = np.repeat([False, True], [len(first), len(second)])
    table = two_sample.features(np.concatenate([first, second]))[features]
    return two_sample.two_sample(table, of_second, block, SETTINGS | changes)


FIRST, SECOND = slice(0, BLOCKS), slice(BLOCKS, None)
OWN_BLOCKS = np.repeat(np.arange(2 * BLOCKS), 4).astype(str)


# --- two-sample test -----------------------------------------------------------------------------


@pytest.mark.parametrize("features", ["power", "scattering"])
def test_two_samples_of_one_process_are_not_separated(features):
    """The accuracy lies in the null. One seed in twenty has p <= 0.05; this seed is fixed."""
    found = classified(parts(3.0, FIRST), parts(3.0, SECOND), OWN_BLOCKS, features)
    assert found["accuracy"] < found["null95"] and found["p"] > 0.05
    assert found["lo"] < 0.55 and abs(found["auc"] - 0.5) < 0.12


def test_two_slopes_are_separated_by_either_learner_and_the_score_is_positive_for_the_second():
    for learner in ("lda", "logistic"):
        found = classified(
            parts(2.0, FIRST), parts(3.5, SECOND), OWN_BLOCKS, learner=learner, permutations=20
        )
        assert found["accuracy"] > 0.9 > found["null95"] and found["p"] == pytest.approx(1 / 21)
        assert (
            np.median(found["score"][: len(found["score"]) // 2])
            < 0
            < np.median(found["score"][-BLOCKS:])
        )


def test_block_is_never_on_both_sides_and_a_field_of_both_sets_is_exchanged_within():
    random = np.random.default_rng(0)
    second = np.repeat([False, True], 12)
    shared = np.tile(np.repeat(np.arange(4), 3), 2).astype(str)  # four fields, in both sets
    fold = two_sample.dealt(second, shared, 5, random)
    assert (
        all(len(np.unique(fold[shared == name])) == 1 for name in np.unique(shared))
        and fold.max() == 3
    )
    swapped = np.array([two_sample.permuted(second, shared, random) for _ in range(50)])
    assert (
        set(swapped.sum(1)) == {12}
        and (swapped[:, :12] == ~swapped[:, 12:]).all()
        and swapped.any(0).all()
    )
    own = np.repeat(np.arange(8), 3).astype(str)
    swapped = np.array([two_sample.permuted(second, own, random) for _ in range(50)])
    assert (
        set(swapped.sum(1)) == {12}
        and (swapped.reshape(50, 8, 3).std(2) == 0).all()
        and swapped.any(0).all()
    )


def test_one_simulation_is_too_few():
    with pytest.raises(BadInput, match="1 and 24 simulations or maps"):
        classified(parts(3.0, slice(0, 1)), parts(3.0, SECOND), OWN_BLOCKS[: 4 * 25])


def some_set(source: str, seeds: list[int], **changes) -> xr.Dataset:
    coords = {
        "seed": seeds,
        "simulation": np.arange(len(seeds)),
        "family": np.zeros(len(seeds), int),
    }
    about = {"source": source, "variant": "standardised", "parts": 2} | changes
    return xr.Dataset(
        {"image": (("example", "y", "x"), np.zeros((len(seeds), 4, 4)))}, attrs=about
    ).assign_coords({name: ("example", values) for name, values in coords.items()})


def test_seed_is_one_field_among_simulations_and_not_among_maps():
    first, second, kinds = realism.blocks(
        some_set("simulated", [0, 2, 2]), some_set("simulated", [2, 4])
    )
    assert (
        first[1] == first[2] == second[0]
        and first[0] != second[1]
        and kinds == ["simulation", "simulation"]
    )
    first, second, kinds = realism.blocks(
        some_set("simulated", [0, 2]), some_set("maps", [0, 0, 2])
    )
    assert not set(first) & set(second) and len(set(second)) == 2 and kinds == ["simulation", "map"]
    *_, alone, kinds = realism.blocks(some_set("simulated", [0, 2]), some_set("maps", [0, 0, 0]))
    assert len(set(alone)) == 3 and kinds[1] == "cut-out"


@pytest.mark.parametrize(
    ("changes", "found"),
    [({"variant": "raw"}, "set b: variant is raw"), ({"parts": 1}, "only one has whole periodic")],
)
def test_sets_that_cannot_be_compared_are_refused(changes, found):
    with pytest.raises(BadInput, match=found):
        realism.check(some_set("simulated", [0]), some_set("simulated", [2], **changes), ("a", "b"))


# --- autoencoder ---------------------------------------------------------------------------------

ENTRY = {
    "width": 8,
    "depth": 2,
    "latent": 3,
    "weight_decay": 0.0,
    "learning_rate": 5e-3,
    "batch": 32,
    "steps": 60,
}
META = {"pixels": SIDE, "families": ["nominal"], "index_mean": 3.0, "index_std": 0.5}


def batch(found: np.ndarray) -> dict[str, torch.Tensor]:
    return {
        "input": torch.tensor(found, dtype=torch.float32)[:, None],
        "label": torch.zeros(len(found)),
    }


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    task = autoencoder.make_task(ENTRY, META)
    task.plan = Plan.from_entry(ENTRY, 0).resolved(4 * BLOCKS, 1)
    train(task, batch(parts(2.5, FIRST)))
    with torch.no_grad():
        task.calibrate([batch(parts(2.5, SECOND)[:48])])
    return task


def test_autoencoder_separates_fields_of_another_slope_and_not_those_of_its_own(trained):
    """The AUC of 48 against 48 images scatters by 0.06. Smoother fields have the smaller error."""
    own, same = (
        autoencoder.predict(trained, batch(parts(2.5, SECOND)[part]))
        for part in (slice(0, 48), slice(48, 96))
    )
    for index, smoother in ((1.0, False), (4.0, True)):
        other = autoencoder.predict(trained, batch(parts(index, SECOND)[48:]))
        assert auc(own["anomaly"], other["anomaly"]) > 0.8
        assert (auc(own["error"], other["error"]) < 0.2) == smoother
    assert (
        abs(auc(own["anomaly"], same["anomaly"]) - 0.5) < 0.2
        and abs(auc(own["error"], same["error"]) - 0.5) < 0.2
    )


def auc(first: torch.Tensor, second: torch.Tensor) -> float:
    scores = torch.cat([first, second])[:, 0].numpy()
    return float(
        ranking.auc(
            scores, np.repeat([False, True], [len(first), len(second)]), np.ones((1, len(scores)))
        )[0]
    )


def test_autoencoder_reconstructs_what_it_was_trained_on_better_than_the_mean(trained):
    """The mean of a standardised image leaves an error of 1."""
    error = autoencoder.predict(trained, batch(parts(2.5, SECOND)))["error"]
    assert 0.01 < float(error.mean()) < 0.8


def test_encoder_starts_a_residual_classifier(trained):
    entry = {
        "learns": "class",
        "dropout": 0.1,
        "adversarial": 0.0,
        "width": 8,
        "depth": 2,
        "weight_decay": 0.0,
    }
    ours, theirs = (
        dict(task.named_parameters()) for task in (trained, residual.make_task(entry, META))
    )
    taken = {name for name in theirs if name in ours and ours[name].shape == theirs[name].shape}
    assert {name for name in theirs if name.startswith("encoder.")} == taken


@pytest.mark.parametrize(
    ("changes", "found"), [({"depth": 5}, "multiple of 32"), ({"latent": 16}, "latent is 16")]
)
def test_code_that_does_not_fit_or_is_no_bottleneck_is_refused(changes, found):
    with pytest.raises(BadInput, match=found):
        autoencoder.make_task(ENTRY | changes, META)


# --- table ---------------------------------------------------------------------------------------


def test_pixels_a_beam_are_those_of_the_cut_outs_of_observed_maps(tmp_path):
    paths = tmp_path / "ours.nc", tmp_path / "cloud.nc"
    xr.Dataset({"ok": ("simulation", [1])}).to_netcdf(paths[0])
    beams = [2.0, 2.0, 2.0, np.nan]
    xr.Dataset({"pixels_per_beam": ("simulation", beams)}).to_netcdf(paths[1])
    rows = turbulence_compare_realism.beams(([paths[0]], [paths[1]]), ("ours", "cloud"))
    (row,) = rows
    assert (row["quantity"], row["features"], row["value"]) == ("pixels_per_beam", "cloud", 2.0)


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("simulation", "on new simulations (chance"),
        ("simulation, map", "on new simulations and new maps (chance"),
        (
            "simulation, cut-out",
            "new simulations and other cut-outs of the map that it was trained",
        ),
    ],
)
def test_cut_outs_of_one_map_are_not_called_new_maps(by, words):
    test = {"quantity": "accuracy", "features": "power", "value": 0.9, "p": 0.0, "null95": 0.6}
    rms = [{"quantity": "rms_dex", "value": value} for value in (0.002, 0.2)]
    table = pd.DataFrame([test | {"by": by}, *rms])
    assert words in turbulence_compare_realism.summary(table, ("ours", "cloud"))


# --- panel ---------------------------------------------------------------------------------------

KEY = pd.DataFrame({"image": range(1, 21), "set": ["cloud", "quarter"] * 10, "row": range(20)})


def test_key_names_as_many_images_of_each_set_and_spreads_them_over_blocks():
    blocks = {"quarter": np.repeat(np.arange(5), 4), "cloud": np.repeat(np.arange(20), 4)}
    key = panel.draw(blocks, 5, seed=3)
    assert key["image"].tolist() == list(range(1, 11)) and key["set"].value_counts().to_dict() == {
        "quarter": 5,
        "cloud": 5,
    }
    for name, part in key.groupby("set"):
        assert len(np.unique(blocks[name][part["row"]])) == 5
    assert key.equals(panel.draw(blocks, 5, seed=3)) and not key.equals(
        panel.draw(blocks, 5, seed=4)
    )
    with pytest.raises(BadInput, match="20 images in set quarter; expected 21"):
        panel.draw(blocks, 21, seed=3)


def test_drawn_panel_shows_the_images_of_its_key_without_their_names(tmp_path, monkeypatch):
    paths, script = [], importlib.import_module("turbulence_draw_panel")
    for number, name in enumerate(("quarter", "cloud")):
        data = some_set("maps", [0, 2, 4, 6], data_kind="survey").drop_vars("image")
        data["image"] = (
            ("example", "y", "x"),
            np.full((4, 4, 4), number) + np.arange(4)[:, None, None] / 10,
        )
        data.to_netcdf(paths.append(tmp_path / f"{name}.nc") or paths[-1])
    shown = []
    monkeypatch.setattr(script, "draw", lambda drawn: shown.append(drawn) or SimpleNamespace())
    monkeypatch.setattr(script.plotting, "save", lambda *_: None)
    config = json.dumps({"first": "quarter", "second": "cloud", "panel": 3, "seed": 0})
    words = [
        "x",
        "--config",
        config,
        "--patches",
        *map(str, paths),
        "--output",
        "no.png",
        "--key",
        str(tmp_path / "k.csv"),
    ]
    monkeypatch.setattr(sys, "argv", words)
    script.main()
    key = pd.read_csv(tmp_path / "k.csv")
    expected = (key["set"] == "cloud") + key["row"] / 10
    np.testing.assert_allclose(shown[0][:, 0, 0], expected, atol=1e-12)


def test_interval_of_the_answers_is_the_exact_binomial_one(tmp_path, monkeypatch, capsys):
    """Clopper & Pearson: an end has a tail probability of (1 - 0.6827) / 2."""
    answers = KEY.assign(answer=KEY["set"])
    answers.loc[:5, "answer"] = ["quarter", "cloud"] * 3
    found = panel.score(KEY, answers)
    assert (found["right"], found["n"], found["accuracy"]) == (14, 20, 0.7)
    tail = (1 - 0.6827) / 2
    assert binom.sf(13, 20, found["lo"]) == pytest.approx(tail, abs=1e-4)
    assert binom.cdf(14, 20, found["hi"]) == pytest.approx(tail, abs=1e-4)
    assert found["p"] == pytest.approx(binom.sf(13, 20, 0.5), rel=1e-9)
    answers[["image", "answer"]].to_csv(tmp_path / "a.csv", index=False)
    KEY.to_csv(tmp_path / "k.csv", index=False)
    words = ["x", "--key", str(tmp_path / "k.csv"), "--answers", str(tmp_path / "a.csv")]
    monkeypatch.setattr(sys, "argv", words)
    turbulence_score_panel.main()
    assert "14 of 20 right: 0.700" in capsys.readouterr().out


def test_image_without_an_answer_does_not_count():
    answers = pd.DataFrame({"image": [1, 2, 3], "answer": ["cloud", None, " cloud"]})
    assert panel.score(KEY, answers)["n"] == 2 and panel.score(KEY, answers)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"image": [21], "answer": ["cloud"]}, "image '21'"),
        ({"image": [1], "answer": ["real"]}, "answer 'real'; .* as cloud or quarter"),
        ({"image": [1, 1], "answer": ["cloud"] * 2}, "image given twice '1'"),
        ({"image": [1], "answer": [None]}, "none given"),
        ({"image": [1], "set": ["cloud"]}, "column answer not found"),
    ],
)
def test_answers_that_do_not_fit_the_key_are_refused(answers, found):
    with pytest.raises(BadInput, match=found):
        panel.score(KEY, pd.DataFrame(answers))
