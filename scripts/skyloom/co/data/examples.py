"""From a patch set to training examples: global normalisation, masks, weights, splits.

One asinh transform per quantity, fitted on the training split and stored in the patch set
(docs/architecture.md): `z = (asinh(x / scale) - mean) / std`. It is linear where noise rules,
logarithmic where clouds are bright, defined for negative noise, and invertible to physical units
without knowing the truth. A tile is never scaled by its own range.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.co.physics import EXCESS, fit_excess
from skyloom.patchset import SPLITS, PatchSet

INPUTS = ("dust", "hi")
NORMALISATION = ("asinh_scale", "asinh_mean", "asinh_std")
# the coordinate that names where an example comes from
SOURCE = "tile"
# attributes of a set that keep their training value where a model is tested on another set
TRAINED_ATTRIBUTES = ()
CHUNK = 64  # tiles read at a time
EXCESS_PIXELS = 400_000  # training pixels to which the physical baseline is fitted
MIN_WEIGHT = 0.5  # a pixel interpolated mostly from masked sky is not used


# --- normalisation
# -----------------------------------------------------------------------------------------------


def fit_normalisation(values: np.ndarray) -> dict[str, float]:
    """The asinh constants of training values, as the attributes that the patch set stores.

    The scale is the first quartile of |x|, which outliers do not move: three quarters of the pixels
    lie on the logarithmic side.

    values : any shape, physical units, NaN where masked; training split only.
    Raises BadInput where no finite value is left or all are equal.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0 or np.ptp(values) == 0:
        found = "no finite value" if values.size == 0 else f"only the value {values[0]:g}"
        raise BadInput(f"normalisation: {found} in the training split; expected a varying map")
    scale = float(np.percentile(np.abs(values), 25)) or float(np.std(values))
    stretched = np.arcsinh(values / scale)
    return dict(
        zip(NORMALISATION, (scale, float(stretched.mean()), float(stretched.std())), strict=True)
    )


def to_normalised(x: np.ndarray | Tensor, constants: dict[str, float]) -> np.ndarray | Tensor:
    """Physical units to the normalised asinh; numpy in, numpy out, and torch likewise."""
    scale, mean, std = (constants[name] for name in NORMALISATION)
    return (_of(x).arcsinh(x / scale) - mean) / std


def to_physical(z: np.ndarray | Tensor, constants: dict[str, float]) -> np.ndarray | Tensor:
    """The inverse of `to_normalised`."""
    scale, mean, std = (constants[name] for name in NORMALISATION)
    return scale * _of(z).sinh(z * std + mean)


def _of(array: np.ndarray | Tensor):
    return torch if isinstance(array, Tensor) else np


# --- examples
# --------------------------------------------------------------------------------------------------


def model_inputs(
    planes: dict[str, Tensor], normalisation: dict[str, dict[str, float]]
) -> dict[str, Tensor]:
    """What a model sees of tiles, of the training set or of the whole sky: `input`, `dust`, `hi`,
    `valid` of `Split`.

    planes : `dust`, `hi` and `weight`, (n, 1, y, x), NaN where masked. `valid` asks for dust and HI
        only.
    """
    valid = planes["weight"] >= MIN_WEIGHT
    for name in INPUTS:
        valid = valid & planes[name].isfinite()
    return {
        "input": torch.cat([normalised(planes[name], normalisation[name]) for name in INPUTS], 1),
        **{name: planes[name].nan_to_num(0.0) for name in INPUTS},
        "valid": valid.float(),
    }


def normalised(plane: Tensor, constants: dict[str, float]) -> Tensor:
    """`to_normalised`, 0 where the plane is masked."""
    return torch.where(plane.isfinite(), to_normalised(plane, constants), 0.0)


@dataclass(frozen=True)
class Split:
    """The examples of one split; `split[index_array]` is a batch of float32 tensors.

    | key | shape | what |
    |---|---|---|
    | `input` | (n, 2, y, x) | normalised dust and HI, 0 where masked |
    | `target` | (n, 1, y, x) | normalised CO, 0 where masked |
    | `target_physical`, `error` | (n, 1, y, x) | CO and its error [K km/s], 0 where masked |
    | `dust`, `hi` | (n, 1, y, x) | [MJy/sr], [1e20 cm-2], 0 where masked |
    | `valid` | (n, 1, y, x) | 1 where all four are known, else 0 |
    | `sampling_weight` | (n,) | 1 / probability of the tile, capped; mean 1 in training |
    | `glat` | (n,) | latitude of the tile's centre [deg] |
    """

    patches: PatchSet
    # (example, y, x) [K km/s], of the whole set: the patch set's own or the denoised one
    target: np.ndarray
    error: np.ndarray  # likewise
    rows: np.ndarray
    weight_cap: float
    weight_mean: float
    normalisation: dict[str, dict[str, float]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> dict[str, Tensor]:
        rows = self.rows[np.atleast_1d(index)]
        planes = {name: self._plane(self.patches.array(name), rows) for name in (*INPUTS, "weight")}
        planes |= {"target": self._plane(self.target, rows), "error": self._plane(self.error, rows)}
        batch = model_inputs(planes, self.normalisation)
        valid = (
            (batch["valid"] > 0)
            & (planes["error"] > 0)
            & planes["error"].isfinite()
            & planes["target"].isfinite()
        )
        weight = (
            np.minimum(self.patches.coords["sampling_weight"][rows], self.weight_cap)
            / self.weight_mean
        )
        return batch | {
            "target": normalised(planes["target"], self.normalisation["target"]),
            "target_physical": planes["target"].nan_to_num(0.0),
            "error": planes["error"].nan_to_num(0.0),
            "valid": valid.float(),
            "sampling_weight": torch.from_numpy(np.asarray(weight, np.float32)),
            "glat": torch.from_numpy(np.asarray(self.patches.coords["glat"][rows], np.float32)),
        }

    @staticmethod
    def _plane(array: np.ndarray, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array[rows], np.float32))[:, None]


@dataclass(frozen=True)
class Examples:
    """The three splits, and what a checkpoint must remember of them (plain Python)."""

    train: Split
    valid: Split
    test: Split
    meta: dict


def load(paths: list[Path], entry: dict, meta: dict | None = None) -> Examples:
    """Open a patch set for training, with the denoised target where a second file is given.

    paths : `patches.nc`, and optionally `denoised.nc`, whose `target`, and `error` where it has
        one, stand in for the
        raw ones in train alone.
        Validation and test are raw whatever is given: a score against a filtered map rewards
            matching the filter.
    entry : `weight_cap`, the largest sampling weight that is believed; with `base: excess` the
        constants of the
        physical baseline (`skyloom.co.physics.excess_co`), fitted to train, stand in
            `meta["excess"]`.
    meta : of a model trained on another set, whose normalisation is used instead of the set's own.
    Raises BadInput where a constant is missing, a split is empty, the two files do not match, or
    the tiles are not those of the `meta`.
    """
    patches = PatchSet(paths[0])
    trained, meta = meta, _meta(patches)
    for name in ("pixels", "pixel_arcmin", "beam_arcmin") if trained else ():
        if meta[name] != trained[name]:
            raise BadInput(
                f"{patches.path}: {name} is {meta[name]}; expected {trained[name]}, as the model "
                "was trained on"
            )
    meta = trained or meta
    raw = {name: patches.array(name) for name in ("target", "error")}
    train = raw | (_denoised(PatchSet(paths[1]), patches) if len(paths) > 1 else {})
    rows = {name: np.flatnonzero(patches.coords["split"] == code) for name, code in SPLITS.items()}
    for name, found in rows.items():
        if found.size == 0:
            raise BadInput(
                f"{patches.path}: no example has split {name!r}; expected train, valid and "
                "test tiles"
            )
    cap = float(entry["weight_cap"])
    mean = float(np.minimum(patches.coords["sampling_weight"][rows["train"]], cap).mean())
    splits = {
        name: Split(
            patches,
            **(train if name == "train" else raw),
            rows=rows[name],
            weight_cap=cap,
            weight_mean=mean,
            normalisation=meta["normalisation"],
        )
        for name in SPLITS
    }
    loaded = Examples(**splits, meta=meta)
    if entry.get("base") == "excess" and not trained:
        meta["excess"] = _excess(loaded)
    return loaded


def _meta(patches: PatchSet) -> dict:
    normalisation = {}
    for name in (*INPUTS, "target"):
        attributes = patches.attrs_of(name)
        absent = [key for key in NORMALISATION if key not in attributes]
        if absent:
            raise BadInput(
                f"{patches.path}: {name} lacks {', '.join(absent)}; expected constants fitted "
                "on train"
            )
        normalisation[name] = {key: float(attributes[key]) for key in NORMALISATION}
    for name in ("pixel_arcmin", "beam_arcmin", "line"):
        if name not in patches.attrs:
            raise BadInput(
                f"{patches.path}: no attribute {name} (found {', '.join(patches.attrs)})"
            )
    return {
        "normalisation": normalisation,
        "units": {
            name: str(patches.attrs_of(name).get("units", "")) for name in (*INPUTS, "target")
        },
        "pixels": int(patches.array("target").shape[-1]),
        "pixel_arcmin": float(patches.attrs["pixel_arcmin"]),
        "beam_arcmin": float(patches.attrs["beam_arcmin"]),
        "line": str(patches.attrs["line"]),
    }


def _excess(examples: Examples) -> dict[str, float]:
    """The physical baseline fitted to train, in digits that another machine's arithmetic
    gives too.
    """
    pixels = draw_pixels(examples, EXCESS_PIXELS, seed=0)
    fitted = fit_excess(pixels, str(examples.train.patches.path))
    return {name: float(f"{fitted[name]:.6g}") for name in EXCESS}


def _denoised(denoised: PatchSet, patches: PatchSet) -> dict[str, np.ndarray]:
    target, shape = denoised.array("target"), patches.array("target").shape
    if target.shape != shape:
        raise BadInput(
            f"{denoised.path}: target has shape {target.shape}; expected {shape}, the examples of "
            f"{patches.path}"
        )
    for name in ("tile", "view"):
        found, expected = denoised.array(name), patches.array(name)
        other = np.flatnonzero(found != expected)
        if other.size:
            k = other[0]
            raise BadInput(
                f"{denoised.path}: {name} of example {k} is {found[k]}; expected {expected[k]}, "
                f"as in {patches.path}"
            )
    return {"target": target} | (
        {"error": denoised.array("error")} if "error" in denoised.variables else {}
    )


# --- training pixels
# -------------------------------------------------------------------------------------------------


def draw_pixels(
    examples: Examples, n: int, seed: int, features: Callable | None = None
) -> dict[str, np.ndarray]:
    """About `n` valid training pixels, all where there are fewer: (k,) of each plane and
    `loss_weight`, and `features`.

    The share of pixels is the same in every tile, so that sampling weights keep their meaning.
    """
    train = examples.train
    pixels_a_tile = np.prod(train[np.arange(1)]["valid"].shape)
    share = min(1.0, n / (len(train) * pixels_a_tile))
    random = np.random.default_rng(seed)
    names = ("dust", "hi", "target_physical", "error")
    parts = []
    for rows in np.split(np.arange(len(train)), range(CHUNK, len(train), CHUNK)):
        batch = {k: v.numpy() for k, v in train[rows].items()}
        chosen = (batch["valid"] > 0) & (random.random(batch["valid"].shape) < share)
        weight = (
            batch["sampling_weight"][:, None, None, None] / np.maximum(batch["error"], 1e-6) ** 2
        )
        part = {name: batch[name][chosen].astype(np.float64) for name in names}
        part["loss_weight"] = weight[chosen].astype(np.float64)
        if features is not None:
            part["features"] = features(batch, examples.meta)[chosen]
        parts.append(part)
    pixels = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if pixels["dust"].size == 0:
        raise BadInput(
            f"{train.patches.path}: no valid pixel in the training split; expected some to fit"
        )
    return pixels
