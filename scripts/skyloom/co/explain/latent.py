"""Physical quantities in the bottleneck of a network, by regression on its features of a tile.

A quantity is predicted from the features by ridge regression, and scored on other blocks of sky
(R2: 1 is perfect, 0 is the mean). The reference is the same regression on mean ln(dust) and
ln(N(HI)) of the tile: the gain over it comes from the structure of the maps.
"""

import healpy
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skyloom import checkpoint
from skyloom.cli import BadInput
from skyloom.co.data.examples import Split
from skyloom.networks.devices import to_device
from skyloom.patchset import PatchSet

BATCH = 64
PENALTIES = np.logspace(-2, 4, 13)
BLOCK_NSIDE = 8  # folds are of 7.3-degree blocks, since neighbouring tiles overlap
FOLDS = 5
QUANTITIES = {"dust": "ln dust", "hi": "ln N(HI)", "co": "asinh W(CO)", "glat": "abs(b)"}


@torch.no_grad()
def bottleneck_features(trained: dict, split: Split) -> np.ndarray:
    """Means over positions of the channels of the bottleneck within `predict`, (example, channel).

    They are also means over the symmetries that `predict` uses, and so have no direction. Raises
    BadInput for a model that is no network with a bottleneck.
    """
    if trained["kind"] != "network":
        raise BadInput(f"latent: {trained['model']} is a baseline; expected a network")
    network, task = checkpoint.network(trained)
    if not hasattr(network, "bottleneck"):
        raise BadInput(
            f"latent: the module {trained['module']} has no bottleneck; expected another model"
        )
    device = next(task.parameters()).device
    outputs, features = [], []
    hook = network.bottleneck(task).register_forward_hook(
        lambda module, inputs, output: outputs.append(output.mean((2, 3)))
    )
    for rows in np.array_split(np.arange(len(split)), -(-len(split) // BATCH)):
        batch = {name: to_device(values, device) for name, values in split[rows].items()}
        network.predict(task, batch)
        features.append(torch.stack(outputs).mean(0))
        outputs.clear()
    hook.remove()
    return torch.cat(features).double().cpu().numpy()


def physical_quantities(patches: PatchSet, rows: np.ndarray) -> pd.DataFrame:
    """`QUANTITIES` of each example: ln of mean dust and N(HI), asinh of mean W over its noise."""

    def mean(name: str) -> np.ndarray:
        return np.nanmean(patches.array(name)[rows], (1, 2)).astype(np.float64)

    quantities = {
        "dust": np.log(np.maximum(mean("dust"), 1e-3)),
        "hi": np.log(np.maximum(mean("hi"), 1e-3)),
        "co": np.arcsinh(mean("target") / mean("error")),
        "glat": np.abs(patches.coords["glat"][rows]),
    }
    return pd.DataFrame(quantities)


def regress(
    features: np.ndarray, quantities: pd.DataFrame, glon: np.ndarray, glat: np.ndarray
) -> pd.DataFrame:
    """R2 of each quantity from the features, and from the mean maps, on held-out blocks of sky."""
    blocks = healpy.ang2pix(BLOCK_NSIDE, glon, glat, lonlat=True)
    folds = GroupKFold(min(FOLDS, len(np.unique(blocks))))
    rows = []
    for name, label in QUANTITIES.items():
        truth = quantities[name].to_numpy()
        means = quantities[[n for n in ("dust", "hi") if n != name]].to_numpy()
        row = {"quantity": label}
        for kind, x in (("features", features), ("means", means)):
            ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
            predicted = cross_val_predict(ridge, x, truth, groups=blocks, cv=folds)
            error, scatter = truth - predicted, truth - truth.mean()
            row[f"r2_{kind}"] = 1 - np.sum(error**2) / np.sum(scatter**2)
        rows.append(row | {"n": len(truth), "blocks": len(np.unique(blocks))})
    return pd.DataFrame(rows)
