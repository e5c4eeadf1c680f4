"""Training examples: fixed sets that are read, and streams that are drawn.

A study's `data.examples.load` returns `Examples`. Its training part may be a `Stream`, whose images
are made when they are needed; validation and test are always fixed sets.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from skyloom.patchset import SPLITS, PatchSet

Batch = dict[str, Tensor]


class Split(Protocol):
    """A fixed set: its length, and a batch of tensors by an array of indices, equal each time."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: np.ndarray) -> Batch: ...


class Stream(ABC):
    """Examples that are drawn when they are needed and never kept.

    `draw` is a pure function of (config, seed, epoch, index): a killed training draws the same
    examples again, and so does any number of worker processes, which pickle the stream. Random
    numbers come from `generators` alone.
    """

    seed: int = 0  # of the training; the engine sets it before the first draw

    @abstractmethod
    def __len__(self) -> int:
        """Examples of one epoch."""

    @abstractmethod
    def draw(self, epoch: int, index: np.ndarray) -> Batch:
        """The examples `index` (n,) of an epoch; another epoch has other ones."""

    def generators(self, epoch: int, index: np.ndarray) -> Iterator[np.random.Generator]:
        """A generator for each example, independent of all others."""
        for number in index:
            yield np.random.default_rng((self.seed, epoch, int(number)))


@dataclass(frozen=True)
class Held:
    """A fixed set in memory: tensors (example, ...) by name."""

    tensors: Batch

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, index: np.ndarray) -> Batch:
        return {name: values[np.atleast_1d(index)] for name, values in self.tensors.items()}


@dataclass(frozen=True)
class Examples:
    """The three parts of a set, and what a checkpoint must hold of them (plain Python)."""

    train: Split | Stream
    valid: Split
    test: Split
    meta: dict


def read(data: Split | Stream, epoch: int, index: np.ndarray) -> Batch:
    """A batch of a fixed set, in which all epochs are alike, or of a stream."""
    return data.draw(epoch, index) if isinstance(data, Stream) else data[index]


def split_rows(patches: PatchSet) -> dict[str, np.ndarray]:
    """Rows of a patch set by the name of their split."""
    return {name: np.flatnonzero(patches.coords["split"] == code) for name, code in SPLITS.items()}
