"""The file of column maps: what every source of simulations becomes before images are cut from it.

`column (simulation, axis, y, x)` is N / <N> - 1, in which a structure of 0.2 % survives float32.
"""

import json
import sys
from collections.abc import Iterable

import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.turbulence.physics import MSUN_G, PC_CM
from skyloom.turbulence.project import AXES, project
from skyloom.turbulence.read import Cells, Cube, Simulation
from skyloom.turbulence.read.simulation import FACTS
from skyloom.turbulence.read.units import SIZE_TOLERANCE
from skyloom.turbulence.refine import mimic

# Attributes that the simulations of one file have in common.
GAS = "temperature_k", "mu", "sound_speed_kms"
SCHEME = "scheme", "order", "initial_kmax", "grid"
BOX = "box_pc", "mass_msun", "mean_density_g_cm3", "data_kind", "source"
COMMON = {*GAS, *SCHEME, *BOX}

DESCRIPTIONS = {
    "seed": "seed of the initial velocity field, -1 unknown",
    "index": "index of the initial velocity power spectrum, NaN unknown",
    "mach": "3D rms velocity over sound speed: initial where the simulation is ours or the config "
    "states it, "
    "else as read",
    "time_myr": "time since the beginning [Myr]",
    "steps": "time steps, -1 unknown",
    "mass_error": "relative error of the total mass, NaN unknown",
    "momentum_error": "relative error of the total momentum, NaN unknown",
}


def column_maps(
    simulations: Iterable[Simulation], pixels: int | None, refine: dict | None = None
) -> xr.Dataset:
    """Project simulations of one box, one after the other; memory for one of them and for the maps.

    Parameters ----------
    pixels : of a side of the maps; None: as many as the finest cells of the first simulation
    refine : {"thresholds", "expand"} of `refine.mimic`, which uniform grids then go through; None:
        none

    A simulation that has failed gets `ok` = 0 and NaN maps, and its reason goes to stderr and the
    attribute `failures`. Raises BadInput where boxes, sound speeds or schemes differ, or where all
    simulations have failed.
    """
    maps, facts, shares, attributes = [], [], [], {}
    notes: dict[str, dict] = {"failures": {}, "remarks": {}}
    for simulation in simulations:
        label = (
            str(simulation.facts["seed"]) if simulation.facts["seed"] >= 0 else simulation.path.name
        )
        if simulation.remarks:
            notes["remarks"][label] = list(simulation.remarks)
        mean_column = simulation.mean_density * simulation.box_pc * PC_CM
        facts.append(
            {**simulation.facts, "ok": int(simulation.gas is not None), "mean_column": mean_column}
        )
        if simulation.gas is None:
            notes["failures"][label] = simulation.failure
            print(
                f"warning: {simulation.path}: seed {label} left out: {simulation.failure}",
                file=sys.stderr,
            )
            maps.append(None)
            continue
        _agree(attributes, _attributes(simulation), simulation)
        pixels = pixels or attributes["grid"]
        gas, share = _coarsened(simulation, refine) if refine else (simulation.gas, None)
        shares.append(share)
        density, centroid = project(gas, pixels)
        contrast = density / density.mean(axis=(1, 2), keepdims=True) - 1
        maps.append(np.stack([contrast, centroid]).astype(np.float32))
    if not shares:
        failures = "; ".join(notes["failures"].values()) or "none was given"
        raise BadInput(f"no simulation to project, {len(maps)} have failed: {failures}")
    empty = np.full((2, len(AXES), pixels, pixels), np.nan, np.float32)
    column, centroid = np.moveaxis(
        np.stack([empty if pair is None else pair for pair in maps]), 1, 0
    )
    attributes |= {name: json.dumps(entries) for name, entries in notes.items()}
    if refine:
        attributes |= {"refine": json.dumps(refine), "refine_volume_share": np.mean(shares, axis=0)}
    return dataset(column, centroid, facts, attributes)


def _coarsened(simulation: Simulation, refine: dict) -> tuple[Cube, np.ndarray]:
    if isinstance(simulation.gas, Cells):
        raise BadInput(
            f"{simulation.path}: already refined adaptively; expected a uniform grid for the "
            "mimic of it"
        )
    return mimic(simulation.gas, refine["thresholds"], refine["expand"])


def _attributes(simulation: Simulation) -> dict:
    """What holds for all simulations of a file. Of an unknown scheme `order` and `initial_kmax` are
    0.
    """
    gas, source = simulation.gas, simulation.attributes
    return {
        **{key: source.get(key, np.nan) for key in GAS},
        **{"scheme": "unknown", "order": 0, "initial_kmax": 0},
        **source,
        "box_pc": simulation.box_pc,
        "mass_msun": simulation.mean_density * (simulation.box_pc * PC_CM) ** 3 / MSUN_G,
        "grid": 1 << int(gas.level.max()) if isinstance(gas, Cells) else len(gas.density),
        "mean_density_g_cm3": simulation.mean_density,
        "data_kind": simulation.data_kind,
        "source": simulation.source,
    }


def _agree(attributes: dict, found: dict, simulation: Simulation) -> None:
    """Take the first simulation's attributes; refuse another whose `COMMON` ones differ, of a
    number by more than 1 %.

    What else the attributes of a source say is dropped where it differs.
    """
    if not attributes:
        attributes |= found
    for key, expected in list(attributes.items()):
        value = found.get(key)
        if isinstance(value, float | np.floating) and isinstance(expected, float | np.floating):
            same = np.isclose(value, expected, rtol=SIZE_TOLERANCE, atol=0, equal_nan=True)
        else:
            same = np.array_equal(value, expected)
        if not same and key in COMMON:
            raise BadInput(
                f"{simulation.path}: {key} is {value}; expected {expected}, as in the simulations "
                "before it"
            )
        if not same:
            del attributes[key]


def dataset(
    column: np.ndarray,
    centroid: np.ndarray,
    facts: list[dict],
    attributes: dict,
    axes: tuple[str, ...] = tuple(AXES),
) -> xr.Dataset:
    """The file's contents. column, centroid : (simulation, axis, y, x); facts : of each simulation
    `FACTS`, `ok` and `mean_column` [g cm-2].
    """
    dims = ("simulation", "axis", "y", "x")
    mean = float(np.mean([row["mean_column"] for row in facts if row["ok"]]))
    about = "line-of-sight velocity weighted by density"
    if "refine" in attributes and attributes["source"] == "simulated":
        about += ", of the uniform grid: not coarsened"
    data = xr.Dataset(attrs=attributes, coords={"axis": list(axes)})
    data["column"] = (
        dims,
        column,
        {"long_name": "N / <N> - 1", "units": "1", "mean_column_g_cm2": mean},
    )
    data["centroid"] = dims, centroid, {"long_name": about, "units": "km/s"}
    for name in FACTS:
        kind = np.int64 if isinstance(FACTS[name], int) else np.float64
        data[name] = (
            "simulation",
            np.array([row[name] for row in facts], kind),
            {"long_name": DESCRIPTIONS[name]},
        )
    data["mean_column"] = (
        "simulation",
        np.array([row["mean_column"] for row in facts]),
        {"units": "g cm-2"},
    )
    flags = {"flag_values": np.int8([0, 1]), "flag_meanings": "failed good"}
    data["ok"] = "simulation", np.array([row["ok"] for row in facts], np.int8), flags
    return data
