"""Every network of every study through the engine's CUDA path, on a machine without a GPU.

`pretended_gpu.py` says what such a GPU shows and what not. The networks are found by walking each
study's `models/`, so that a new study cannot forget them.
"""

import importlib
import math
import pkgutil

import numpy as np
import pytest
import torch
import yaml
from conftest import REPOSITORY
from pretended_gpu import OnGpu, pretended_gpu, reason, register

from dag.config import complete, read_schema
from skyloom import checkpoint
from skyloom.training import UNFINISHED, Plan, fit

pytestmark = pytest.mark.skipif(reason() is not None, reason=str(reason()))
if reason() is None:
    register()  # before the first backward pass of this process

STEPS, TRAIN, PIXELS = 24, 20, 32
# Keys that a module may have: small, and with every option that a step could take on.
SMALL = {
    "steps": STEPS,
    "batch": 4,
    "valid_every": 12,
    "learning_rate": 1e-3,
    "ema": 0.9,
    "width": 8,
    "depth": 2,
    "dropout": 0.1,
    "coarse": 2,
    "samples": 2,
    "sample_steps": 2,
    "latent": 4,
    "adversarial": 0.5,
    "generator_width": 8,
    "generator_depth": 3,
    "discriminator_width": 8,
    "discriminator_depth": 2,
    "cycle_noise": 0.1,
    "buffer": 6,
    "upsample": "transpose",
    "norm": "instance",
    "r1": 1.0,
    "r1_every": 4,
}
# (file, kind) of host waits within a step that no network can do without
ALLOWED = {
    ("state.py", "tolist"),  # losses, once in ten steps
}
STUDIES = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())["studies"]


def networks() -> list[tuple[str, str]]:
    """(study, module) of each network."""
    found = []
    for study in STUDIES:
        package = importlib.import_module(f"skyloom.{study}.models")
        for module in pkgutil.iter_modules(package.__path__):
            name = f"{package.__name__}.{module.name}"
            if hasattr(importlib.import_module(name), "make_task"):
                found.append((study, module.name))
    return found


every_network = pytest.mark.parametrize(
    ("study", "module"), networks(), ids=["/".join(pair) for pair in networks()]
)


def entry_of(study: str, module: str, **changes) -> dict:
    """A small entry of the module, with the schema's defaults."""
    schema = read_schema(study)
    definition = schema["$defs"][module]
    values = {key: v for key, v in (SMALL | changes).items() if key in definition["properties"]}
    return complete(values | {"module": module, "set": "set"}, definition, module, schema)


def trained(study: str, module: str, folder, budget: float = math.inf, **changes) -> tuple:
    """(history, checkpoint, examples) of a training in `folder`."""
    entry, results = entry_of(study, module, **changes), []
    network = importlib.import_module(f"skyloom.{study}.models.{module}")
    synthetic = importlib.import_module(f"skyloom.{study}.data.synthetic")
    examples = synthetic.examples(entry, PIXELS, TRAIN)

    def make_task():
        task = network.make_task(entry, examples.meta)
        task.prepare(examples.train)
        return task

    plan = Plan.from_entry(entry, 3)
    fit(
        make_task,
        examples.train,
        examples.valid,
        plan,
        folder,
        results.append,
        budget_minutes=budget,
    )
    parts = {"kind": "network", "study": study, "module": module, "entry": entry}
    parts |= {"meta": examples.meta, "state": results[0].weights}
    return results[0].history, parts, examples


@every_network
def test_trains_resumes_and_predicts(study, module, tmp_path):
    with pretended_gpu() as machine:
        whole, found, examples = trained(study, module, tmp_path / "whole")
        unordered = dict(machine.unordered)
        with pytest.raises(SystemExit) as stopped:
            trained(study, module, tmp_path / "parts", budget=0)
        assert stopped.value.code == UNFINISHED
        parts, *_ = trained(study, module, tmp_path / "parts")
        assert parts == whole
        assert all(type(values) is torch.Tensor for values in found["state"].values())
        torch.manual_seed(0)
        there = checkpoint.predict(found, examples.test)
    assert not unordered, "kernels that add in another order each time"
    torch.manual_seed(0)
    here = checkpoint.predict(found, examples.test)
    for name, values in here.items():
        atol = 2e-3 * np.abs(values).max()
        np.testing.assert_allclose(there[name], values, rtol=2e-3, atol=atol)


@every_network
def test_host_waits_for_the_gpu_in_no_step(study, module, tmp_path):
    """Twelve more steps of one training must not bring more waits; rows of the history aside."""
    counts = []
    for steps in (12, 24):
        with pretended_gpu() as machine:
            trained(study, module, tmp_path / str(steps), steps=steps, valid_every=1000)
        counts.append(machine.waits)
    more = {key: n - counts[0][key] for key, n in counts[1].items() if n > counts[0][key]}
    waits = {key: n for key, n in more.items() if (key[1].split(":")[0], key[0]) not in ALLOWED}
    assert not waits


@pytest.mark.parametrize(("study", "module"), [("co", "res_unet"), ("turbulence", "cnn")])
def test_data_that_do_not_fit_on_the_gpu_give_the_same_training(study, module, tmp_path):
    with pretended_gpu():
        resident, *_ = trained(study, module, tmp_path / "resident")
    with pretended_gpu(free_bytes=0):
        read_ahead, *_ = trained(study, module, tmp_path / "ahead")
    assert read_ahead == resident


@pytest.mark.parametrize(("study", "module"), [("co", "res_unet"), ("turbulence", "residual")])
def test_bf16_learns_as_single_precision_does(study, module, tmp_path):
    with pretended_gpu():
        half, *_ = trained(study, module, tmp_path / "half")
    full, *_ = trained(study, module, tmp_path / "full")
    rows = [history.splitlines()[-1].split(",") for history in (half, full)]
    for name, there, here in zip(half.splitlines()[0].split(","), *rows, strict=True):
        if name.startswith("train_"):
            assert float(there) == pytest.approx(float(here), rel=0.15, abs=0.1), name


def test_operations_between_devices_are_refused_as_on_cuda():
    with pretended_gpu():
        there, here = torch.ones(2, 2, device="cuda"), torch.ones(2, 2)
        with pytest.raises(RuntimeError, match="same device"):
            there + here
        with pytest.raises(TypeError, match="can't convert cuda"):
            there.numpy()
        assert isinstance(there[torch.tensor([1])], OnGpu)
        assert isinstance(there + torch.tensor(1.0), OnGpu)
