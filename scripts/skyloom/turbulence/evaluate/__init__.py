"""Test-set metrics of a predicted turbulence index, or of its class: shallow or steep spectrum.

| room | what | |---|---| | `classes` | models of the class: accuracy, ranking, probabilities | |
`indices` | models of the index: error, and whether the stated error is the true one | | `ranking` |
area under the ROC and the ROC itself, of many bootstrap draws at once | | `bins` | what is
predicted against the true index | | `pairs` | whether one model beats another on the same images |

Each of the first two has `scores`, what single views or simulations say and what is averaged over
them, and `records` and `curves` of one subset. The boundary of the classes is half-way between the
set's two indices.

Views of one simulation (three axes, their parts) show one velocity field: intervals resample whole
simulations, and `*_simulation` is what a model says of all views of one together.
"""

import numpy as np
import xarray as xr

from skyloom import metrics
from skyloom.cli import BadInput
from skyloom.patchset import flag_names
from skyloom.turbulence.evaluate import classes, indices

STATED = (
    "balanced",
    "spread",
)  # beside `prediction`: the first of a model of the class, the second of the index


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> tuple[list[dict], xr.Dataset]:
    """Metrics of one model on the test images.

    Parameters ----------
    patches : the test rows of patches.nc: `target` (example), the index; `simulation`, `family`;
        attribute `classes`
    predictions : `prediction` and `balanced` or `spread` (example), the same rows
    entry : the model's section of the config, unused here
    settings : `draws`, `seed` of the bootstrap; `index_edges` of the bins of the true index

    Returns ------- the records for metrics.json, of all images and of each family where there are
    several; the curves of each

    Raises ------
    BadInput : a prediction of another shape or that is not finite, a spread that is not positive
    """
    views = read_views(patches, predictions)
    room = room_of(views)
    records, curves = [], []
    chosen = subsets(patches)
    for subset, rows in chosen.items():
        part = {name: values[rows] for name, values in views.items()}
        counts = metrics.multiplicities(part["simulation"], settings["draws"], settings["seed"])
        records += room.records(part, counts, {"blocks": part["simulation"], "subset": subset})
        curves.append(room.curves(part, counts, settings["index_edges"]))
    curves = xr.concat(curves, dim=xr.IndexVariable("subset", list(chosen)), combine_attrs="drop")
    curves.attrs = {
        "boundary": boundary(patches),
        "classes": np.asarray(patches.attrs["classes"], np.float64),
    }
    curves.attrs["interval"] = "68 % of a bootstrap over simulations"
    return records, curves


def validation_rows(patches: xr.Dataset) -> np.ndarray:
    """The validation images that `validate` scores: all."""
    return np.arange(patches.sizes["example"])


def validate(patches: xr.Dataset, predictions: xr.Dataset, settings: dict) -> list[dict]:
    """The records of `evaluate` on all validation images, split `valid`: the scores that models are
    chosen by.
    """
    views = read_views(patches, predictions)
    counts = metrics.multiplicities(views["simulation"], settings["draws"], settings["seed"])
    about = {"blocks": views["simulation"], "subset": "all", "split": "valid"}
    return room_of(views).records(views, counts, about)


def boundary(patches: xr.Dataset) -> float:
    """The index that divides the classes."""
    return float(np.mean(patches.attrs["classes"]))


def read_views(patches: xr.Dataset, predictions: xr.Dataset) -> dict[str, np.ndarray]:
    """What is true and what was predicted of each view, (n,) each: `index`, `steep`, `simulation`,
    `prediction` and `balanced` or `spread`; `boundary` likewise, so that a part of the views is
    complete.
    """
    index = patches["target"].values.astype(np.float64)
    views = {"index": index, "simulation": patches["simulation"].values}
    views["boundary"] = np.full(len(index), boundary(patches))
    views["steep"] = index > views["boundary"]
    for name in ("prediction", *STATED):
        if name not in predictions:
            continue
        values = views[name] = predictions[name].values.astype(np.float64)
        if values.shape != index.shape:
            raise BadInput(f"{name} has the shape {values.shape}, expected {index.shape}")
        lost = ~np.isfinite(values) | (values <= 0 if name == "spread" else False)
        if lost.any():
            expected = "a positive number" if name == "spread" else "a finite number"
            raise BadInput(
                f"{name} is {values[lost][0]} of {lost.sum()} of {len(lost)} images; expected "
                f"{expected}"
            )
    return views


def room_of(views: dict):
    """The room for a model of the class or of the index, by what it states beside its
    prediction.
    """
    stated = [name for name in STATED if name in views]
    if len(stated) != 1:
        found = " and ".join(stated) or "neither"
        raise BadInput(
            f"predictions: {found} of {' and '.join(STATED)} found; expected one (class or index)"
        )
    return classes if stated == ["balanced"] else indices


def subsets(patches: xr.Dataset) -> dict[str, np.ndarray]:
    """Name -> rows: `all`, and each family that has an image, where there are several."""
    family = patches["family"].values
    chosen = {
        name: np.flatnonzero(family == code) for code, name in flag_names(patches["family"]).items()
    }
    chosen = {name: rows for name, rows in chosen.items() if len(rows)}
    if "all" in chosen:
        raise BadInput(
            "config: turbulence.families: 'all' is the name of all families together; "
            "expected another"
        )
    everything = {"all": np.arange(len(family))}
    return everything | chosen if len(chosen) > 1 else everything
