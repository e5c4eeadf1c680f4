"""Scores of predicted profiles A_V(d): errors, coverage of the intervals, by distance and A_V.

The bootstrap draws pools: a direction and its stars. Examples of one pool share its stars, though
their profiles are independent.
"""

import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.extinction import check
from skyloom.patchset import flag_names
from skyloom.scores.binned import curve
from skyloom.scores.bootstrap import mean, multiplicities
from skyloom.scores.records import Evaluation, record

REACHES = {"0_3_kpc": (0, 3000), "3_6_kpc": (3000, 6000), "6_10_kpc": (6000, 10_000)}  # [pc]
TOTALS = {"av_0_5": (0, 5), "av_5_10": (5, 10), "av_10_20": (10, 20), "av_20_40": (20, 1e9)}
LEVELS = "68", "95"
SIZES = np.append(0, np.geomspace(1e-3, 60, 600))  # bins of absolute errors [mag]
TOTAL_EDGES = np.append(np.arange(0, 20, 2), [20, 25, 30, 40.001])  # of A_V at the end [mag]


def evaluate(
    patches: xr.Dataset, predictions: xr.Dataset, entry: dict, settings: dict
) -> Evaluation:
    """Scores of one model on the test sightlines.

    patches : the test rows of patches.nc; predictions : `prediction`, `lower68`, `upper68`,
        `lower95`, `upper95` (example, distance) [mag], and those of MC dropout where the model has
        them; settings : `draws`, `seed` of the bootstrap
    Curves, by group of sightlines: `rmse`, `median_error`, `bias`, `coverage68`, `coverage95`
    (distance); by the true A_V at the end: `rmse_total`, `coverage68_total` (total).
    """
    rows = read(patches, predictions)
    records, curves = [], []
    groups = subsets(patches)
    for name, chosen in groups.items():
        part = of(rows, chosen)
        records += scores(part, settings, name, "test")
        curves.append(curves_of(part, settings))
    everything = of(rows, groups["all"])
    for name, (low, high) in REACHES.items():
        inside = (rows["distance"] > low) & (rows["distance"] <= high)
        records += errors(within(everything, inside), settings, name, "test")
    for name, (low, high) in TOTALS.items():
        chosen = np.flatnonzero((rows["target"][:, -1] >= low) & (rows["target"][:, -1] < high))
        if len(chosen):
            records += scores(of(rows, chosen), settings, name, "test")
    records.append(flagged(patches, settings))
    curves = xr.concat(curves, dim=xr.IndexVariable("group", list(groups)), combine_attrs="drop")
    error = rows["prediction"] - rows["target"]
    examples = {
        "rmse": ("example", np.sqrt((error**2).mean(1))),
        "largest_error": ("example", np.abs(error).max(1)),
        "total": ("example", rows["target"][:, -1]),
    }
    return Evaluation(records, curves, xr.Dataset(examples))


def validation_rows(patches: xr.Dataset) -> np.ndarray:
    """The validation sightlines that `validate` scores: all."""
    return np.arange(patches.sizes["example"])


def validate(patches: xr.Dataset, predictions: xr.Dataset, settings: dict) -> list[dict]:
    """The scores of all validation sightlines, by which the network of a set is chosen."""
    return scores(read(patches, predictions), settings, "all", "valid")


def read(patches: xr.Dataset, predictions: xr.Dataset) -> dict[str, np.ndarray]:
    """Truth and predictions (example, distance) [mag], `pool` (example,), `distance` [pc].

    Raises BadInput for a prediction that is not finite.
    """
    rows = {"target": patches["target"].values.astype(float), "pool": patches["pool"].values}
    rows["distance"] = patches["distance"].values
    for name, values in predictions.data_vars.items():
        if values.dims != patches["target"].dims:
            continue
        rows[name] = values.values.astype(float)
        finite = np.isfinite(rows[name]).all(1)
        if not finite.all():
            number = len(finite) - finite.sum()
            raise BadInput(f"predictions: {name} of {number} sightlines is not finite")
    return rows


def of(rows: dict, chosen: np.ndarray) -> dict:
    """These examples."""
    return {k: v if k == "distance" else v[chosen] for k, v in rows.items()}


def within(rows: dict, inside: np.ndarray) -> dict:
    """These distances."""
    return {
        k: v[inside] if k == "distance" else v[:, inside] if v.ndim == 2 else v
        for k, v in rows.items()
    }


def subsets(patches: xr.Dataset) -> dict[str, np.ndarray]:
    """Name -> rows: `all`, each group of sightlines, and those that the count check passes."""
    found = {"all": np.arange(patches.sizes["example"])}
    group = patches["group"].values
    for code, name in flag_names(patches["group"]).items():
        if (group == code).any():
            found[name] = np.flatnonzero(group == code)
    passed = np.flatnonzero(patches["verdict"].values == check.ORDER.index(check.USED))
    return found | ({"used": passed} if len(passed) else {})


def flagged(patches: xr.Dataset, settings: dict) -> dict:
    """The share of sightlines whose star counts are flagged or refused: the same of all models."""
    blocks = patches["pool"].values
    counts = multiplicities(blocks, settings["draws"], settings["seed"])
    wrong = patches["verdict"].values != check.ORDER.index(check.USED)
    values = mean(wrong.astype(float), counts)
    return record("flagged", values, "lower", blocks, subset="all")


def scores(rows: dict, settings: dict, subset: str, split: str) -> list[dict]:
    """Errors, and the coverage of the intervals."""
    counts = multiplicities(rows["pool"], settings["draws"], settings["seed"])
    context = {"blocks": rows["pool"], "subset": subset, "split": split}
    found = errors(rows, settings, subset, split)
    for kind in ("", "dropout_"):
        for level in LEVELS:
            if f"{kind}lower{level}" in rows:
                inside = covered(rows, kind, level).mean(1)
                name = f"{kind}coverage{level}"
                better = {"68": "nominal", "95": "nominal95"}[level]
                found.append(record(name, mean(inside, counts), better, **context))
    width = (rows["upper68"] - rows["lower68"]).mean(1) / 2
    found.append(record("half_width", mean(width, counts), "lower", unit="mag", **context))
    return found


def errors(rows: dict, settings: dict, subset: str, split: str) -> list[dict]:
    """RMSE, median absolute error and bias [mag] of all distances together."""
    counts = multiplicities(rows["pool"], settings["draws"], settings["seed"])
    context = {"blocks": rows["pool"], "subset": subset, "split": split, "unit": "mag"}
    error = rows["prediction"] - rows["target"]
    return [
        record("rmse", np.sqrt(mean((error**2).mean(1), counts)), "lower", **context),
        record("median_error", median_error(error, rows["pool"], counts), "lower", **context),
        record("bias", mean(error.mean(1), counts), "zero", **context),
    ]


def covered(rows: dict, kind: str, level: str) -> np.ndarray:
    """Whether the truth is within an interval (example, distance)."""
    low, high = (rows[f"{kind}{end}{level}"] for end in ("lower", "upper"))
    return (rows["target"] >= low) & (rows["target"] <= high)


def median_error(error: np.ndarray, blocks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Median of absolute errors (example, distance) in each draw (draw,) [mag].

    From a histogram of each block, linear within its bins of 2 %.
    """
    labels, first, inverse = np.unique(blocks, return_index=True, return_inverse=True)
    size = np.abs(error)
    place = np.searchsorted(SIZES, size, side="right") - 1
    place = place.clip(0, len(SIZES) - 2)
    flat = inverse[:, None] * (len(SIZES) - 1) + place
    histogram = np.bincount(flat.ravel(), minlength=len(labels) * (len(SIZES) - 1))
    below = counts[:, first] @ histogram.reshape(len(labels), -1).cumsum(1)
    half = below[:, -1:] / 2
    k = (below >= half).argmax(1)
    rows = np.arange(len(counts))
    before = np.where(k > 0, below[rows, k - 1], 0)
    share = (half[:, 0] - before) / np.maximum(below[rows, k] - before, 1e-12)
    return SIZES[k] + share * (SIZES[k + 1] - SIZES[k])


def curves_of(rows: dict, settings: dict) -> xr.Dataset:
    """Curves against distance, and against the true A_V at the end."""
    blocks = rows["pool"]
    counts = multiplicities(blocks, settings["draws"], settings["seed"])
    error = rows["prediction"] - rows["target"]
    size = [median_error(column[:, None], blocks, counts) for column in error.T]
    values = {
        "rmse": np.sqrt(mean(error**2, counts)),
        "median_error": np.stack(size, 1),
        "bias": mean(error, counts),
    }
    kinds = [kind for kind in ("", "dropout_") if f"{kind}lower68" in rows]
    for kind in kinds:
        for level in LEVELS:
            inside = covered(rows, kind, level)
            values[f"{kind}coverage{level}"] = mean(inside.astype(float), counts)
    out = xr.Dataset(coords={"distance": rows["distance"]})
    for name, drawn in values.items():
        out = out.assign(curve(name, "distance", drawn, blocks))
    return out.assign(by_total(rows, counts))


def by_total(rows: dict, counts: np.ndarray) -> dict:
    """RMSE and coverage in bins of the true A_V at the end, with the middles of the bins."""
    total = rows["target"][:, -1]
    place = np.searchsorted(TOTAL_EDGES, total, side="right") - 1
    member = (place[:, None] == np.arange(len(TOTAL_EDGES) - 1)).astype(float)
    error = ((rows["prediction"] - rows["target"]) ** 2).mean(1)
    inside = covered(rows, "", "68").mean(1)
    with np.errstate(invalid="ignore"):
        weight = counts @ member
        square = counts @ (error[:, None] * member) / weight
        share = counts @ (inside[:, None] * member) / weight
    blocks = rows["pool"]
    out = {"total": (TOTAL_EDGES[1:] + TOTAL_EDGES[:-1]) / 2}
    out |= curve("rmse_total", "total", np.sqrt(square), blocks)
    return out | curve("coverage68_total", "total", share, blocks)
