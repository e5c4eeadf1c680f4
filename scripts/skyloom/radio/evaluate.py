"""Scores of predicted classes: pixels, objects and images.

Each score is a ratio of sums over images, so that a bootstrap draw of images is one product with
the sums of single images. A pixel is called diffuse where its probability is above the threshold
that was chosen on validation; else it has the most probable of the other classes.
"""

import numpy as np
import xarray as xr
from scipy.ndimage import label as islands_of

from skyloom.radio.simulate.field import ARTEFACT, CLASSES, DIFFUSE, GALAXY, INVALID, NONE
from skyloom.radio.simulate.instrument import beam_area
from skyloom.scores.binned import curve
from skyloom.scores.bootstrap import multiplicities
from skyloom.scores.records import Evaluation, record

BINS = 100  # of the probability
BRIGHTNESS = 1, 3, 10, 30, 100, 300, 3000  # edges of the mean brightness of an object [noise/beam]
SIZES = 1, 2, 4, 8, 32  # edges of the root of its area [beam]
BRIGHT = {"snr_1_3": (1, 3), "snr_3_30": (3, 30), "snr_30_3000": (30, 3000)}  # of pixels
OVERLAP = 0.3  # IoU from which on an object is found
FLAGGED_BEAMS = 2.0  # area called diffuse, from which on an image is flagged [beam area]
SHARES = {"galaxy": GALAXY, "artefact": ARTEFACT, "background": NONE}


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> Evaluation:
    """Scores of one model on the test images.

    patches : the test rows of patches.nc; predictions : `prediction` (example, class, y, x), the
        probabilities, and `threshold` (example); settings : `draws`, `seed` of the bootstrap.
    Curves: `recall` and `precision` (bin) by the threshold, `false_positive` (bin), `reliability`
    with `stated` (bin), `confusion` (true, predicted), `completeness` (brightness, size) with its
    number of objects.
    """
    sums, blocks = image_sums(patches, predictions), patches["realisation"].values
    drawn = bootstrap(sums, blocks, settings)
    scores = {"iou": ratio(sums["both"], sums["either"])}
    scores |= {"called_diffuse": ratio(sums["found"], sums["observed"])}
    examples = xr.Dataset({name: ("example", values) for name, values in scores.items()})
    return Evaluation(records(drawn, blocks), curves(drawn, blocks), examples)


def validation_rows(patches: xr.Dataset) -> np.ndarray:
    """The validation images that `validate` scores: all."""
    return np.arange(patches.sizes["example"])


def validate(patches: xr.Dataset, predictions: xr.Dataset, settings: dict) -> list[dict]:
    """The records of `evaluate` on validation, by which the network of a set is chosen."""
    blocks = patches["realisation"].values
    return records(bootstrap(image_sums(patches, predictions), blocks, settings), blocks, "valid")


def records(drawn: dict[str, np.ndarray], blocks: np.ndarray, split: str = "test") -> list[dict]:
    """All scores, each from its draws.

    Those of clusters are of fields, each as large as the aperture of a cluster: whether it has
    diffuse emission, and whether two beam areas are called so.
    """
    both, either, found, true = (drawn[name] for name in ("both", "either", "found", "true"))
    full, right, empty, wrong = (
        drawn[name] for name in ("full", "full_flagged", "empty", "empty_flagged")
    )
    values = [
        ("iou", "all", ratio(both, either), "higher"),
        ("precision", "all", ratio(both, found), "higher"),
        ("recall", "all", ratio(both, true), "higher"),
        ("dice", "all", ratio(2 * both, found + true), "higher"),
        ("auc", "all", area_under_roc(drawn["histogram"]), "higher"),
        ("ece", "all", calibration_error(drawn), "lower"),
        ("completeness", "all", ratio(drawn["objects_found"], drawn["objects"]), "higher"),
        ("purity", "all", ratio(drawn["islands_true"], drawn["islands"]), "higher"),
        ("flagged", "empty", ratio(wrong, empty), "lower"),
        ("cluster_recall", "all", ratio(right, full), "higher"),
        ("cluster_specificity", "all", ratio(empty - wrong, empty), "higher"),
        ("cluster_precision", "all", ratio(right, right + wrong), "higher"),
        ("cluster_accuracy", "all", ratio(right + empty - wrong, full + empty), "higher"),
    ]
    for k, name in enumerate(BRIGHT):
        part = ratio(drawn["bright_found"][:, k], drawn["bright"][:, k])
        values.append(("recall", name, part, "higher"))
    for name, code in SHARES.items():
        row = drawn["confusion"][:, code]
        values.append(("called_diffuse", name, ratio(row[:, DIFFUSE], row.sum(1)), "lower"))
    for code, name in enumerate(CLASSES):
        table = drawn["confusion"]
        hits = table[:, code, code]
        union = table[:, code].sum(1) + table[:, :, code].sum(1) - hits
        values.append(("class_iou", name, ratio(hits, union), "higher"))
    return [
        record(name, draws, better, blocks, subset=subset, split=split)
        for name, subset, draws, better in values
    ]


def curves(drawn: dict[str, np.ndarray], blocks: np.ndarray) -> xr.Dataset:
    above = drawn["histogram"][:, :, ::-1].cumsum(2)[:, :, ::-1]  # (draw, class, bin)
    positive, negative = above[:, 1], above[:, 0]
    out = curve("recall", "bin", ratio(positive, positive[:, :1]), blocks)
    out |= curve("precision", "bin", ratio(positive, positive + negative), blocks)
    out |= curve("false_positive", "bin", ratio(negative, negative[:, :1]), blocks)
    counts = drawn["histogram"].sum(1)
    out |= curve("reliability", "bin", ratio(drawn["histogram"][:, 1], counts), blocks)
    out["stated"] = "bin", ratio(drawn["stated"], counts)[0]
    out["confusion"] = ("true", "predicted"), drawn["confusion"][0]
    surface = drawn["surface_found"], drawn["surface"]
    out["completeness"] = ("brightness", "size"), ratio(*surface)[0]
    out["objects"] = ("brightness", "size"), drawn["surface"][0]
    names = {"true": list(CLASSES), "predicted": list(CLASSES)}
    return xr.Dataset(out, names).assign_attrs(brightness=BRIGHTNESS, size=SIZES)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN in a draw that has no such pixel."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return part / whole


def area_under_roc(histogram: np.ndarray) -> np.ndarray:
    """Of each draw, from (draw, class, bin); equal bins count half."""
    negative, positive = histogram[:, 0], histogram[:, 1]
    below = negative.cumsum(1) - negative / 2
    return ratio((positive * below).sum(1), positive.sum(1) * negative.sum(1))


def calibration_error(drawn: dict[str, np.ndarray]) -> np.ndarray:
    """Mean over pixels of the distance between stated probability and share (Guo+ 2017, eq. 3)."""
    counts = drawn["histogram"].sum(1)
    distance = abs(drawn["histogram"][:, 1] - drawn["stated"])
    return distance.sum(1) / counts.sum(1)


def bootstrap(
    sums: dict[str, np.ndarray], blocks: np.ndarray, settings: dict
) -> dict[str, np.ndarray]:
    """The sums of all images in the sample (row 0) and in each draw."""
    counts = multiplicities(blocks, settings["draws"], settings["seed"])
    return {
        name: (counts @ values.reshape(len(values), -1)).reshape(len(counts), *values.shape[1:])
        for name, values in sums.items()
    }


def called(probability: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Class of each pixel (n, y, x) from (n, class, y, x) and the threshold (n,) of diffuse."""
    others = probability.copy()
    others[:, DIFFUSE] = -1
    diffuse = probability[:, DIFFUSE] > np.asarray(threshold)[:, None, None]
    return np.where(diffuse, DIFFUSE, others.argmax(1)).astype(np.uint8)


def image_sums(patches: xr.Dataset, predictions: xr.Dataset) -> dict[str, np.ndarray]:
    """Sums over the pixels and objects of each image, (image, ...) float64."""
    probability, label = predictions["prediction"].values, patches["target"].values
    predicted = called(probability, predictions["threshold"].values)
    observed = label != INVALID
    n = len(label)
    found, true = (predicted == DIFFUSE) & observed, label == DIFFUSE
    pixels = (1, 2)
    sums = {
        "both": (found & true).sum(pixels),
        "either": (found | true).sum(pixels),
        "found": found.sum(pixels),
        "true": true.sum(pixels),
        "observed": observed.sum(pixels),
    }
    number = len(CLASSES)
    place = np.arange(n)[:, None, None] * number**2 + label.astype(int) * number + predicted
    confusion = np.bincount(place[observed], minlength=n * number**2)
    sums["confusion"] = confusion.reshape(n, number, number)
    stated = probability[:, DIFFUSE]
    bins = (stated * BINS).astype(int).clip(0, BINS - 1)
    place = np.arange(n)[:, None, None] * BINS + bins
    histograms = [
        np.bincount(place[p & observed], minlength=n * BINS).reshape(n, BINS) for p in (~true, true)
    ]
    sums["histogram"] = np.stack(histograms, 1)
    weights = stated[observed]
    sums["stated"] = np.bincount(place[observed], weights, n * BINS).reshape(n, BINS)
    brightness = patches["diffuse"].values
    # at any `mask_sigma`: what is fainter than it is no target, and yet emission
    emission = np.isin(label, (NONE, DIFFUSE))
    inside = [emission & (brightness >= a) & (brightness < b) for a, b in BRIGHT.values()]
    sums["bright"] = np.stack([i.sum(pixels) for i in inside], 1)
    sums["bright_found"] = np.stack([(i & found).sum(pixels) for i in inside], 1)
    area = beam_area(patches["beam_pixels"].values, patches["beam_pixels"].values)
    flagged, full = sums["found"] > FLAGGED_BEAMS * area, sums["true"] > 0
    empty = ~full & (np.where(observed, brightness, 0).max(pixels) < BRIGHTNESS[0])
    sums |= {"empty": empty, "empty_flagged": empty & flagged}
    sums |= {"full": full, "full_flagged": full & flagged}
    sums |= object_sums(found, true, brightness, area)
    return {name: np.asarray(values, np.float64) for name, values in sums.items()}


def object_sums(
    found: np.ndarray, true: np.ndarray, brightness: np.ndarray, area: np.ndarray
) -> dict[str, np.ndarray]:
    """Objects of each image, and islands called diffuse, of a beam area at least.

    found, true : (n, y, x) bool; brightness : (n, y, x); area : of the beam (n,) [pixel].
    `surface` (n, brightness, size) counts true objects, `surface_found` those of them found.
    """
    n, shape = len(found), (len(BRIGHTNESS) - 1, len(SIZES) - 1)
    names = ("objects", "objects_found", "islands", "islands_true")
    sums = {name: np.zeros(n) for name in names}
    sums |= {name: np.zeros((n, *shape)) for name in ("surface", "surface_found")}
    for k in range(n):
        for size, hit, mean in matches(true[k], found[k], brightness[k], area[k]):
            sums["objects"][k] += 1
            sums["objects_found"][k] += hit
            place = (
                np.searchsorted(BRIGHTNESS, mean, "right") - 1,
                np.searchsorted(SIZES, np.sqrt(size), "right") - 1,
            )
            if all(0 <= p < m for p, m in zip(place, shape, strict=True)):
                sums["surface"][k][place] += 1
                sums["surface_found"][k][place] += hit
        for _, hit, _ in matches(found[k], true[k], brightness[k], area[k]):
            sums["islands"][k] += 1
            sums["islands_true"][k] += hit
    return sums


def matches(
    these: np.ndarray, others: np.ndarray, brightness: np.ndarray, area: float
) -> list[tuple[float, bool, float]]:
    """Of each island of `these`: its area [beam], whether the islands of `others` that touch it
    overlap it by `OVERLAP` at least, and its mean brightness.
    """
    numbers, count = islands_of(these, np.ones((3, 3)))
    partners, _ = islands_of(others, np.ones((3, 3)))
    out = []
    for number in range(1, count + 1):
        inside = numbers == number
        size = inside.sum() / area
        if size < 1:
            continue
        touching = np.unique(partners[inside])
        joined = np.isin(partners, touching[touching > 0])
        overlap = (joined & inside).sum() / (joined | inside).sum()
        out.append((size, bool(overlap >= OVERLAP), float(brightness[inside].mean())))
    return out
