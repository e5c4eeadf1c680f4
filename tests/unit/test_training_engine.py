"""What the engine computes: the order of examples, the average, the scores, the account."""

import ast
import csv
import dataclasses
import io
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn
from toy_training import PLAN, TRAIN, VALID, Adversarial, Data, Plain, Supervised, train

from skyloom.cli import BadInput
from skyloom.training import Plan, fit
from skyloom.training.engine import _average
from skyloom.training.feed import ahead, place, seed_of


def history(folder):
    with open(folder / "history.csv") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_plain_descent_is_the_loop_that_one_would_write(tmp_path):
    """Losses, scores and weights against a bare torch loop over the same batches, no average, no
    clipping.
    """
    plan = Plan(steps=20, batch=10, seed=5, ema=0, valid_every=5)
    train(Plain, tmp_path, plan)

    torch.manual_seed(5)
    net, data, valid, losses = Plain().net, Data(TRAIN, 1), Data(VALID, 2), []
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    for step in range(20):
        batch = data[place(TRAIN, step, plan, 0, 1)[1]]
        loss = (net(batch["x"]) - batch["y"]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    result = history(tmp_path)
    np.testing.assert_allclose(
        [row["loss_net"] for row in result], np.reshape(losses, (4, 5)).mean(1), rtol=1e-5
    )
    score = (net(valid.x) - valid.y).square().mean().item()
    # float32 sums in another order
    assert result[-1]["valid_mse"] == pytest.approx(score, rel=1e-5)
    weights = torch.load(tmp_path / "best.ckpt", weights_only=True)
    torch.testing.assert_close(
        weights["net.0.weight"], net.state_dict()["0.weight"], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    ("stated", "units", "expected"),
    [
        (None, True, "float32"),
        ("float32", True, "float32"),
        ("bfloat16", True, "bfloat16"),
        ("bfloat16", False, "float32"),
    ],
)
def test_products_of_a_training_have_the_stated_precision_where_the_cpu_has_units_for_it(
    tmp_path, monkeypatch, capsys, stated, units, expected
):
    monkeypatch.setattr("skyloom.training.team.has_bfloat16", lambda: units)
    found = set()

    class Seen(Plain):
        def losses(self, batch, step):
            found.add(self.net(batch["x"]).dtype)
            yield from super().losses(batch, step)

        def score(self, batch):
            found.add(self.net(batch["x"]).dtype)
            return super().score(batch)

    train(Seen, tmp_path, dataclasses.replace(PLAN, steps=4, precision=stated))
    assert found == {getattr(torch, expected)}
    assert f"each, {expected})" in capsys.readouterr().err
    weights = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_history_has_one_full_row_at_each_validation_and_at_the_end(tmp_path):
    train(Adversarial, tmp_path)
    result = history(tmp_path)
    names = "step epoch loss_critic loss_generator train_mse valid_mse lr_critic lr_generator"
    assert list(result[0]) == names.split()
    assert [row["step"] for row in result] == [7, 14, 21, 28, 35, 40]
    assert result[-1]["epoch"] == pytest.approx(40 / 6)


def test_dropout_cannot_make_training_look_worse_than_validation(tmp_path):
    """The loss in training mode is far above both scores; the training score is not."""
    train(Supervised, tmp_path)
    last = history(tmp_path)[-1]
    assert last["loss_net"] > 1.3 * last["valid_mse"]
    # same distribution, 20 images each
    assert last["train_mse"] == pytest.approx(last["valid_mse"], rel=0.1)


def test_each_epoch_reads_each_example_once_shared_among_processes():
    plan = Plan(steps=12, batch=10, seed=1)
    read = [
        [place(50, 5 * epoch + k, plan, rank, 2) for k in range(5) for rank in range(2)]
        for epoch in range(2)
    ]
    assert [{number for number, _ in places} for places in read] == [{0}, {1}]
    epochs = [np.concatenate([index for _, index in places]) for places in read]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert list(epochs[0]) != list(epochs[1])
    shared = np.concatenate([place(50, 3, plan, rank, 2)[1] for rank in range(2)])
    np.testing.assert_array_equal(np.sort(shared), np.sort(place(50, 3, plan, 0, 1)[1]))


def test_seeds_are_different_for_different_keys():
    assert (
        len(
            {
                seed_of(seed, step, rank)
                for seed in range(10)
                for step in range(100)
                for rank in range(4)
            }
        )
        == 4000
    )


def test_weight_average_is_the_exponential_one_after_its_warm_up():
    """Against the recursion in float64; step n has the weight 1 - min(d, (1 + n) / (10 + n))."""
    values, expected = np.random.default_rng(0).normal(size=200), 0.0
    averaged, current = Plain(), Plain()
    for n, value in enumerate(values):
        nn.init.constant_(current.net[0].bias, value)
        _average(averaged, current, 0.9, n)
        decay = min(0.9, (1 + n) / (10 + n)) if n else 0.0
        expected = decay * expected + (1 - decay) * value
    assert averaged.net[0].bias[0].item() == pytest.approx(expected, rel=1e-5)


def test_average_takes_the_statistics_of_batch_norms_as_they_are(tmp_path):
    averaged, current = Supervised(), Supervised()
    current.net[1].running_mean += 2
    current.register_buffer("constant", torch.ones(1), persistent=False)
    averaged.register_buffer("constant", torch.zeros(1), persistent=False)
    _average(averaged, current, 0.9, 5)
    assert torch.equal(averaged.net[1].running_mean, current.net[1].running_mean)
    assert averaged.constant == 0


@pytest.mark.parametrize("rank", [1, 3])
def test_signals_in_time_and_cubes_train(tmp_path, rank):
    """Channels-last is a layout of rank 4 only; torch refuses it for a cube's weights."""
    conv = {1: nn.Conv1d, 3: nn.Conv3d}[rank]

    class Arrays(Data):
        def __init__(self, n):
            self.x = torch.randn(n, 1, *[6] * rank, generator=torch.Generator().manual_seed(n))
            self.y = self.x.roll(1, -1)

    class Net(Plain):
        def __init__(self):
            super().__init__()
            self.net = conv(1, 1, 3, padding=1)

        def score(self, batch):
            return {"mse": (self.net(batch["x"]) - batch["y"]).square().flatten(1).mean(1)}

    results = []
    plan = Plan(steps=60, batch=8, valid_every=30, ema=0)
    fit(Net, Arrays(40), Arrays(10), plan, tmp_path, results.append)
    first, last = (float(line.split(",")[-2]) for line in results[0].history.splitlines()[1:])
    assert last < first < 1.5


def test_published_weights_are_those_of_the_best_validation_score(tmp_path):
    train(Adversarial, tmp_path)  # this toy's score gets worse from the first row on
    result = history(tmp_path)
    best = min(result, key=lambda row: row["valid_mse"])
    summary = ast.literal_eval((tmp_path / "summary.txt").read_text())
    assert (summary["best_step"], summary["best"]["valid_mse"]) == (best["step"], best["valid_mse"])
    net = nn.Conv2d(1, 1, 3, padding=1)
    weights = torch.load(tmp_path / "best.ckpt", weights_only=True)
    net.load_state_dict(
        {key[4:]: value for key, value in weights.items() if key.startswith("net.")}
    )
    valid = Data(VALID, 2)
    assert (net(valid.x) - valid.y).square().mean().item() == pytest.approx(
        best["valid_mse"], rel=1e-5
    )
    assert summary["examples_seen"] == 40 * 8 and summary["parameters"] == 10 + 77


def test_weights_from_before_a_task_may_be_judged_are_not_published(tmp_path):
    class Late(Adversarial):
        judged_from = 21

    train(Late, tmp_path)
    judged = [row for row in history(tmp_path) if row["step"] >= 21]
    summary = ast.literal_eval((tmp_path / "summary.txt").read_text())
    assert len(judged) < len(history(tmp_path))
    assert summary["best_step"] == min(judged, key=lambda row: row["valid_mse"])["step"] > 20


def test_prefetch_gives_every_batch_in_order_read_in_another_thread():
    reader = []
    assert list(ahead(lambda i: (reader.append(threading.get_ident()), i)[1], range(5))) == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert set(reader) != {threading.get_ident()}


def test_plan_takes_its_fields_from_the_entry_and_the_rest_by_default():
    plan = Plan.from_entry(
        {"epochs": 3, "batch": 16, "clip": None, "width": 8, "steps": None, "seed": 9}, seed=2
    )
    assert plan == Plan(epochs=3, batch=16, seed=2)
    assert (plan.resolved(100, 1).steps, plan.resolved(100, 1).valid_every) == (18, 6)
    assert dataclasses.replace(plan, steps=7).resolved(100, 1).steps == 7
    with pytest.raises(BadInput, match="16 examples cannot be shared evenly by 3 processes"):
        plan.resolved(100, 3)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_gets_a_bar_and_a_log_file_sparse_lines(tmp_path, monkeypatch):
    terminal, file = Terminal(), io.StringIO()
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    monkeypatch.setattr(sys, "stderr", terminal)
    train(Supervised, tmp_path / "a", PLAN)
    monkeypatch.setattr(sys, "stderr", file)
    train(Supervised, tmp_path / "b", PLAN)
    assert "examples/s" in terminal.getvalue() and "\r" in terminal.getvalue()
    lines = file.getvalue().splitlines()
    assert len(lines) == 3 and "\r" not in file.getvalue()  # the opening, the last step, the end
    assert "examples/s" in lines[1] and "left" in lines[1] and "valid_mse" in lines[1]


def test_tensorboard_files_stay_after_the_run(tmp_path):
    train(Plain, tmp_path)
    (events,) = (tmp_path / "state" / "tensorboard").iterdir()
    assert b"valid_mse" in events.read_bytes()
