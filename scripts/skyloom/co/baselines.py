"""CO from dust and HI without a network, pixel by pixel, as a careful person would do it.

| module | W(CO) is | follows |
|---|---|---|
| `constant` | a factor times the dust | one number |
| `isotonic` | a rising function of the dust | the best of any map of dust alone |
| `excess` | the dust that HI does not explain, above a threshold | Planck 2011 XIX, `co.physics` |
| `boosted` | boosted trees on dust, HI, smoothings, gradients, abs(b) | as LightGBM (Ke+ 2017) |

All are fitted to the training split, weighted by 1 / error**2 and the capped sampling weight. So
they minimise the squared error in units of the noise, which is a score of the test.
"""

import numpy as np
import torch
from astropy.stats import gaussian_fwhm_to_sigma
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.co import physics
from skyloom.co.data.examples import Examples, draw_pixels
from skyloom.estimators import packed, unpacked

SMOOTHINGS_ARCMIN = (5.0, 15.0, 45.0)  # FWHM of the smoothed inputs of the boosted trees
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


def fit(entry: dict, examples: Examples, seed: int) -> dict:
    """The fitted state, tensors and plain Python, of the baseline `entry["module"]`.

    entry : `module`; `pixels`, largest number of training pixels, drawn by `seed`; for `boosted`
        also `trees`, `leaves` and `learning_rate`

    Raises BadInput for an unknown module, or a training split without a valid pixel.
    """
    if entry["module"] not in BASELINES:
        names = ", ".join(BASELINES)
        raise BadInput(f"baseline module {entry['module']!r} is unknown; expected one of {names}")
    fit_one, _ = BASELINES[entry["module"]]
    return {"module": entry["module"], **fit_one(entry, examples, seed)}


def predict(state: dict, batch: dict[str, Tensor], meta: dict) -> dict[str, Tensor]:
    """`prediction`, (n, 1, y, x) [K km/s]."""
    _, predict_one = BASELINES[state["module"]]
    batch = {name: values.cpu().numpy() for name, values in batch.items()}
    values = predict_one(state, batch, meta)
    return {"prediction": torch.from_numpy(np.ascontiguousarray(values, np.float32))}


# --- one number


def fit_constant(entry: dict, examples: Examples, seed: int) -> dict:
    pixels = draw_pixels(examples, entry["pixels"], seed)
    dust, co, weight = pixels["dust"], pixels["target_physical"], pixels["loss_weight"]
    return {"factor": float((weight * dust * co).sum() / (weight * dust**2).sum())}


def predict_constant(state: dict, batch: dict[str, np.ndarray], meta: dict) -> np.ndarray:
    return state["factor"] * batch["dust"]


# --- a rising function of the dust


def fit_isotonic(entry: dict, examples: Examples, seed: int) -> dict:
    pixels = draw_pixels(examples, entry["pixels"], seed)
    rising = IsotonicRegression(out_of_bounds="clip")
    rising.fit(pixels["dust"], pixels["target_physical"], pixels["loss_weight"])
    knots = {"dust": rising.X_thresholds_, "co": rising.y_thresholds_}
    return {name: torch.from_numpy(np.float32(values)) for name, values in knots.items()}


def predict_isotonic(state: dict, batch: dict[str, np.ndarray], meta: dict) -> np.ndarray:
    """Linear between the knots, constant beyond the last."""
    return np.interp(batch["dust"], state["dust"].numpy(), state["co"].numpy())


# --- dust excess


def fit_excess(entry: dict, examples: Examples, seed: int) -> dict:
    pixels = draw_pixels(examples, entry["pixels"], seed)
    return physics.fit_excess(pixels, str(examples.train.patches.path))


def predict_excess(state: dict, batch: dict[str, np.ndarray], meta: dict) -> np.ndarray:
    return physics.excess_co(batch["dust"], batch["hi"], *(state[name] for name in physics.EXCESS))


# --- boosted trees


def fit_boosted(entry: dict, examples: Examples, seed: int) -> dict:
    pixels = draw_pixels(examples, entry["pixels"], seed, features)
    trees = HistGradientBoostingRegressor(
        max_iter=entry["trees"],
        max_leaf_nodes=entry["leaves"],
        learning_rate=entry["learning_rate"],
        early_stopping=False,
        random_state=seed % 2**32,
    )
    trees.fit(pixels["features"], pixels["target_physical"], pixels["loss_weight"])
    return {"skops": packed(trees)}


def predict_boosted(state: dict, batch: dict[str, np.ndarray], meta: dict) -> np.ndarray:
    trees = unpacked(state["skops"], TRUSTED)
    columns = features(batch, meta)
    return trees.predict(columns.reshape(-1, columns.shape[-1])).reshape(batch["dust"].shape)


def features(batch: dict[str, np.ndarray], meta: dict) -> np.ndarray:
    """Map, smoothings and gradient of dust and of HI, and abs(b), of each pixel: (n, 1, y, x, 11).

    Masked pixels have no weight in the smoothings; abs(b) is of the centre of the tile [deg].
    """
    valid = batch["valid"]
    columns = []
    for name in ("dust", "hi"):
        columns.append(batch[name])
        for fwhm in SMOOTHINGS_ARCMIN:
            sigma = (0, 0, *(fwhm / meta["pixel_arcmin"] * gaussian_fwhm_to_sigma,) * 2)
            share = gaussian_filter(valid, sigma, mode="nearest")
            smooth = gaussian_filter(batch[name] * valid, sigma, mode="nearest")
            columns.append(smooth / np.maximum(share, 1e-3))
        columns.append(np.hypot(*np.gradient(batch[name], axis=(-2, -1))))
    columns.append(np.broadcast_to(np.abs(batch["glat"])[:, None, None, None], valid.shape))
    return np.stack(columns, -1)


BASELINES = {
    "constant": (fit_constant, predict_constant),
    "isotonic": (fit_isotonic, predict_isotonic),
    "excess": (fit_excess, predict_excess),
    "boosted": (fit_boosted, predict_boosted),
}
