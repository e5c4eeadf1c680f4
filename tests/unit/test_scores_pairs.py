"""Paired differences of two models: their coverage, and the table of networks and baselines."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from score_files import DRAWS, write_model

import compare_pairs
from skyloom.cli import BadInput
from skyloom.scores import bootstrap, pairs, records

HEADLINE = [
    {"name": "accuracy", "subset": "bright"},
    {"name": "log_loss", "subset": "bright"},
    {"name": "mse", "subset": "bright"},
]


def drawn(values, blocks, seed=0, draws=400):
    return bootstrap.mean(values, bootstrap.multiplicities(blocks, draws, seed))


@pytest.mark.parametrize("better", list(records.LOSS))
def test_model_compared_with_itself_is_level_with_a_difference_of_exactly_nothing(better):
    values = np.random.default_rng(0).random(60) + 0.1
    one = drawn(values, np.arange(60)).astype(np.float32)
    same = pairs.difference([one], [one], better)
    assert same == (0, 0, 0, pairs.LEVEL, 0.5)
    seeds = [one, drawn(values + 0.013, np.arange(60)), drawn(values * 1.07, np.arange(60))]
    several = pairs.difference(seeds, seeds, better)
    assert several.difference == 0 and several.result == pairs.LEVEL


def test_interval_of_models_with_correlated_errors_holds_their_difference_19_times_of_20():
    """Two models share an error of each block that is ten times that of their difference."""
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(40), 3)
    hits, widths, single = [], [], []
    for k in range(400):
        shared = rng.standard_normal(40)[blocks]
        first = shared + 0.1 * rng.standard_normal(40)[blocks] + 0.03
        second = shared + 0.05 * rng.standard_normal(120)
        both = [drawn(values, blocks, seed=k) for values in (first, second)]
        found = pairs.difference([both[0]], [both[1]], "lower")
        hits.append(found.lo <= 0.03 <= found.hi)
        widths.append(found.hi - found.lo)
        single.append(np.subtract(*bootstrap.summary(both[0], bootstrap.INTERVAL_95)[:0:-1]))
    # 0.95 by definition; 400 experiments scatter by 0.011, and a percentile bootstrap of 40 blocks
    # covers some 0.02 less than it says
    assert np.mean(hits) == pytest.approx(0.95, abs=0.04)
    # 2 * 1.96 * (0.1^2 / 40 + 0.05^2 / 120)^0.5
    assert np.mean(widths) == pytest.approx(3.92 * (0.01 / 40 + 0.0025 / 120) ** 0.5, rel=0.08)
    assert np.mean(single) > 8 * np.mean(widths)


def test_interval_of_a_difference_of_medians_is_paired_too():
    rng = np.random.default_rng(2)
    blocks, shared = np.arange(80), rng.standard_normal(80)
    counts = bootstrap.multiplicities(blocks, 400, 0)
    first, second = (bootstrap.median((shared + d)[:, None], counts)[:, 0] for d in (0.2, 0.0))
    found = pairs.difference([first], [second], "higher")
    assert found[:3] == pytest.approx((0.2, 0.2, 0.2)) and found.result == pairs.BETTER


@pytest.mark.parametrize(
    ("better", "good", "poor", "sign"),
    [
        ("higher", 0.9, 0.8, 1),
        ("lower", 1.0, 2.0, -1),
        ("zero", -0.1, 0.5, -1),
        ("one", 0.9, 1.5, -1),
        ("nominal", 0.68, 0.9, -1),
    ],
)
def test_better_and_worse_follow_the_direction_of_the_score(better, good, poor, sign):
    rng = np.random.default_rng(3)
    first, second = (np.append(v, v + 0.01 * rng.standard_normal(DRAWS)) for v in (good, poor))
    won, lost = (pairs.difference([a], [b], better) for a, b in ((first, second), (second, first)))
    assert (won.result, lost.result) == (pairs.BETTER, pairs.WORSE)
    assert np.sign(won.difference) == sign and (won.wins, lost.wins) == (1, 0)
    assert (won.lo, won.hi) == pytest.approx((-lost.hi, -lost.lo))


def test_difference_within_the_scatter_of_training_seeds_is_level():
    """Each seed alone would be better or worse by far more than its test error."""
    rng = np.random.default_rng(4)

    def draws(value):
        return np.append(value, value + 0.001 * rng.standard_normal(DRAWS))

    seeds, baseline = [draws(v) for v in (0.86, 0.84, 0.82)], [draws(0.83)]
    alone = [pairs.difference([seed], baseline, "higher").result for seed in seeds]
    assert alone == [pairs.BETTER, pairs.BETTER, pairs.WORSE]
    together = pairs.difference(seeds, baseline, "higher")
    assert together.result == pairs.LEVEL and together.difference == pytest.approx(0.01)
    assert together.lo <= -0.01 and together.hi >= 0.03


def test_end_of_an_interval_at_zero_is_level_whatever_the_last_digit_of_float32():
    """Shares of 48 images: a third of the draws has no difference at all."""
    rng = np.random.default_rng(5)
    network = rng.integers(24, 32, DRAWS + 1) / 48
    baseline = (network * 48 + rng.integers(0, 3, DRAWS + 1)).round() / 48
    network[0], baseline[0] = 28 / 48, 29 / 48
    draws = [[side.astype(np.float32)] for side in (network, baseline)]
    found = pairs.difference(*draws, "higher")
    assert found.hi == 0 and found.lo < 0 and found.result == pairs.LEVEL


def test_difference_without_an_interval_is_level_and_one_without_a_value_is_worse():
    empty = np.append(0.9, np.full(DRAWS, np.nan))
    other = np.append(0.8, np.full(DRAWS, np.nan))
    found = pairs.difference([empty], [other], "higher")
    assert found.result == pairs.LEVEL and np.isnan([found.lo, found.hi, found.wins]).all()
    lost = pairs.difference([np.full(DRAWS + 1, np.nan)], [other], "higher")
    assert lost.result == pairs.WORSE


def run(paths, folder, monkeypatch):
    config = ["--config", json.dumps({"headline": HEADLINE})]
    files = ["--metrics", *map(str, paths), "--output", str(folder / "pairs.csv")]
    monkeypatch.setattr(sys, "argv", ["compare_pairs", *config, *files])
    compare_pairs.main()
    return pd.read_csv(folder / "pairs.csv")


def test_table_has_each_network_with_each_baseline_in_every_score_of_both(tmp_path, monkeypatch):
    scores = {"accuracy": 0.9, "log_loss": 0.3}
    paths = [
        write_model(tmp_path, "cnn", "network", scores, seed=1),
        write_model(tmp_path, "cnn", "network", scores | {"accuracy": 0.88}, seed=2),
        write_model(tmp_path, "other", "network", {"accuracy": 0.7}),
        write_model(tmp_path, "scattering", "baseline", {"accuracy": 0.8, "log_loss": 0.4}),
        write_model(tmp_path, "ridge", "baseline", {"mse": 0.1}),
    ]
    table = run(paths, tmp_path, monkeypatch)
    assert list(table) == list(pairs.COLUMNS)
    rows = table[["network", "baseline", "score", "result"]].to_numpy().tolist()
    assert rows == [
        ["cnn", "scattering", "accuracy", "better"],
        ["cnn", "scattering", "log_loss", "better"],
        ["other", "scattering", "accuracy", "worse"],
    ]
    first = table.iloc[0]
    assert (first.seeds_network, first.seeds_baseline) == (2, 1)
    assert first.difference == pytest.approx(0.09) and first.blocks == 20


def test_set_without_a_baseline_gives_an_empty_table_with_its_columns(tmp_path, monkeypatch):
    path = write_model(tmp_path, "cnn", "network", {"accuracy": 0.9})
    table = run([path], tmp_path, monkeypatch)
    assert table.empty and list(table) == list(pairs.COLUMNS)


def test_models_scored_on_other_blocks_or_of_several_sets_are_refused(tmp_path, monkeypatch):
    net = write_model(tmp_path, "cnn", "network", {"accuracy": 0.9})
    blocks = np.arange(20) // 2
    fit = write_model(tmp_path, "fit", "baseline", {"accuracy": 0.8}, blocks=blocks)
    with pytest.raises(BadInput, match=r"accuracy \(bright\) of cnn and of fit were not drawn"):
        run([net, fit], tmp_path, monkeypatch)
    other = write_model(tmp_path, "fit", "baseline", {"accuracy": 0.8}, name="b")
    with pytest.raises(BadInput, match="models of the sets a, b; expected one set"):
        run([net, other], tmp_path, monkeypatch)


def test_sample_of_a_stochastic_model_is_compared_where_the_headline_shows_it(tmp_path):
    paths = [
        write_model(tmp_path, "flow", "network", {"accuracy": 0.9}, samples={"accuracy": 0.4}),
        write_model(tmp_path, "fit", "baseline", {"accuracy": 0.8}),
    ]
    test = records.read(paths, draws=True)
    for show, value in (("sample", 0.4), (None, 0.9)):
        table = pairs.table(test, [HEADLINE[0] | {"show": show}])
        assert table.network_value.tolist() == pytest.approx([value])
