"""A run of the turbulence study at test size: what it leaves, and what an edit reruns."""

import json
import re
import shutil

import pandas as pd
import pytest
import xarray as xr
from conftest import run_words, snakemake

R = "results/test/turbulence"
WORDS = run_words("turbulence")
FIGURES = {"images", "index", "scores", "transfer", "explanation"}


@pytest.fixture(scope="module")
def finished(finished_run):
    """A clone in which the turbulence run has finished."""
    return finished_run("turbulence")


def test_models_of_class_and_index_are_compared_set_by_set(finished):
    table = pd.read_csv(finished / R / "comparison.csv").set_index("model")
    assert {"cnn", "hybrid", "power", "residual_index", "power_index"} <= set(table.index)
    assert table.accuracy_all.notna().to_dict()["power"] and table.mse_all.notna()["power_index"]
    verdict = json.loads((finished / R / "verdict.json").read_text())
    scores = {part["set"]: {c["score"] for c in part["clauses"]} for part in verdict["sets"]}
    assert scores == {"quarter": {"accuracy"}, "early": {"mse"}}


def test_transfer_and_realism_are_tabulated(finished):
    transfer = pd.read_csv(finished / R / "transfer.csv")
    assert {("cnn", "blurred"), ("power", "blurred")} <= set(
        zip(transfer.model, transfer.tested_on, strict=True)
    )
    assert len(pd.read_csv(finished / R / "realism_quarter_refined.csv")) > 0


def test_no_simulation_is_in_two_splits(finished):
    with xr.open_dataset(finished / R / "sets/quarter/patches.nc") as patches:
        pairs = set(zip(patches["seed"].values, patches["split"].values, strict=True))
    assert len(pairs) == len({seed for seed, _ in pairs}) == 16


def test_edit_of_the_style_of_figures_reruns_exactly_the_rules_that_draw(finished, tmp_path):
    folder = tmp_path / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    with (folder / "scripts/skyloom/plotting.py").open("a") as file:
        file.write("\n# an edit\n")
    output = snakemake(folder, "-n", *WORDS).stdout
    rules = set(re.findall(r"^(?:local)?rule (\w+):", output, re.M)) - {"all"}
    study = {f"turbulence_plot_{name}" for name in FIGURES}
    study |= {"turbulence_compare_realism", "turbulence_draw_panel"}
    assert rules == study | {"plot_history", "plot_pairs", "plot_scheme", "write_tiles"}


def test_second_run_does_nothing(finished):
    assert "Nothing to be done" in snakemake(finished, *WORDS).stdout
