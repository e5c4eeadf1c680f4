"""Trained models, networks and baselines alike: `best.ckpt` read, checked, and its predictions."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.networks.devices import to_device

BATCH = 64  # examples predicted at a time, at most
# Numbers in the largest array of a batch, times realisations. With eight realisations of 128 x 128
# pixels that is 8 examples, and 1.4 GB within the flow of the CO study.
BATCH_VALUES = 1 << 21


def load(path: Path, expected: dict) -> dict:
    """The checkpoint at `path`.

    Raises BadInput for another study, model or entry than the config's, or another `meta` than that
    of the training set: those of their keys that are in `expected` are compared.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path}: not a checkpoint that train_model wrote ({reason})") from None
    for key, value in expected.items():
        if key not in checkpoint:
            raise BadInput(
                f"{path}: key {key} not found; expected a checkpoint that train_model wrote"
            )
        source = "the training set" if key == "meta" else "the config"
        refuse_differences(path, checkpoint[key], value, key, source)
    return checkpoint


def refuse_differences(path: Path, value, expected, key: str, source: str) -> None:
    """Refuse a checkpoint made from another config, or from a set with another normalisation."""
    for name, old, new in differences(value, expected, key):
        raise BadInput(
            f"{path}: {name} is {old!r}, expected {new!r} from {source}; train the model anew"
        )


def differences(first, second, key: str) -> Iterator[tuple]:
    """(key path, first, second) of each value in which two nested settings differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        for name in sorted(first.keys() | second.keys()):
            pair = first.get(name, "nothing"), second.get(name, "nothing")
            yield from differences(*pair, f"{key}.{name}")
    elif isinstance(first, list | tuple) and isinstance(second, list | tuple):
        if list(first) != list(second):
            yield key, list(first), list(second)
    elif first != second:
        yield key, first, second


def predictor(checkpoint: dict) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """A function from a batch of examples to predictions in physical units.

    A network runs on the GPU where there is one.
    """
    if checkpoint["kind"] == "baseline":
        baselines = importlib.import_module(f"skyloom.{checkpoint['study']}.baselines")
        return lambda batch: baselines.predict(checkpoint["state"], batch, checkpoint["meta"])
    module, task = network(checkpoint)
    device = _device()
    return lambda batch: module.predict(
        task, {name: to_device(values, device) for name, values in batch.items()}
    )


def network(checkpoint: dict) -> tuple[ModuleType, torch.nn.Module]:
    """The module of a network and its trained task, to predict with, on the GPU if there is one."""
    module = importlib.import_module(f"skyloom.{checkpoint['study']}.models.{checkpoint['module']}")
    task = module.make_task(checkpoint["entry"], checkpoint["meta"])
    task.load_state_dict(checkpoint["state"])
    return module, task.to(_device()).eval()


@torch.no_grad()
def predict(checkpoint: dict, examples, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Predictions of `examples`, or of these `rows` of them, (example, ...) in physical units."""
    apply = predictor(checkpoint)
    rows = np.arange(len(examples)) if rows is None else rows
    values = max(array.numel() for array in examples[rows[:1]].values())
    size = batch_size(values * checkpoint["entry"].get("samples", 1))
    parts = []
    for index in np.array_split(rows, -(-len(rows) // size)):
        predicted = apply(examples[index])
        parts.append({name: values.float().cpu() for name, values in predicted.items()})
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def batch_size(values: int) -> int:
    """Number of examples that are predicted at a time.

    values : numbers in the largest array of an example, times realisations
    """
    return max(1, min(BATCH, BATCH_VALUES // values))


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
