"""A whole run of test size of the extinction study: scores, intervals, transfer, figures."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from skyloom.extinction.products import cube, profiles

RUN = "results/test/extinction"
MODELS = "mlp", "published", "mean", "ridge", "colour_excess"


@pytest.fixture(scope="module")
def finished(finished_run):
    return finished_run("extinction")


@pytest.mark.parametrize("model", MODELS)
def test_profiles_rise_within_their_intervals_and_are_scored(finished, model):
    folder = finished / RUN / f"test/{model}/seed0"
    found = xr.load_dataset(folder / "predictions.nc")
    names = "lower95", "lower68", "prediction", "upper68", "upper95"
    values = np.stack([found[name] for name in names])
    assert (np.diff(values, axis=2) >= -1e-5).all() and (np.diff(values, axis=0) >= -1e-5).all()
    assert found["prediction"].attrs["units"] == "mag"
    metrics = json.loads((folder / "metrics.json").read_text())
    scores = {(row["name"], row["subset"]): row["value"] for row in metrics["metrics"]}
    assert {"all", "trained", "unseen", "beyond"} <= {subset for _, subset in scores}
    assert 0 < scores["median_error", "all"] < scores["rmse", "all"] < 20
    networks = ("mlp", "published")
    assert (("dropout_coverage68", "all") in scores) == (model in networks)
    assert metrics["validation"]


def test_wrong_survey_is_a_row_of_the_transfer(finished):
    table = pd.read_csv(finished / RUN / "transfer.csv")
    assert table.tested_on.tolist() == ["nominal", "half_mag"]
    for name in ("profiles", "scatter", "scores"):
        assert (finished / RUN / f"figures/{name}_nominal.png").stat().st_size > 10_000


def test_verdict_names_the_models(finished):
    verdict = json.loads((finished / RUN / "verdict.json").read_text())
    assert "best of 2 networks" in verdict["text"]


def test_cube_of_the_region_has_its_sightlines_and_the_truth_fits_it(finished):
    folder = finished / RUN
    found = cube.read_cube(folder / "products/carina_mlp/cube.fits")
    truth = profiles.read_profiles(folder / "raw/region_carina.nc", truth=True)
    assert found.median.shape == (20, 2, 2) and found.data_kind == "simulated"
    assert cube.of_profiles(truth, found).median.shape == found.median.shape
