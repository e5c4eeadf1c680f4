"""The rows of a patch set that a model is tested on, and its predictions of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import cli, files
from skyloom.patchset import flag_names


def rows_of(path: Path, split: str, drop: Sequence[str] = ()) -> xr.Dataset:
    """The rows of one split of a patch set, in the file's order, without the variables `drop`,
    which are not read.
    """
    with files.open_dataset(path, decode_cf=False, drop_variables=drop) as patches:
        wanted = next(
            value for value, name in flag_names(patches["split"]).items() if name == split
        )
        rows = np.flatnonzero(patches["split"].values == wanted)
        if not len(rows):
            raise cli.BadInput(
                f"{path}: split has no {split} example among {patches.sizes['example']}; expected "
                "at least one"
            )
        return patches.isel(example=rows).load()


def as_dataset(predicted: dict[str, np.ndarray], patches: xr.Dataset) -> xr.Dataset:
    """Predictions with every coordinate of their examples, in the target's unit.

    predicted : arrays of the target's shape, (example, ...); `samples` (example, sample, ...). The
        target is a map or a number. Where it has CF flags, its classes, an array may have an axis
        for them: (example, class, ...), of unit 1, with the coordinate `class`. One number an
        example, (example,), is of unit 1 too.
    Raises BadInput for another shape.
    """
    target = patches["target"]
    classes = list(flag_names(target).values()) if "flag_meanings" in target.attrs else []
    variables = {
        name: _variable(name, values, target, classes) for name, values in predicted.items()
    }
    known = {
        name: v
        for name, v in patches.variables.items()
        if v.dims == ("example",) and name != "target"
    }
    if any("class" in dims for dims, *_ in variables.values()):
        known["class"] = ("class", classes)
    return xr.Dataset(variables, known)


def _variable(name: str, values: np.ndarray, target: xr.DataArray, classes: list[str]) -> tuple:
    """(dimensions, values, attributes) of one predicted array."""
    example, *inner = target.dims
    units = {"units": target.attrs.get("units", "")}
    if name == "samples":
        return (example, "sample", *inner), values, units
    if values.shape == (len(target), len(classes), *target.shape[1:]):
        return (example, "class", *inner), values, {"units": "1"}
    if values.shape == (len(target),) != target.shape:
        return (example,), values, {"units": "1"}
    if values.size != target.size:  # networks keep a channel axis of one
        expected = f"expected {target.shape} {target.dims}"
        expected += f", or an axis of {len(classes)} classes behind the first" if classes else ""
        raise cli.BadInput(f"model: {name} has the shape {values.shape}, {expected}")
    return target.dims, values.reshape(target.shape), units
