"""Shards of our own simulations: netCDF files with the density contrast on a uniform grid."""

import json
from collections.abc import Iterator
from pathlib import Path

import netCDF4
import numpy as np

from skyloom.cli import BadInput, require
from skyloom.files import check_netcdf
from skyloom.turbulence.physics import MSUN_G, PC_CM
from skyloom.turbulence.read import units
from skyloom.turbulence.read.simulation import FACTS, Cube, Simulation, check_density

VARIABLES = {
    "density_contrast": ("simulation", "z", "y", "x"),
    "centroid": ("simulation", "axis", "row", "column"),
    "ok": ("simulation",),
    **{name: ("simulation",) for name in FACTS},
}
ATTRIBUTES = ("box_pc", "mass_msun", "mean_density_g_cm3", "data_kind", "source")


def read(path: str | Path, settings: dict) -> Iterator[Simulation]:
    """Yield the simulations of a shard one at a time: memory for one grid.

    settings : expected `box_pc` and `mass_msun` (None: any)

    A simulation that has failed, or whose contrast is NaN or below -1, has no gas but a reason.
    Raises BadInput for a file that is no shard, or of another box or mass.
    """
    path = Path(path)
    with _open(path) as file:
        attributes = {name: file.getncattr(name) for name in file.ncattrs()}
        _check(path, file, attributes)
        for key in ("box_pc", "mass_msun"):
            units.check_size(path, key, float(attributes[key]), settings.get(key))
        volume = (attributes["box_pc"] * PC_CM) ** 3
        box_mass = float(attributes["mean_density_g_cm3"]) * volume / MSUN_G
        units.check_size(path, "mass_msun", float(attributes["mass_msun"]), box_mass)
        reasons = _reasons(attributes.pop("failures", ""))
        kind, source = attributes.pop("data_kind"), attributes.pop("source")
        density, box = float(attributes.pop("mean_density_g_cm3")), float(attributes.pop("box_pc"))
        for row in range(len(file.dimensions["simulation"])):
            facts = {name: file[name][row].item() for name in FACTS}
            gas, failure = None, reasons.get(str(facts["seed"]), "failed, without a stated reason")
            if file["ok"][row]:
                gas, failure = _gas(path, file, row, density)
            yield Simulation(
                path, source, kind, gas, box, density, facts, attributes, failure=failure
            )


def _open(path: Path) -> netCDF4.Dataset:
    check_netcdf(path)
    file = netCDF4.Dataset(path)
    file.set_auto_mask(False)
    return file


def _check(path: Path, file: netCDF4.Dataset, attributes: dict) -> None:
    for name, dimensions in VARIABLES.items():
        axes = file.variables[name].dimensions if name in file.variables else None
        if axes != dimensions:
            message = f"variable {name} has dimensions {axes}"
            raise BadInput(f"{path}: {message}; expected {dimensions}, as a snapshot has")
    require(attributes, ATTRIBUTES, path, "attribute")


def _reasons(text: str) -> dict[str, str]:
    try:
        return json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}


def _gas(
    path: Path, file: netCDF4.Dataset, row: int, mean_density: float
) -> tuple[Cube | None, str]:
    """The grid of a simulation that counts as good; or None and the reason."""
    density = file["density_contrast"][row].astype(np.float64)
    density += 1
    density *= mean_density
    try:
        check_density(f"simulation {row}", density)
    except BadInput as error:
        return None, f"{error} ({path.name})"
    return Cube(density, centroid=file["centroid"][row].astype(np.float64)), ""
