"""The turbulence index without a network: statistics of each image, and a textbook learner.

| `module` | statistics of an image | keys |
|---|---|---|
| `deviation` | ln of its standard deviation: constant on standardised images | |
| `slope` | exponent of its power spectrum | `low`, `high` [cycles an image] |
| `power` | log power in rings of unit width | `low`, `high` |
| `moments` | skewness and excess kurtosis of its pixels | |
| `gradients` | HOG by place, not normalised | `cells`, `orientations`, `symmetries` |
| `structure` | structure functions of differences of order one to four | |
| `scattering` | wavelet scattering, orders one and two | `scales`, `angles`, `symmetries` |
| `joined` | `structure`, `scattering` and `power` together, as in `hybrid` | those of the three |
| `hog` | HOG by place | `pixels` or `cells`, `orientations`, `symmetries` |
| `pooled_hog` | HOG without a place | `pixels` or `cells`, `orientations` |

HOG is histograms of oriented gradients (Dalal & Triggs 2005).

With `symmetries`, statistics that depend on direction are averaged over the eight symmetries of the
square. Networks use all eight in training and in prediction; a baseline without them loses by that
alone.

| `learner` | `learns` | hyper-parameters, each a list in the entry |
|---|---|---|
| `logistic` | `class` | `C` |
| `lda` | `class` | (Ledoit-Wolf shrinkage) |
| `svm` | `class` | `C`, `gamma`; Gaussian kernel |
| `ridge` | `index` | `alpha` |
| `svr` | `index` | `C`, `gamma`, `epsilon`; Gaussian kernel |

All are fitted to the training split. Validation chooses hyper-parameters, turns scores into
probabilities (Platt 1999), and sets the threshold of `balanced` and the width of `spread`. The test
split is not used.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit, logit
from scipy.stats import kurtosis, skew
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.estimators import packed, unpacked
from skyloom.scores.forecasts import NOMINAL
from skyloom.scores.thresholds import best_threshold
from skyloom.turbulence import image_statistics

CHUNK = 256  # images whose statistics are computed at once
TRUSTED = ["sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration"]
LEAST_PROBABILITY = 1e-6  # of either class, so that logits are finite
DECIMALS = 6  # of ln(deviation); further ones are the rounding of float32


def fit(entry: dict, examples, seed: int) -> dict:
    """The fitted state, tensors and plain Python, of a module and a learner.

    entry : `module`, `learner`, `learns`, and their keys from the tables above; the value of a
        hyper-parameter with the least loss on validation (cross entropy, or squared error) is used
    examples : of `skyloom.turbulence.data.examples`
    seed : unused, as nothing is drawn

    Returns the learner as `skops`, its hyper-parameters `chosen`, and the `threshold` [logit] of
    `balanced` or the `spread`. Raises BadInput for an unknown module, a learner of something else,
    a key that does not fit the images, and for training or validation with one class only.
    """
    check(entry)
    keys = *MODULES[entry["module"]].keys, "module", "learns"
    settings = {key: entry[key] for key in keys if key in entry}
    columns, truth = table(settings, examples.train)
    valid_columns, valid_truth = table(settings, examples.valid)
    learner = LEARNERS[entry["learner"]]
    best, chosen, least = None, {}, np.inf
    for values in ParameterGrid({name: entry[name] for name in learner.grid}):
        model = make_pipeline(StandardScaler(), learner.make(columns.shape[1], **values))
        model.fit(columns, truth)
        if entry["learns"] == "class":
            model = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid")
            model.fit(valid_columns, valid_truth)
            loss = log_loss(valid_truth, model.predict_proba(valid_columns))
        else:
            loss = mean_squared_error(valid_truth, model.predict(valid_columns))
        if loss < least:
            best, chosen, least = model, values, loss
    if best is None:
        message = "the loss on validation is not finite for any hyper-parameter"
        raise BadInput(f"baseline {entry['module']}: {message}")
    state = settings | {"chosen": chosen, "skops": packed(best)}
    if entry["learns"] == "class":
        logits = _logits(best, valid_columns)
        return state | {"threshold": best_threshold(logits, valid_truth > 0.5)}
    errors = np.abs(best.predict(valid_columns) - valid_truth)
    return state | {"spread": float(np.quantile(errors, NOMINAL))}


def predict(state: dict, batch: dict[str, Tensor], meta: dict) -> dict[str, Tensor]:
    """The predictions of a network, (n, 1) each.

    class : `prediction`, the probability of the steeper index, and `balanced`, moved so that 0.5 is
        the threshold of the best balanced accuracy on validation
    index : `prediction` and `spread`, its 1-sigma, one number
    """
    model = unpacked(state["skops"], TRUSTED)
    columns = compute(state, batch)
    if state["learns"] == "class":
        logits = _logits(model, columns)
        predicted = {"prediction": expit(logits), "balanced": expit(logits - state["threshold"])}
    else:
        values = model.predict(columns)
        predicted = {"prediction": values, "spread": np.full(len(values), state["spread"])}
    return {
        name: torch.from_numpy(values.astype(np.float32))[:, None]
        for name, values in predicted.items()
    }


def check(entry: dict) -> None:
    """Refuse an entry that makes no baseline."""
    if entry["module"] not in MODULES:
        raise BadInput(
            f"baseline module {entry['module']!r} is unknown; expected one of {', '.join(MODULES)}"
        )
    names = [name for name, learner in LEARNERS.items() if learner.learns == entry["learns"]]
    if entry["learner"] not in names:
        message = f"learner {entry['learner']!r} does not learn {entry['learns']!r}"
        message += f"; expected one of {', '.join(names)}"
        raise BadInput(f"baseline {entry['module']}: {message}")


def table(entry: dict, split) -> tuple[np.ndarray, np.ndarray]:
    """Statistics (n, feature) and truth (n,), label or index, of one split of the examples."""
    chunks = np.array_split(np.arange(len(split)), -(-len(split) // CHUNK))
    batches = [split[rows] for rows in chunks]
    columns = np.concatenate([compute(entry, batch) for batch in batches])
    name = "label" if entry["learns"] == "class" else "index"
    truth = np.concatenate([batch[name].numpy() for batch in batches]).astype(np.float64)
    if name == "label" and len(np.unique(truth)) < 2:
        message = f"{len(truth)} examples of one class found, expected two classes"
        raise BadInput(f"baseline {entry['module']}: {message}")
    return columns, truth


def compute(entry: dict, batch: dict[str, Tensor]) -> np.ndarray:
    """The statistics of a batch of images, (n, feature) float64."""
    return _averaged(batch["input"][:, 0].cpu().numpy().astype(np.float64), entry)


def _averaged(images: np.ndarray, entry: dict) -> np.ndarray:
    """The statistics of images, with `symmetries` averaged over those of the square."""
    module = MODULES[entry["module"]]
    if not module.turns or not entry.get("symmetries"):
        return np.asarray(module.compute(images, entry), np.float64)
    views = [
        np.rot90(side, quarter, (1, 2))
        for side in (images, images.swapaxes(1, 2))
        for quarter in range(module.turns)
    ]
    statistics = [module.compute(np.ascontiguousarray(view), entry) for view in views]
    return np.mean(statistics, axis=0, dtype=np.float64)


def _logits(model: CalibratedClassifierCV, columns: np.ndarray) -> np.ndarray:
    probability = model.predict_proba(columns)[:, 1]
    return logit(np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))


# --- statistics


def _deviation(images: np.ndarray, entry: dict) -> np.ndarray:
    return np.log(images.std((1, 2)) + image_statistics.HEIGHT).round(DECIMALS)[:, None]


def _rings(images: np.ndarray, entry: dict) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers and log power from ring `low` to ring `high` (null: the last)."""
    k, power = image_statistics.power_spectrum(images, periodic=False)
    band = (k >= entry["low"]) & (k <= (entry["high"] or k[-1]))
    if band.sum() < 2:
        raise BadInput(
            f"baseline {entry['module']}: low {entry['low']} and high {entry['high']} leave"
            f" {band.sum()} rings of the {k[-1]} of {images.shape[-1]} pixels; expected two at"
            " least"
        )
    return k[band], power[:, band]


def _slope(images: np.ndarray, entry: dict) -> np.ndarray:
    k, power = _rings(images, entry)
    return image_statistics.slope(k, power, k[0], k[-1])


def _power(images: np.ndarray, entry: dict) -> np.ndarray:
    return _rings(images, entry)[1]


def _moments(images: np.ndarray, entry: dict) -> np.ndarray:
    pixels = images.reshape(len(images), -1)
    moments = np.stack([skew(pixels, axis=1), kurtosis(pixels, axis=1)], 1)
    return np.nan_to_num(moments)  # NaN: a flat image


def _gradients(images: np.ndarray, entry: dict) -> np.ndarray:
    images, _ = _divided(images, entry)
    return image_statistics.gradient_histograms(images, entry["cells"], entry["orientations"])


def _structure(images: np.ndarray, entry: dict) -> np.ndarray:
    return image_statistics.structure_functions(torch.from_numpy(images)).numpy()


def _scattering(images: np.ndarray, entry: dict) -> np.ndarray:
    return image_statistics.scattering(images, entry["scales"], entry["angles"])


def _joined(images: np.ndarray, entry: dict) -> np.ndarray:
    names = "structure", "scattering", "power"
    return np.concatenate([_averaged(images, entry | {"module": name}) for name in names], 1)


def _hog(images: np.ndarray, entry: dict) -> np.ndarray:
    return image_statistics.hog_features(*_divided(images, entry), entry["orientations"])


def _pooled_hog(images: np.ndarray, entry: dict) -> np.ndarray:
    return image_statistics.pooled_hog(*_divided(images, entry), entry["orientations"])


def _divided(images: np.ndarray, entry: dict) -> tuple[np.ndarray, int]:
    """The middle of the images that whole cells cover, and the pixels along a cell.

    `pixels: 12` are cells of 12 pixels, as many as fit; `cells: 12` are 12 by 12 cells an image.
    """
    n, pixels, cells = images.shape[-1], entry.get("pixels"), entry.get("cells")
    if (pixels is None) == (cells is None):
        message = f"pixels {pixels} and cells {cells}; expected one of the two"
        raise BadInput(f"baseline {entry['module']}: {message}")
    if not 1 <= (pixels or cells) <= n:
        name = "cells" if pixels is None else "pixels"
        message = f"{name} is {pixels or cells}; expected 1 to the images' {n} pixels"
        raise BadInput(f"baseline {entry['module']}: {message}")
    pixels = pixels or n // cells
    cells = cells or n // pixels
    first = (n - cells * pixels) // 2
    inner = slice(first, first + cells * pixels)
    return images[:, inner, inner], pixels


class Module(NamedTuple):
    """Statistics, their keys in the entry, and the number of quarter turns that change them."""

    compute: Callable[[np.ndarray, dict], np.ndarray]
    keys: tuple[str, ...] = ()
    turns: int = 0


MODULES = {
    "deviation": Module(_deviation),
    "slope": Module(_slope, ("low", "high")),
    "power": Module(_power, ("low", "high")),
    "moments": Module(_moments),
    "gradients": Module(_gradients, ("cells", "orientations", "symmetries"), turns=4),
    "structure": Module(_structure),
    "scattering": Module(_scattering, ("scales", "angles", "symmetries"), turns=2),
    "joined": Module(_joined, ("low", "high", "scales", "angles", "symmetries")),
    "hog": Module(_hog, ("pixels", "cells", "orientations", "symmetries"), turns=4),
    "pooled_hog": Module(_pooled_hog, ("pixels", "cells", "orientations")),
}


# --- learners


def _logistic(features: int, C: float) -> LogisticRegression:
    return LogisticRegression(C=C, max_iter=1000)


def _lda(features: int) -> LinearDiscriminantAnalysis:
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def _ridge(features: int, alpha: float) -> Ridge:
    return Ridge(alpha=alpha)


def _svm(features: int, C: float, gamma: float) -> SVC:
    return SVC(C=C, gamma=gamma / features)


def _svr(features: int, C: float, gamma: float, epsilon: float) -> SVR:
    return SVR(C=C, gamma=gamma / features, epsilon=epsilon)


class Learner(NamedTuple):
    """A learner for standardised features, and its hyper-parameters in the entry.

    `gamma` is in units of 1 / features, so that one grid serves any number of them.
    """

    learns: str
    make: Callable
    grid: tuple[str, ...] = ()


LEARNERS = {
    "logistic": Learner("class", _logistic, ("C",)),
    "lda": Learner("class", _lda),
    "svm": Learner("class", _svm, ("C", "gamma")),
    "ridge": Learner("index", _ridge, ("alpha",)),
    "svr": Learner("index", _svr, ("C", "gamma", "epsilon")),
}
