"""Column maps of simulations: the gas of one after the other, projected along three axes."""

import json
import sys
from collections.abc import Iterable

import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.turbulence.physics import MSUN_G, PC_CM, SIZE_TOLERANCE
from skyloom.turbulence.project.deposit import project
from skyloom.turbulence.project.refine import mimic
from skyloom.turbulence.read.columns import dataset
from skyloom.turbulence.read.simulation import OWN, Cells, Cube, Simulation

# attributes that the simulations of one file have in common
GAS = "temperature_k", "mu", "sound_speed_kms"
SCHEME = "scheme", "order", "initial_kmax", "grid"
BOX = "box_pc", "mass_msun", "mean_density_g_cm3", "data_kind", "source"
COMMON = {*GAS, *SCHEME, *BOX}
# Of these the outputs of a user keep a range: each realisation has its own.
RANGED = {"temperature_k", "sound_speed_kms", "mass_msun", "mean_density_g_cm3", "grid"}

FLAT = 1e-12  # relative range of column density that is rounding


def column_maps(
    simulations: Iterable[Simulation], pixels: int | None, refine: dict | None = None
) -> xr.Dataset:
    """Project simulations of one box; memory for one of them and for the maps.

    pixels : of a side of the maps; None: the finest cells, as many in each simulation
    refine : {"thresholds", "expand"} of `refine.mimic` for uniform grids; None: not coarsened

    A failed simulation gets `ok` = 0 and NaN maps; its reason goes to stderr and to the attribute
    `failures`. Outputs of a user may differ in mass, sound speed and grid: their attributes are
    then the least and the largest value. Raises BadInput where anything else of `COMMON` differs,
    for a constant column density, or where all simulations have failed.
    """
    maps, facts, names, shares, attributes = [], [], [], [], {}
    notes: dict[str, dict] = {"failures": {}, "remarks": {}}
    for simulation in simulations:
        seed = simulation.facts["seed"]
        label = simulation.name or (str(seed) if seed >= 0 else simulation.path.name)
        names.append(label)
        if simulation.remarks:
            notes["remarks"][label] = list(simulation.remarks)
        mean_column = simulation.mean_density * simulation.box_pc * PC_CM
        ok = int(simulation.gas is not None)
        facts.append({**simulation.facts, "ok": ok, "mean_column": mean_column})
        if simulation.gas is None:
            notes["failures"][label] = simulation.failure
            reason = f"seed {label} left out: {simulation.failure}"
            print(f"warning: {simulation.path}: {reason}", file=sys.stderr)
            maps.append(None)
            continue
        _agree(attributes, _attributes(simulation), simulation, bool(pixels))
        gas, share = _coarsened(simulation, refine) if refine else (simulation.gas, None)
        shares.append(share)
        density, centroid = project(gas, pixels or attributes["grid"])
        mean = density.mean(axis=(1, 2), keepdims=True)
        if not (np.ptp(density, axis=(1, 2)) > FLAT * mean.ravel()).any():
            message = "column density is constant along each axis"
            raise BadInput(f"{simulation.path}: {message}; expected structure")
        contrast = density / mean - 1
        maps.append(np.stack([contrast, centroid]).astype(np.float32))
    if not shares:
        failures = "; ".join(notes["failures"].values()) or "none was given"
        raise BadInput(f"no simulation to project, {len(maps)} have failed: {failures}")
    empty = np.full_like(next(pair for pair in maps if pair is not None), np.nan)
    maps = np.stack([empty if pair is None else pair for pair in maps])
    column, centroid = np.moveaxis(maps, 1, 0)
    attributes |= {name: json.dumps(entries) for name, entries in notes.items()}
    if refine:
        attributes |= {"refine": json.dumps(refine), "refine_volume_share": np.mean(shares, axis=0)}
    named = names if attributes["source"] not in OWN else None
    return dataset(column, centroid, facts, attributes, names=named)


def _coarsened(simulation: Simulation, refine: dict) -> tuple[Cube, np.ndarray]:
    if isinstance(simulation.gas, Cells):
        raise BadInput(
            f"{simulation.path}: already refined adaptively; expected a uniform grid to coarsen"
        )
    return mimic(simulation.gas, refine["thresholds"], refine["expand"])


def _attributes(simulation: Simulation) -> dict:
    """Attributes of a file that holds this simulation.

    `order` and `initial_kmax` are 0 for an unknown scheme.
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


def _agree(attributes: dict, others: dict, simulation: Simulation, on_pixels: bool) -> None:
    """Take the attributes of the first simulation, and compare those of the others.

    A difference (more than 1 % of a number) in one of `RANGED` widens a range where the user brings
    the simulations; of the grid only where maps have pixels of their own. Another difference in
    `COMMON` is refused; other differing attributes are dropped.
    """
    if not attributes:
        attributes |= others
    for key, expected in list(attributes.items()):
        value = others.get(key)
        if _same(value, expected):
            continue
        ranged = key in RANGED and simulation.source not in OWN
        if ranged and (on_pixels or key != "grid"):
            values = np.append(expected, value)
            attributes[key] = np.array([np.fmin.reduce(values), np.fmax.reduce(values)])
        elif key in COMMON:
            way_out = "pixels in the config" if key == "grid" else "a family of its own"
            raise BadInput(
                f"{simulation.path}: {key} is {value}; expected {expected}, as in the simulations "
                f"before it, or {way_out}"
            )
        else:
            del attributes[key]


def _same(value, expected) -> bool:
    """Whether two values of an attribute are equal, real numbers within 1 %."""
    if {np.asarray(value).dtype.kind, np.asarray(expected).dtype.kind} != {"f"}:
        return np.array_equal(value, expected)
    return bool(np.isclose(value, expected, rtol=SIZE_TOLERANCE, atol=0, equal_nan=True).all())
