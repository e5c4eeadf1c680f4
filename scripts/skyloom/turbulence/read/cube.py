"""Uniform cubes of density, and of velocity if there is one, from HDF5, FITS or numpy files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from skyloom.cli import BadInput
from skyloom.turbulence.physics import MSUN_G, PC_CM, sound_speed_kms
from skyloom.turbulence.read.arrays import (
    Contents,
    full_name,
    opened,
    order_of_axes,
    read_cube,
)
from skyloom.turbulence.read.simulation import (
    FACTS,
    Cube,
    Simulation,
    check_density,
    check_velocity,
)
from skyloom.turbulence.read.units import Units, check_size

VELOCITY = "velocity_x", "velocity_y", "velocity_z"
ORDERS = {"zyx": "the last index is x", "xyz": "the first index is x, as of yt"}


def read(path: str | Path, settings: dict) -> Iterator[Simulation]:
    """Yield the one simulation of a file with a cube of density.

    HDF5: data sets with an attribute `units`; the attributes `box` and `time` of the file are texts
    such as "10 pc". FITS: image extensions with BUNIT; the box is NAXIS times the side of a cell.
    numpy: a .npz with the names of HDF5, or a .npy with the density; their units are assumed.

    Settings:
    mu, temperature_k : of the gas; a density in cm-3 counts particles of mean mass `mu`
    density : name of the data set or extension (None: density, of FITS the first cube)
    velocity : names of its three components (None: those of `VELOCITY` where they exist)
    axes : order of the axes of an array, a key of `ORDERS` (None: as the file states)
    assume : what a file does not state: {"density": "6.77e-22 g cm-3", "velocity": "km/s",
        "box": "10 pc", "time": "Myr"}
    box_pc, mass_msun : expected values (None: any)

    Raises BadInput for a file of another format or cut short, a missing name, a unit that is absent
    or of another dimension, a velocity whose axes are unknown, a box that is no cube, and for
    impossible box, mass, density or velocity.
    """
    path, mu = Path(path), settings.get("mu")
    units = Units(path, settings.get("assume"), mu)
    with opened(path) as contents:
        name = full_name(contents, _density(contents, settings.get("density")))
        components = _components(contents, settings.get("velocity"), name)
        order = _order(contents, name, settings.get("axes"), bool(components), units.remarks)
        density = read_cube(contents, name, order)
        density *= units.factor("density", name, contents.arrays[name].unit, "g cm-3")
        check_density(path, density)
        velocity = _velocity(contents, components, order, units, density.shape)
        box = units.quantity("box", contents.facts.get("box", ""), "pc")
        time = units.quantity("time", contents.facts.get("time", ""), "Myr", np.nan)
        data_kind = contents.facts.get("data_kind", "user-simulation")
    mean_density = float(density.mean())
    check_size(path, "box_pc", box, settings.get("box_pc"))
    mass = mean_density * (box * PC_CM) ** 3 / MSUN_G
    check_size(path, "mass_msun", mass, settings.get("mass_msun"))
    temperature = settings.get("temperature_k") or np.nan
    speed = sound_speed_kms(temperature, mu or np.nan)
    mach = np.nan if velocity is None else _rms(velocity) / speed
    if velocity is None:
        units.remarks.append("no velocity: centroids are NaN")
    yield Simulation(
        path=path,
        source="cube",
        data_kind=data_kind,
        gas=Cube(density, velocity),
        box_pc=box,
        mean_density=mean_density,
        facts=FACTS | {"time_myr": time, "mach": mach},
        attributes={
            "mu": mu or np.nan,
            "temperature_k": temperature,
            "sound_speed_kms": speed,
            "scheme": "unknown",
        },
        remarks=tuple(units.remarks),
    )


def _density(contents: Contents, stated: str | None) -> str:
    """The density: as stated, the array of this name, or the first cube of a FITS file."""
    is_fits = bool(contents.standard)
    first = next(iter(contents.arrays), "density")
    return stated or (first if is_fits and "density" not in contents.arrays else "density")


def _components(contents: Contents, stated: list[str] | None, density: str) -> list[str]:
    """Full names of the components of the velocity, of the density's group; empty without one."""
    group = density[: density.rfind("/") + 1]
    names = stated or [group + name for name in VELOCITY if group + name in contents.arrays]
    if len(names) not in (0, 3):
        message = f"velocity components are {', '.join(names)}; expected three, along x, y, z"
        raise BadInput(f"{contents.path}: {message}")
    return [full_name(contents, name) for name in names]


def _order(
    contents: Contents, name: str, stated: str | None, velocity: bool, remarks: list[str]
) -> str:
    """The axes of the indices of the arrays: by coordinates in the file, or as stated.

    An order that only the standard of the format gives is a remark. Raises BadInput where the two
    differ, or where neither is known and a velocity makes it matter.
    """
    if stated not in (None, *ORDERS):
        message = f"axes is {stated!r} in the config; expected {' or '.join(ORDERS)}"
        raise BadInput(f"{contents.path}: {message}")
    by_file = order_of_axes(contents, name)
    if stated and by_file and stated != by_file:
        message = f"axes is {stated} in the config; expected {by_file}, by coordinates in the file"
        raise BadInput(f"{contents.path}: {message}")
    if by_file or stated:
        return by_file or stated
    if velocity and not contents.standard:
        orders = " or ".join(f"{order} ({meaning})" for order, meaning in ORDERS.items())
        message = f"{name} has a velocity, and no coordinates of its axes; expected axes: {orders}"
        raise BadInput(f"{contents.path}: {message} in the config")
    remarks.append(f"order of the axes not stated: taken for {next(iter(ORDERS))}")
    return next(iter(ORDERS))


def _velocity(
    contents: Contents, names: list[str], order: str, units: Units, shape: tuple[int, ...]
) -> np.ndarray | None:
    """Velocity (3, z, y, x) float64 [km/s], None without one."""
    if not names:
        return None
    velocity = np.empty((3, *shape))
    for component, name in zip(velocity, names, strict=True):
        values = read_cube(contents, name, order)
        if values.shape != shape:
            message = f"{name} has shape {values.shape}; expected {shape}, as the density"
            raise BadInput(f"{contents.path}: {message}")
        scale = units.factor("velocity", name, contents.arrays[name].unit, "km/s")
        np.multiply(values, scale, out=component)
    check_velocity(contents.path, velocity)
    return velocity


def _rms(velocity: np.ndarray) -> float:
    """3D rms about the mean, weighted by volume."""
    return float(np.sqrt(velocity.var(axis=(1, 2, 3)).sum()))
