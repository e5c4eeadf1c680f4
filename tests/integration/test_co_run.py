"""A whole run of test size: its outputs, and a second run that does nothing."""

import csv
import json
import shutil
import subprocess
import sys

import healpy as hp
import numpy as np
import pytest
import torch
import xarray as xr
from conftest import copy_repository, run_words, snakemake

RUN = "results/test"
WORDS = run_words("co")
MODELS = ["res_unet", "res_unet_excess", "flow_matching", "cyclegan", "excess", "constant"]


@pytest.fixture(scope="module")
def finished(finished_run):
    """A clone in which CO's run has finished."""
    return finished_run("co")


@pytest.fixture(scope="module")
def mine(finished, tmp_path_factory):
    """A copy of the finished run to write into."""
    folder = tmp_path_factory.mktemp("mine") / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


def test_comparison_has_every_model_with_its_interval_and_a_verdict_beside_it(finished):
    verdict = json.loads((finished / RUN / "co/verdict.json").read_text())
    assert "networks; one seed; simulated sky, " in verdict["text"]
    assert {clause["score"] for clause in verdict["sets"][0]["clauses"]} == {
        "rho_l_beam",
        "rmse_over_noise",
    }
    with (finished / RUN / "co/comparison.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert set(MODELS) <= rows.keys() and {"dust", "ceiling"} <= rows.keys()
    for model in MODELS:
        low, value, high = (
            float(rows[model][f"rmse_over_noise_bright{end}"]) for end in ("_lo", "", "_hi")
        )
        assert low < value < high
        assert rows[model]["data"] == "simulated"


def test_figures_anchors_and_costs_are_there(finished):
    scores = (
        "spectra",
        "minkowski",
        "plane",
        "pdf",
        "latitude",
        "calibration",
        "panels",
        "selection",
    )
    for name in ("history", *(f"{figure}_co10" for figure in scores)):
        for ending in ("png", "pdf"):
            assert (finished / RUN / f"co/figures/{name}.{ending}").stat().st_size > 10_000
    costs = {
        row["model"]: row for row in csv.DictReader((finished / RUN / "co/training.csv").open())
    }
    assert (
        set(costs) == set(MODELS)
        and costs["res_unet"]["steps"] == "24"
        and costs["constant"]["steps"] == ""
    )
    anchors = list(csv.DictReader((finished / RUN / "co/raw/anchors.csv").open()))
    assert {"anchor", "model", "target", "ok", "source"} <= anchors[0].keys()


def test_run_json_tells_what_made_a_checkpoint(finished):
    folder = finished / RUN / "co/models/res_unet/seed0"
    run = json.loads((folder / "run.json").read_text())
    assert run["entry"]["width"] == 4 and run["seed"] == 0 and run["data_kind"] == "simulated"
    assert run["packages"]["torch"].startswith("2.13.0")
    assert all(len(checksum) >= 32 for checksum in run["inputs"].values())
    assert not (finished / RUN / "state/co/res_unet/seed0/state.pt").exists()
    checkpoint = torch.load(folder / "best.ckpt", weights_only=True)
    assert checkpoint["study"] == "co" and checkpoint["entry"] == run["entry"]


def test_patches_are_self_describing(finished):
    with xr.open_dataset(finished / RUN / "co/sets/co10/patches.nc") as patches:
        assert (
            patches["target"].attrs["units"] == "K km/s"
            and patches["dust"].attrs["units"] == "MJy/sr"
        )
        assert patches.attrs["data_kind"] == "simulated"
        assert {"asinh_scale", "asinh_mean", "asinh_std"} <= patches["target"].attrs.keys()
        assert set(patches["split"].values.tolist()) == {0, 1, 2}


def test_predictions_are_of_test_tiles_in_physical_units(finished):
    folder = finished / RUN / "co"
    with xr.open_dataset(folder / "test/constant/seed0/predictions.nc") as predicted:
        assert predicted["prediction"].attrs["units"] == "K km/s"
        with xr.open_dataset(folder / "sets/co10/patches.nc") as patches:
            test = patches["tile"].values[patches["split"].values == 2]
            assert predicted["tile"].values.tolist() == test.tolist()


def test_second_run_does_nothing(finished):
    assert "Nothing to be done" in snakemake(finished, *WORDS).stdout


def test_one_rule_again_trains_anew(mine):
    before = (mine / RUN / "co/models/constant/seed0/run.json").stat().st_mtime
    target = f"{RUN}/co/models/constant/seed0/best.ckpt"
    done = snakemake(mine, *WORDS, "-f", target)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (mine / RUN / "co/models/constant/seed0/run.json").stat().st_mtime > before


def test_checkpoint_from_another_config_is_refused_by_key(finished, tmp_path):
    folder = finished / RUN / "co"
    entry = json.loads((folder / "models/res_unet/seed0/run.json").read_text())["entry"]
    config = json.dumps({"entry": entry | {"width": 8}, "evaluate": {}})
    command = [
        sys.executable,
        "scripts/evaluate_model.py",
        "--study",
        "co",
        "--model",
        "res_unet",
        "--seed",
        "0",
    ]
    command += ["--config", config, "--data", str(folder / "sets/co10/patches.nc")]
    command += ["--checkpoint", str(folder / "models/res_unet/seed0/best.ckpt")]
    for name in ("predictions", "metrics", "curves", "scores"):
        command += [f"--{name}", str(tmp_path / name)]
    done = subprocess.run(command, cwd=finished, capture_output=True, text=True)
    assert done.returncode == 2
    assert "best.ckpt: entry.width is 4, expected 8 from the config" in done.stderr


def test_files_of_a_user_end_in_report_second_map_and_product(tmp_path, finished):
    """In the format of the products, beside a map of the dust's beam and a second map of CO."""
    folder = copy_repository(tmp_path / "skyloom")
    raw = folder / "resources/raw/co"
    raw.mkdir(parents=True)
    for file in (finished / RUN / "co/raw").glob("*.fits"):
        shutil.copy2(file, raw)
    with xr.open_dataset(finished / RUN / "co/maps.nc") as maps:
        co = maps["co10"].values
    _, glat = hp.pix2ang(hp.npix2nside(co.size), np.arange(co.size), lonlat=True)
    options = {"coord": "G", "dtype": np.float32}
    beam = np.where(abs(glat) > 60, 21.8, 5.0)
    hp.write_map(raw / "beam.fits", beam, column_names=["FWHM"], column_units="arcmin", **options)
    co[abs(glat) > 30] = hp.UNSEEN
    options |= {"column_names": ["W"], "column_units": "K km/s", "partial": True}
    hp.write_map(raw / "second.fits", co, **options)
    second = {"path": "resources/raw/co/second.fits", "kind": "dame", "line": "10", "column": "W"}
    settings = {"train": {"source": "survey"}, "run_models": ["res_unet", "constant"]}
    settings |= {"maps": {"dust_beam_map": "resources/raw/co/beam.fits"}, "second_map": second}
    (folder / "mine.yaml").write_text(json.dumps({"co": settings}))
    words = [*WORDS, "--configfile", "mine.yaml"]
    done = snakemake(folder, *words)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "co_simulate_sky" not in done.stdout and "download_raw" not in done.stdout
    # the data kind is read from the files, not from the config
    metrics = json.loads((folder / RUN / "co/test/constant/seed0/metrics.json").read_text())
    assert metrics["data"] == "simulated"
    tiles = [row for row in csv.DictReader((folder / RUN / "co/sets/co10/tiles.csv").open())]
    assert tiles and all(abs(float(row["glat"])) < 65 for row in tiles)
    product = hp.read_map(folder / RUN / "co/products/spot.fits", field=("I10",))
    assert np.isfinite(product[product != hp.UNSEEN]).sum() > 100
    done = snakemake(folder, *words, "--report", f"{RUN}/report.html")
    report = (folder / RUN / "report.html").read_text()
    assert "(ERROR/" not in done.stdout and "A second CO map" in report
