"""A run of the turbulence study at test size: its files, what an edit reruns, files of a user."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from astropy.io import fits
from conftest import run_words, snakemake
from ramses_files import octree, write_output

R = "results/test/turbulence"
WORDS = run_words("turbulence")
OWN = {
    "families": {
        "mine": {
            "source": "ramses",
            "mass_msun": None,
            "pixels": 32,
            "outputs": {"run 2": {"index": 11 / 3}, "run 10": {"index": 4.0}},
        },
        "cubes": {
            "source": "cube",
            "mass_msun": None,
            "pixels": 32,
            "assume": {"density": "6.77e-22 g cm-3", "box": "10 pc"},
            "outputs": [{"index": 4.0}],
        },
        "cloud": {"source": "maps", "pixels": 16},
    },
    "sets": {
        "mine": {"families": ["mine", "cubes"], "valid_share": 0, "test_share": 1},
        "sky": {"families": ["cloud"], "parts": 1, "valid_share": 0, "test_share": 1},
    },
    "transfer": {"power": ["mine"]},
    "realism": {"pairs": [{"first": "quarter", "second": "sky"}]},
}
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


def test_files_of_a_user_are_tested_on_and_compared(finished, tmp_path):
    """RAMSES outputs of two levels, a numpy cube and a map, with spaces in their names."""
    folder = tmp_path / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    raw = folder / "resources/raw/turbulence"
    for levels, run in ((4, "run 2"), (5, "run 10")):
        write_output(raw / "mine" / run, octree(levels, seed=levels), processes=2)
    (raw / "mine/README.txt").write_text("Runs 2 and 10.")
    (raw / "cubes").mkdir()
    (raw / "cloud").mkdir()
    random = np.random.default_rng(0)
    np.save(raw / "cubes/a cube.npy", np.exp(0.1 * random.standard_normal((16,) * 3)))
    image = fits.PrimaryHDU(np.exp(random.standard_normal((96, 64))))
    image.header.update({"BUNIT": "H2/cm^2", "CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"})
    image.header.update({"CDELT1": -0.01, "CDELT2": 0.01, "BMAJ": 0.04})
    image.writeto(raw / "cloud/a map.fits")
    (folder / "own.yaml").write_text(yaml.safe_dump({"turbulence": OWN}))
    targets = f"{R}/transfer.csv", f"{R}/realism_quarter_sky.csv"
    run = snakemake(folder, *targets, "--configfile", "own.yaml", *WORDS)
    assert run.returncode == 0, run.stdout[-6000:]

    with xr.open_dataset(folder / R / "simulations/mine/columns.nc") as data:
        names = ["run 10/output_00007", "run 2/output_00007"]
        assert data["name"].values.tolist() == names
        assert data["index"].values.tolist() == [4.0, 11 / 3]
    transfer = pd.read_csv(folder / R / "transfer.csv").set_index(["model", "tested_on"])
    # two outputs and a cube, three axes, four quarters
    assert transfer.loc[("power", "mine"), ["data", "n"]].tolist() == ["user-simulation", 36]
    verdict = (folder / R / "realism_quarter_sky.txt").read_text()
    assert "on new simulations and other cut-outs of the map that it was trained on" in verdict
    rows = pd.read_csv(folder / R / "realism_quarter_sky.csv").set_index(["quantity", "features"])
    assert rows.value["pixels_per_beam", "sky"] == pytest.approx(4)


def test_edit_of_the_style_of_figures_reruns_exactly_the_rules_that_draw(finished, tmp_path):
    folder = tmp_path / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    with (folder / "scripts/skyloom/plotting.py").open("a") as file:
        file.write("\n# an edit\n")
    output = snakemake(folder, "-n", *WORDS).stdout
    rules = set(re.findall(r"^(?:local)?rule (\w+):", output, re.M)) - {"all"}
    study = {f"turbulence_plot_{name}" for name in FIGURES}
    study |= {"turbulence_compare_realism", "turbulence_draw_panel"}
    study |= {"write_table"}  # of the realism
    assert rules == study | {"plot_history", "plot_pairs", "plot_scheme", "write_tiles"}


def test_second_run_does_nothing(finished):
    assert "Nothing to be done" in snakemake(finished, *WORDS).stdout
