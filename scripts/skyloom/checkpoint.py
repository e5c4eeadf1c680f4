"""Trained models: `best.ckpt` read and checked, and its predictions; for networks and baselines
alike.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from skyloom.cli import BadInput

BATCH = 64


def load(path: Path, expected: dict) -> dict:
    """The checkpoint at `path`, refused where its study, model or entry is not the config's, or its
    `meta` not that of the training set.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise BadInput(
            f"{path}: not a checkpoint that train_model wrote ({str(error).splitlines()[0]})"
        ) from None
    for key, wanted in expected.items():
        if key not in checkpoint:
            raise BadInput(
                f"{path}: key {key} not found; expected a checkpoint that train_model wrote"
            )
        refuse_differences(
            path,
            checkpoint[key],
            wanted,
            key,
            "the training set" if key == "meta" else "the config",
        )
    return checkpoint


def refuse_differences(path: Path, found, wanted, where: str, source: str) -> None:
    """Refuse a checkpoint that was made from another config, or from a set with another
    normalisation.
    """
    for key, old, new in differences(found, wanted, where):
        raise BadInput(
            f"{path}: {key} is {old!r}, expected {new!r} from {source}; train the model anew"
        )


def differences(found, wanted, where: str):
    """(key path, found, wanted) of each value in which two nested settings differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from differences(
                found.get(key, "nothing"), wanted.get(key, "nothing"), f"{where}.{key}"
            )
    elif isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        if list(found) != list(wanted):
            yield where, list(found), list(wanted)
    elif found != wanted:
        yield where, found, wanted


def predictor(checkpoint: dict) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """A function from a batch of examples to maps in physical units; a network runs on the GPU
    where there is one.
    """
    if checkpoint["kind"] == "baseline":
        baselines = importlib.import_module(f"skyloom.{checkpoint['study']}.baselines")
        return lambda batch: baselines.predict(checkpoint["state"], batch, checkpoint["meta"])
    module, task = network(checkpoint)
    device = _device()
    return lambda batch: module.predict(
        task, {name: values.to(device) for name, values in batch.items()}
    )


def noise_arcmin(checkpoint: dict) -> float | None:
    """Beam FWHM [arcmin] of the Gaussian field that a stochastic network starts from; None for any
    other model.
    """
    if checkpoint["kind"] == "baseline":
        return None
    module, task = network(checkpoint)
    return float(module.noise_arcmin(task)) if hasattr(module, "noise_arcmin") else None


def network(checkpoint: dict) -> tuple[ModuleType, torch.nn.Module]:
    """The module of a network and its trained task, in evaluation mode, on the GPU where there is
    one.
    """
    module = importlib.import_module(f"skyloom.{checkpoint['study']}.models.{checkpoint['module']}")
    task = module.make_task(checkpoint["entry"], checkpoint["meta"])
    task.load_state_dict(checkpoint["state"])
    return module, task.to(_device()).eval()


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.no_grad()
def predict(checkpoint: dict, examples, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The model's maps of `examples`, or of these `rows` of them, in physical units, (example, ...)
    each.
    """
    apply = predictor(checkpoint)
    rows = np.arange(len(examples)) if rows is None else rows
    parts = [apply(examples[index]) for index in np.array_split(rows, -(-len(rows) // BATCH))]
    return {
        name: torch.cat([part[name].float().cpu() for part in parts]).numpy() for name in parts[0]
    }
