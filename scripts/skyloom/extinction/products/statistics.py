"""Artefacts of a cube of extinction, each as a number, with that of the truth beside it.

Maps from single sightlines have fingers of God (dust drawn out along sightlines), tiles (fields
that disagree with their neighbours) and bands of constant latitude.
"""

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter1d

from skyloom.extinction.products import maps
from skyloom.extinction.products.cube import Cube

NEAR, FAR = 1500.0, 8000.0  # of the fingers of God [pc]
TREND = 3000.0  # length of the running mean that is taken for smooth dust [pc]
SEPARATIONS = 0.5, 1.0, 2.0, 4.0  # of the coherence [deg]
LEVEL = 0.5  # of a correlation, at the correlation length


def tiling_index(found: np.ndarray, true: np.ndarray) -> float:
    """RMS jump of A_V between neighbouring fields over that of the truth, of cubes (..., y, x).

    1 for a cube with the truth's jumps; above it fields disagree, below it the map is too smooth.
    """
    found, true = np.asarray(found, float), np.asarray(true, float)
    total = np.zeros(2)
    for axis in (-1, -2):
        jumps = np.array([np.diff(values, axis=axis) for values in (found, true)])
        known = np.isfinite(jumps).all(0)
        total += (jumps[:, known] ** 2).sum(1)
    return float(np.sqrt(total[0] / total[1])) if total[1] > 0 else np.nan


def correlation_lengths(
    density: np.ndarray,
    distance: np.ndarray,
    longitude: np.ndarray,
    latitude: np.ndarray,
    near: float = NEAR,
    far: float = FAR,
) -> tuple[float, float]:
    """Lengths along sightlines and across them, at which the correlation is 0.5 [pc].

    The contrast of the density (z, y, x) to its trend with distance and latitude is correlated
    along distance, and along longitude. The ratio of the lengths is the index of fingers of God.
    It is near 1 for an isotropic field that the grid resolves.

    distance (z,) : of the middles of bins [pc]; longitude, latitude : [deg]; near, far : the
    distances that are used [pc]. NaN twice for a blank cube.
    """
    used = (distance >= near) & (distance <= far)
    distance, density = distance[used], np.asarray(density, float)[used]
    step = distance[1] - distance[0]
    contrast = density / _trend(density, step) - 1
    known = np.isfinite(contrast)
    if not known.any():
        return np.nan, np.nan
    contrast = np.where(known, contrast, 0)
    n, width = len(distance), len(longitude)
    radial = []
    for lag in range(1, n):
        pair = known[:-lag] & known[lag:]
        radial.append((lag * step, *_products(contrast[:-lag], contrast[lag:], pair)))
    tangential = []
    cosine = np.cos(np.radians(latitude))
    # pairs of all distances and latitudes, by their separation
    bins = np.arange(n + 1) * step
    for lag in range(1, width):
        angle = np.radians(longitude[lag] - longitude[0])
        apart = 2 * distance[:, None] * cosine * np.sin(angle / 2)
        first, second = contrast[..., :-lag], contrast[..., lag:]
        pair = known[..., :-lag] & known[..., lag:]
        products = _products(first, second, pair, axis=2)
        tangential.append((apart, np.digitize(apart, bins) - 1, *products))
    apart, index, *products = (np.array(v) for v in zip(*tangential, strict=True))
    binned = []
    for k in range(n):
        chosen = index == k
        if chosen.any():
            sums = [p[chosen].sum() for p in products]
            binned.append((apart[chosen].mean(), *sums))
    return _length(radial), _length(binned)


def coherence(values: np.ndarray, longitude: np.ndarray, separation: float) -> float:
    """Correlation of ln A_V (y, x) between fields that are `separation` apart in l [deg].

    NaN where the map is not that wide, or where it is not a multiple of the step of longitudes.
    """
    lag = separation / (longitude[1] - longitude[0])
    if not (abs(lag - round(lag)) < 0.05 and 1 <= round(lag) < len(longitude)):
        return np.nan
    lag = round(lag)
    with np.errstate(divide="ignore"):
        log = np.log(np.asarray(values, float))
    first, second = log[:, :-lag], log[:, lag:]
    known = np.isfinite(first) & np.isfinite(second)
    return float(np.corrcoef(first[known], second[known])[0, 1])


def latitude_index(error: np.ndarray) -> float:
    """How far errors of A_V (..., y, x) lie in bands of constant latitude.

    The variance of the means over rows, times their length, over that of the means over columns,
    times theirs. 1 for errors without a direction, large for bands of constant latitude.
    """
    error = np.asarray(error, float)
    rows, columns = (_variance_of_means(error, axis) for axis in (-1, -2))
    return float(rows / columns) if columns > 0 else np.nan


def table(cube: Cube, truth: Cube, bound: maps.Bound) -> pd.DataFrame:
    """All statistics: `statistic`, `separation` [deg], `cube`, `truth`, `unit`, and `ideal`.

    bound : of the reliable distance
    """
    grid = cube.distance - cube.step / 2, cube.longitude, cube.latitude
    lengths = [correlation_lengths(c.median_density, *grid) for c in (cube, truth)]
    rows = [
        ("tiling index", np.nan, tiling_index(cube.median, truth.median), 1.0, "", "1"),
        ("fingers-of-God index", np.nan, *(r / t for r, t in lengths), "", "truth"),
        ("radial correlation length", np.nan, *(r for r, _ in lengths), "pc", "truth"),
        ("tangential correlation length", np.nan, *(t for _, t in lengths), "pc", "truth"),
        ("latitude index", np.nan, latitude_index(cube.median - truth.median), np.nan, "", "1"),
    ]
    # stated by the intervals of the cube, and by its errors
    ends = maps.reach_stated(cube, bound), maps.reach_true(cube, truth, bound)
    rows.append(("reliable distance", np.nan, *(_median(v) / 1e3 for v in ends), "kpc", "truth"))
    for separation in SEPARATIONS:
        pair = [coherence(c.median[-1], c.longitude, separation) for c in (cube, truth)]
        # a grid of wide steps, or a small one, lacks a separation
        if np.isfinite(pair[1]):
            rows.append(("coherence", separation, *pair, "", "truth"))
    names = ["statistic", "separation", "cube", "truth", "unit", "ideal"]
    return pd.DataFrame(rows, columns=names)


def _median(values: np.ndarray) -> float:
    """Of the fields that have a value; NaN where none has."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan


def _trend(density: np.ndarray, step: float) -> np.ndarray:
    """Mean (z, y, 1) over longitudes and over distances within `TREND`.

    Near the Sun longitudes alone span few structures, whose mean would take them away.
    """
    known = np.isfinite(density)
    length = min(int(TREND / step) | 1, len(density))
    total, number = (
        uniform_filter1d(values.sum(2, keepdims=True), length, axis=0, mode="nearest")
        for values in (np.where(known, density, 0), known.astype(float))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(number > 0, total / number, np.nan)


def _products(first: np.ndarray, second: np.ndarray, pair: np.ndarray, axis=None):
    """Sums of products and of both squares over pairs."""
    return tuple(
        np.where(pair, values, 0).sum(axis)
        for values in (first * second, first * first, second * second)
    )


def _length(curve: list[tuple]) -> float:
    """Where a correlation, 1 at no separation, first falls below `LEVEL`; else its end."""
    last, high = 0.0, 1.0
    for separation, product, one, two in curve:
        value = product / np.sqrt(one * two) if one * two > 0 else 0.0
        if value < LEVEL:
            return float(last + (high - LEVEL) / (high - value) * (separation - last))
        last, high = separation, value
    return float(last)


def _variance_of_means(error: np.ndarray, axis: int) -> float:
    """Mean over maps of the variance of means along an axis, times the number of their values."""
    number = np.isfinite(error).sum(axis)
    mean = np.where(number > 0, np.nansum(error, axis) / np.maximum(number, 1), np.nan)
    centre = np.nanmean(mean, axis=-1, keepdims=True)
    return float(np.nanmean((mean - centre) ** 2 * np.where(number > 0, number, np.nan)))
