"""Outputs of hydrodynamic simulations on a uniform grid (HDF5), projected along an axis.

Two layouts are read. ENZO's fields are at the root of a file, with indices [z, y, x] and without
units. yt's are in a group or at the root, with indices [x, y, z] and units: `save_as_dataset` of a
covering or arbitrary grid, or `write_hdf5` of an array (read as yt 4.4 writes them).
Fields are read in slabs: a field never has to fit in memory.
"""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import astropy.units as u
import h5py
import numpy as np

from skyloom.cli import BadInput
from skyloom.radio.simulate.shocks import (
    ELECTRONS,
    KELVIN_PER_KEV,
    PROTON_G,
    REACH,
    Gas,
    radio_power,
    read_efficiency,
    shocks,
)

GROUPS = "grid", "data"  # of fields in files of yt
# names of yt and of ENZO; yt's go first, since a file with both has the units of the former
SPELLINGS = {
    "density": ("density", "Density"),
    "temperature": ("temperature", "Temperature"),
    "velocity": ("velocity_{}", "{}-velocity"),
    "magnetic": ("magnetic_field_{}", "B{}"),
}
VECTORS = "velocity", "magnetic"
UNITS = {
    "density": u.g / u.cm**3,
    "temperature": u.K,
    "velocity": u.cm / u.s,
    "magnetic": u.uG,
}
# a cell outside of the simulated box has a temperature of 0, and is no gas before a shock
LEAST = {"density": 0.0, "temperature": 1e-3}  # [g/cm3], [K]
AGREEMENT = 1e-3  # largest relative difference of two statements, or of the sides of a cell


class Field(NamedTuple):
    """Datasets of a quantity, of a vector its components in the order of the indices.

    scales : factors to `UNITS`, one for each dataset
    order : axes of the indices, "zyx" or "xyz"
    """

    parts: list[h5py.Dataset]
    scales: list[float]
    order: str


class Projection(NamedTuple):
    """Maps (n, n), of the two other axes the later one of x, y, z first.

    power : [erg/s/Hz]; column : mass [g/cm2]; cell_kpc : side of a pixel, proper
    """

    power: np.ndarray
    column: np.ndarray
    cell_kpc: float
    redshift: float


def project(settings: dict, slab: int = 64) -> Projection:
    """Radio power of the shocks of an output, and its density, along an axis.

    settings : `files` with `density`, `temperature`, `velocity`, `magnetic`; `axis`,
        `frequency_mhz`, `psi_table`, `efficiency`, `least_efficiency`, `least_mach`; and, None
        where the files state them: `conversion`, a .conv2 file, with `exponents` of (1 + z) in
        `density`, `velocity`, `magnetic`; `redshift`; `cell_kpc`, proper
    slab : cells along the first index that are read at once
    Raises BadInput for what is neither in the files nor stated, or stated in two ways, a missing
    dataset, another unit or shape, and impossible values.
    """
    table = read_efficiency(settings["psi_table"])
    with ExitStack() as stack:
        files = {
            path: stack.enter_context(_opened(path))
            for path in dict.fromkeys(settings["files"][name] for name in SPELLINGS)
        }
        z, scales = _stated(settings, files)
        cell_kpc = _cell_kpc(settings, files)
        fields = {
            name: _field(files[settings["files"][name]], name, scales[name], settings)
            for name in SPELLINGS
        }
        _check_alike(fields)
        (density,), order = fields["density"].parts, fields["density"].order
        axis, length = order.index(settings["axis"]), density.shape[0]
        power = np.zeros([n for k, n in enumerate(density.shape) if k != axis])
        column = np.zeros_like(power)
        for first in range(0, length, slab):
            last = min(length, first + slab)
            rows = slice(max(0, first - REACH), min(length, last + REACH))
            mass = _read(fields, "density", rows)
            part = mass[first - rows.start : last - rows.start].sum(axis)
            if axis == 0:
                column += part
            else:
                column[first:last] = part
            if rows.stop - rows.start <= 2 * REACH:
                continue  # at an edge
            gas = Gas(
                mass / (ELECTRONS * PROTON_G),
                *(_read(fields, name, rows) for name in ("temperature", "velocity", "magnetic")),
            )
            place, mach, behind = shocks(gas, settings["least_mach"])
            layer = place[:, 0] + rows.start
            mine = (layer >= first) & (layer < last)
            place, mach, behind = place[mine], mach[mine], tuple(behind[mine].T)
            kelvin = gas.temperature[behind]
            xi = settings["efficiency"] * table.of(mach, kelvin / KELVIN_PER_KEV)
            found = radio_power(
                mach,
                gas.electrons[behind],
                kelvin,
                np.sqrt((gas.magnetic[(slice(None), *behind)] ** 2).sum(0)),
                (cell_kpc / 1e3) ** 2,
                z,
                settings["frequency_mhz"] / 1e3,
                np.maximum(xi, settings["least_efficiency"]),
            )
            target = tuple(np.delete(place + [rows.start, 0, 0], axis, 1).T)
            np.add.at(power, target, found)
    column *= (cell_kpc * u.kpc).to_value(u.cm)
    if order == "xyz":
        power, column = power.T, column.T
    return Projection(power, column, cell_kpc, z)


# --- what files and config state ------------------------------------------------------------------


def read_conversion(path: str | Path) -> tuple[float, float, float]:
    """Redshift, and what makes density [g/cm3] and velocity [cm/s] of the code's values.

    They are the third, fourth and fifth number of a .conv2 file.
    """
    try:
        values = [float(word) for word in Path(path).read_text().split()]
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read as numbers ({error})") from error
    if len(values) < 5:
        raise BadInput(f"{path}: {len(values)} numbers; expected five at least")
    return values[2], values[3], values[4]


def _stated(settings: dict, files: dict[str, h5py.File]) -> tuple[float, dict[str, float | None]]:
    """The redshift, and factors to `UNITS` of fields without a unit; None where none is stated."""
    conversion = settings["conversion"]
    redshifts = {f"{path}: current_redshift": _redshift(file) for path, file in files.items()}
    redshifts["redshift of the config"] = settings["redshift"]
    scales: dict[str, float | None] = dict.fromkeys(UNITS) | {"temperature": 1.0}
    if conversion:
        z, density, velocity = read_conversion(conversion)
        redshifts[f"{conversion}: redshift"] = z
        # the unit of the field follows from those of density and velocity, in Gauss
        magnetic = np.sqrt(4 * np.pi * density) * velocity * 1e6
        scales |= {"density": density, "velocity": velocity, "magnetic": magnetic}
        for name, exponent in settings["exponents"].items():
            scales[name] *= (1 + z) ** exponent
    missing = (
        f"{', '.join(files)}: no redshift (current_redshift of a cosmological simulation); state"
        " redshift"
    )
    factors = {source: None if z is None else 1 + z for source, z in redshifts.items()}
    return _agreed("1 + z", factors, missing) - 1, scales


def _redshift(file: h5py.File) -> float | None:
    """Of a cosmological simulation: yt writes 0 for any other."""
    value = file.attrs.get("current_redshift")
    return float(value) if value is not None and file.attrs.get("cosmological_simulation") else None


def _cell_kpc(settings: dict, files: dict[str, h5py.File]) -> float:
    stated: dict[str, float | None] = {"cell_kpc of the config": settings["cell_kpc"]}
    for path, file in files.items():
        sides = _sides(file)
        if sides is not None and not np.ptp(sides) <= AGREEMENT * sides.min():
            found = " x ".join(f"{side:.4g}" for side in sides)
            raise BadInput(f"{path}: cells of {found} kpc; expected cubes")
        stated[path] = None if sides is None else float(sides.mean())
    missing = f"{', '.join(files)}: no side of a cell in a known unit; state cell_kpc"
    return _agreed("side of a cell [kpc]", stated, missing)


def _sides(file: h5py.File) -> np.ndarray | None:
    """Sides of a cell (3,) along x, y, z [kpc], where the file states them in a known unit."""
    datasets, attrs = _datasets(file), file.attrs
    try:
        if all(f"d{axis}" in datasets for axis in "xyz"):
            cells = [datasets[f"d{axis}"] for axis in "xyz"]
            sides = [cell[(0,) * cell.ndim] for cell in cells]
            units = [cell.attrs["units"] for cell in cells]
        elif "right_edge" in attrs:
            sides = (attrs["right_edge"] - attrs["left_edge"]) / attrs["ActiveDimensions"]
            units = [attrs["right_edge_units"]] * 3
        else:
            # finer levels have cells that the attributes do not give
            if attrs["level"] != 0:
                return None
            sides = attrs["domain_right_edge"] - attrs["domain_left_edge"]
            sides = sides / attrs["domain_dimensions"]
            units = [attrs["domain_right_edge_units"]] * 3
        known = [_parsed(file, unit).to(u.kpc) for unit in units]
    except (KeyError, ValueError):
        return None
    return np.array(sides, np.float64) * known


def _agreed(what: str, stated: dict[str, float | None], missing: str) -> float:
    """The value that sources state, None where one does not; refused if they differ."""
    values = {source: value for source, value in stated.items() if value is not None}
    if not values:
        raise BadInput(missing)
    listed = list(values.values())
    if not all(0 < v < np.inf and abs(v / listed[0] - 1) <= AGREEMENT for v in listed):
        found = "; ".join(f"{source}: {what} = {value:.6g}" for source, value in values.items())
        raise BadInput(f"{found}; expected equal numbers above 0")
    return listed[0]


# --- files ----------------------------------------------------------------------------------------


def _opened(path: str) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise BadInput(f"{path}: cannot be opened as HDF5 ({error})") from error


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """The fields by name; of a name such as ("gas", "density") its last word."""
    groups = [file, *(file[name] for name in GROUPS if isinstance(file.get(name), h5py.Group))]
    items = [(name, group.get(name)) for group in groups for name in group]
    return {
        name.rpartition(",")[2].strip("()[]\"' "): item
        for name, item in items
        if isinstance(item, h5py.Dataset)
    }


def _field(file: h5py.File, name: str, scale: float | None, settings: dict) -> Field:
    """A quantity of a file; scale : factor to `UNITS` that a .conv2 file states."""
    datasets = _datasets(file)
    axes = "xyz" if name in VECTORS else ("",)
    parts = {}
    for axis in axes:
        names = [spelling.format(axis) for spelling in SPELLINGS[name]]
        present = [key for key in names if key in datasets]
        if not present:
            found = ", ".join(datasets) or "none"
            raise BadInput(
                f"{file.filename}: no dataset {' or '.join(names)} (files.{name}); found {found}"
            )
        parts[axis] = datasets[present[0]]
    by_yt = _text(file, "data_type").startswith("yt")
    by_yt = by_yt or any("unit_registry" in part.attrs for part in parts.values())
    order = "xyz" if by_yt else "zyx"
    ordered = [parts[axis] for axis in (order if name in VECTORS else axes)]
    return Field(ordered, [_scale(part, name, scale, settings) for part in ordered], order)


def _scale(part: h5py.Dataset, name: str, scale: float | None, settings: dict) -> float:
    """The factor of a dataset to `UNITS`, by its attribute `units` or a .conv2 file."""
    source, text, target = f"{part.file.filename}: {part.name}", _text(part, "units"), UNITS[name]
    by_unit = None
    if text:
        try:
            by_unit = _parsed(part.file, text).to(target)
        except ValueError as error:
            raise BadInput(
                f"{source}: units are {text!r} ({error}); expected a unit of {name}, as {target}"
            ) from None
    # a temperature without a unit is in K, which no file states
    elsewhere = None if text and name == "temperature" else scale
    return _agreed(
        f"unit [{target}]",
        {source: by_unit, f"{settings['conversion']}, exponents": elsewhere},
        f"{source}: no attribute units; state conversion and exponents",
    )


def _text(item: h5py.Dataset | h5py.File, key: str) -> str:
    value = item.attrs.get(key, "")
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(file: h5py.File, text: str) -> u.UnitBase:
    """A unit in the words of yt; raises ValueError where it is none."""
    with u.add_enabled_units(_code_units(file)):
        return u.Unit(text)


def _code_units(file: h5py.File) -> list[u.UnitBase]:
    """The code units of a file of yt, by its registry: value in base units and dimensions."""
    try:
        registry = json.loads(file.attrs["unit_registry_json"])
        bases = {name: registry[name][0] for name in ("m", "g", "s", "K", "G", "T")}
        length, mass, time = u.m / bases["m"], u.g / bases["g"], u.s / bases["s"]
        is_tesla = registry["code_magnetic"][1] == registry["T"][1]
        known = {
            "code_length": length,
            "code_mass": mass,
            "code_time": time,
            "code_velocity": length / time,
            "code_density": mass / length**3,
            "code_temperature": u.K / bases["K"],
            "code_magnetic": u.T / bases["T"] if is_tesla else u.G / bases["G"],
        }
        return [u.def_unit(name, registry[name][0] * unit) for name, unit in known.items()]
    except (KeyError, IndexError, TypeError, ValueError):
        return []  # a unit of the code is then refused by its name


def _check_alike(fields: dict[str, Field]) -> None:
    """Refuse fields of several shapes or orders of axes, or of few cells."""
    first = fields["density"]
    shape = first.parts[0].shape
    for field in fields.values():
        for part in field.parts:
            source = f"{part.file.filename}: {part.name}"
            if len(part.shape) != 3 or min(part.shape) < 2 * REACH + 1:
                least = 2 * REACH + 1
                raise BadInput(
                    f"{source} has shape {part.shape}; expected three axes of {least} cells or more"
                )
            if (part.shape, field.order) != (shape, first.order):
                raise BadInput(
                    f"{source} has shape {part.shape} of axes {field.order}; expected {shape} of"
                    f" {first.order}, as the density"
                )


def _read(fields: dict[str, Field], name: str, rows: slice) -> np.ndarray:
    """A slab of one field, or of the components of a vector, in `UNITS`."""
    field = fields[name]
    pairs = zip(field.parts, field.scales, strict=True)
    values = np.stack([part[rows].astype(np.float64) * scale for part, scale in pairs])
    good = np.isfinite(values)
    if name in LEAST:
        good &= values >= LEAST[name]
    if not good.all():
        part = field.parts[0]
        above = f" of {LEAST[name]:g} and more" if name in LEAST else ""
        raise BadInput(
            f"{part.file.filename}: {(~good).sum()} values of {part.name} are impossible; expected"
            f" finite ones{above}"
        )
    return values if len(field.parts) > 1 else values[0]
