"""Differences of two models on the same images, and the table of each network against each
baseline.
"""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

import turbulence_compare_pairs as script
from skyloom.cli import BadInput
from skyloom.turbulence.evaluate.pairs import paired

SETTINGS = {"draws": 400, "seed": 0}
CLASSES = [11 / 3, 4.0]
SIMULATIONS, VIEWS = 60, 12


@pytest.fixture(scope="module")
def patches():
    """A set whose last sixty simulations are its test split."""
    count = 2 * SIMULATIONS * VIEWS
    simulation, axis, part = (a.ravel() for a in np.indices((2 * SIMULATIONS, 3, 4)))
    index = np.array(CLASSES, np.float32)[simulation % 2]
    flags = {"flag_values": np.arange(3, dtype=np.int8), "flag_meanings": "train valid test"}
    coords = {"simulation": simulation, "axis": axis, "part": part}
    return xr.Dataset(
        {
            "image": (("example", "y", "x"), np.zeros((count, 2, 2), np.float32)),
            "target": ("example", index),
        },
        coords={name: ("example", values) for name, values in coords.items()}
        | {"split": ("example", np.repeat(np.array([0, 2], np.int8), count // 2), flags)},
        attrs={"classes": np.array(CLASSES)},
    )


@pytest.fixture(scope="module")
def tested(patches):
    return patches.isel(example=slice(SIMULATIONS * VIEWS, None))


def noise(seed):
    """Difficulty of each image, some of it its simulation's."""
    random = np.random.default_rng(seed)
    return np.repeat(random.normal(size=SIMULATIONS), VIEWS) + random.normal(
        size=SIMULATIONS * VIEWS
    )


def of_class(tested, distance, difficulty, **attrs):
    steep = tested["target"].values > np.mean(CLASSES)
    score = distance * np.where(steep, 0.5, -0.5) + difficulty
    stated = ("example", (1 / (1 + np.exp(-score))).astype(np.float32))
    coords = {name: tested[name] for name in ("simulation", "axis", "part")}
    return xr.Dataset({"prediction": stated, "balanced": stated}, coords, attrs)


def of_index(tested, off, **attrs):
    values = ("example", tested["target"].values + off)
    spread = ("example", np.full(len(off), 0.1))
    return xr.Dataset({"prediction": values, "spread": spread}, attrs=attrs)


def by_metric(rows):
    return {row["metric"]: row for row in rows}


def test_equal_predictions_differ_by_nothing_at_all(tested):
    same = of_class(tested, 1.0, noise(0))
    for row in paired(tested, [same], [same], SETTINGS):
        assert (row["difference"], row["lo"], row["hi"], row["won"]) == (0, 0, 0, 0.5)


def test_better_model_is_above_in_accuracy_below_in_mse_and_wins(tested):
    good, poor = of_class(tested, 4.0, noise(0)), of_class(tested, 1.0, noise(0))
    for first, second, sign in ((good, poor, 1), (poor, good, -1)):
        rows = by_metric(paired(tested, [first], [second], SETTINGS))
        assert rows.keys() == {"accuracy", "accuracy_simulation", "log_loss"}
        assert min(sign * rows["accuracy"]["lo"], sign * rows["accuracy"]["hi"]) > 0
        assert (
            np.sign(rows["accuracy"]["difference"]) == sign
            and np.sign(rows["log_loss"]["difference"]) == -sign
        )
        assert rows["accuracy"]["won"] == rows["log_loss"]["won"] == (sign == 1)
        assert rows["accuracy"]["simulations"] == SIMULATIONS
        assert (rows["accuracy"]["n"], rows["accuracy_simulation"]["n"]) == (
            SIMULATIONS * VIEWS,
            SIMULATIONS,
        )
    near, far = of_index(tested, 0.1 * noise(0)), of_index(tested, 0.2 * noise(0))
    rows = by_metric(paired(tested, [near], [far], SETTINGS))
    assert rows["mse"]["difference"] == pytest.approx(
        (0.1**2 - 0.2**2) * np.mean(noise(0) ** 2), rel=1e-6
    )
    assert rows["mse"]["won"] == 1 and rows["mse"]["better"] == "lower"


def test_difference_of_models_that_err_alike_is_known_better_than_either(tested):
    """Two thresholds on one score differ only where it lies between them: their accuracies move
    together.
    """
    first, second = of_class(tested, 2.0, noise(1)), of_class(tested, 2.0, noise(1) + 0.2)
    other = of_class(tested, 2.0, noise(2))  # as good, and with errors of its own

    def width(against):
        row = by_metric(paired(tested, [first], [against], SETTINGS))["accuracy"]
        return row["hi"] - row["lo"]

    assert width(second) < 0.5 * width(other)


def test_interval_of_the_difference_is_that_of_whole_simulations(tested):
    """One model is right of a random share of simulations, the other always: the difference is
    binomial.
    """
    wrong = np.repeat(np.random.default_rng(3).random(SIMULATIONS) < 0.25, VIEWS)
    steep = tested["target"].values > np.mean(CLASSES)
    perfect = of_class(tested, 4.0, np.zeros(len(steep)))
    flawed = of_class(tested, 4.0, np.where(wrong, np.where(steep, -4.0, 4.0), 0))
    row = by_metric(paired(tested, [perfect], [flawed], SETTINGS))["accuracy"]
    share = wrong.mean()
    assert row["difference"] == pytest.approx(share)
    expected = (share * (1 - share) / SIMULATIONS) ** 0.5
    half = (row["hi"] - row["lo"]) / 2
    # shares come in steps of 1/60, and 400 draws place a percentile to 6 %
    assert half == pytest.approx(expected, abs=0.012)
    assert half > 2.5 * expected / VIEWS**0.5


def test_seeds_of_a_model_are_averaged_image_by_image(tested):
    seeds = [of_class(tested, 2.0, noise(seed)) for seed in (4, 5)]
    fixed = of_class(tested, 1.0, noise(6))
    both = by_metric(paired(tested, seeds, [fixed], SETTINGS))
    single = [by_metric(paired(tested, [seed], [fixed], SETTINGS)) for seed in seeds]
    for name, row in both.items():
        assert row["difference"] == pytest.approx(
            np.mean([each[name]["difference"] for each in single]), abs=1e-12
        )


def test_class_and_index_are_not_compared(tested):
    assert (
        paired(
            tested, [of_class(tested, 1.0, noise(0))], [of_index(tested, 0.1 * noise(0))], SETTINGS
        )
        == []
    )


def run(patches, predictions, folder, monkeypatch, highlight=None):
    patches.to_netcdf(folder / "patches.nc")
    paths = []
    for number, each in enumerate(predictions):
        paths.append(str(folder / f"predictions{number}.nc"))
        each.to_netcdf(paths[-1])
    config = json.dumps({"highlight": highlight, "evaluate": SETTINGS})
    words = ["--config", config, "--patches", str(folder / "patches.nc"), "--predictions", *paths]
    monkeypatch.setattr(
        sys, "argv", ["turbulence_compare_pairs", *words, "--output", str(folder / "pairs.csv")]
    )
    script.main()
    text = (folder / "pairs.csv").read_text()
    return text.splitlines()[0], pd.read_csv(folder / "pairs.csv", comment="#")


def test_table_has_each_network_against_each_baseline_and_says_who_wins(
    patches, tested, tmp_path, monkeypatch
):
    predictions = [
        of_class(tested, 4.0, noise(1), kind="network", model="cnn", seed=1),
        of_class(tested, 4.0, noise(2), kind="network", model="cnn", seed=2),
        of_class(tested, 1.0, noise(3), kind="network", model="residual", seed=1),
        of_class(tested, 2.0, noise(4), kind="baseline", model="scattering", seed=1),
        of_class(tested, 0.5, noise(5), kind="baseline", model="slope", seed=1),
    ]
    first, table = run(patches, predictions, tmp_path, monkeypatch)
    assert list(table.columns) == list(script.COLUMNS)
    pairs = table[["network", "baseline"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [[n, b] for n in ("cnn", "residual") for b in ("scattering", "slope")]
    assert table.seeds_network.tolist() == [2] * 6 + [1] * 6
    # scores a distance d apart with errors of variance 2
    row = table[
        (table.network == "cnn") & (table.baseline == "scattering") & (table.metric == "accuracy")
    ].iloc[0]
    assert row["first"] == pytest.approx(norm.cdf(2 / 2**0.5), abs=0.05)
    assert row["second"] == pytest.approx(norm.cdf(1 / 2**0.5), abs=0.1)
    assert "cnn beats every baseline, the hardest of them scattering: accuracy" in first
    assert "residual loses to the baseline scattering: accuracy" in first
    told, _ = run(patches, predictions, tmp_path, monkeypatch, highlight=["residual"])
    assert "cnn" not in told and "residual loses" in told
    told, _ = run(patches, predictions, tmp_path, monkeypatch, highlight=["of_another_set"])
    assert told == first


def test_baseline_that_may_be_as_good_is_not_beaten_although_another_is_nearer():
    row = {"network": "cnn", "metric": "accuracy", "better": "higher", "first": 0.9}
    near = row | {
        "baseline": "near",
        "second": 0.895,
        "difference": 0.005,
        "lo": 0.002,
        "hi": 0.008,
    }
    wide = row | {
        "baseline": "wide",
        "second": 0.885,
        "difference": 0.015,
        "lo": -0.001,
        "hi": 0.031,
    }
    lost = row | {"baseline": "lost", "second": 0.92, "difference": -0.02, "lo": -0.03, "hi": -0.01}
    assert "cnn beats every baseline, the hardest of them near" in script.in_words(
        pd.DataFrame([near, near]), None
    )
    assert "cnn is level with the baseline wide" in script.in_words(
        pd.DataFrame([near, wide]), None
    )
    assert "cnn loses to the baseline lost" in script.in_words(
        pd.DataFrame([near, lost, wide]), None
    )


def test_set_without_a_baseline_gives_an_empty_table_that_says_so(
    patches, tested, tmp_path, monkeypatch
):
    alone = [of_class(tested, 1.0, noise(0), kind="network", model="cnn", seed=1)]
    first, table = run(patches, alone, tmp_path, monkeypatch)
    assert (
        "nothing is compared" in first
        and table.empty
        and list(table.columns) == list(script.COLUMNS)
    )


def test_predictions_of_other_images_are_refused(patches, tested, tmp_path, monkeypatch):
    other = of_class(tested, 1.0, noise(0), kind="network", model="cnn", seed=1)
    other["part"] = "example", np.roll(other["part"].values, 1)
    with pytest.raises(BadInput, match="part is not that of the set's test images"):
        run(patches, [other], tmp_path, monkeypatch)
