"""The file of column maps, which every source of simulations or maps becomes.

`column (simulation, axis, y, x)` is N / <N> - 1, so that float32 keeps a structure of 0.2 %.
"""

import numpy as np
import xarray as xr

from skyloom.patchset import flags
from skyloom.turbulence.read.simulation import AXES, FACTS

DESCRIPTIONS = {
    "seed": "seed of the initial velocity field, -1 unknown",
    "index": "index of the initial velocity power spectrum, NaN unknown",
    "mach": "3D rms velocity over sound speed: initial where the simulation is ours or the config "
    "states it, else as read",
    "time_myr": "time since the beginning [Myr]",
    "steps": "time steps, -1 unknown",
    "mass_error": "relative error of the total mass, NaN unknown",
    "momentum_error": "relative error of the total momentum, NaN unknown",
}


def dataset(
    column: np.ndarray,
    centroid: np.ndarray,
    facts: list[dict],
    attributes: dict,
    axes: tuple[str, ...] = AXES,
    names: list[str] | None = None,
) -> xr.Dataset:
    """The contents of the file.

    column, centroid : (simulation, axis, y, x)
    facts : of each simulation `FACTS`, `ok` and `mean_column` [g cm-2]
    names : of the user's outputs, the coordinate `name` of `simulation`; None: none
    """
    dims = ("simulation", "axis", "y", "x")
    mean = float(np.mean([row["mean_column"] for row in facts if row["ok"]]))
    velocity = "line-of-sight velocity weighted by density"
    if "refine" in attributes and attributes["source"] == "simulated":
        velocity += ", of the uniform grid: not coarsened"
    data = xr.Dataset(attrs=attributes, coords={"axis": list(axes)})
    contrast = {"long_name": "N / <N> - 1", "units": "1", "mean_column_g_cm2": mean}
    if names is not None:
        data.coords["name"] = "simulation", names, {"long_name": "path in the family's folder"}
    data["column"] = dims, column, contrast
    data["centroid"] = dims, centroid, {"long_name": velocity, "units": "km/s"}
    for name, default in FACTS.items():
        values = [row[name] for row in facts]
        kind = np.int64 if isinstance(default, int) else np.float64
        data[name] = "simulation", np.array(values, kind), {"long_name": DESCRIPTIONS[name]}
    means = np.array([row["mean_column"] for row in facts])
    data["mean_column"] = "simulation", means, {"units": "g cm-2"}
    data["ok"] = (
        "simulation",
        np.array([row["ok"] for row in facts], np.int8),
        flags(("failed", "good")),
    )
    return data
