"""Comparison of the images of two sets: of simulations with real clouds, or of two schemes.

| module | question |
|---|---|
| `two_sample` | does a classifier of the study's features distinguish the two sets? |
| `panel` | does a person distinguish them? |

The anomaly score of the autoencoder is that of `models.autoencoder`; `ranking.auc` compares it.
"""

import numpy as np
import xarray as xr

from skyloom.cli import BadInput

# sources whose seeds identify velocity fields, the same in every set
SEEDED = ("simulated", "early", "mixed")


def blocks(first: xr.Dataset, second: xr.Dataset) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels (n,) of the blocks of the images of two sets, and the kind of block of each set.

    Images of the same velocity field have the same label. A block is a simulation or a map. The
    blocks of a set of maps from one file are its cut-outs. They share one sky, so that the
    intervals are those of one cloud.
    """
    labels, kinds = [], []
    for number, data in enumerate((first, second)):
        sky, key = data.attrs["source"] == "maps", "seed"
        if sky and len(np.unique(data["seed"])) == 1:
            key = "simulation"
        rows = zip(data["family"].values, data[key].values, strict=True)
        seeded = data.attrs["source"] in SEEDED
        labels.append(
            np.array([f"field {b}" if seeded else f"set {number} family {f} {b}" for f, b in rows])
        )
        kinds.append(("map" if key == "seed" else "cut-out") if sky else "simulation")
    return *labels, kinds


def check(first: xr.Dataset, second: xr.Dataset, names: tuple[str, str]) -> None:
    """Refuse sets that cannot be compared.

    These are sets of different pixels, raw images, and whole periodic maps against others.
    """
    for name, data in zip(names, (first, second), strict=True):
        if data.attrs["variant"] != "standardised":
            raise BadInput(
                f"set {name}: variant is {data.attrs['variant']}; expected standardised, since "
                "the rms of raw images separates the sets"
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
            f"sets {' and '.join(names)}: only one has whole periodic maps (parts 1); expected "
            "both or neither, since their edges separate the sets"
        )
