"""The rows of a patch set that a model is tested on, its predictions of them, and the files of what
they scored.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import cli, metrics
from skyloom.patchset import flag_names


def rows_of(path: Path, split: str, drop: Sequence[str] = ()) -> xr.Dataset:
    """The rows of one split of a patch set, in the file's order, without the variables `drop`,
    which are not read.
    """
    with xr.open_dataset(path, decode_cf=False, drop_variables=drop) as patches:
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
    """Predictions beside all that is known of their examples, in the target's unit; a target is a
    map or a number.
    """
    shape = patches["target"].shape
    units = {"units": patches["target"].attrs.get("units", "")}
    maps = {}
    for name, values in predicted.items():
        dims = patches["target"].dims
        if name == "samples":  # realisations of a stochastic model, (example, sample, y, x)
            maps[name] = ((dims[0], "sample", *dims[1:]), values, units)
            continue
        if values.size != np.prod(shape):
            raise cli.BadInput(
                f"model: {name} has the shape {values.shape}, expected {shape} {dims}"
            )
        maps[name] = (dims, values.reshape(shape), units)  # networks keep a channel axis of one
    known = {
        name: v
        for name, v in patches.variables.items()
        if v.dims == ("example",) and name != "target"
    }
    return xr.Dataset(maps, known)


def write(
    paths: Namespace,
    about: dict,
    predictions: xr.Dataset,
    curves: xr.Dataset,
    records: list[dict],
    validation: Sequence[dict] = (),
) -> None:
    """Write `paths.predictions`, `paths.curves` and `paths.metrics`, each with what is known of the
    model, `about`.
    """
    data_kind, n_test = about["data_kind"], predictions.sizes["example"]
    for found, path in ((predictions, paths.predictions), (curves, paths.curves)):
        found.attrs |= about
        with cli.atomic(path) as part:
            found.to_netcdf(part)
    known = {key: value for key, value in about.items() if key != "data_kind"} | {
        "data": data_kind,
        "n_test": n_test,
    }
    with cli.atomic(paths.metrics) as part:
        metrics.write_json(known | {"metrics": records, "validation": validation}, part)
