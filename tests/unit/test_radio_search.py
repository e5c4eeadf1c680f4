"""The search of several images: killed and begun again, each is searched once."""

import json
import sys

import numpy as np
import pytest
import torch
from astropy.io import fits
from test_radio_products import ENTRY, META
from test_radio_read import image, write

import radio_check_images
import radio_publish_image
import radio_search_images
from skyloom.cli import BadInput
from skyloom.radio.models import unet
from skyloom.radio.products.write import FILES


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """`batch()` searches three images, and returns the names of those that it searched."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    state = unet.make_task(ENTRY, META).state_dict()
    trained = {"study": "radio", "model": "unet", "module": "unet", "kind": "network"}
    trained |= {"entry": ENTRY, "meta": META | {"beam_pixels": [3, 6]}, "digest": "abc"}
    torch.save(trained | {"state": state}, "best.ckpt")
    images = {name: {"path": str(write(tmp_path / f"{name}.fits"))} for name in "abc"}
    names, search = [], radio_search_images.search

    def noted(stated, *others):
        names.append(stated["path"][-6])
        return search(stated, *others)

    def run(interrupt=None) -> list[str]:
        names.clear()
        monkeypatch.setattr(radio_search_images, "search", interrupt or noted)
        words = ["--config", json.dumps({"images": images, "entry": ENTRY}), "--kept"]
        words += [f"kept/{name}" for name in images]
        monkeypatch.setattr(
            sys, "argv", ["x", *words, "--checkpoint", "best.ckpt", "--output", "status.json"]
        )
        radio_search_images.main()
        return list(names)

    run.search, run.names = noted, names
    return run


def test_killed_search_goes_on_with_the_next_image(batch, tmp_path):
    def killed(stated, *others):
        if batch.names:
            raise SystemExit(143)  # as a SIGTERM ends it
        batch.search(stated, *others)

    with pytest.raises(SystemExit):
        batch(killed)
    assert not (tmp_path / "status.json").exists()
    assert batch() == ["b", "c"]
    assert json.loads((tmp_path / "status.json").read_text()) == {"a": "", "b": "", "c": ""}
    assert batch() == []
    # another image in place of one, and a product that was edited
    (tmp_path / "b.fits").unlink()
    write(tmp_path / "b.fits", 2 * image())
    (tmp_path / "kept/c/sources.csv").write_text("edited")
    assert batch() == ["b", "c"]


def test_image_that_fails_is_noted_with_its_error(batch, tmp_path, monkeypatch):
    def failing(stated, *others):
        if stated["path"].endswith("a.fits"):
            raise ValueError("no such number")
        batch.search(stated, *others)

    batch(failing)
    status = json.loads((tmp_path / "status.json").read_text())
    assert status == {"a": "ValueError: no such number", "b": "", "c": ""}
    for name in "ab":
        words = ["x", "--status", "status.json", "--kept", f"kept/{name}", "--output"]
        monkeypatch.setattr(sys, "argv", words + [f"out/{name}/{file}" for file in FILES])
        if name == "a":
            with pytest.raises(BadInput, match="no such number"):
                radio_publish_image.main()
        else:
            radio_publish_image.main()
    assert {path.name for path in (tmp_path / "out/b").iterdir()} == set(FILES)
    assert not (tmp_path / "out/a").exists()
    assert batch() == ["a"]


def test_baseline_searches_an_image_as_it_does_a_field(batch, tmp_path):
    values = image((150, 140))
    values[40:60, 50:80] += 2e-3
    values[:, 120:] = np.nan
    path = write(tmp_path / "mine.fits", values)
    chosen = {"scale": 2.0, "level": 6.0, "island": 3.0}
    state = {"module": "threshold", "chosen": [chosen, chosen]}
    trained = {"study": "radio", "model": "threshold", "module": "threshold", "kind": "baseline"}
    trained |= {"entry": {}, "meta": META | {"beam_pixels": [3, 6]}, "digest": "abc"}
    searcher = radio_search_images.Baseline(trained | {"state": state})
    batch.search({"path": str(path)}, searcher, tmp_path / "kept")
    mask = fits.getdata(tmp_path / "kept/mask.fits")
    grown = 14  # four deviations of the smoothing
    assert mask[42:58, 52:78].all() and not mask[:, 120:].any()
    mask[40 - grown : 60 + grown, 50 - grown : 80 + grown] = 0
    assert not mask.any()


def test_beam_wider_than_a_tile_is_refused(batch, tmp_path):
    path = write(tmp_path / "wide.fits", image((150, 140)), BMAJ=180 / 3600, BMIN=180 / 3600)
    trained = torch.load("best.ckpt", weights_only=True)
    searcher = radio_search_images.Network(trained, 1, 320)
    with pytest.raises(BadInput, match=r"wide\.fits: the beam has 120\.0 pixels, more"):
        batch.search({"path": str(path)}, searcher, tmp_path / "kept")


def test_images_are_checked_before_the_search_all_faults_at_once(tmp_path, monkeypatch):
    good, other = write(tmp_path / "a.fits"), write(tmp_path / "b.fits", image((20, 30)))
    (tmp_path / "page.fits").write_text("<!DOCTYPE html><p>not found")
    images = {"good": {"path": str(good)}, "page": {"path": str(tmp_path / "page.fits")}}
    images["noisy"] = {"path": str(good), "noise": str(other)}

    def run(images):
        words = ["x", "--config", json.dumps({"images": images}), "--output", "checked.txt"]
        monkeypatch.setattr(sys, "argv", words)
        radio_check_images.main()

    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as refused:
        run(images)
    first, second = str(refused.value).splitlines()
    assert first.startswith("image page: ") and "is a web page" in first
    assert second.startswith("image noisy: ") and "(20, 30) pixels; expected (50, 40)" in second
    with pytest.raises(BadInput, match=r"cannot be smoothed to 5 arcsec, its beam has 6 arcsec"):
        run({"narrow": {"path": str(good), "smooth_arcsec": 5}})
    assert not (tmp_path / "checked.txt").exists()
    run({"good": images["good"]})
    assert (tmp_path / "checked.txt").read_text() == "1 image(s) can be read\n"
