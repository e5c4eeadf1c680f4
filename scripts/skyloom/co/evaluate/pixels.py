"""Scores of single pixels, in K km/s: amplitude, order, detection, and the two of image processing
(SSIM, PSNR).

All but the rank correlations come from sums per tile (`tables`), so that a bootstrap draw of a
subset is one product of matrices. Ranks are those of the subset's own pixels; the draws keep them.
"""

import numpy as np
import xarray as xr
from skimage.metrics import structural_similarity

from skyloom.scores import bootstrap
from skyloom.scores.records import record

SIGMAS = 3  # CO counts as detected above this many sigma of the map's error
MOMENTS = ("w", "p", "t", "pp", "tt", "pt", "chi2", "ad", "nn", "tp", "fp", "fn")
SSIM_SIGMA = 1.5  # pixels, the window of Wang+ 2004
# predicted W / error, for the ROC curve
SCORE_EDGES = np.sinh(np.linspace(-np.arcsinh(1e4), np.arcsinh(1e4), 401))


# --- sums per tile
# --------------------------------------------------------------------------------------------------


def tables(maps: dict[str, np.ndarray], weight: np.ndarray) -> dict[str, np.ndarray]:
    """Sums and scores of each tile.

    maps : `prediction`, `target`, `error`, `null` (n, y, x) [K km/s].
    weight : (n, y, x), 0 where a map is missing.
    Returns `moments` (n, len(MOMENTS)), weighted sums; `roc` (n, 2, bins), weight of dark and of
    bright pixels by predicted W / error; `ssim`, `psnr` (n,), and where a `sample` is drawn
    `sampled` (n,), the weighted sum of it.
    """
    valid = weight > 0
    prediction, target, error = _filled(maps, valid)
    there = target > SIGMAS * error
    sampled = (
        {"sampled": (weight * np.where(valid, maps["sample"], 0)).sum((1, 2))}
        if "sample" in maps
        else {}
    )
    return sampled | {
        "moments": moments(maps, weight),
        "roc": np.stack(
            [histogram(prediction / error, weight * side, SCORE_EDGES) for side in (~there, there)],
            1,
        ),
        **_image_quality(prediction, target, weight),
    }


def moments(maps: dict[str, np.ndarray], weight: np.ndarray) -> np.ndarray:
    """The sums MOMENTS of each tile, (n, len(MOMENTS)); maps and weight as in `tables`."""
    valid = weight > 0
    prediction, target, error = _filled(maps, valid)
    difference = prediction - target
    there, detected = target > SIGMAS * error, prediction > SIGMAS * error
    terms = (
        np.ones_like(target),
        prediction,
        target,
        prediction**2,
        target**2,
        prediction * target,
    )
    terms += (
        (difference / error) ** 2,
        np.abs(difference),
        np.where(valid, maps["null"], 0).astype(np.float64) ** 2,
        there & detected,
        ~there & detected,
        there & ~detected,
    )
    return np.stack([(weight * term).sum((1, 2)) for term in terms], axis=1)


def examples(moments: np.ndarray) -> xr.Dataset:
    """Scores of single tiles from their `moments`: `rms`, of the residual, `rms_over_noise`,
    `mean_co`, observed, `mean_predicted`, and `squared_error_share`, of all test tiles together.
    """
    s = dict(zip(MOMENTS, moments.T, strict=True))
    squares = np.maximum(s["pp"] - 2 * s["pt"] + s["tt"], 0)
    unit = {"units": "K km/s"}
    return xr.Dataset(
        {
            "rms": ("example", np.sqrt(squares / s["w"]), unit),
            "rms_over_noise": ("example", np.sqrt(s["chi2"] / s["w"])),
            "mean_co": ("example", s["t"] / s["w"], unit),
            "mean_predicted": ("example", s["p"] / s["w"], unit),
            "squared_error_share": ("example", squares / max(squares.sum(), 1e-30)),
        }
    )


def _filled(maps: dict[str, np.ndarray], valid: np.ndarray) -> list[np.ndarray]:
    """`prediction`, `target`, `error` in double precision, with 0, 0 and 1 where not valid."""
    fills = {"prediction": 0, "target": 0, "error": 1}
    return [np.where(valid, maps[name], fill).astype(np.float64) for name, fill in fills.items()]


def histogram(values: np.ndarray, weight: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Weighted histogram of each tile (n, len(edges) - 1); what lies beyond the edges counts in the
    outermost bins.
    """
    n, bins = len(values), len(edges) - 1
    place = (
        np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
        + bins * np.arange(n)[:, None, None]
    )
    return np.bincount(place.ravel(), weight.ravel(), minlength=n * bins).reshape(n, bins)


def _image_quality(
    prediction: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> dict[str, np.ndarray]:
    """SSIM (Gaussian window) and PSNR [dB] of each tile, both with the observed tile's own range as
    their scale.
    """
    valid = weight > 0
    ssim, psnr = np.ones(len(target)), np.full(len(target), np.nan)
    for k, (seen, w) in enumerate(zip(valid, weight, strict=True)):
        span = np.ptp(target[k][seen])
        mean_square = np.average((prediction[k] - target[k])[seen] ** 2, weights=w[seen])
        if span == 0 or mean_square == 0:
            continue
        psnr[k] = 10 * np.log10(span**2 / mean_square)
        level = np.average(target[k][seen], weights=w[seen])
        # masked sky is alike in both
        pair = [np.where(seen, image[k], level) for image in (prediction, target)]
        look = {"gaussian_weights": True, "sigma": SSIM_SIGMA, "use_sample_covariance": False}
        ssim[k] = np.average(
            structural_similarity(*pair, data_range=span, full=True, **look)[1], weights=w
        )
    return {"ssim": ssim, "psnr": psnr}


# --- records of a subset
# ---------------------------------------------------------------------------------------------


def records(
    tiles: dict[str, np.ndarray], ranks: np.ndarray, counts: np.ndarray, context: dict
) -> list[dict]:
    """Records of one subset; bias and mass_ratio of a sample too, since draws can depart from the
    mean as a whole.

    context : `blocks`, `subset`; the rest as in `scores`.
    """
    rows = [("model", *score) for score in scores(tiles, ranks, counts)]
    if "sampled" in tiles:
        total, target = (counts @ tiles["moments"][:, MOMENTS.index(name)] for name in ("w", "t"))
        sampled = counts @ tiles["sampled"]
        rows.append(("sample", "bias", (sampled - target) / total, "zero", "K km/s"))
        with np.errstate(divide="ignore", invalid="ignore"):
            rows.append(("sample", "mass_ratio", sampled / target, "one", ""))
    return [
        record(name, values, better, of=of, unit=unit, **context)
        for of, name, values, better, unit in rows
    ]


def scores(
    tiles: dict, ranks: np.ndarray, counts: np.ndarray
) -> list[tuple[str, np.ndarray, str, str]]:
    """(name, draws, better, unit) of each score of a subset.

    tiles : rows of `tables`; ranks : `rank_moments`; counts : `bootstrap.multiplicities`
        (1 + draws, n).
    rmse_over_noise = sqrt(<((prediction - target) / error)^2>), 1 where only the target's noise is
    left, and its square chi2_reduced; mass_ratio = sum(W predicted) / sum(W observed); auc and f1
    of W > 3 sigma as seen by the map, by predicted W / error. mae is what crps becomes for a model
    without spread.
    """
    s = dict(zip(MOMENTS, (counts @ tiles["moments"]).T, strict=True))
    squares = np.maximum(s["pp"] - 2 * s["pt"] + s["tt"], 0)
    spearman, spearman_ln = _spearman(ranks, counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        return [
            ("bias", (s["p"] - s["t"]) / s["w"], "zero", "K km/s"),
            ("mae", s["ad"] / s["w"], "lower", "K km/s"),
            ("rmse", np.sqrt(squares / s["w"]), "lower", "K km/s"),
            ("rmse_over_noise", rmse_over_noise(tiles["moments"], counts), "lower", ""),
            ("chi2_reduced", s["chi2"] / s["w"], "one", ""),
            ("r2", 1 - squares / (s["tt"] - s["t"] ** 2 / s["w"]), "higher", ""),
            ("pearson", _correlation(s), "higher", ""),
            ("spearman", spearman, "higher", ""),
            ("spearman_ln", spearman_ln, "higher", ""),
            ("mass_ratio", s["p"] / s["t"], "one", ""),
            ("auc", _area_under_roc(counts, tiles["roc"]), "higher", ""),
            ("f1", 2 * s["tp"] / (2 * s["tp"] + s["fp"] + s["fn"]), "higher", ""),
            ("ssim", bootstrap.mean(tiles["ssim"], counts), "higher", ""),
            ("psnr", bootstrap.mean(tiles["psnr"], counts), "higher", "dB"),
        ]


def rmse_over_noise(moments: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """sqrt(<((prediction - target) / error)^2>) of each draw."""
    chi2, total = (counts @ moments[:, MOMENTS.index(name)] for name in ("chi2", "w"))
    return np.sqrt(chi2 / total)


def against_latitude(
    moments: np.ndarray, latitude: np.ndarray, blocks: np.ndarray, edges: list, settings: dict
) -> dict:
    """Residual of tiles in bins of |b|: name -> (3, bins), value and interval; NaN where a bin is
    empty.

    `bias`, `rms` of prediction - target, and beside them `noise`, the rms of the null map, and
    `signal`, the rms of the observed CO, which is what predicting nothing leaves [K km/s]. The null
    map is interpolated as the observed one is, so that no residual can lie below it but by chance;
    the error map is not, and lies above it.
    """
    names = ("bias", "rms", "noise", "signal")
    out = {name: np.full((3, len(edges) - 1), np.nan) for name in names}
    bins = np.searchsorted(edges, latitude, side="right") - 1
    for k in range(len(edges) - 1):
        rows = bins == k
        if not rows.any():
            continue
        counts = bootstrap.multiplicities(blocks[rows], settings["draws"], settings["seed"])
        s = dict(zip(MOMENTS, (counts @ moments[rows]).T, strict=True))
        squares = np.maximum(s["pp"] - 2 * s["pt"] + s["tt"], 0)
        values = (
            (s["p"] - s["t"]) / s["w"],
            *(np.sqrt(q / s["w"]) for q in (squares, s["nn"], s["tt"])),
        )
        for name, value in zip(names, values, strict=True):
            out[name][:, k] = bootstrap.bracket(value, blocks[rows])
    return out


def _correlation(s: dict) -> np.ndarray:
    """Weighted Pearson correlation from sums; 0 where one of the two is constant, to rounding, NaN
    without a pixel.
    """
    total = np.where(s["w"] > 0, s["w"], np.nan)
    variances = [s[a + a] - s[a] ** 2 / total for a in "pt"]
    known = (variances[0] > 1e-12 * s["pp"]) & (variances[1] > 1e-12 * s["tt"])
    norm = np.sqrt(np.where(known, variances[0] * variances[1], 1))
    return np.where(known, (s["pt"] - s["p"] * s["t"] / total) / norm, 0 * total)


def _area_under_roc(counts: np.ndarray, roc: np.ndarray) -> np.ndarray:
    """Chance that a bright pixel is given more predicted W / error than a dark one; NaN without
    either kind.
    """
    dark, bright = np.moveaxis(
        (counts @ roc.reshape(len(roc), -1)).reshape(len(counts), *roc.shape[1:]), 1, 0
    )
    below = dark.cumsum(1) - dark / 2
    return (bright * below).sum(1) / (bright.sum(1) * dark.sum(1))


# --- ranks
# --------------------------------------------------------------------------------------------------


def dense_ranks(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Place of each valid pixel's value among all different values, 0 where not valid: sorted once
    for all subsets.
    """
    out = np.zeros(values.shape, np.int64)
    out[valid] = np.unique(values[valid], return_inverse=True)[1]
    return out


def rank_moments(
    places: dict[str, np.ndarray],
    target: np.ndarray,
    weight: np.ndarray,
    shares: np.ndarray | None = None,
) -> np.ndarray:
    """Sums per tile for the rank correlations of a subset's pixels, (2, n, 6) in the order w, p, t,
    pp, tt, pt.

    places : `dense_ranks` of `prediction` and `target` (n, y, x). First over all valid pixels, then
        (`spearman_ln`)
    over those whose observed W is positive, where ln W is defined: ranks do not change under the
    logarithm, and a predicted W of 0 or less has the lowest. shares : (n,) how many tiles each
    stands for, one where not given.
    """
    shares = None if shares is None or (shares == 1).all() else shares
    out = []
    for w in (weight, np.where(target > 0, weight, 0)):
        p, t = (_mean_ranks(places[name], w > 0, shares) for name in ("prediction", "target"))
        out.append(
            np.stack(
                [(w * term).sum((1, 2)) for term in (np.ones_like(p), p, t, p * p, t * t, p * t)],
                axis=1,
            )
        )
    return np.array(out)


def _mean_ranks(places: np.ndarray, valid: np.ndarray, shares: np.ndarray | None) -> np.ndarray:
    """Ranks within the valid pixels, ties sharing their mean, less the mean rank and over the
    number of pixels.
    """
    each = None if shares is None else np.broadcast_to(shares[:, None, None], valid.shape)[valid]
    often = np.bincount(places[valid], each)
    if not len(often):
        return np.zeros(places.shape)
    rank = (often.cumsum() - (often - 1) / 2) / often.sum() - 0.5
    return np.where(valid, rank[np.where(valid, places, 0)], 0)


def _spearman(ranks: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    return [
        _correlation(dict(zip(MOMENTS[:6], (counts @ moments).T, strict=True))) for moments in ranks
    ]
