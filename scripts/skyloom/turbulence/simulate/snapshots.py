"""The file of one shard of simulations: density contrast and velocity centroids.

One simulation is in memory at a time.
"""

import json
from pathlib import Path

import netCDF4
import numpy as np

from skyloom import patchset
from skyloom.cli import atomic
from skyloom.turbulence.physics import mean_density, sound_speed_kms
from skyloom.turbulence.simulate.clouds import Cloud, clouds

EARLY = "analytic density of the first moments (Lighthill 1952), no steps"
SCHEMES = {
    1: "first-order Godunov, local Lax-Friedrichs flux",
    2: "MUSCL-Hancock, minmod, local Lax-Friedrichs flux",
}

# name: dimensions after `simulation`, type, unit, meaning
VARIABLES = {
    "density_contrast": (("z", "y", "x"), "f4", "1", "rho/rho0 - 1"),
    "centroid": (
        ("axis", "row", "column"),
        "f4",
        "km s-1",
        "density-weighted velocity along the line of sight",
    ),
    "seed": ((), "i8", "1", "seed of the initial velocity"),
    "index": ((), "f8", "1", "n of the initial power spectrum P(k) ~ k^-n"),
    "mach": ((), "f8", "1", "rms speed of the initial velocity over the sound speed"),
    "time_myr": ((), "f8", "Myr", "time of the snapshot"),
    "steps": ((), "i4", "1", "time steps"),
    "mass_error": ((), "f8", "1", "abs(<rho>/rho0 - 1)"),
    "momentum_error": ((), "f8", "1", "change of the mean momentum over rho0 times the rms speed"),
    "ok": ((), "i1", "1", "1 where the simulation ran to its end, 0 where it failed"),
}


def write_snapshots(
    config: dict, simulations: list[dict], path: str | Path, device: str | None = None
) -> dict:
    """Run the simulations of a shard and write each to `path` at its end.

    A failed simulation has `ok` 0 and NaN fields. Its reason is in the attribute `failures` (JSON).
    Returns the failures, {seed: reason}. A shard in which all simulations fail is written, too: it
    may hold one simulation of many in its family.
    """
    failures = {}
    with atomic(path) as part, patchset.aligned(), netCDF4.Dataset(part, "w") as file:
        file.set_fill_off()  # every value is written below
        _define(file, config, len(simulations))
        for number, (row, cloud) in enumerate(clouds(config, simulations, device)):
            if cloud.failure:
                failures[row["seed"]] = cloud.failure
            _write(file, number, row, cloud)
        file.failures = json.dumps(failures)
    return failures


def _define(file: netCDF4.Dataset, config: dict, count: int) -> None:
    grid, early = config["grid"], config["backend"] == "early"
    for name in ("z", "y", "x", "row", "column"):
        file.createDimension(name, grid)
    file.createDimension("simulation", count)
    file.createDimension("axis", 3)
    for name, (dimensions, kind, units, meaning) in VARIABLES.items():
        variable = file.createVariable(name, kind, ("simulation", *dimensions), contiguous=True)
        variable.setncatts({"units": units, "long_name": meaning})
    file["ok"].setncatts(patchset.flags(("failed", "complete")))
    axis = file.createVariable("axis", "i1", ("axis",), contiguous=True)
    order = "axis integrated along; row and column are the other two in the order z y x"
    axis.setncatts(patchset.flags("xyz") | {"long_name": order})
    axis[:] = np.arange(3)
    file.setncatts(
        {
            name: config[name]
            for name in ("box_pc", "mass_msun", "temperature_k", "mu", "order", "grid", "courant")
        }
        | {
            "sound_speed_kms": sound_speed_kms(config["temperature_k"], config["mu"]),
            "mean_density_g_cm3": mean_density(config["mass_msun"], config["box_pc"]),
            "initial_kmax": config["initial_kmax"] or grid // 2 - 1,
            "scheme": EARLY if early else SCHEMES[config["order"]],
            "precision": config["precision"],
            "data_kind": "simulated",
            "source": "early" if early else "simulated",
        }
        | ({"order": 0} if early else {})
    )


def _write(file: netCDF4.Dataset, number: int, row: dict, cloud: Cloud) -> None:
    failed = cloud.failure is not None
    for name in ("seed", "index", "mach", "time_myr"):
        file[name][number] = row[name]
    file["ok"][number], file["steps"][number] = not failed, cloud.steps
    file["density_contrast"][number] = np.nan if failed else cloud.contrast
    file["centroid"][number] = np.nan if failed else cloud.centroid
    file["mass_error"][number] = np.nan if failed else cloud.mass_error
    file["momentum_error"][number] = np.nan if failed else cloud.momentum_error
