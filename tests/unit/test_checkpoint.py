"""Predictions of a checkpoint in batches."""

import numpy as np
import pytest
import torch

from skyloom import checkpoint
from skyloom.co.models import flow_matching

SIDE = 16
CONSTANTS = {"asinh_scale": 1.0, "asinh_mean": 1.0, "asinh_std": 1.0}
META = {"pixels": SIDE, "pixel_arcmin": 7.0}
META["normalisation"] = dict.fromkeys(("dust", "hi", "target"), CONSTANTS)
ENTRY = {"width": 4, "depth": 1, "dropout": 0.0, "coarse": 2, "weight_decay": 0.0}
ENTRY |= {"linear_loss": 0.0, "samples": 3, "sample_steps": 2}


class Tiles:
    def __init__(self, n):
        draws = torch.Generator().manual_seed(0)
        self.x = torch.randn(n, 2, SIDE, SIDE, generator=draws)
        self.sizes = []

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        self.sizes.append(len(rows))
        return {"input": self.x[rows], "glat": torch.zeros(len(rows))}


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    task = flow_matching.make_task(ENTRY, META)
    torch.nn.init.normal_(task.flow.head[-1].weight, std=0.1)
    names = {"study": "co", "kind": "network", "module": "flow_matching"}
    return names | {"entry": ENTRY, "meta": META, "state": task.state_dict()}


def test_realisations_do_not_depend_on_the_size_of_a_batch(trained, monkeypatch):
    predictions = []
    for size in (1, 4, 64):
        monkeypatch.setattr(checkpoint, "BATCH", size)
        torch.manual_seed(1)
        predictions.append(checkpoint.predict(trained, Tiles(9)))
    for other in predictions[1:]:
        for name, values in predictions[0].items():  # convolutions may round otherwise
            np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-5)
    assert predictions[0]["samples"].shape == (9, 3, SIDE, SIDE)


def test_rows_are_predicted_in_their_order(trained):
    torch.manual_seed(1)
    rows = np.array([5, 0, 3])
    some = checkpoint.predict(trained, Tiles(9), rows)["prediction"]
    whole = checkpoint.predict(trained, Tiles(9))["prediction"]
    np.testing.assert_allclose(some, whole[rows], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "samples", "size"), [(64, 1, 64), (64, 4, 64), (128, 1, 64), (128, 8, 8)]
)
def test_batch_holds_a_bounded_number_of_values(side, samples, size):
    assert checkpoint.batch_size(2 * side**2 * samples) == size


def test_batch_holds_one_example_at_least():
    assert checkpoint.batch_size(4096**2) == 1


def test_largest_array_and_the_realisations_set_the_size_of_a_batch(trained, monkeypatch):
    monkeypatch.setattr(checkpoint, "BATCH_VALUES", 5 * 2 * SIDE**2 * ENTRY["samples"])
    tiles = Tiles(11)
    checkpoint.predict(trained, tiles)
    assert tiles.sizes == [1, 4, 4, 3]  # the first example alone, then batches of five at most
