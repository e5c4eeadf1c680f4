"""Means over views, simulations and bins, of all bootstrap draws at once. `counts` is that of
`metrics`, (draws, n).
"""

import numpy as np

from skyloom import metrics
from skyloom.cli import BadInput


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
            f"patches: views of simulation {number} differ in their index; expected one of a "
            "simulation"
        )
    return first, np.bincount(inverse, values) / np.bincount(inverse)


def mean_records(
    scores: dict, better: dict[str, str], counts: np.ndarray, about: dict
) -> list[dict]:
    """Records of the means of scores of views or simulations, name -> (score, row of its view)."""
    blocks = about["blocks"]
    return [
        metrics.record(
            name,
            metrics.mean(score, counts[:, rows]),
            better[name],
            **about | {"blocks": blocks[rows]},
        )
        for name, (score, rows) in scores.items()
    ]


def membership(values: np.ndarray, edges: np.ndarray | list[float]) -> np.ndarray:
    """Which bin each value falls in, (n, bins) of 0 and 1; the last edge belongs to the last bin;
    none beyond.
    """
    edges = np.asarray(edges, np.float64)
    bin_of = np.searchsorted(edges, values, side="right") - 1
    bin_of[values == edges[-1]] = len(edges) - 2
    return (bin_of[:, None] == np.arange(len(edges) - 1)).astype(np.float64)


def share(values: np.ndarray, member: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean of `values` (n,) in each bin, (draws, bins); NaN in a draw without a member."""
    with np.errstate(invalid="ignore"):
        return counts @ (values[:, None] * member) / (counts @ member)


def described(index: np.ndarray, member: np.ndarray, edges: list[float]) -> dict:
    """Edges of the bins of the true index, how many views are in each, and their mean index."""
    count = member.sum(0)
    mean = share(index, member, np.ones((1, len(index))))[0]
    edges = ("index_edge", np.asarray(edges, np.float64))
    return {
        "index_edges": edges,
        "index_count": ("index_bin", count.astype(int)),
        "index_mean": ("index_bin", mean),
    }


def curve(name: str, dim: str, values: np.ndarray, blocks: np.ndarray) -> dict:
    """Variables `name`, `name_lo` and `name_hi` from the draws (draws, dim) of a curve."""
    return {
        f"{name}{end}": (dim, row)
        for end, row in zip(("", "_lo", "_hi"), metrics.bracket(values, blocks), strict=True)
    }
