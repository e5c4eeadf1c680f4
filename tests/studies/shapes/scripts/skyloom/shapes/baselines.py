"""The class of a pixel without a network: matched filters, and a logistic regression on them."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from skyloom import cli, estimators
from skyloom.examples import Batch, Examples, read
from skyloom.shapes.data.images import RADIUS, pixels_of

ANGLES = 4  # of the filters of a bar
SIDE = 2 * int(RADIUS[1]) + 1  # of a filter [pixel]


def fit(entry: dict, examples: Examples, seed: int) -> dict:
    """The regression on the pixels of the first `images` of the stream."""
    batch = read(examples.train, 0, np.arange(entry["images"]))
    values, labels = features(batch["input"]), batch["label"].flatten()
    names, found = examples.meta["classes"], len(labels.unique())
    if found < len(names):
        raise cli.BadInput(
            f"config: images: {entry['images']} images have pixels of {found} class(es); expected "
            f"all of {', '.join(names)}"
        )
    model = LogisticRegression(max_iter=1000).fit(values, labels)
    return {"regression": estimators.packed(model)}


def predict(state: dict, batch: Batch, meta: dict) -> dict[str, Tensor]:
    """`prediction` (n, class, y, x), the probabilities."""
    model = estimators.unpacked(state["regression"], trusted=[])
    probability = torch.from_numpy(model.predict_proba(features(batch["input"])))
    n, _, height, width = batch["input"].shape
    return {"prediction": probability.reshape(n, height, width, -1).movedim(-1, 1)}


def features(images: Tensor) -> Tensor:
    """Of each pixel its value, each filter's response, and the best of it within a radius.

    images : (n, 1, y, x). Returns (n * y * x, feature).
    """
    response = conv2d(images, filters(), padding="same")
    near = max_pool2d(response, SIDE, stride=1, padding=SIDE // 2)
    return torch.cat([images, response, near], 1).movedim(1, -1).flatten(0, -2)


def filters() -> Tensor:
    """Templates of the objects (filter, 1, y, x), of mean zero and unit norm."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    angles = np.arange(ANGLES) * np.pi / ANGLES
    kinds = [(1, 0.0), (2, 0.0), *((3, angle) for angle in angles)]
    bank = np.stack([pixels_of(kind, y, x, np.mean(RADIUS), angle) for kind, angle in kinds])
    bank = bank - bank.mean((1, 2), keepdims=True)
    bank /= np.linalg.norm(bank, axis=(1, 2), keepdims=True)
    return torch.from_numpy(bank[:, None].astype(np.float32))
