"""From a set of images to training examples: their scale, their classes, their splits.

The symmetries of a square (flips, transpose) are drawn by the tasks' losses and never stored: a
copy is no example.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.patchset import SPLITS, PatchSet

VARIANTS = ("standardised", "raw")
# the coordinate that names where an example comes from: one seed is one velocity field
SOURCE = "seed"
# attributes of a set that keep their training value where a model is tested on another set
TRAINED_ATTRIBUTES = ("classes",)


@dataclass(frozen=True)
class Split:
    """The examples of one split; `split[index_array]` is a batch.

    | key | shape | what |
    |---|---|---|
    | `input` | (n, 1, y, x) float32 | the image, over `image_scale` |
    | `index` | (n,) float32 | index of the velocity's power spectrum |
    | `label` | (n,) float32 | 1 where the index is above `boundary`, the steeper class, else 0 |
    | `family` | (n,) int64 | which of the set's families of simulations |
    """

    patches: PatchSet
    rows: np.ndarray
    image_scale: float
    boundary: float

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> dict[str, Tensor]:
        rows = self.rows[np.atleast_1d(index)]
        image = np.ascontiguousarray(self.patches.array("image")[rows], np.float32)
        target = torch.from_numpy(np.asarray(self.patches.coords["target"][rows], np.float32))
        return {
            "input": torch.from_numpy(image)[:, None] / self.image_scale,
            "index": target,
            "label": (target > self.boundary).float(),
            "family": torch.from_numpy(np.asarray(self.patches.coords["family"][rows], np.int64)),
        }


@dataclass(frozen=True)
class Examples:
    """The three splits, and what a checkpoint must remember of them (plain Python)."""

    train: Split
    valid: Split
    test: Split
    meta: dict


def load(paths: list[Path], entry: dict, meta: dict | None = None) -> Examples:
    """Open a set of images for training, or, with the `meta` of a trained model, as that model must
    see them.

    paths : `patches.nc` of the set.
    entry : of the model; one that `learns` something is not given images of unknown index.
    meta : of a model trained on another set: its scale and its boundary between the classes hold
        instead of the set's.
    Splits may be empty: a set may only test. Raises BadInput where a variable or attribute is
    missing, images are not square, the variant or the number of pixels is another one than in
    training, or the index is unknown to a model that learns it.
    """
    patches = PatchSet(paths[0])
    own = _meta(patches, meta)
    if "learns" in entry and np.isnan(patches.coords["target"]).any():
        raise BadInput(
            f"{patches.path}: the index of its images is not known (maps of the sky); expected "
            "simulations for a model"
            f" that learns the {entry['learns']}"
        )
    meta = own if meta is None else meta
    for name, hint in (("variant", ""), ("pixels", " (key `pixels` of a family)")):
        if own[name] != meta[name]:
            expected = f"expected {meta[name]!r}, as the model was trained on{hint}"
            raise BadInput(f"{patches.path}: {name} of an image is {own[name]!r}; {expected}")
    splits = {
        name: Split(
            patches,
            np.flatnonzero(patches.coords["split"] == code),
            meta["image_scale"],
            meta["boundary"],
        )
        for name, code in SPLITS.items()
    }
    return Examples(**splits, meta=meta)


def _meta(patches: PatchSet, trained: dict | None) -> dict:
    """Side of an image, classes, variant, families, and scale and indices of the training
    images.
    """
    for name in ("classes", "variant"):
        if name not in patches.attrs:
            raise BadInput(
                f"{patches.path}: no attribute {name} (found {', '.join(patches.attrs)})"
            )
    for name in ("target", "family", "split"):
        if name not in patches.coords:
            raise BadInput(
                f"{patches.path}: no {name} of an example (found {', '.join(patches.coords)})"
            )
    *_, ny, nx = patches.array("image").shape
    if ny != nx:
        raise BadInput(f"{patches.path}: images of {ny} x {nx} pixels; expected square ones")
    variant = patches.attrs["variant"]
    if variant not in VARIANTS:
        raise BadInput(
            f"{patches.path}: variant is {variant!r}; expected one of {', '.join(VARIANTS)}"
        )
    scale = 1.0 if variant == "standardised" else patches.attrs_of("image").get("scale")
    if scale is None and trained is None:
        raise BadInput(
            f"{patches.path}: image lacks the attribute scale; expected the deviation of "
            "training images"
        )
    index = patches.coords["target"].astype(np.float64)
    train = patches.coords["split"] == SPLITS["train"]
    index = index[train] if train.any() else index
    classes = [float(value) for value in patches.attrs["classes"]]
    return {
        "pixels": int(nx),
        "classes": classes,
        "boundary": sum(classes) / len(classes),
        "variant": str(variant),
        "families": str(patches.attrs_of("family")["flag_meanings"]).split(),
        "image_scale": float(scale or 1.0),
        "index_mean": float(index.mean()),
        "index_std": float(index.std()) or 1.0,
    }
