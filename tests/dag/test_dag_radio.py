"""The radio study's plan: simulations of one's own and images of one's own, by their files."""

import json

import pytest
from conftest import copy_repository, plan, snakemake
from snakemake.exceptions import WorkflowError

R = "results/demo/radio"
OUTPUT = {
    "files": {name: f"{name}.h5" for name in ("density", "temperature", "velocity", "magnetic")},
    "conversion": "run.conv2",
    "exponents": {"density": 0, "velocity": 0, "magnetic": 0},
    "cell_kpc": 40,
    "psi_table": "psi.txt",
}


def test_outputs_and_images_of_a_user_are_inputs_of_their_jobs(tmp_path):
    folder = copy_repository(tmp_path / "skyloom")
    for name in (
        *OUTPUT["files"].values(),
        "run.conv2",
        "psi.txt",
        "map.dat",
        "column.dat",
        "mine.fits",
    ):
        (folder / name).touch()
    settings = {
        "outputs": {"run7": OUTPUT},
        "maps": {
            "relic": {
                "path": "map.dat",
                "unit": "erg/s/Hz",
                "pixel_kpc": 32,
                "density": "column.dat",
            }
        },
        "sets": {"full": {"maps": ["run7", "relic"]}},
        "images": {"mine": {"path": "mine.fits", "smooth_arcsec": 20}},
        "search": {"images": ["mine"]},
    }
    (folder / "mine.yaml").write_text(json.dumps({"studies": ["radio"], "radio": settings}))
    done = snakemake(folder, "-n", "-p", "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    text = done.stdout
    assert text.count("rule radio_project_power:") == 1
    assert f"--output {R}/raw/power_run7.fits" in text
    assert f'"path": "{R}/raw/power_run7.fits"' in text and '"path": "map.dat"' in text
    assert f'"density": "{R}/raw/power_run7.fits"' in text and "map.dat, column.dat" in text
    assert f"--output {R}/products/mine_unet/probability.fits" in text
    # the set without them is drawn without them
    assert text.count("power_run7.fits") > 1 and "mosaic_unet" not in text


def test_output_that_states_its_units_needs_no_conversion():
    stated = {"files": OUTPUT["files"], "psi_table": "psi.txt"}
    study = plan("radio", outputs={"run7": stated}, sets={"full": {"maps": ["run7"]}})
    assert study.output_files("run7") == [*OUTPUT["files"].values(), "psi.txt"]
    assert study.map_files("full") == ["results/demo/radio/raw/power_run7.fits"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search": {"images": ["mine"]}}, "radio.search.images: unknown image 'mine'"),
        ({"sets": {"full": {"maps": ["run7"]}}}, "radio.sets.full.maps: unknown map 'run7'"),
        ({"sets": {"full": {"peak": [10, 1]}}}, "radio.sets.full.peak: 10 is above 1"),
        (
            {"images": {"mine": {"path": "a.fits"}}, "search": {"images": ["mine"], "models": []}},
            "radio.search.models: no network of ",
        ),
        (
            {"outputs": {"run7": {k: v for k, v in OUTPUT.items() if k != "exponents"}}},
            "radio.outputs.run7: conversion and exponents are stated together",
        ),
        ({"mosaic": {"set": "empty"}}, "radio.mosaic.set: unknown set 'empty'"),
        ({"images": {"mosaic": {"path": "a.fits"}}}, "is the name of the simulated image"),
    ],
)
def test_wrong_config_is_refused_by_key(settings, message):
    with pytest.raises(WorkflowError) as refused:
        plan("radio", **settings)
    assert message in str(refused.value)
