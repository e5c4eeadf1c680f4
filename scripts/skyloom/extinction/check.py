"""Whether a field is one that the training covers: its limits, and its star counts.

A network trusts its survey model. On the mock sky a completeness limit 0.5 mag from the assumed one
doubles the error of A_V, and a limit outside the random range of the training makes A_V useless. So
the limit of each band is measured from the field's own counts. Then the counts are compared with
those of mock fields of that limit, which have random profiles.
"""

from dataclasses import dataclass

import numpy as np

from skyloom.extinction.simulate.diagrams import PIXELS
from skyloom.extinction.simulate.survey import DIAGRAMS
from skyloom.extinction.verdicts import FLAGGED, ORDER, REFUSED, USED

LEAST = 100  # stars of a diagram
# the limit: bins [mag], and the part of the counts before their maximum that is extrapolated
BIN, BEFORE, LEAST_LIMIT = 0.1, (1.6, 0.5), 200
LIMIT_ERROR = 0.25  # of a measured limit, on mock fields [mag]
LIMIT_FAR = 0.75  # a limit so far outside of the training refuses a field [mag]
WIDE = 4  # rows of a diagram that make a slice
TAIL = 0.005  # share of mock fields beyond each end of a statistic's range
COUNT_FAR = np.log(3.0)  # counts a factor of 3 beyond their range refuse a field


@dataclass(frozen=True)
class Reference:
    """Statistics of mock fields of one sightline: names, and the ends of their ranges."""

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Verdict:
    """verdict : used, flagged or refused; reasons : a line for each quantity out of its range"""

    verdict: str
    reasons: tuple[str, ...]


def measured_limit(magnitudes: np.ndarray) -> float:
    """The magnitude of 50 % completeness of a field, NaN of fewer than `LEAST_LIMIT` stars.

    The counts fall there to half of the line that continues log N before their maximum.
    """
    found = magnitudes[np.isfinite(magnitudes)]
    if len(found) < LEAST_LIMIT:
        return np.nan
    edges = np.arange(np.floor(found.min() / BIN) * BIN, found.max() + 2 * BIN, BIN)
    number = np.histogram(found, edges)[0].astype(float)
    middle = (edges[1:] + edges[:-1]) / 2
    smooth = np.convolve(number, np.ones(3) / 3, "same")
    peak = middle[smooth.argmax()]
    rising = (middle > peak - BEFORE[0]) & (middle < peak - BEFORE[1]) & (number > 0)
    if rising.sum() < 5:
        return np.nan
    root = np.sqrt(number[rising])
    slope, zero = np.polyfit(middle[rising], np.log(number[rising]), 1, w=root)
    ratio = smooth / np.exp(slope * middle + zero)
    fallen = np.flatnonzero((middle > peak - BEFORE[1]) & (ratio < 0.5))
    if not len(fallen):
        return np.nan
    k = fallen[0]
    return float(np.interp(0.5, ratio[[k, k - 1]], middle[[k, k - 1]]))


def statistics(images: np.ndarray, diagram: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and values (n, statistic) of diagrams (n, y, x).

    ln(1 + counts), of all stars and of slices of the fainter half; and the colour that a tenth of
    the stars of the brighter three quarters is bluer than.
    """
    shape = DIAGRAMS[diagram]
    images = np.asarray(images, float)
    slices = images.sum(2).reshape(len(images), PIXELS // WIDE, WIDE).sum(2)
    edges = np.linspace(*shape.y, PIXELS // WIDE + 1)
    fainter = range(PIXELS // WIDE // 2, PIXELS // WIDE)
    names = ["stars", *(f"stars at {shape.magnitude} {edges[k]:.2f}" for k in fainter)]
    counts = np.column_stack([images.sum((1, 2)), slices[:, list(fainter)]])
    bright = images[:, : 3 * PIXELS // 4].sum(1).cumsum(1)
    share = bright / np.maximum(bright[:, -1:], 1)
    blue = [np.interp(0.1, row, np.arange(1, PIXELS + 1)) for row in share]
    colour = shape.x[0] + np.array(blue) * (shape.x[1] - shape.x[0]) / PIXELS
    names.append(f"{'-'.join(shape.colour)} of the bluest tenth")
    return tuple(names), np.column_stack([np.log1p(counts), colour])


def reference(images: np.ndarray, diagram: str) -> Reference:
    """The ranges of mock fields (n, y, x) of a sightline, with the limits of the field."""
    names, values = statistics(images, diagram)
    low, high = np.quantile(values, [TAIL, 1 - TAIL], axis=0)
    return Reference(names, low, high)


def check_counts(image: np.ndarray, against: Reference, diagram: str) -> Verdict:
    """The verdict on the counts of an observed diagram (y, x)."""
    total = float(np.sum(image))
    if not total >= LEAST:
        return Verdict(REFUSED, (f"{total:.0f} stars; expected {LEAST} at least",))
    _, values = statistics(np.asarray(image)[None], diagram)
    reasons, worst = [], USED
    rows = zip(against.names, values[0], against.low, against.high, strict=True)
    for name, value, low, high in rows:
        beyond = max(low - value, value - high)
        if not beyond > 0:
            continue
        # slices and colours flag a field; all of its stars refuse it
        refuses = name == "stars" and beyond > COUNT_FAR
        worst = max(worst, REFUSED if refuses else FLAGGED, key=ORDER.index)
        counted = name.startswith("stars")
        shown = (np.expm1(v) if counted else v for v in (value, low, high))
        found, least, most = (f"{v:.{0 if counted else 2}f}" for v in shown)
        reasons.append(f"{name}: {found}; mock fields have {least} to {most}")
    return Verdict(worst, tuple(reasons))


def check_limits(limits: dict[str, float], trained: dict[str, tuple[float, float]]) -> Verdict:
    """The verdict on measured limits by band, of which the training had those in a range."""
    reasons, worst = [], USED
    for band, (low, high) in trained.items():
        limit = limits[band]
        beyond = max(low - limit, limit - high)
        if beyond <= LIMIT_ERROR:
            continue
        # NaN: the field has too few stars to measure its limit
        worst = max(worst, REFUSED if beyond > LIMIT_FAR else FLAGGED, key=ORDER.index)
        reasons.append(f"limit in {band}: {limit:.2f}; the training has {low:.2f} to {high:.2f}")
    return Verdict(worst, tuple(reasons))


def together(*verdicts: Verdict) -> Verdict:
    """The worst verdict, with the reasons of all."""
    worst = max((v.verdict for v in verdicts), key=ORDER.index)
    return Verdict(worst, tuple(reason for v in verdicts for reason in v.reasons))
