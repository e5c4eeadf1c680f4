"""Metrics of the index and of its class against sklearn, binomial theory and predictions of known
quality.
"""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

from skyloom.cli import BadInput
from skyloom.scores import forecasts
from skyloom.turbulence.evaluate import evaluate, validate, validation_rows

SETTINGS = {"draws": 400, "seed": 0, "index_edges": [3.0, 3.25, 3.5, 3.75, 4.0, 4.25, 4.5]}
CLASSES = [11 / 3, 4.0]
BOUNDARY = sum(CLASSES) / 2


def patches_of(index, views, family=None):
    """The test rows of a set: `views` images of each simulation of these indices."""
    index = np.repeat(np.asarray(index, np.float32), views)
    family = (
        np.zeros(len(index), np.int8)
        if family is None
        else np.repeat(np.asarray(family, np.int8), views)
    )
    flags = {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "nominal shifted"}
    return xr.Dataset(
        {"target": ("example", index, {"units": "1"})},
        coords={
            "simulation": ("example", np.repeat(np.arange(len(index) // views), views)),
            "family": ("example", family, flags),
        },
        attrs={"data_kind": "simulated", "classes": np.array(CLASSES)},
    )


def predictions_of(**values):
    return xr.Dataset({name: ("example", np.asarray(v, np.float32)) for name, v in values.items()})


def of_class(patches, seed=0, quality=1.0):
    """Probabilities that are true: Gaussian scores, a distance `quality` apart."""
    steep = patches["target"].values > BOUNDARY
    score = np.random.default_rng(seed).normal(size=len(steep)) + quality * steep
    probability = 1 / (1 + np.exp(-quality * (score - quality / 2)))
    return predictions_of(prediction=probability, balanced=probability)


def of_index(patches, seed=0, error=0.15, spread=0.15, bias=0.0):
    index = patches["target"].values
    off = np.random.default_rng(seed).normal(bias, error, len(index))
    return predictions_of(prediction=index + off, spread=np.full(len(index), spread))


def scored(records, subset="all"):
    return {record["name"]: record for record in records if record["subset"] == subset}


@pytest.fixture(scope="module")
def two():
    return patches_of(np.resize(CLASSES, 30), views=12)


@pytest.fixture(scope="module")
def continuous():
    return patches_of(np.random.default_rng(1).uniform(3, 4.5, 300), views=12)


def test_scores_of_the_class_are_those_of_sklearn(two):
    predictions = of_class(two)
    predictions["balanced"] = predictions.prediction * 0.8
    found = scored(evaluate(two, predictions, {}, SETTINGS)[0])
    steep, stated = two["target"].values > BOUNDARY, predictions.prediction.values.astype(float)
    called = stated > 0.5
    expected = {
        "accuracy": np.mean(called == steep),
        "balanced_accuracy": balanced_accuracy_score(steep, predictions.balanced.values > 0.5),
        "auc": roc_auc_score(steep, stated),
        "recall_shallow": np.mean(~called[~steep]),
        "recall_steep": np.mean(called[steep]),
        "log_loss": log_loss(steep, stated),
    }
    assert found.keys() == expected.keys() | {"accuracy_simulation"}
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-9), name
    assert {record["better"] for record in found.values()} == {"higher", "lower"}
    assert found["log_loss"]["better"] == "lower"


def test_interval_is_as_wide_as_the_number_of_simulations_says_and_not_that_of_images(two):
    """Views of a simulation that are right or wrong together: a binomial number of simulations, not
    of images.
    """
    right = np.repeat(np.random.default_rng(3).random(30) < 0.8, 12)
    steep = two["target"].values > BOUNDARY
    stated = np.where(steep == right, 0.9, 0.1)
    found = scored(
        evaluate(two, predictions_of(prediction=stated, balanced=stated), {}, SETTINGS)[0]
    )["accuracy"]
    assert (found["n"], found["blocks"]) == (360, 30)
    share = found["value"]
    of_simulations, of_images = ((share * (1 - share) / n) ** 0.5 for n in (30, 360))
    half = (found["ci68"][1] - found["ci68"][0]) / 2
    # 400 draws: 6 % in a percentile's place; shares come in steps of 1/30, half a step is 0.017
    assert half == pytest.approx(of_simulations, abs=0.02)
    assert half > 2.5 * of_images


def test_interval_by_simulation_holds_the_true_accuracy_two_times_of_three():
    """Simulated again and again: views share an error of their simulation; coverage of the 68 %
    interval.
    """
    inside = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        patches = patches_of(np.resize(CLASSES, 40), views=6)
        steep = patches["target"].values > BOUNDARY
        score = (
            np.where(steep, 1, -1) + np.repeat(random.normal(size=40), 6) + random.normal(size=240)
        )
        stated = 1 / (1 + np.exp(-score))
        predictions = predictions_of(prediction=stated, balanced=stated)
        found = scored(validate(patches, predictions, SETTINGS | {"draws": 100}))["accuracy"]
        inside.append(found["ci68"][0] <= norm.cdf(1 / 2**0.5) <= found["ci68"][1])
    # binomial scatter of 150 trials is 0.038; a percentile bootstrap of 40 blocks covers a little
    # less than it says
    assert np.mean(inside) == pytest.approx(0.6827, abs=0.11)


def test_views_of_a_simulation_together_are_right_more_often_than_each(two):
    found = scored(evaluate(two, of_class(two), {}, SETTINGS)[0])
    single, together = found["accuracy"], found["accuracy_simulation"]
    assert (together["n"], together["blocks"]) == (30, 30)
    # twelve independent scores a distance of 1 apart add up to one a distance of 12**0.5 apart
    assert single["value"] == pytest.approx(norm.cdf(0.5), abs=4 * (0.69 * 0.31 / 360) ** 0.5)
    assert together["value"] == pytest.approx(
        norm.cdf(12**0.5 / 2), abs=4 * (0.96 * 0.04 / 30) ** 0.5
    )


def test_interval_of_simulations_that_all_are_right_has_a_width(two):
    steep = two["target"].values > BOUNDARY
    sure = np.where(steep, 0.99, 0.01)
    together = scored(
        evaluate(two, predictions_of(prediction=sure, balanced=sure), {}, SETTINGS)[0]
    )["accuracy_simulation"]
    # Wilson's interval of one sigma of n out of n: n / (n + 1)
    assert together["value"] == 1 and together["ci68"] == pytest.approx([30 / 31, 1], abs=1e-3)


def test_confusion_counts_every_image_once(two):
    predictions = of_class(two)
    curves = evaluate(two, predictions, {}, SETTINGS)[1].sel(subset="all")
    called = predictions.prediction.values > 0.5
    expected = confusion_matrix(two["target"].values > BOUNDARY, called)
    np.testing.assert_array_equal(curves.confusion.values, expected)
    assert curves.confusion.sel(true="steep", predicted="shallow") == expected[1, 0]
    assert curves.confusion.dims == ("true", "predicted")


def test_probabilities_that_are_true_are_reliable_and_the_roc_is_that_of_two_gaussians():
    patches = patches_of(np.resize(CLASSES, 500), views=12)
    curves = evaluate(patches, of_class(patches, quality=1.5), {}, SETTINGS)[1].sel(subset="all")
    # 600 images a bin, of some 350 simulations: 0.03 each, three of these
    np.testing.assert_allclose(curves.reliability, curves.stated, atol=0.1)
    expected = norm.sf(norm.isf(curves.false_steep) - 1.5)
    # 3000 images a class: 0.01, more where it is steep; at 0 it has risen to the highest shallow
    # image already
    np.testing.assert_allclose(curves.roc[1:], expected[1:], atol=0.04)
    # images are independent here: a binomial's scatter of the height, and of the threshold along
    # the slope
    some = curves.sel(false_steep=slice(0.1, 0.6))
    false, true = some.false_steep, norm.sf(norm.isf(some.false_steep) - 1.5)
    slope = norm.pdf(norm.isf(false) - 1.5) / norm.pdf(norm.isf(false))
    sigma = ((true * (1 - true) + slope**2 * false * (1 - false)) / 3000) ** 0.5
    np.testing.assert_allclose((some.roc_hi - some.roc_lo) / 2, sigma, rtol=0.4)


def test_scores_of_the_index_are_those_of_the_errors_that_were_drawn(continuous):
    found = scored(evaluate(continuous, of_index(continuous, bias=0.05), {}, SETTINGS)[0])
    assert found.keys() == {"mse", "mse_simulation", "crps", "bias", "coverage68"}
    n = 3600
    assert found["mse"]["value"] == pytest.approx(0.15**2 + 0.05**2, rel=4 * (2 / n) ** 0.5)
    assert found["bias"]["value"] == pytest.approx(0.05, abs=4 * 0.15 / n**0.5)
    # the mean of twelve views: a twelfth of the variance, all of the bias
    assert found["mse_simulation"]["value"] == pytest.approx(
        0.15**2 / 12 + 0.05**2, rel=5 * (2 / 300) ** 0.5
    )
    assert found["mse_simulation"]["n"] == 300
    better = {name: record["better"] for name, record in found.items()}
    assert (better["mse"], better["bias"], better["coverage68"]) == ("lower", "zero", "nominal")


def test_coverage_is_nominal_where_the_spread_is_the_error_and_less_where_it_is_too_small(
    continuous,
):
    records, curves, *_ = evaluate(continuous, of_index(continuous), {}, SETTINGS)
    scatter = (0.68 * 0.32 / 3600) ** 0.5
    assert scored(records)["coverage68"]["value"] == pytest.approx(
        forecasts.NOMINAL, abs=4 * scatter
    )
    np.testing.assert_allclose(curves.sel(subset="all").coverage, curves.level, atol=4 * scatter)
    small = scored(evaluate(continuous, of_index(continuous, spread=0.075), {}, SETTINGS)[0])
    assert small["coverage68"]["value"] == pytest.approx(2 * norm.cdf(0.5) - 1, abs=4 * scatter)


def test_crps_is_least_for_the_spread_that_the_errors_have(continuous):
    of = {
        spread: scored(evaluate(continuous, of_index(continuous, spread=spread), {}, SETTINGS)[0])[
            "crps"
        ]["value"]
        for spread in (0.08, 0.15, 0.3)
    }
    assert min(of, key=of.get) == 0.15


def test_index_of_two_values_is_scored_as_a_class_too(two, continuous):
    found = scored(evaluate(two, of_index(two, error=0.155, spread=0.155), {}, SETTINGS)[0])
    # an error of 0.155 tells indices 1/3 apart with this accuracy
    assert found["accuracy"]["value"] == pytest.approx(
        norm.cdf(1 / 6 / 0.155), abs=4 * (0.86 * 0.14 / 360) ** 0.5
    )
    assert "accuracy" not in scored(evaluate(continuous, of_index(continuous), {}, SETTINGS)[0])


def test_prediction_against_true_index_shows_its_mean_its_scatter_and_the_called_class(continuous):
    curves = evaluate(continuous, of_index(continuous, bias=0.05), {}, SETTINGS)[1].sel(
        subset="all"
    )
    assert curves.index_count.sum() == 3600
    np.testing.assert_allclose(
        curves.predicted_index - curves.index_mean, 0.05, atol=5 * 0.15 / 400**0.5
    )
    np.testing.assert_allclose(curves.scatter, 0.15, rtol=5 / 800**0.5)
    assert (curves.predicted_class[[0, 1]] < 0.2).all() and (
        curves.predicted_class[[4, 5]] > 0.8
    ).all()


def test_class_that_is_called_passes_half_at_the_boundary(continuous):
    index = continuous["target"].values
    stated = 1 / (1 + np.exp(-(index - BOUNDARY) / 0.2))
    called = predictions_of(prediction=stated, balanced=stated)
    curves = evaluate(continuous, called, {}, SETTINGS | {"index_edges": [3.0, BOUNDARY, 4.5]})[
        1
    ].sel(subset="all")
    np.testing.assert_allclose(curves.predicted_class, [0, 1], atol=1e-9)


def test_index_beyond_the_edges_is_in_no_bin(continuous):
    curves = evaluate(continuous, of_index(continuous), {}, SETTINGS | {"index_edges": [3.0, 3.5]})[
        1
    ]
    assert curves.index_count.sum() == (continuous["target"].values <= 3.5).sum()


def test_each_family_of_several_is_a_subset_and_one_alone_is_not(two):
    mixed = patches_of(np.resize(CLASSES, 30), views=12, family=np.repeat([0, 1], 15))
    predictions = of_class(mixed)
    records, curves, *_ = evaluate(mixed, predictions, {}, SETTINGS)
    assert list(curves.subset.values) == ["all", "nominal", "shifted"]
    parts = [scored(records, name)["accuracy"] for name in ("nominal", "shifted")]
    assert [part["n"] for part in parts] == [180, 180]
    assert np.mean([p["value"] for p in parts]) == pytest.approx(
        scored(records)["accuracy"]["value"], abs=1e-12
    )
    assert list(evaluate(two, of_class(two), {}, SETTINGS)[1].subset.values) == ["all"]


def test_family_of_one_class_has_an_accuracy_and_no_ranking():
    shallow = patches_of([CLASSES[0]] * 10, views=4)
    found = scored(evaluate(shallow, of_class(shallow), {}, SETTINGS)[0])
    assert np.isfinite(found["accuracy"]["value"]) and np.isfinite(found["recall_shallow"]["value"])
    assert np.isnan(
        [found[name]["value"] for name in ("auc", "recall_steep", "balanced_accuracy")]
    ).all()


def test_validation_scores_all_images_and_says_so(two):
    np.testing.assert_array_equal(validation_rows(two), np.arange(360))
    tested, validated = (
        evaluate(two, of_class(two), {}, SETTINGS)[0],
        validate(two, of_class(two), SETTINGS),
    )
    assert {record["split"] for record in validated} == {"valid"}
    assert [record["value"] for record in validated] == [record["value"] for record in tested]


def test_curves_can_be_written_and_read_again(two, tmp_path):
    for name, predictions in {"class": of_class(two), "index": of_index(two)}.items():
        curves = evaluate(two, predictions, {}, SETTINGS)[1]
        curves.to_netcdf(tmp_path / f"{name}.nc")
        xr.testing.assert_identical(xr.load_dataset(tmp_path / f"{name}.nc").load(), curves)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"prediction": np.full(360, np.nan)},
            "prediction is nan of 360 of 360 images; expected a finite number",
        ),
        ({"prediction": np.ones(12)}, r"prediction has the shape \(12,\), expected \(360,\)"),
        (
            {"spread": np.zeros(360)},
            "spread is 0.0 of 360 of 360 images; expected a positive number",
        ),
        ({}, "neither of balanced and spread found; expected one"),
        (
            {"balanced": np.ones(360), "spread": np.ones(360)},
            "balanced and spread of balanced and spread found",
        ),
    ],
)
def test_prediction_that_cannot_be_scored_is_refused(two, changes, message):
    values = {"prediction": np.full(360, 0.5)} | changes
    predictions = xr.Dataset(
        {k: (f"{k}_example" if len(v) == 12 else "example", v) for k, v in values.items()}
    )
    with pytest.raises(BadInput, match=message):
        evaluate(two, predictions, {}, SETTINGS)


def test_simulation_with_two_indices_is_refused(two):
    broken = two.assign(target=two["target"].copy(data=np.resize(CLASSES, 360).astype(np.float32)))
    with pytest.raises(BadInput, match="views of simulation 0 differ in their index"):
        evaluate(broken, of_index(broken), {}, SETTINGS)


def test_scores_of_single_images_average_to_those_of_the_set(two, continuous):
    classes = evaluate(two, of_class(two), {}, SETTINGS)
    mean = scored(classes.records)
    assert classes.examples.correct.mean() == pytest.approx(mean["accuracy"]["value"])
    loss = -np.log(classes.examples.truth_probability).mean()
    assert loss == pytest.approx(mean["log_loss"]["value"], rel=1e-6)
    index = evaluate(continuous, of_index(continuous), {}, SETTINGS)
    mean = scored(index.records)
    assert index.examples.squared_error.mean() == pytest.approx(mean["mse"]["value"])
    assert index.examples.error.mean() == pytest.approx(mean["bias"]["value"])


def test_predictions_of_the_class_and_of_the_index_share_blocks_and_draws(two):
    """Any statistic of two models can then be compared draw by draw."""
    first, second = (
        {r["name"]: r for r in evaluate(two, predictions, {}, SETTINGS).records}
        for predictions in (of_class(two, seed=1), of_class(two, seed=2))
    )
    for name, record in first.items():
        assert record["digest"] == second[name]["digest"]
        assert record["draws"].shape == (401,) and record["draws"][0] == np.float32(record["value"])
