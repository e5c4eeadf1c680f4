"""What a careful person would do without a network: a few statistics of each image, and a learner
from a textbook.

| `module` | statistics of an image | keys | |---|---|---| | `deviation` | ln of its standard
deviation: on standardised images this knows nothing | | | `slope` | exponent of its power spectrum
| `low`, `high` [cycles an image] | | `power` | log power in rings of unit width | `low`, `high` | |
`moments` | skewness and excess kurtosis of its pixels | | | `gradients` | histograms of oriented
gradients by place, not normalised | `cells`, `orientations`, `symmetries` | | `structure` |
structure functions of differences of order one to four | | | `scattering` | wavelet scattering,
orders one and two | `scales`, `angles`, `symmetries` | | `joined` | those of `structure`,
`scattering` and `power` together: what `hybrid` is told | theirs | | `hog` | histograms of oriented
gradients by place, normalised | `pixels` or `cells`, `orientations`, `symmetries` | | `pooled_hog`
| the same without a place | `pixels` or `cells`, `orientations` |

With `symmetries`, statistics that know a direction are averaged over the eight symmetries of the
square. Networks see all eight in training and in prediction, and a baseline that is refused them is
beaten by that alone.

| `learner` | `learns` | hyper-parameters, each a list in the entry | |---|---|---| | `logistic` |
`class` | `C` | | `lda` | `class` | (Ledoit-Wolf shrinkage) | | `svm` | `class` | `C`, `gamma`;
Gaussian kernel | | `ridge` | `index` | `alpha` | | `svr` | `index` | `C`, `gamma`, `epsilon`;
Gaussian kernel |

All are fitted to the training split. Validation chooses hyper-parameters, turns scores into
probabilities (Platt 1999), sets the threshold of `balanced` and the width of `spread`; nothing sees
the test split.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import skops.io
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
from skyloom.scores.forecasts import NOMINAL
from skyloom.scores.thresholds import best_threshold
from skyloom.turbulence import statistics

CHUNK = 256  # images whose statistics are computed at once
TRUSTED = ["sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration"]
SURE = 1e-6  # from 0 and from 1: the closest that a probability comes
DECIMALS = 6  # of ln(deviation): what stands behind them is the rounding of float32


def fit(entry: dict, examples, seed: int) -> dict:
    """The fitted state, tensors and plain Python, of the baseline `entry["module"]` with
    `entry["learner"]`.

    Parameters ----------
    entry : `module`, `learner`, `learns`, and their keys from the tables above; every
        hyper-parameter is a list, of
        which the value with the least loss on validation (cross entropy, or squared error) is taken
    examples : of `skyloom.turbulence.data.examples`
    seed : unused: nothing here is drawn

    Returns ------- the learner as `skops`, its hyper-parameters `chosen`, the `threshold` [logit]
    of `balanced` or the `spread`

    Raises ------
    BadInput : an unknown module, a learner that does not learn this, a key that does not fit the
        images, training or
        validation with one class only
    """
    check(entry)
    learn = LEARNERS[entry["learner"]]
    kept = {
        key: entry[key]
        for key in (*MODULES[entry["module"]].keys, "module", "learns")
        if key in entry
    }
    columns, truth = table(kept, examples.train)
    seen, known = table(kept, examples.valid)
    best, chosen, loss = None, {}, np.inf
    for settings in ParameterGrid({name: entry[name] for name in learn.grid}):
        model = make_pipeline(StandardScaler(), learn.make(columns.shape[1], **settings)).fit(
            columns, truth
        )
        if entry["learns"] == "class":
            model = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid").fit(
                seen, known
            )
            found = log_loss(known, model.predict_proba(seen))
        else:
            found = mean_squared_error(known, model.predict(seen))
        if found < loss:
            best, chosen, loss = model, settings, found
    if best is None:
        raise BadInput(
            f"baseline {entry['module']}: the loss on validation is not finite for any "
            "hyper-parameter"
        )
    state = kept | {"chosen": chosen}
    state["skops"] = torch.frombuffer(bytearray(skops.io.dumps(best)), dtype=torch.uint8)
    if entry["learns"] == "class":
        return state | {"threshold": best_threshold(_logits(best, seen), known > 0.5)}
    return state | {"spread": float(np.quantile(np.abs(best.predict(seen) - known), NOMINAL))}


def predict(state: dict, batch: dict[str, Tensor], meta: dict) -> dict[str, Tensor]:
    """What networks predict too, (n, 1) each.

    class : `prediction`, the probability of the steeper index, and `balanced`, the same moved so
        that 0.5 is the
        threshold of the best balanced accuracy on validation; index : `prediction` and its 1-sigma
            `spread`, one number
    """
    model = skops.io.loads(state["skops"].numpy().tobytes(), trusted=TRUSTED)
    columns = compute(state, batch)
    if state["learns"] == "class":
        scores = _logits(model, columns)
        found = {"prediction": expit(scores), "balanced": expit(scores - state["threshold"])}
    else:
        values = model.predict(columns)
        found = {"prediction": values, "spread": np.full(len(values), state["spread"])}
    return {
        name: torch.from_numpy(values.astype(np.float32))[:, None] for name, values in found.items()
    }


def check(entry: dict) -> None:
    """Refuse an entry of which no baseline can be made."""
    if entry["module"] not in MODULES:
        raise BadInput(
            f"baseline module {entry['module']!r} is unknown; expected one of {', '.join(MODULES)}"
        )
    able = [name for name, learner in LEARNERS.items() if learner.learns == entry["learns"]]
    if entry["learner"] not in able:
        raise BadInput(
            f"baseline {entry['module']}: learner {entry['learner']!r} does not learn "
            f"{entry['learns']!r};"
            f" expected one of {', '.join(able)}"
        )


def table(entry: dict, split) -> tuple[np.ndarray, np.ndarray]:
    """Statistics (n, feature) and truth (n,), label or index, of one split of the examples."""
    batches = [
        split[rows] for rows in np.array_split(np.arange(len(split)), -(-len(split) // CHUNK))
    ]
    columns = np.concatenate([compute(entry, batch) for batch in batches])
    name = "label" if entry["learns"] == "class" else "index"
    truth = np.concatenate([batch[name].numpy() for batch in batches]).astype(np.float64)
    if name == "label" and len(np.unique(truth)) < 2:
        raise BadInput(
            f"baseline {entry['module']}: {len(truth)} examples of one class found, expected "
            "two classes"
        )
    return columns, truth


def compute(entry: dict, batch: dict[str, Tensor]) -> np.ndarray:
    """The statistics of a batch of images, (n, feature) float64."""
    return _averaged(batch["input"][:, 0].cpu().numpy().astype(np.float64), entry)


def _averaged(images: np.ndarray, entry: dict) -> np.ndarray:
    """The statistics of images, over the symmetries of the square where they know a direction and
    are asked for it.
    """
    module = MODULES[entry["module"]]
    if not module.turns or not entry.get("symmetries"):
        return np.asarray(module.compute(images, entry), np.float64)
    turned = [
        np.rot90(side, quarter, (1, 2))
        for side in (images, images.swapaxes(1, 2))
        for quarter in range(module.turns)
    ]
    return np.mean(
        [module.compute(np.ascontiguousarray(each), entry) for each in turned],
        axis=0,
        dtype=np.float64,
    )


def _logits(model: CalibratedClassifierCV, columns: np.ndarray) -> np.ndarray:
    return logit(np.clip(model.predict_proba(columns)[:, 1], SURE, 1 - SURE))


# --- statistics
# --------------------------------------------------------------------------------------------------


def _deviation(images: np.ndarray, entry: dict) -> np.ndarray:
    return np.log(images.std((1, 2)) + statistics.HEIGHT).round(DECIMALS)[:, None]


def _rings(images: np.ndarray, entry: dict) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers and log power from ring `low` to ring `high`, to the last where that is null."""
    k, power = statistics.power_spectrum(images, periodic=False)
    band = (k >= entry["low"]) & (k <= (entry["high"] or k[-1]))
    if band.sum() < 2:
        raise BadInput(
            f"baseline {entry['module']}: low {entry['low']} and high {entry['high']} leave "
            f"{band.sum()} rings of the"
            f" {k[-1]} of {images.shape[-1]} pixels; expected two at least"
        )
    return k[band], power[:, band]


def _slope(images: np.ndarray, entry: dict) -> np.ndarray:
    k, power = _rings(images, entry)
    return statistics.slope(k, power, k[0], k[-1])


def _power(images: np.ndarray, entry: dict) -> np.ndarray:
    return _rings(images, entry)[1]


def _moments(images: np.ndarray, entry: dict) -> np.ndarray:
    pixels = images.reshape(len(images), -1)
    return np.nan_to_num(
        np.stack([skew(pixels, axis=1), kurtosis(pixels, axis=1)], 1)
    )  # NaN: a flat image


def _gradients(images: np.ndarray, entry: dict) -> np.ndarray:
    images, _ = _divided(images, entry)
    return statistics.gradient_histograms(images, entry["cells"], entry["orientations"])


def _structure(images: np.ndarray, entry: dict) -> np.ndarray:
    return statistics.structure_functions(torch.from_numpy(images)).numpy()


def _scattering(images: np.ndarray, entry: dict) -> np.ndarray:
    return statistics.scattering(images, entry["scales"], entry["angles"])


def _joined(images: np.ndarray, entry: dict) -> np.ndarray:
    parts = [
        _averaged(images, entry | {"module": name}) for name in ("structure", "scattering", "power")
    ]
    return np.concatenate(parts, 1)


def _hog(images: np.ndarray, entry: dict) -> np.ndarray:
    return statistics.hog_features(*_divided(images, entry), entry["orientations"])


def _pooled_hog(images: np.ndarray, entry: dict) -> np.ndarray:
    return statistics.pooled_hog(*_divided(images, entry), entry["orientations"])


def _divided(images: np.ndarray, entry: dict) -> tuple[np.ndarray, int]:
    """The middle of the images that whole cells cover, and the pixels along a cell.

    "12 cells" can mean cells of 12 pixels, as many as fit (`pixels: 12`), or 12 by 12 cells an
    image (`cells: 12`).
    """
    n, pixels, cells = images.shape[-1], entry.get("pixels"), entry.get("cells")
    if (pixels is None) == (cells is None):
        raise BadInput(
            f"baseline {entry['module']}: pixels {pixels} and cells {cells}; expected one "
            "of the two"
        )
    if not 1 <= (pixels or cells) <= n:
        name = "cells" if pixels is None else "pixels"
        raise BadInput(
            f"baseline {entry['module']}: {name} is {pixels or cells}; expected 1 to the images' "
            f"{n} pixels"
        )
    pixels = pixels or n // cells
    cells = cells or n // pixels
    first = (n - cells * pixels) // 2
    inner = slice(first, first + cells * pixels)
    return images[:, inner, inner], pixels


class Module(NamedTuple):
    """Statistics, the entry's keys that they read, and how many quarter turns of an image they tell
    apart, 0: none.
    """

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
# --------------------------------------------------------------------------------------------------


def _svm(features: int, C: float, gamma: float) -> SVC:
    return SVC(C=C, gamma=gamma / features)


def _svr(features: int, C: float, gamma: float, epsilon: float) -> SVR:
    return SVR(C=C, gamma=gamma / features, epsilon=epsilon)


class Learner(NamedTuple):
    """A learner for standardised features, and the entry's keys that are its hyper-parameters.

    `gamma` is told in units of 1 / features, so that one grid serves any number of them.
    """

    learns: str
    make: Callable
    grid: tuple[str, ...] = ()


LEARNERS = {
    "logistic": Learner(
        "class", lambda features, C: LogisticRegression(C=C, max_iter=1000), ("C",)
    ),
    "lda": Learner(
        "class", lambda features: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    ),
    "svm": Learner("class", _svm, ("C", "gamma")),
    "ridge": Learner("index", lambda features, alpha: Ridge(alpha=alpha), ("alpha",)),
    "svr": Learner("index", _svr, ("C", "gamma", "epsilon")),
}
