"""Scores of the class or of the index, of all test images and of each family of simulations.

| module | what for |
|---|---|
| `views` | the truth and the prediction of each view; means over views and simulations |
| `classification` | models of the class: accuracy, ranking, probabilities |
| `regression` | models of the index: error, and whether the stated error is the true one |

The last two have `examples`, scores of single views, and `records` and `curves` of one subset. The
boundary of the classes is half-way between the set's two indices.

Views of one simulation (three axes, their parts) show one velocity field: intervals resample whole
simulations, and scores `*_simulation` are of the mean prediction of all views of a simulation.
"""

from types import ModuleType

import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.patchset import flag_names
from skyloom.scores import bootstrap
from skyloom.scores.records import Evaluation
from skyloom.turbulence.evaluate import classification, regression
from skyloom.turbulence.evaluate.views import STATED, boundary, read_views


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> Evaluation:
    """Scores of one model on the test images.

    Parameters
    ----------
    patches : the test rows of patches.nc: `target` (example), the index; `simulation`, `family`;
        attribute `classes`
    predictions : `prediction` and `balanced` or `spread` (example), the same rows
    entry : the model's section of the config, unused here
    settings : `draws`, `seed` of the bootstrap; `index_edges` of the bins of the true index

    Returns
    -------
    Records and curves of all images and of each family where there are several, and scores of
    single images.

    Raises
    ------
    BadInput : a prediction of another shape or that is not finite, a spread that is not positive
    """
    views = read_views(patches, predictions)
    module = scores_module(views)
    records, curves = [], []
    rows_of = subsets(patches)
    for subset, rows in rows_of.items():
        part = {name: values[rows] for name, values in views.items()}
        blocks = part["simulation"]
        counts = bootstrap.multiplicities(blocks, settings["draws"], settings["seed"])
        records += module.records(part, counts, {"blocks": blocks, "subset": subset})
        curves.append(module.curves(part, counts, settings["index_edges"]))
    curves = xr.concat(curves, dim=xr.IndexVariable("subset", list(rows_of)), combine_attrs="drop")
    curves.attrs = {
        "boundary": boundary(patches),
        "classes": np.asarray(patches.attrs["classes"], np.float64),
        "interval": "68 % of a bootstrap over simulations",
    }
    return Evaluation(records, curves, module.examples(views))


def validation_rows(patches: xr.Dataset) -> np.ndarray:
    """The validation images that `validate` scores: all."""
    return np.arange(patches.sizes["example"])


def validate(patches: xr.Dataset, predictions: xr.Dataset, settings: dict) -> list[dict]:
    """The records of `evaluate` on all validation images, split `valid`: models are chosen by them.

    patches, predictions, settings : as in `evaluate`, for these rows.
    """
    views = read_views(patches, predictions)
    counts = bootstrap.multiplicities(views["simulation"], settings["draws"], settings["seed"])
    context = {"blocks": views["simulation"], "subset": "all", "split": "valid"}
    return scores_module(views).records(views, counts, context)


def scores_module(views: dict) -> ModuleType:
    """The module for a model of the class or of the index, by what accompanies its prediction."""
    stated = [name for name in STATED if name in views]
    if len(stated) != 1:
        names = " and ".join(stated) or "neither"
        raise BadInput(
            f"predictions: {names} of {' and '.join(STATED)} found; expected one (class or index)"
        )
    return classification if stated == ["balanced"] else regression


def subsets(patches: xr.Dataset) -> dict[str, np.ndarray]:
    """Name -> rows: `all`, and each family that has an image, where there are several."""
    family = patches["family"].values
    families = {
        name: np.flatnonzero(family == code) for code, name in flag_names(patches["family"]).items()
    }
    families = {name: rows for name, rows in families.items() if len(rows)}
    if "all" in families:
        raise BadInput(
            "config: turbulence.families: 'all' is the name of all families together; "
            "expected another"
        )
    everything = {"all": np.arange(len(family))}
    return everything | families if len(families) > 1 else everything
