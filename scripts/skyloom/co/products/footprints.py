"""Statistics of a product in the footprints of ground-based CMB telescopes."""

import healpy as hp
import numpy as np
import pandas as pd

from skyloom.co.products.write import EXTRAPOLATED, TRAINED, TRANSITIONS


def inside(nside: int, box: dict) -> np.ndarray:
    """Pixels (n_pix,) bool of a box in longitude and latitude [deg] of its `frame`.

    Pixels with |b| < `least_b` [deg] are left out. A box whose west border is east of its east
    border crosses longitude 0.
    """
    lon, lat = glon, glat = hp.pix2ang(nside, np.arange(hp.nside2npix(nside)), lonlat=True)
    if box["frame"] == "equatorial":
        lon, lat = hp.Rotator(coord="GC")(glon, glat, lonlat=True)
    (west, east), (south, north) = box["lon"], box["lat"]
    width = (east - west) % 360 or 360.0
    return (
        ((lon - west) % 360 <= width)
        & (lat >= south)
        & (lat <= north)
        & (np.abs(glat) >= box["least_b"])
    )


def table(
    lines: dict[str, dict[str, np.ndarray]], observed: dict[str, np.ndarray], boxes: dict
) -> pd.DataFrame:
    """Statistics of the predicted emission in each box, one row a box and line.

    lines : of `write.read_product`
    observed : `co10`, `co10_null`, ... (n_pix,) [K km/s], NaN where masked

    `mass_ratio` is the sum of the prediction over that of the observed map, where both are valid.
    Where CO is faint, the observed sum is mostly noise and residuals: compare `observed_mean` and
    `null_mean`.
    """
    rows = []
    for name, box in boxes.items():
        for line, maps in lines.items():
            intensity, bits = maps["I"], maps["M"].astype(int)
            nside = hp.get_nside(intensity)
            box_pixels = inside(nside, box)
            valid = box_pixels & np.isfinite(intensity)
            row = {"footprint": name, "line": TRANSITIONS[line]}
            row["area_deg2"] = valid.sum() * hp.nside2pixarea(nside, degrees=True)
            row["covered"] = valid.sum() / max(box_pixels.sum(), 1)
            if valid.any():
                values = intensity[valid].astype(np.float64)
                row |= {"mean": values.mean(), "rms": np.sqrt(np.mean(values**2))}
                row |= dict(zip(("p95", "p99"), np.percentile(values, [95, 99]), strict=True))
                if "E" in maps:
                    row["mean_uncertainty"] = float(np.nanmean(maps["E"][valid]))
                row["extrapolated"] = np.mean(bits[valid] & EXTRAPOLATED > 0)
                row["trained_on"] = np.mean(bits[valid] & TRAINED > 0)
                both = valid & np.isfinite(observed[f"co{line}"])
                if both.any():
                    observed_values = observed[f"co{line}"][both].astype(np.float64)
                    row["mass_ratio"] = (
                        intensity[both].sum(dtype=np.float64) / observed_values.sum()
                    )
                    row["observed_mean"] = observed_values.mean()
                    row["null_mean"] = float(np.nanmean(observed[f"co{line}_null"][both]))
            rows.append(row)
    return pd.DataFrame(rows)
