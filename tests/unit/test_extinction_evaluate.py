"""Scores of profiles, against closed forms and numpy."""

import numpy as np
import pytest
import xarray as xr

from skyloom.cli import BadInput
from skyloom.extinction import check, evaluate
from skyloom.extinction.data.pools import GROUPS
from skyloom.patchset import flags
from skyloom.predictions import as_dataset
from skyloom.scores.records import LOSS

SETTINGS = {"draws": 200, "seed": 0}
N, BINS = 600, 20


@pytest.fixture(scope="module")
def rows() -> xr.Dataset:
    rng = np.random.default_rng(0)
    target = rng.uniform(0, 2, (N, BINS)).cumsum(1)
    pool = np.arange(N) % 12
    return xr.Dataset(
        {"target": (("example", "distance"), target, {"units": "mag"})},
        {
            "distance": ("distance", np.arange(1, BINS + 1) * 500.0),
            "pool": ("example", pool),
            "group": ("example", (pool // 4).astype(np.int8), flags(GROUPS)),
            "verdict": ("example", (np.arange(N) % 3 == 0).astype(np.int8), flags(check.ORDER)),
        },
    )


def predicted(rows: xr.Dataset, sigma: float, bias: float = 0.0, stated: float = 1.0) -> xr.Dataset:
    """Errors that are normal, and the intervals that `stated` times their deviation gives."""
    target = rows["target"].values
    middle = target + bias + sigma * np.random.default_rng(1).standard_normal(target.shape)
    ends = {"lower68": -1.0, "upper68": 1.0, "lower95": -1.96, "upper95": 1.96}
    values = {name: middle + z * stated * sigma for name, z in ends.items()}
    return as_dataset({"prediction": middle} | values, rows)


def test_scores_of_normal_errors_are_those_of_theory(rows):
    scored = evaluate.evaluate(rows, predicted(rows, 0.3, 0.4), {}, SETTINGS)
    values = {(r["name"], r["subset"]): r["value"] for r in scored.records}
    error = predicted(rows, 0.3, 0.4)["prediction"].values - rows["target"].values
    assert values["rmse", "all"] == pytest.approx(np.sqrt((error**2).mean()))
    assert values["median_error", "all"] == pytest.approx(np.median(np.abs(error)), rel=0.02)
    assert values["bias", "all"] == pytest.approx(error.mean())
    chosen = rows["group"].values == 1
    assert values["rmse", "unseen"] == pytest.approx(np.sqrt((error[chosen] ** 2).mean()))
    near = rows["distance"].values <= 3000
    assert values["rmse", "0_3_kpc"] == pytest.approx(np.sqrt((error[:, near] ** 2).mean()))
    assert values["flagged", "all"] == pytest.approx(1 / 3)
    assert {"all", "trained", "unseen", "beyond", "used"} <= {key[1] for key in values}


def test_coverage_of_stated_intervals_is_that_of_a_normal_law(rows):
    scored = evaluate.validate(rows, predicted(rows, 0.3), SETTINGS)
    values = {r["name"]: r["value"] for r in scored}
    assert values["coverage68"] == pytest.approx(0.683, abs=0.01)
    assert values["coverage95"] == pytest.approx(0.95, abs=0.01)
    assert values["half_width"] == pytest.approx(0.3)
    narrow = evaluate.validate(rows, predicted(rows, 0.3, stated=0.5), SETTINGS)
    assert {r["name"]: r["value"] for r in narrow}["coverage68"] == pytest.approx(0.383, abs=0.01)
    assert LOSS["nominal95"](0.9) == pytest.approx(0.05)


def test_curves_stand_by_group_and_distance(rows):
    curves = evaluate.evaluate(rows, predicted(rows, 0.3), {}, SETTINGS).curves
    assert curves["rmse"].dims == ("group", "distance")
    assert np.allclose(curves["rmse"].sel(group="all"), 0.3, atol=0.05)
    part = curves["rmse"].sel(group="beyond")
    assert (curves["rmse_lo"].sel(group="beyond") <= part).all()
    full = np.isfinite(curves["rmse_total"].sel(group="all"))
    assert full.any() and not full.all()


def test_prediction_that_is_not_finite_is_refused_by_its_name(rows):
    predictions = predicted(rows, 0.3)
    predictions["upper68"][3, 2] = np.nan
    with pytest.raises(BadInput, match="upper68 of 1 sightlines is not finite"):
        evaluate.evaluate(rows, predictions, {}, SETTINGS)
