"""What a training says of its cost, and that measuring or compiling changes nothing."""

import ast
import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from toy_training import PLAN, Adversarial, Plain, Supervised, train

from skyloom.cli import BadInput
from skyloom.training import account
from skyloom.training.account import Account


def summary(folder):
    return ast.literal_eval((folder / "summary.txt").read_text())


def test_operations_of_an_example_are_those_of_its_convolutions(tmp_path):
    """3 x 3 kernels on 8 x 8 pixels, 1 to 4 to 1 channels, two operations a weight and pixel: the
    first layer forward and for its weights, the second for its input too.
    """
    train(Plain, tmp_path, replace(PLAN, clip=None))
    cost = summary(tmp_path)
    assert cost["flop_an_example"] == (2 + 3) * 2 * 9 * 4 * 64
    seconds = cost["wall_seconds"]
    assert cost["flop_per_second"] == pytest.approx(23040 * 40 * 8 / seconds)
    assert cost["busy_share"] is None  # on a CPU


@pytest.mark.parametrize("kind", [Supervised, Adversarial])
def test_counting_leaves_the_history_as_it_is(kind, tmp_path, monkeypatch):
    for name in ("counted", "plain"):
        (tmp_path / name).mkdir()
    train(kind, tmp_path / "counted")
    monkeypatch.setattr(Account, "counted", lambda self, step: contextlib.nullcontext())
    train(kind, tmp_path / "plain")
    counted, plain = (
        (tmp_path / name / "history.csv").read_bytes() for name in ("counted", "plain")
    )
    assert counted == plain
    assert summary(tmp_path / "plain")["flop_an_example"] is None


def test_gpu_is_looked_at_every_few_seconds_and_averaged(monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    shares = iter([0.5, None, 0.7])
    monkeypatch.setattr(account, "time", clock)
    monkeypatch.setattr(account.gpus, "utilisation", lambda: next(shares))
    watched = Account(PLAN, SimpleNamespace(device=torch.device("cuda"), world=1))
    for now in (1, 6, 7, 12, 18):
        clock.now = now
        watched.look()
    assert watched.summary(1, 1.0)["busy_share"] == pytest.approx(0.6)


def test_compiled_networks_learn_the_same_under_the_same_names(tmp_path, monkeypatch):
    """With torch's own eager backend, which runs what was traced as it stands."""
    compiled, ordinary = [], nn.Module.compile
    monkeypatch.setattr(
        nn.Module,
        "compile",
        lambda module, mode: (
            compiled.append((type(module), mode)),
            ordinary(module, backend="eager"),
        ),
    )
    for name in ("compiled", "plain"):
        (tmp_path / name).mkdir()
    train(Adversarial, tmp_path / "plain")
    assert not compiled
    train(Adversarial, tmp_path / "compiled", replace(PLAN, compile="default"))
    assert compiled == [(nn.Conv2d, "default"), (nn.Sequential, "default")]
    files = [tmp_path / name for name in ("compiled", "plain")]
    one, other = (torch.load(folder / "best.ckpt", weights_only=True) for folder in files)
    torch.testing.assert_close(one, other)
    assert len({summary(folder)["flop_an_example"] for folder in files}) == 1


def test_compilation_without_a_compiler_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BadInput, match="compile: default needs a C compiler; found none of cc"):
        train(Plain, tmp_path, replace(PLAN, compile="default"))
