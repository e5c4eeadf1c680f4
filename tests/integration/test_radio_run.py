"""A whole run of test size of the radio study: outputs, products, and a user's own image."""

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import run_words, served, snakemake

RUN = "results/test/radio"
WORDS = run_words("radio")


@pytest.fixture(scope="module")
def finished(finished_run):
    return finished_run("radio")


def test_every_model_has_its_scores_and_threshold(finished):
    names = ("unet", "transunet", "autoencoder", "threshold", "wavelets")
    for name in names:
        metrics = json.loads((finished / RUN / f"test/{name}/seed0/metrics.json").read_text())
        found = {(row["name"], row["subset"]): row["value"] for row in metrics["metrics"]}
        assert 0 <= found["iou", "all"] <= 1 and 0 <= found["called_diffuse", "galaxy"] <= 1
        assert 0 <= found["auc", "all"] <= 1
    verdict = json.loads((finished / RUN / "verdict.json").read_text())
    assert "3 networks" in verdict["text"] or "networks; one seed" in verdict["text"]


@pytest.mark.parametrize("model", ["unet", "transunet"])
def test_products_of_the_mosaic_lie_on_its_grid(finished, model):
    folder = finished / RUN / f"products/mosaic_{model}"
    image = fits.getdata(finished / RUN / "raw/mosaic.fits")
    with fits.open(folder / "probability.fits") as file:
        probability = file[1].data
        assert file[1].header["SKYKIND"] == "simulated" and file[1].header["CTYPE1"] == "RA---SIN"
    np.testing.assert_array_equal(np.isnan(probability), np.isnan(image))
    mask = fits.getdata(folder / "mask.fits")
    assert mask.shape == image.shape and set(np.unique(mask)) <= {0, 1}
    sources = Table.read(folder / "sources.fits")
    assert {"ra", "dec", "flux", "flux_error", "confusers"} <= set(sources.colnames)
    clusters = Table.read(folder / "clusters.csv")
    assert len(clusters) == 6
    assert set(clusters["verdict"]) <= {"emission", "none", "unobserved", "outside"}


def test_cutout_of_a_survey_is_downloaded_from_a_mirror_and_searched(finished, tmp_path):
    folder, mirror = tmp_path / "skyloom", tmp_path / "mirror"
    shutil.copytree(finished, folder, symlinks=True)
    mirror.mkdir()
    mosaic = fits.getdata(folder / RUN / "raw/mosaic.fits")
    header = fits.getheader(folder / RUN / "raw/mosaic.fits")
    # within the borders of the survey
    mosaic[~np.isfinite(mosaic)] = 0
    fits.PrimaryHDU(mosaic, header).writeto(mirror / "dr3-low_44.5000_13.0000_60.fits")
    images = {"a399": {"survey": "dr3-low", "centre": [44.5, 13.0], "size_arcmin": 60}}
    settings = {"images": images, "search": {"images": ["a399"], "models": ["unet"]}}
    with served(mirror) as address:
        raw = {"mirror": address}
        (folder / "mine.yaml").write_text(json.dumps({"radio": settings, "raw": raw}))
        words = (*WORDS, "--configfile", "mine.yaml")
        done = snakemake(folder, *words, environment={"NO_PROXY": "127.0.0.1"})
    assert done.returncode == 0, done.stdout[-3000:]
    with fits.open(folder / RUN / "products/a399_unet/probability.fits") as file:
        assert file[1].data.shape == mosaic.shape
    assert (folder / "resources/raw/radio/dr3-low_44.5000_13.0000_60.fits.sha256").exists()


def test_bad_image_of_a_batch_fails_alone_and_is_searched_again_once_it_is_mended(
    finished, tmp_path
):
    folder = tmp_path / "skyloom"
    shutil.copytree(finished, folder, symlinks=True)
    header = fits.getheader(folder / RUN / "raw/mosaic.fits")
    data = fits.getdata(folder / RUN / "raw/mosaic.fits")

    def add(field: str) -> Path:
        path = folder / "maps" / field / "mosaic.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.PrimaryHDU(data[None, None], header).writeto(path, overwrite=True)
        return path

    def product(field: str, file: str) -> str:
        return f"{RUN}/products/dr3_{field}_unet/{file}"

    def searched(*fields: str, words: tuple[str, ...] = ()) -> CompletedProcess:
        targets = [product(field, "sources.fits") for field in fields]
        targets.append(f"{RUN}/products/dr3_unet_sources.fits")
        return snakemake(folder, *targets, *words, *WORDS, "--configfile", "mine.yaml")

    def times() -> dict[str, float]:
        records = (folder / "results/test/state/radio/products/unet").glob("dr3_*/record.json")
        return {path.parent.name: path.stat().st_mtime for path in records}

    for field in ("P000+23", "P1", "P2"):
        path = add(field)
        if field == "P1":
            path.write_bytes(path.read_bytes()[:20000])
    images = {"dr3": {"path": "maps/{field}/mosaic.fits", "clusters": f"{RUN}/raw/clusters.ecsv"}}
    search = {"images": ["dr3"], "models": ["unet"], "images_per_job": 3}
    settings = {"images": images, "search": search}
    (folder / "mine.yaml").write_text(json.dumps({"radio": settings}))

    done = searched("P000+23", "P1", "P2")
    assert done.returncode != 0
    assert "maps/P1/mosaic.fits: cut short: 20000 bytes" in done.stdout
    summary = (folder / "results/test/summary.md").read_text()
    assert "`radio_publish_image`: error: maps/P1/mosaic.fits: cut short" in summary
    expected = fits.getdata(folder / RUN / "products/mosaic_unet/mask.fits")
    for field in ("P000+23", "P2"):
        np.testing.assert_array_equal(fits.getdata(folder / product(field, "mask.fits")), expected)
    assert len(Table.read(folder / product("P2", "clusters.csv"))) <= 6
    assert not (folder / product("P1", "mask.fits")).exists()
    merged = Table.read(folder / f"{RUN}/products/dr3_unet_sources.fits")
    # the two images that can be read are the same sky
    assert len(merged) == len(Table.read(folder / product("P2", "sources.fits")))
    log = (folder / f"{RUN}/logs/radio_merge_survey/dr3_unet.log").read_text()
    assert "dr3_P1 is left out: maps/P1/mosaic.fits: cut short" in log and "in 2 of 3 images" in log
    before = times()
    assert set(before) == {"dr3_P000+23", "dr3_P2"}

    add("P1")
    done = searched("P000+23", "P1", "P2")
    assert done.returncode == 0, done.stdout[-3000:]
    np.testing.assert_array_equal(fits.getdata(folder / product("P1", "mask.fits")), expected)
    mended = times()
    assert mended == before | {"dr3_P1": mended["dr3_P1"]}

    add("P3")
    done = searched("P000+23", "P1", "P2", "P3")
    assert done.returncode == 0, done.stdout[-3000:]
    assert times() == mended | {"dr3_P3": times()["dr3_P3"]}

    again = ("--forcerun", "radio_search_images")
    done = searched("P000+23", "P1", "P2", "P3", words=again)
    assert done.returncode == 0, done.stdout[-3000:]
    assert all(time > mended.get(name, 0) for name, time in times().items())
