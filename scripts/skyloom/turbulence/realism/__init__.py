"""Do the images of two sets look alike: simulations beside real clouds, or beside simulations of
another scheme?

| room | what | |---|---| | `two_sample` | whether a classifier of the study's features tells the
two apart | | `panel` | whether a person does | | `figure` | how they differ |

The autoencoder's anomaly score is of `models.autoencoder`; `ranking.auc` compares it.
"""

import numpy as np
import xarray as xr

from skyloom.cli import BadInput

SEEDED = (
    "simulated",
    "early",
    "mixed",
)  # sources whose seeds stand for velocity fields, the same in every set


def blocks(first: xr.Dataset, second: xr.Dataset) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels of the blocks that the images of two sets are from, equal where they show the same
    velocity field, and what a block is in each: a seed is a simulation or a map.

    A set of maps from one file has its cut-outs for blocks, which share the sky that they are from:
    its intervals are then those of one cloud.
    """
    labels, kinds = [], []
    for place, data in enumerate((first, second)):
        sky, of = data.attrs["source"] == "maps", "seed"
        if sky and len(np.unique(data["seed"])) == 1:
            of = "simulation"
        rows = zip(data["family"].values, data[of].values, strict=True)
        seeded = data.attrs["source"] in SEEDED
        labels.append(
            np.array([f"field {b}" if seeded else f"set {place} family {f} {b}" for f, b in rows])
        )
        kinds.append(("map" if of == "seed" else "cut-out") if sky else "simulation")
    return *labels, kinds


def check(first: xr.Dataset, second: xr.Dataset, names: tuple[str, str]) -> None:
    """Refuse sets that cannot be compared: other pixels, not standardised, whole periodic maps
    beside others.
    """
    for name, data in zip(names, (first, second), strict=True):
        if data.attrs["variant"] != "standardised":
            raise BadInput(
                f"set {name}: variant is {data.attrs['variant']}; expected standardised: rms is "
                "told apart"
            )
    sides = [data.sizes["x"] for data in (first, second)]
    if len(set(sides)) > 1:
        raise BadInput(
            f"sets {' and '.join(names)}: images of {sides[0]} and {sides[1]} pixels; expected "
            "one size"
        )
    periodic = [
        data.attrs["parts"] == 1 and data.attrs.get("source") != "maps" for data in (first, second)
    ]
    if len(set(periodic)) > 1:
        raise BadInput(
            f"sets {' and '.join(names)}: only one has whole periodic maps (parts 1), known by "
            "their edges"
        )
