"""The truth and the prediction of each view, and means over the views of a simulation."""

import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.scores import bootstrap
from skyloom.scores.binned import binned_mean
from skyloom.scores.records import record

# beside `prediction`: the first of a model of the class, the second of the index
STATED = ("balanced", "spread")


def boundary(patches: xr.Dataset) -> float:
    """The index that divides the classes."""
    return float(np.mean(patches.attrs["classes"]))


def read_views(patches: xr.Dataset, predictions: xr.Dataset) -> dict[str, np.ndarray]:
    """Truth and prediction of each view, (n,) each, so that a part of the views is complete.

    `index`, `steep`, `simulation`, `boundary`, `prediction` and `balanced` or `spread`.
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
        bad = ~np.isfinite(values) | (values <= 0 if name == "spread" else False)
        if bad.any():
            expected = "a positive number" if name == "spread" else "a finite number"
            raise BadInput(
                f"{name} is {values[bad][0]} of {bad.sum()} of {len(bad)} images; expected "
                f"{expected}"
            )
    return views


def by_simulation(
    values: np.ndarray, simulation: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The first view of each simulation and the mean of `values` over its views, (simulations,)
    each.

    Raises BadInput where `truth` is not the same for all views of a simulation.
    """
    _, first, inverse = np.unique(simulation, return_index=True, return_inverse=True)
    if (truth != truth[first][inverse]).any():
        number = simulation[truth != truth[first][inverse]][0]
        raise BadInput(
            f"patches: views of simulation {number} differ in their index; expected one index per "
            "simulation"
        )
    return first, np.bincount(inverse, values) / np.bincount(inverse)


def mean_records(
    scores: dict, better: dict[str, str], counts: np.ndarray, context: dict
) -> list[dict]:
    """Records of the means of scores of views or simulations, name -> (score, row of its view)."""
    blocks = context["blocks"]
    return [
        record(
            name,
            bootstrap.mean(score, counts[:, rows]),
            better[name],
            **context | {"blocks": blocks[rows]},
        )
        for name, (score, rows) in scores.items()
    ]


def index_bins(index: np.ndarray, member: np.ndarray, edges: list[float]) -> dict:
    """Edges of the bins of the true index, the number of views in each, and their mean index."""
    mean = binned_mean(index, member, np.ones((1, len(index))))[0]
    return {
        "index_edges": ("index_edge", np.asarray(edges, np.float64)),
        "index_count": ("index_bin", member.sum(0).astype(int)),
        "index_mean": ("index_bin", mean),
    }
