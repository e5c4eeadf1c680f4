"""Training examples: diagrams drawn on the fly, each shown several times. Others are a patch set.

A network sees log(1 + n) / 2 of the observed diagrams and of those of the same field without
extinction. Both are 0 where an example lacks a diagram.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.examples import Batch, Examples, Held, Split, Stream, split_rows
from skyloom.extinction.data import mocks, pools
from skyloom.extinction.data.patches import FIXED, MOST, SETTINGS
from skyloom.extinction.simulate import diagrams
from skyloom.patchset import PatchSet

SOURCE = "pool"
TRAINED_ATTRIBUTES = ()


@dataclass
class Drawn(Stream):
    """Examples of new profiles, surveys and stars.

    `input` (n, 2 diagram, y, x), `target` (n, bin) A_V [mag] up to the far edge of each bin.

    fields : the pools; numbers : those of the training; bare (pool, diagram, y, x)
    length : examples of an epoch; shown : epochs that have the same examples. Those of the present
    ones are kept, as a memory that no result depends on.
    """

    fields: mocks.Fields
    numbers: np.ndarray
    bare: Tensor
    length: int
    shown: int
    kept: dict = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.length

    def draw(self, epoch: int, index: np.ndarray) -> Batch:
        counts, target = self.counts(epoch // self.shown, index)
        bare = self.bare[torch.from_numpy(self.pool(index))]
        seen = mocks.present(self.fields.settings, mocks.seeds(self.seed, epoch, index))
        return {"input": diagrams.network_input(counts, bare, seen), "target": target}

    def pool(self, index: np.ndarray) -> np.ndarray:
        """The pool (n,) of each example."""
        return self.numbers[index % len(self.numbers)]

    def counts(self, part: int, index: np.ndarray) -> tuple[Tensor, Tensor]:
        """Diagrams (n, diagram, y, x) float32 and A_V (n, bin), of examples that may be kept."""
        if self.shown == 1:
            counts, target = self.new(part, index)
            return counts.float(), target
        if self.kept.get("part") != (self.seed, part):
            shape = self.length, *self.bare.shape[1:]
            self.kept = {"part": (self.seed, part), "known": np.zeros(self.length, bool)}
            # two bytes a pixel; memory is taken as it is filled
            self.kept["counts"] = np.empty(shape, np.uint16)
            self.kept["target"] = np.empty((self.length, self.fields.grid.bins), np.float32)
        new = np.unique(index[~self.kept["known"][index]])
        if len(new):
            self.kept["counts"][new], self.kept["target"][new] = self.new(part, new)
            self.kept["known"][new] = True
        counts, target = (self.kept[name][index] for name in ("counts", "target"))
        return torch.from_numpy(counts.astype(np.float32)), torch.from_numpy(target)

    def new(self, part: int, index: np.ndarray) -> tuple[Tensor, Tensor]:
        counts, profiles = self.fields.draw(mocks.seeds(self.seed, part, index), self.pool(index))
        return counts.clamp(max=MOST), profiles.cumsum(1)

    def __getstate__(self) -> dict:
        # a reader draws for itself
        return self.__dict__ | {"kept": {}}


@dataclass(frozen=True)
class Fixed:
    """The examples of one split of a patch set, as `Drawn` gives them.

    seen (row, diagram) : whether an example has a diagram
    stars (pool, 3, star) : distance [pc], J and K of model stars; None: not asked for
    """

    patches: PatchSet
    rows: np.ndarray
    bare: Tensor
    seen: Tensor
    stars: Tensor | None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> Batch:
        index = np.atleast_1d(index)
        rows, seen = self.rows[index], self.seen[torch.from_numpy(index)]
        counts = torch.from_numpy(self.patches.array("image")[rows].astype(np.float32))
        pool = torch.from_numpy(self.patches.coords["pool"][rows].astype(np.int64))
        target = torch.from_numpy(np.asarray(self.patches.array("target")[rows], np.float32))
        found = {"input": diagrams.network_input(counts, self.bare[pool], seen), "target": target}
        return found if self.stars is None else found | {"stars": self.stars[pool]}


def load(paths: list[Path], entry: dict, meta: dict | None = None) -> Examples:
    """The examples of a set.

    paths : `patches.nc`, and the stars that training diagrams are drawn from; without these there
        is no training part
    entry : of the model; a colour excess is measured against model stars
    meta : of a model trained on another set
    Raises BadInput for a set of other bins or diagrams than those of `meta`.
    """
    patches = PatchSet(paths[0])
    settings = json.loads(patches.attrs[SETTINGS])
    own = meta_of(settings)
    for name, value in own.items():
        if meta is not None and name != "law" and value != meta[name]:
            expected = f"expected {meta[name]!r}, as the model was trained on"
            raise BadInput(f"{patches.path}: {name} is {value!r}; {expected}")
    bare = torch.from_numpy(np.array(patches.array("bare"), np.float32))
    stars = None
    if entry["module"] == "colour_excess":
        stars = torch.from_numpy(np.array(patches.array("stars"), np.float32))
    rows = split_rows(patches)
    number = torch.from_numpy(np.arange(len(rows["valid"])))
    seen = mocks.present(settings, mocks.seeds(settings["seed"], FIXED, number.numpy()))
    valid = Fixed(patches, rows["valid"], bare, seen, stars)
    seen = torch.tensor(mocks.given(settings)).expand(len(rows["test"]), -1)
    test = Fixed(patches, rows["test"], bare, seen, stars)
    train: Split | Stream = Held({"target": torch.zeros(0, own["bins"])})
    if len(paths) > 1:
        found = pools.load(paths[1])
        numbers = found.of("train")
        fields = mocks.Fields(found, settings).without_stars(numbers)
        train = Drawn(fields, numbers, bare, settings["train"], settings["shown"])
    return Examples(train, valid, test, own if meta is None else meta)


def meta_of(settings: dict) -> dict:
    """What a checkpoint must hold of a set: diagrams, bins of distance [pc] and the law."""
    names = "diagrams", "bins", "step", "law"
    return {name: settings[name] for name in names} | {"pixels": diagrams.PIXELS}
