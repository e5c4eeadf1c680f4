"""What a network's bottleneck knows: its features a tile, against physical quantities that nobody
told it to encode.

A quantity is read off the features by ridge regression, scored on blocks of sky that the regression
has not seen (R2: 1 is perfect, 0 is no better than the mean). Beside it stands the same regression
from the tile's mean ln(dust) and ln(N(HI)) alone: what the features add to that is what the network
has found in the maps' structure.
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
from skyloom.patchset import PatchSet

BATCH = 64
PENALTIES = np.logspace(-2, 4, 13)
BLOCK_NSIDE = 8  # neighbouring tiles overlap: the regression's folds are of 7.3-degree blocks
FOLDS = 5
QUANTITIES = {"dust": "ln dust", "hi": "ln N(HI)", "co": "asinh W(CO)", "glat": "abs(b)"}


@torch.no_grad()
def bottleneck_features(trained: dict, split: Split) -> np.ndarray:
    """The mean over positions of the bottleneck's channels, (example, channel), as `predict` sees
    the tile.

    Where it looks from several sides the features are the mean over these too: no direction in
    them. Raises BadInput where the model is no network with a bottleneck.
    """
    if trained["kind"] != "network":
        raise BadInput(f"latent: {trained['model']} is a baseline; expected a network")
    network, task = checkpoint.network(trained)
    if not hasattr(network, "bottleneck"):
        raise BadInput(
            f"latent: the module {trained['module']} has no bottleneck; expected another model"
        )
    device = next(task.parameters()).device
    calls, features = [], []
    hook = network.bottleneck(task).register_forward_hook(
        lambda module, seen, out: calls.append(out.mean((2, 3)))
    )
    for rows in np.array_split(np.arange(len(split)), -(-len(split) // BATCH)):
        network.predict(task, {name: values.to(device) for name, values in split[rows].items()})
        features.append(torch.stack(calls).mean(0))
        calls.clear()
    hook.remove()
    return torch.cat(features).double().cpu().numpy()


def physical_quantities(patches: PatchSet, rows: np.ndarray) -> pd.DataFrame:
    """Of each example: logarithms of the means of dust and N(HI), asinh of mean W over its noise,
    abs(b), complex.
    """

    def mean(name: str) -> np.ndarray:
        return np.nanmean(patches.array(name)[rows], (1, 2)).astype(np.float64)

    return pd.DataFrame(
        {
            "dust": np.log(np.maximum(mean("dust"), 1e-3)),
            "hi": np.log(np.maximum(mean("hi"), 1e-3)),
            "co": np.arcsinh(mean("target") / mean("error")),
            "glat": np.abs(patches.coords["glat"][rows]),
        }
    )


def read_off(
    features: np.ndarray, quantities: pd.DataFrame, glon: np.ndarray, glat: np.ndarray
) -> pd.DataFrame:
    """R2 of each quantity from the features, and from the mean maps alone, on held-out blocks of
    sky.
    """
    blocks = healpy.ang2pix(BLOCK_NSIDE, glon, glat, lonlat=True)
    folds = GroupKFold(min(FOLDS, len(np.unique(blocks))))
    rows = []
    for name, label in QUANTITIES.items():
        truth = quantities[name].to_numpy()
        inputs = {
            "features": features,
            "means": quantities[[n for n in ("dust", "hi") if n != name]].to_numpy(),
        }
        scores = {}
        for of, x in inputs.items():
            ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
            predicted = cross_val_predict(ridge, x, truth, groups=blocks, cv=folds)
            scores[f"r2_{of}"] = 1 - np.sum((truth - predicted) ** 2) / np.sum(
                (truth - truth.mean()) ** 2
            )
        rows.append(
            {"quantity": label, **scores, "n": len(truth), "blocks": len(np.unique(blocks))}
        )
    return pd.DataFrame(rows)
