"""The radio study's plan: simulations of one's own and images of one's own, by their files."""

import hashlib
import json

import numpy as np
import pytest
from astropy.io import fits
from conftest import copy_repository, plan, served, snakemake
from snakemake.exceptions import WorkflowError

from dag.radio import matches

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
    assert "--kept results/demo/state/radio/products/unet/mine --output" in text
    assert f"--output {R}/products/mine_unet/probability.fits" in text
    # the set without them is drawn without them
    assert text.count("power_run7.fits") > 1 and "mosaic_unet" not in text


def test_output_that_states_its_units_needs_no_conversion():
    stated = {"files": OUTPUT["files"], "psi_table": "psi.txt"}
    study = plan("radio", outputs={"run7": stated}, sets={"full": {"maps": ["run7"]}})
    assert study.output_files("run7") == [*OUTPUT["files"].values(), "psi.txt"]
    assert study.map_files("full") == ["results/demo/radio/raw/power_run7.fits"]


# --- images of surveys ----------------------------------------------------------------------------

RAW = "resources/raw/radio"
CUTOUT = {"survey": "dr3-low", "centre": [44.5, 13.0], "size_arcmin": 60}
MOSAIC = {"survey": "dr2", "mosaic": "P000+23"}


def test_images_of_surveys_are_downloads_that_a_dry_run_lists_without_a_network(tmp_path):
    folder = copy_repository(tmp_path / "skyloom")
    settings = {
        "images": {"a399": CUTOUT, "p000": MOSAIC},
        "search": {"images": ["a399", "p000"]},
    }
    (folder / "mine.yaml").write_text(json.dumps({"studies": ["radio"], "radio": settings}))
    done = snakemake(folder, "-n", "-p", "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    names = ("dr3-low_44.5000_13.0000_60.fits", "dr2_P000+23.fits", "dr2_P000+23_rms.fits")
    assert done.stdout.count("rule download_raw:") == len(names)
    for name in names:
        assert f"--name {name} --output {RAW}/{name}" in done.stdout
    assert f'"path": "{RAW}/{names[0]}"' in done.stdout
    assert f'"noise": "{RAW}/{names[2]}"' in done.stdout


def test_image_of_a_survey_becomes_files_and_what_is_stated_of_it():
    centre = [-0.5, -3]
    images = {
        "west": {"survey": "dr2", "centre": centre, "size_arcmin": 7.5, "unit": "Jy/beam"},
        "field": MOSAIC,
        "smooth": MOSAIC | {"smooth_arcsec": 60},
        "noisy": MOSAIC | {"noise": "mine.fits"},
        "low": {"survey": "dr2-low", "mosaic": "P000+23"},
    }
    radio = plan("radio", images=images, search={"images": [*images]})
    stated = {"radius_arcmin": 5, "columns": {}}
    west = f"{RAW}/dr2_359.5000_-3.0000_7.5.fits"
    assert radio.image("west") == stated | {"path": west, "unit": "Jy/beam"}
    path, noise = f"{RAW}/dr2_P000+23.fits", f"{RAW}/dr2_P000+23_rms.fits"
    assert radio.image("field") == stated | {"path": path, "noise": noise}
    # a wider beam has another noise
    assert radio.image_files("smooth") == [path]
    assert radio.image_files("noisy") == [path, "mine.fits"]
    assert radio.image_files("low") == [f"{RAW}/dr2-low_P000+23.fits"]


def test_downloads_of_a_service_stand_alone_and_a_web_page_names_position_and_file(tmp_path):
    folder, site = copy_repository(tmp_path / "skyloom"), tmp_path / "site"
    cutout, mosaic = (
        site / name
        for name in ("dr3-low-cutout.fits", "public/DR2/mosaics/P000+23/low-mosaic-blanked.fits")
    )
    mosaic.parent.mkdir(parents=True)
    for path in (cutout, mosaic):
        fits.PrimaryHDU(np.ones((8, 8), np.float32)).writeto(path)
    (site / "dr3-cutout.fits").write_text("<!DOCTYPE html><p>No suitable mosaic found")
    sources = {"dr3-low_44.5000_13.0000_60.fits": cutout, "dr2-low_P000+23.fits": mosaic}
    outside = "dr3_44.5000_-60.0000_60.fits"
    files = [f"{RAW}/{name}" for name in (outside, *sources)]
    manifest = folder / "config/radio/data.yaml"
    with served(site) as address:
        manifest.write_text(manifest.read_text().replace("https://lofar-surveys.org", address))
        words = (*files, "--cores", "1", "--keep-going")
        done = snakemake(folder, *words, environment={"NO_PROXY": "127.0.0.1"})
    assert done.returncode != 0
    for name, path in sources.items():
        assert (folder / RAW / name).read_bytes() == path.read_bytes()
        record = (folder / RAW / f"{name}.sha256").read_text()
        assert record.split() == [hashlib.sha256(path.read_bytes()).hexdigest(), name]
    log = (folder / "resources/raw/logs/radio" / f"{outside}.log").read_text()
    assert log.count("\n") == 1 and f"{outside} is a web page (begins" in log
    assert "right ascension 44.5000, declination -60.0000" in log
    assert not (folder / RAW / outside).exists()


# --- many images of one entry ---------------------------------------------------------------------

SURVEY = {
    "path": "maps/{field}/mosaic.fits",
    "noise": "maps/{field}/rms.fits",
    "clusters": "clusters.fits",
}


@pytest.fixture
def mosaics(tmp_path, monkeypatch):
    """`mosaics(names)` puts files of these fields into a folder, which is that of the run."""
    monkeypatch.chdir(tmp_path)

    def make(names):
        for name in names:
            folder = tmp_path / "maps" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "mosaic.fits").touch()
            (folder / "rms.fits").touch()

    return make


def searching(**search):
    return plan("radio", images={"dr3": SURVEY}, search={"images": ["dr3"], **search})


def test_entry_with_a_field_is_an_image_of_every_file_that_matches(mosaics):
    mosaics(["P023-07", "P000+23"])
    study = searching()
    assert study.searched == [("dr3_P000+23", "unet"), ("dr3_P023-07", "unet")]
    assert study.batches == {name: [name] for name, _ in study.searched}
    files = ["maps/P000+23/mosaic.fits", "maps/P000+23/rms.fits", "clusters.fits"]
    assert study.image_files("dr3_P000+23") == files
    assert matches("maps/{field}/{field}.fits") == []


def test_one_image_more_leaves_nearly_all_in_their_batch(mosaics):
    names = [f"P{k:03d}+{23 + k % 40}" for k in range(0, 270)]
    mosaics(names)
    before = searching(images_per_job=50).batches
    assert len(before) == 6 and sum(map(len, before.values())) == 270
    mosaics(["P001+90"])
    after = searching(images_per_job=50).batches
    assert [name for name in after if after[name] != before[name]] == [
        name for name, images in after.items() if "dr3_P001+90" in images
    ]
    # as many jobs as before and one more
    mosaics([f"P{k}-10" for k in range(500, 540)])
    last = searching(images_per_job=50).batches
    moved = [i for name, images in after.items() for i in images if i not in last[name]]
    assert len(last) == 7 and 0 < len(moved) < 271 / 4
    assert all(image in last["batch6"] for image in moved)


def test_networks_of_all_seeds_search_where_it_is_stated(mosaics):
    mosaics(["P1"])
    radio = plan(
        "radio",
        seeds=[4, 5],
        search={"models": ["unet", "threshold"], "all_seeds": True},
    )
    seeds = {"unet": ("unet", 4), "threshold": ("threshold", 4), "unet_seed5": ("unet", 5)}
    assert radio.searchers == seeds
    assert radio.compared == {"mosaic": [*seeds]}
    # the report shows first seeds
    assert radio.shown == [("mosaic", "unet"), ("mosaic", "threshold")]
    assert len(radio.searched) == 3


def test_search_in_which_an_image_failed_is_made_again(mosaics, tmp_path):
    mosaics(["P1", "P2"])
    study = searching()
    for name, error in (("P1", ""), ("P2", "cut short")):
        path = tmp_path / study.search_status(f"dr3_{name}", "unet")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({f"dr3_{name}": error}))
    assert study.again() == [f"{R}/search/dr3_P2_unet.json"]


def test_search_of_many_images_is_one_job_with_products_of_each(tmp_path):
    folder = copy_repository(tmp_path / "skyloom")
    for name in ("P000+23", "P023-07", "P1"):
        for file in ("mosaic.fits", "rms.fits"):
            path = folder / "maps" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (folder / "clusters.fits").touch()
    search = {"images": ["dr3"], "models": ["unet", "unet_bare"], "images_per_job": 3}
    settings = {"images": {"dr3": SURVEY}, "search": search}
    (folder / "mine.yaml").write_text(json.dumps({"studies": ["radio"], "radio": settings}))
    text = snakemake(folder, "-n", "-p", "--configfile", "mine.yaml").stdout
    assert text.count("rule radio_search_images:") == 2, text[-3000:]
    assert text.count("rule radio_publish_image:") == 6
    assert text.count("rule radio_merge_survey:") == 2
    assert f"--output {R}/products/dr3_unet_bare_sources.fits" in text
    # their figures are drawn on demand
    assert text.count("rule radio_plot_image:") == 0
    target = f"{R}/products/dr3_P000+23_unet_bare/sources.fits"
    one = snakemake(folder, "-n", "-p", target, "--configfile", "mine.yaml").stdout
    assert one.count("rule radio_publish_image:") == 1, one[-3000:]
    assert "image=dr3_P000+23, model=unet_bare" in one


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search": {"images": ["mine"]}}, "radio.search.images: unknown image 'mine'"),
        ({"sets": {"full": {"maps": ["run7"]}}}, "radio.sets.full.maps: unknown map 'run7'"),
        ({"sets": {"full": {"peak": [10, 1]}}}, "radio.sets.full.peak: 10 is above 1"),
        (
            {"images": {"mine": {"path": "a.fits"}}, "search": {"images": ["mine"], "models": []}},
            "radio.search.models: no model of ",
        ),
        (
            {"outputs": {"run7": {k: v for k, v in OUTPUT.items() if k != "exponents"}}},
            "radio.outputs.run7: conversion and exponents are stated together",
        ),
        ({"mosaic": {"set": "empty"}}, "radio.mosaic.set: unknown set 'empty'"),
        ({"images": {"mosaic": {"path": "a.fits"}}}, "is the name of the simulated image"),
        ({"images": {"a": {}}}, "radio.images.a: neither path nor survey; expected one"),
        (
            {"images": {"a": CUTOUT | {"path": "a.fits"}}},
            "radio.images.a: both path and survey; expected one",
        ),
        (
            {"images": {"a": {"path": "a.fits", "size_arcmin": 9}}},
            "radio.images.a.size_arcmin: of an image with path; expected one with survey",
        ),
        (
            {"images": {"a": {"path": "a.fits", "truth": {"level": 3}}}},
            "radio.images.a.truth: has level; expected mask, or level and at",
        ),
        (
            {"images": {"a": CUTOUT | {"survey": "dr3-lo"}}},
            "radio.images.a.survey: unknown survey 'dr3-lo'; did you mean 'dr3-low'?",
        ),
        (
            {"images": {"a": CUTOUT | {"size_arcmin": 150}}},
            "radio.images.a.size_arcmin: 150 is greater than the maximum of 120",
        ),
        (
            {"images": {"a": CUTOUT | {"size_arcmin": float("nan")}}},
            "radio.images.a.size_arcmin: nan is no finite number",
        ),
        (
            {"images": {"a": CUTOUT | {"mosaic": "P000+23"}}},
            "radio.images.a: both mosaic and size_arcmin; expected one",
        ),
        (
            {"images": {"a": {"survey": "dr3"}}},
            "radio.images.a: neither mosaic nor size_arcmin; expected one",
        ),
        (
            {"images": {"a": {"survey": "dr3", "size_arcmin": 9}}},
            "radio.images.a.centre: null; expected that of the cut-out",
        ),
        (
            {"images": {"a": CUTOUT | {"centre": [10, 91]}}},
            "radio.images.a.centre: declination 91; expected -90 to 90",
        ),
        (
            {"images": {"a": MOSAIC | {"survey": "dr3-low"}}},
            "radio.images.a.mosaic: no public address of those of dr3-low is known",
        ),
        (
            {"images": {"a": MOSAIC | {"mosaic": "../P000+23"}}},
            "radio.images.a.mosaic: '../P000+23' does not match",
        ),
        (
            {"images": {"dr3": SURVEY}, "search": {"images": ["dr3"]}},
            "radio.images.dr3.path: no file matches 'maps/{field}/mosaic.fits'",
        ),
        (
            {"images": {"dr3": SURVEY | {"noise": "rms.fits"}}},
            "radio.images.dr3.noise: 'rms.fits' has no {field}",
        ),
        (
            {"images": {"mine": {"path": "a.fits", "noise": "b.fits", "smooth_arcsec": 20}}},
            "radio.images.mine.noise: the map is not that of the smoothed image",
        ),
    ],
)
def test_wrong_config_is_refused_by_key(settings, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkflowError) as refused:
        plan("radio", **settings)
    assert message in str(refused.value)
