"""Ranking, bins, thresholds and forecasts against sklearn, numpy and integrals."""

import numpy as np
import pytest
from astropy.stats import binom_conf_interval
from scipy import integrate
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from skyloom.scores import binned, bootstrap, forecasts, ranking
from skyloom.scores.thresholds import best_threshold


def test_auc_and_roc_of_bootstrap_draws_are_those_of_sklearn_with_weights_and_ties():
    random = np.random.default_rng(2)
    steep = random.random(200) < 0.4
    score = np.round(random.normal(size=200) + steep, 1)  # many ties
    counts = bootstrap.multiplicities(np.arange(200) // 5, 20, 0)
    found = ranking.auc(score, steep, counts)
    grid = np.linspace(0, 1, 11)
    curves = ranking.roc(score, steep, counts, grid)
    for area, curve, weight in zip(found, curves, counts, strict=True):
        assert area == pytest.approx(roc_auc_score(steep, score, sample_weight=weight), abs=1e-12)
        false, true, _ = roc_curve(steep, score, sample_weight=weight, drop_intermediate=False)
        np.testing.assert_allclose(curve, np.interp(grid, false, true), atol=1e-12)


def test_ranking_of_one_class_is_not_a_number():
    counts = np.ones((3, 5))
    assert np.isnan(ranking.auc(np.arange(5.0), np.ones(5, bool), counts)).all()
    assert np.isnan(
        ranking.roc(np.arange(5.0), np.ones(5, bool), counts, np.linspace(0, 1, 3))
    ).all()


def test_means_in_bins_of_a_draw_are_those_of_the_drawn_examples():
    rng = np.random.default_rng(3)
    place, values = rng.uniform(0, 1, 40), rng.standard_normal(40)
    counts = bootstrap.multiplicities(np.arange(40) // 4, 10, 0)
    member = binned.membership(place, [0, 0.5, 1])
    for drawn, means in zip(counts, binned.binned_mean(values, member, counts), strict=True):
        often = drawn.astype(int)
        for side, mean in zip((place < 0.5, place >= 0.5), means, strict=True):
            assert mean == pytest.approx(np.repeat(values[side], often[side]).mean())


def test_last_edge_belongs_to_the_last_bin_and_values_beyond_to_none():
    member = binned.membership(np.array([-0.1, 0.0, 0.5, 1.0, 1.1]), [0, 0.5, 1])
    np.testing.assert_array_equal(member, [[0, 0], [1, 0], [0, 1], [0, 1], [0, 0]])


def test_empty_bin_has_no_mean():
    member = binned.membership(np.array([0.1, 0.2]), [0, 0.5, 1])
    mean = binned.binned_mean(np.ones(2), member, np.ones((1, 2)))
    assert mean[0, 0] == 1 and np.isnan(mean[0, 1])


def test_reliability_is_the_calibration_curve_of_sklearn():
    rng = np.random.default_rng(4)
    probability = rng.uniform(0, 1, 500)
    positive = rng.uniform(0, 1, 500) < probability
    curve = binned.reliability(probability, positive, np.arange(500), 5)
    expected = calibration_curve(positive, probability, n_bins=5, strategy="quantile")
    np.testing.assert_allclose((curve["reliability"], curve["stated"]), expected)


@pytest.mark.parametrize("views", [1, 12])
def test_interval_of_reliability_is_the_binomial_one_of_independent_blocks(views):
    probability, positive = np.repeat([0.1, 0.3, 0.8, 0.9], 5), np.arange(20) % 4 < 2
    rows = np.repeat(np.arange(20), views)
    curve = binned.reliability(probability[rows], positive[rows], rows, 2)
    right = positive.reshape(2, 10).sum(1)
    expected = binom_conf_interval(right, 10, interval="wilson")
    np.testing.assert_allclose((curve["reliability_lo"], curve["reliability_hi"]), expected, 1e-5)


def test_equal_probabilities_are_in_one_bin():
    curve = binned.reliability(np.full(8, 0.4), np.arange(8) < 2, np.arange(8), 3)
    np.testing.assert_allclose(curve["stated"], [0.4, np.nan, np.nan])
    np.testing.assert_allclose(curve["reliability"], [0.25, np.nan, np.nan])


def test_threshold_is_where_balanced_accuracy_is_best():
    random = np.random.default_rng(1)
    positive = random.random(400) < 0.3
    # best at 0.7 + 0.75, between two equal Gaussians
    scores = random.normal(size=400) + 1.5 * positive + 0.7
    threshold = best_threshold(scores, positive)
    every = [balanced_accuracy_score(positive, scores > cut) for cut in scores]
    best = balanced_accuracy_score(positive, scores > threshold)
    assert best == pytest.approx(max(every), abs=1e-12)
    assert threshold == pytest.approx(1.45, abs=0.6)  # a broad maximum


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([-2.0, -1.0, 3.0], [False, False, True], 1.0),
        ([1.0, 2.0, 3.0], [False, True, True], 1.5),
        ([0.0, 0.0, 0.0], [False, True, True], 0.0),  # nothing to divide
        ([1.0, 2.0, 3.0], [True, True, True], 0.0),
    ],
)
def test_threshold_lies_half_way_between_two_scores(scores, positive, expected):
    assert best_threshold(np.array(scores), np.array(positive)) == expected


def test_crps_is_the_integral_of_the_squared_difference_of_distributions():
    off, spread = np.array([-0.3, 0.0, 0.1]), np.array([0.1, 0.2, 0.3])
    expected = [
        integrate.quad(
            lambda x, o=o, s=s: (norm.cdf(x, o, s) - (x >= 0)) ** 2, -4, 4, points=[0, o], limit=200
        )[0]
        for o, s in zip(off, spread, strict=True)
    ]
    np.testing.assert_allclose(forecasts.gaussian_crps(off, spread, 0), expected, rtol=1e-6)
