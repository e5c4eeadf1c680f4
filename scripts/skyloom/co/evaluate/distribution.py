"""The distribution of CO brightness: histograms of W, Wasserstein and Kolmogorov-Smirnov distance.

The observed map carries noise that a prediction has not. The tile's null map, noise of the same
kind, is therefore added to the prediction: the distances are then 0 for a prediction that equals
the truth, up to scatter. Pixels of one tile are not independent: intervals are those of the block
bootstrap, not those of the textbook test.
"""

import numpy as np
import xarray as xr

from skyloom.co.evaluate.pixels import histogram
from skyloom.scores import bootstrap
from skyloom.scores.records import record

FIELDS = ("target", "prediction", "sample")


def bin_edges(low: float, high: float, count: int) -> np.ndarray:
    """Edges [K km/s], equally spaced in asinh(W / 1 K km/s), the same for every model."""
    return np.sinh(np.linspace(np.arcsinh(low), np.arcsinh(high), count + 1))


def tables(
    maps: dict[str, np.ndarray], weight: np.ndarray, edges: np.ndarray
) -> dict[str, np.ndarray]:
    """`pdf_<field>` (n, bins), weight of each tile's pixels by W, for the FIELDS that are there."""
    null = np.where(weight > 0, maps["null"], 0)
    out = {}
    for name in FIELDS:
        if name in maps:
            values = np.where(weight > 0, maps[name], 0)
            out[f"pdf_{name}"] = histogram(
                values if name == "target" else values + null, weight, edges
            )
    return out


def records(
    tiles: dict, counts: np.ndarray, edges: np.ndarray, context: dict
) -> tuple[list[dict], xr.Dataset]:
    """`wasserstein` [K km/s], the area between the two cumulative distributions, and `ks`, their
    largest difference.
    """
    shares = {}
    for name in FIELDS:
        if f"pdf_{name}" in tiles:
            drawn = counts @ tiles[f"pdf_{name}"]
            shares[name] = drawn / drawn.sum(1, keepdims=True)
    entries = []
    for name, of in (("prediction", "model"), ("sample", "sample")):
        if name in shares:
            # at the inner edges
            apart = np.abs((shares[name] - shares["target"]).cumsum(1))[:, :-1]
            area = np.trapezoid(apart, edges[1:-1], axis=1)
            entries.append(record("wasserstein", area, "lower", unit="K km/s", of=of, **context))
            entries.append(record("ks", apart.max(1), "lower", of=of, **context))
    density = [
        np.array(bootstrap.bracket(share / np.diff(edges), context["blocks"]))
        for share in shares.values()
    ]
    value, lo, hi = np.moveaxis(density, 1, 0)
    units = {
        "units": "(K km/s)-1",
        "long_name": "probability density; the null map added to predictions",
    }
    curve = xr.Dataset(
        {
            "pdf": (("field", "w"), value, units),
            "pdf_lo": (("field", "w"), lo),
            "pdf_hi": (("field", "w"), hi),
        },
        {"field": list(shares), "w": ("w", (edges[1:] + edges[:-1]) / 2, {"units": "K km/s"})},
    )
    return entries, curve
