"""Tensors that symmetries leave as they are: computed once for each example of a set."""

import numpy as np
import pytest
import torch
from test_training_stream import Noise

from skyloom.training.feed import CHUNK, Feed
from skyloom.training.team import Team
from skyloom.turbulence.models import hybrid


class Numbers:
    def __init__(self, n):
        self.x, self.reads = torch.arange(n, dtype=torch.float32), 0

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        self.reads += 1
        return {"x": self.x[index]}


def squared(batch):
    return {"square": batch["x"] ** 2}


def test_every_batch_has_the_invariants_of_its_examples_computed_once():
    calls = []

    def counted(batch):
        calls.append(len(batch["x"]))
        return squared(batch)

    n = CHUNK + 10
    with Team() as team:
        feed = Feed(Numbers(n), team, counted)
        order = np.random.default_rng(0).permutation(n)
        places = [(epoch, part) for epoch in range(3) for part in np.array_split(order, 7)]
        for (_, index), batch in zip(places, feed.batches(places), strict=True):
            np.testing.assert_array_equal(batch["x"], index)
            np.testing.assert_array_equal(batch["square"], index.astype(float) ** 2)
    assert sum(calls) == n + 1  # and the first example, to see whether there are any


def test_set_is_not_read_in_advance_for_a_task_without_invariants():
    data = Numbers(1000)
    with Team() as team:
        batches = list(Feed(data, team, lambda batch: {}).batches([(0, np.arange(5))]))
    assert set(batches[0]) == {"x"} and data.reads == 2


def test_stream_has_no_invariants():
    with Team() as team:
        (batch,) = Feed(Noise(), team, squared).batches([(0, np.arange(3))])
    assert "square" not in batch


@pytest.mark.parametrize("learns", ["class", "index"])
def test_loss_and_score_of_the_hybrid_are_those_of_statistics_of_the_turned_image(learns):
    entry = {"width": 8, "depth": 2, "dropout": 0.0, "learns": learns, "adversarial": 0.0}
    entry["features"] = ["structure", "scattering", "power"]
    meta = {"pixels": 32, "families": ["a"], "index_mean": 3.8, "index_std": 0.2}
    torch.manual_seed(0)
    task = hybrid.make_task(entry, meta)
    batch = {"input": torch.randn(8, 1, 32, 32), "label": torch.arange(8) % 2.0}
    batch["index"] = 3.6 + 0.4 * batch["label"]
    task.prepare(type("Rows", (), {"__len__": lambda _: 8, "__getitem__": lambda _, rows: batch})())
    with_statistics = batch | task.invariants(batch)
    losses = []
    for version in (batch, with_statistics):
        torch.manual_seed(1)
        ((_, loss),) = task.losses(version, 0)
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)  # float32 of normalised statistics
    for name, values in task.score(batch).items():
        torch.testing.assert_close(task.score(with_statistics)[name], values)
