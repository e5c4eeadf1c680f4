"""Scores of predicted classes: intersection over union (IoU), log loss, reliability.

Each score is a ratio of sums over pixels. The bootstrap draws images, so that a draw is one product
with the sums of single images.
"""

import numpy as np
import xarray as xr

from skyloom.patchset import flag_names
from skyloom.scores.binned import curve
from skyloom.scores.bootstrap import multiplicities
from skyloom.scores.records import Evaluation, record

EDGES = np.linspace(0, 1, 11)  # of the bins of the predicted probability
LEAST = 1e-6  # probability of the true class; one pixel cannot decide a mean


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> Evaluation:
    """Scores of one model on the test images.

    patches : the test rows of patches.nc; predictions : `prediction` (example, class, y, x), the
        probabilities; settings : `draws`, `seed` of the bootstrap.
    Curves are `iou (class)`, and `reliability (bin)`, the share of pixels that are of a class where
    its probability, of mean `stated`, is in the bin.
    """
    sums, blocks = image_sums(patches, predictions), patches["block"].values
    drawn = bootstrap(sums, blocks, settings)
    curves = curve("iou", "class", ratio(drawn["both"], drawn["either"]), blocks)
    curves |= curve("reliability", "bin", ratio(drawn["true"], drawn["binned"]), blocks)
    curves["stated"] = "bin", ratio(drawn["stated"], drawn["binned"])[0]
    curves = xr.Dataset(curves, {"class": predictions["class"]})
    examples = xr.Dataset({"log_loss": ("example", sums["log_loss"] / sums["pixels"])})
    return Evaluation(records(drawn, patches), curves, examples)


def validation_rows(patches: xr.Dataset) -> np.ndarray:
    """The validation images that `validate` scores: all."""
    return np.arange(patches.sizes["example"])


def validate(patches: xr.Dataset, predictions: xr.Dataset, settings: dict) -> list[dict]:
    """The records of `evaluate` on validation, by which the network of a set is chosen."""
    sums = image_sums(patches, predictions)
    return records(bootstrap(sums, patches["block"].values, settings), patches, split="valid")


def records(drawn: dict, patches: xr.Dataset, split: str = "test") -> list[dict]:
    """`iou` of each class (a subset) and their mean (subset `all`), and `log_loss`."""
    blocks = patches["block"].values
    iou = ratio(drawn["both"], drawn["either"])
    subsets = {"all": iou.mean(1)} | dict(zip(classes_of(patches), iou.T, strict=True))
    loss = drawn["log_loss"] / drawn["pixels"]
    return [
        *(record("iou", v, "higher", blocks, subset=k, split=split) for k, v in subsets.items()),
        record("log_loss", loss, "lower", blocks, subset="all", split=split),
    ]


def classes_of(patches: xr.Dataset) -> list[str]:
    return list(flag_names(patches["target"]).values())


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN in a draw that has no such pixel."""
    with np.errstate(invalid="ignore"):
        return part / whole


def bootstrap(sums: dict, blocks: np.ndarray, settings: dict) -> dict[str, np.ndarray]:
    """The sums of all images in the sample (row 0) and in each draw."""
    counts = multiplicities(blocks, settings["draws"], settings["seed"])
    return {name: counts @ values for name, values in sums.items()}


def image_sums(patches: xr.Dataset, predictions: xr.Dataset) -> dict[str, np.ndarray]:
    """Sums over the pixels of each image, of all classes together or of each.

    `pixels`, `log_loss` (image,); `both`, `either` (image, class), pixels of the class in truth and
    prediction, or in one of them; `binned`, `true`, `stated` (image, bin), of pairs of pixel and
    class by probability: their number, the number of true ones, the sum of the probabilities.
    """
    probability = predictions["prediction"].values  # (image, class, y, x)
    n, number = probability.shape[:2]
    classes = np.arange(number)[:, None, None]
    true = patches["target"].values[:, None] == classes
    predicted = probability.argmax(1)[:, None] == classes
    likelihood = (probability * true).sum(1).clip(LEAST)
    sums = {"pixels": np.full(n, likelihood[0].size), "log_loss": -np.log(likelihood).sum((1, 2))}
    sums |= {"both": (true & predicted).sum((2, 3)), "either": (true | predicted).sum((2, 3))}
    bins = len(EDGES) - 1
    place = np.digitize(probability, EDGES[1:-1]) + np.arange(n)[:, None, None, None] * bins
    weights = {"binned": np.ones_like(probability), "true": true, "stated": probability}
    return sums | {
        name: np.bincount(place.ravel(), values.ravel(), n * bins).reshape(n, bins)
        for name, values in weights.items()
    }
