"""The page of all test examples: maps, maps of classes, and images with a number."""

import io
import re

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from skyloom.cli import BadInput
from skyloom.pages import tiles
from skyloom.pages.words import Words

N, SIDE = 5, 16
WORDS = Words({"rms": {"label": "RMSE", "unit": "K km/s"}})
SETTINGS = {"examples": "tiles"}


def maps(error: np.ndarray) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Test rows of a bright square in the north-east, predictions that are too high by `error`."""
    target = np.zeros((N, SIDE, SIDE), np.float32)
    target[:, SIDE // 2 :, : SIDE // 2] = 10
    attrs = {"data_kind": "simulated"}
    patches = xr.Dataset(
        {"target": (("example", "y", "x"), target, {"units": "K km/s"})}, attrs=attrs
    )
    predicted = (("example", "y", "x"), target + error[:, None, None])
    examples = xr.Dataset({"rms": ("example", np.abs(error), {"units": "K km/s"})})
    examples = examples.assign_coords(glat=("example", np.arange(N) - 2.0))
    return patches, xr.Dataset({"prediction": predicted}), examples


def order(html: str, name: str) -> list[float]:
    return [float(value) for value in re.findall(rf'data-{name}="([^"]+)"', html)]


def test_examples_stand_in_the_order_of_their_error_with_its_value_and_unit():
    parts = maps(np.array([1.0, -4.0, 0.0, 3.0, 2.0]))
    by = tiles.orders(parts[2], ["rms", "glat"], WORDS)
    html = tiles.page(*parts, by, "Res-UNet", SETTINGS)
    assert order(html, "rms") == [4, 3, 2, 1, 0] and order(html, "glat") == [-1, 1, 2, -2, 0]
    assert "All 5 test tiles, the worst first by RMSE." in html
    assert "RMSE&nbsp;4.00&nbsp;K&nbsp;km/s · glat" in html and "Data: simulated." in html
    assert '<option value="rms -1">RMSE, largest first' in html


def test_small_values_come_first_with_a_minus_sign():
    parts = maps(np.array([1.0, -4.0, 0.0, 3.0, 2.0]))
    by = tiles.orders(parts[2], ["-rms"], WORDS)
    assert order(tiles.page(*parts, by, "net", SETTINGS), "rms") == [0, 1, 2, 3, 4]


def test_scores_that_no_example_has_are_refused_by_name():
    examples = maps(np.zeros(N))[2]
    with pytest.raises(BadInput, match="tiles: rmse not found; expected some of .*rms"):
        tiles.orders(examples, ["rmse"], WORDS)
    # models of another kind of target have other scores
    assert [o.name for o in tiles.orders(examples, ["correct", "rms"], WORDS)] == ["rms"]
    assert [o.name for o in tiles.orders(examples, [], WORDS)] == ["rms"]


def test_observed_and_predicted_share_a_scale_north_is_up_and_the_residual_is_signed():
    patches, predictions, _ = maps(np.array([0.0, 5.0, 0, 0, 0]))
    observed, predicted, residual = tiles.strip(patches, predictions, 0)
    assert (observed == predicted).all()
    # row 0 of the map is south
    assert observed[0, 0].tolist() != observed[-1, 0].tolist()
    assert observed[0, 0, 0] > 200 and observed[-1, 0, 0] < 30
    assert np.ptp(residual.astype(int), axis=(0, 1)).max() == 0 and residual.min() > 240
    red = tiles.strip(patches, predictions, 1)[2][0, 0].astype(int)
    assert red[0] > red[2] + 30


def test_sky_without_a_value_is_grey():
    patches, predictions, _ = maps(np.zeros(N))
    patches["target"][0, 0, 0] = np.nan
    observed, _, residual = tiles.strip(patches, predictions, 0)
    assert observed[-1, 0].tolist() == residual[-1, 0].tolist() == [200, 200, 200]


def test_thumbnails_shrink_until_they_fit_and_the_worst_are_kept(monkeypatch):
    parts = maps(np.arange(5.0))
    rows = np.arange(N)
    files, side = tiles.thumbnails(*parts[:2], rows)
    assert side == 96 and Image.open(io.BytesIO(files[0])).size == (3 * 96 + 2 * tiles.GAP, 96)
    monkeypatch.setattr(tiles, "BUDGET", sum(map(len, files)) - 1)
    smaller, side = tiles.thumbnails(*parts[:2], rows)
    assert side == 64 and len(smaller) == N
    monkeypatch.setattr(tiles, "BUDGET", 2 * len(smaller[0]))
    few, side = tiles.thumbnails(*parts[:2], rows)
    assert side == 32 and len(few) < N
    by = tiles.orders(parts[2], [], WORDS)
    assert f"; {N - len(few)} are left out" in tiles.page(*parts, by, "net", SETTINGS)


def test_of_classes_only_wrong_images_are_shown_the_surest_first():
    image = np.random.default_rng(1).normal(size=(N, SIDE, SIDE))
    patches = xr.Dataset(
        {"image": (("example", "y", "x"), image), "target": ("example", [3.67, 4, 3.67, 4, 4])},
        attrs={"data_kind": "simulated"},
    )
    predictions = xr.Dataset({"prediction": ("example", [0.9, 0.8, 0.2, 0.4, 0.1])})
    examples = xr.Dataset(
        {
            "correct": ("example", [0, 1, 1, 0, 0]),
            "truth_probability": ("example", [0.1, 0.8, 0.8, 0.4, 0.05]),
        }
    )
    by = tiles.orders(examples, ["-truth_probability"], WORDS)
    html = tiles.page(patches, predictions, examples, by, "CNN", {"examples": "images"})
    assert "The 3 of 5 test images that CNN predicts wrongly" in html
    assert order(html, "truth_probability") == [0.05, 0.1, 0.4]
    assert html.count("<figure") == 3 and "true&nbsp;4<" in html


def test_maps_of_classes_show_where_they_differ():
    truth = np.zeros((1, 4, 4), np.int8)
    truth[0, 0, 0] = 1
    attrs = {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "sky cloud"}
    patches = xr.Dataset({"target": (("example", "y", "x"), truth, attrs)})
    probability = np.zeros((1, 2, 4, 4))
    probability[:, 0] = 1
    predictions = xr.Dataset({"prediction": (("example", "class", "y", "x"), probability)})
    true, predicted, wrong = tiles.strip(patches, predictions, 0)
    assert len(np.unique(true.reshape(-1, 3), axis=0)) == 2
    assert len(np.unique(predicted.reshape(-1, 3), axis=0)) == 1
    assert (wrong == tiles.WRONG[1]).all(-1).sum() == 1
    # row 0 is south, so it is the last row of an image
    assert (wrong[-1, 0] == tiles.WRONG[1]).all() and (true[-1, 0] != true[0, 0]).any()
