"""Training examples: a stream of new images each epoch. Validation and test are a patch set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from skyloom.examples import Batch, Examples, Held, Stream, split_rows
from skyloom.patchset import PatchSet
from skyloom.shapes.data.images import CLASSES, draw

SETTINGS = ("pixels", "density", "noise")


@dataclass
class Images(Stream):
    """`input` (n, 1, y, x) float32, the image, and `label` (n, y, x) int64, the class."""

    settings: dict
    length: int

    def __len__(self) -> int:
        return self.length

    def draw(self, epoch: int, index: np.ndarray) -> Batch:
        drawn = [draw(self.settings, rng) for rng in self.generators(epoch, index)]
        return batch(*map(np.stack, zip(*drawn, strict=True)))


def batch(images: np.ndarray, targets: np.ndarray) -> Batch:
    """Images and classes (n, y, x) as tensors."""
    return {
        "input": torch.from_numpy(images)[:, None],
        "label": torch.from_numpy(targets.astype(np.int64)),
    }


def load(paths: list[Path], entry: dict) -> Examples:
    """The examples of a set. paths : `patches.nc`; entry : the model's, unused here."""
    patches = PatchSet(paths[0])
    images, targets = patches.array("image"), patches.array("target")
    fixed = {name: Held(batch(images[k], targets[k])) for name, k in split_rows(patches).items()}
    settings = {name: patches.attrs[name] for name in SETTINGS}
    stream = Images(settings, int(patches.attrs["train"]))
    return Examples(stream, fixed["valid"], fixed["test"], {"classes": list(CLASSES)} | settings)
