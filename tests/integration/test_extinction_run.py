"""A whole run of test size of the extinction study: scores, intervals, transfer, figures."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tap_server
import xarray as xr
from astropy.coordinates import SkyCoord
from astropy.table import Table
from conftest import run_words, snakemake

from skyloom.extinction.products import cube, profiles
from skyloom.extinction.read.catalogue import FORMS
from skyloom.extinction.simulate import population, survey

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
    assert table.tested_on.tolist() == ["nominal", "half_mag", "channels", "channels_gaia"]
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


def test_cube_is_drawn_and_measured(finished):
    folder = finished / RUN
    for name in ("sky", "face", "reach", "profile"):
        assert (folder / f"figures/cube_{name}_carina_mlp.png").stat().st_size > 10_000
    table = pd.read_csv(folder / "products/carina_mlp/artefacts.csv").set_index("statistic")
    assert table.loc["tiling index", "cube"] > 0 and table.loc["tiling index", "truth"] == 1
    assert table.loc["reliable distance", "unit"] == "kpc"
    sightlines = pd.read_csv(folder / "products/sightlines_carina.csv")
    assert len(sightlines) == 4 and set(sightlines["verdict"]) <= {"used", "flagged", "refused"}
    items = json.loads((finished / "results/test/run.json").read_text())["items"]
    shown = {item["file"].removeprefix(f"{RUN}/"): item["caption"] for item in items}
    assert "fingers of God" in shown["figures/cube_face_carina_mlp.png"]
    assert "latitude index" in shown["products/carina_mlp/artefacts.html"]
    assert "Check of the star counts" in shown["products/sightlines_carina.html"]


def test_cube_answers_a_query(finished):
    path = finished / RUN / "products/carina_mlp/cube.fits"
    command = [sys.executable, "scripts/extinction_query.py", str(path), "277", "1", "2.5"]
    done = subprocess.run(command, cwd=finished, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "A_V " in done.stdout and "A_K " in done.stdout and "simulated" in done.stdout


def test_region_of_a_survey_is_fetched_checked_and_predicted(finished, tmp_path, monkeypatch):
    """A TAP server on loopback has the stars of two fields of four."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    stars, place = observed_stars([(277.0, -1.0), (279.0, -1.0)], 0.05**0.5)
    with tap_server.served(stars, place) as site:
        regions = {
            "here": {
                "source": "survey",
                "set": "nominal",
                "longitude": [276, 280],
                "latitude": [-2, 2],
                "spacing": 2,
                "stars": {"2mass": {"service": site.url}},
            }
        }
        mine = {"extinction": {"regions": regions, "maps": {"regions": ["carina", "here"]}}}
        (folder / "mine.yaml").write_text(json.dumps(mine))
        target = f"{RUN}/figures/cube_sky_here_mlp.png"
        done = snakemake(folder, target, *run_words("extinction"), "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    listed = pd.read_csv(folder / "resources/raw/extinction/stars/here_2mass.csv")
    assert listed["table"].notna().sum() == 2 and listed["reason"].notna().sum() == 2
    verdicts = pd.read_csv(folder / RUN / "products/sightlines_here.csv").set_index(["b", "l"])
    assert verdicts.loc[1, "verdict"].tolist() == ["missing", "missing"]
    assert "no star" in verdicts.loc[(1, 277), "reason"]
    found = cube.read_cube(folder / RUN / "products/here_mlp/cube.fits")
    assert found.data_kind == "survey" and np.isnan(found.median[:, 1]).all()
    # a refused field is blank, a used or flagged one has a value
    refused = (verdicts.loc[-1, "verdict"] == "refused").to_numpy()
    assert (np.isnan(found.median[-1, 0]) == refused).all()


def observed_stars(places, side):
    """Stars of 2MASS in the columns of VizieR II/246, behind 0.4 mag a kpc, and their places."""
    rng = np.random.default_rng(0)
    parts, lon, lat = [], [], []
    form = FORMS["2mass"]["VizieR II/246"]
    for at in places:
        stars = population.sightline(*at, side**2, {"K": 16.5, "J": 18.0}, rng)
        measured = survey.observe(stars, 0.4e-3 * stars.distance, "wang2019", rng)
        parts.append(
            {
                name: values
                for band, pair in form.bands.items()
                for name, values in zip(pair, measured[band], strict=True)
            }
        )
        lon.append(at[0] + side * (rng.random(len(stars)) - 0.5))
        lat.append(at[1] + side * (rng.random(len(stars)) - 0.5))
    table = Table({key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
    place = SkyCoord(np.concatenate(lon), np.concatenate(lat), unit="deg", frame="galactic")
    table["RAJ2000"], table["DEJ2000"] = place.icrs.ra.deg, place.icrs.dec.deg
    table["Qflg"], table["Cflg"], table["Xflg"] = "AAA", "000", 0
    return table, place
