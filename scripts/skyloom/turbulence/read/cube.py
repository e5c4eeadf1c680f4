"""Uniform cubes of density, and of velocity if there is one, from HDF5 or FITS files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits

from skyloom.cli import BadInput, require
from skyloom.images import UNREADABLE, opened
from skyloom.turbulence.physics import MSUN_G, PC_CM, sound_speed_kms
from skyloom.turbulence.read import units
from skyloom.turbulence.read.simulation import FACTS, Cube, Simulation, check_density

UNIT_NAMES = "units", "unit"  # attributes of an HDF5 data set
VELOCITY = "velocity_x", "velocity_y", "velocity_z"
EXPECTED = "a cube of density (HDF5 or FITS)"


def read(path: str | Path, settings: dict) -> Iterator[Simulation]:
    """Yield the one simulation of a file with a cube of density.

    HDF5: data sets with an attribute `units`; the attributes `box` and `time` of the file are texts
    such as "10 pc". FITS: image extensions with BUNIT and axes x, y, z (numpy: z, y, x); the box is
    NAXIS times CDELT, in CUNIT.

    Settings:
    mu, temperature_k : of the gas; a density in cm-3 counts particles of mean mass `mu`
    density : name of the data set or extension (default "density", of FITS the first cube)
    velocity : names of its three components (default those of `VELOCITY` in the file)
    axes : "zyx" (default) or "xyz", the order of an HDF5 array's axes, the fastest last
    assume : units of a file that states none: {"density": "6.77e-22 g cm-3", "velocity": "km/s",
        "box": "10 pc"}
    box_pc, mass_msun : expected values (None: any)

    Raises BadInput for a file cut short, a missing name, a unit that is absent or of another
    dimension, a box that is no cube, and for impossible box, mass or density.
    """
    path = Path(path)
    is_fits = path.name.lower().endswith((".fits", ".fits.gz", ".fit"))
    with (_open_fits if is_fits else _open_hdf5)(path) as (arrays, facts):
        assume, mu = settings.get("assume", {}), settings.get("mu")
        name = settings.get("density") or (next(iter(arrays), "density") if is_fits else "density")
        density, unit = _cube(path, arrays, name, settings)
        what = f"density ({name})"
        density *= units.factor(path, what, unit, "g cm-3", assume.get("density"), mu)
        check_density(path, density)
        velocity = _velocity(path, arrays, settings, density.shape)
        box = _quantity(path, "box", facts.get("box"), "pc", assume.get("box"))
        time = _quantity(path, "time", facts.get("time"), "Myr", "nan Myr")
    mean_density = float(density.mean())
    units.check_size(path, "box_pc", box, settings.get("box_pc"))
    mass = mean_density * (box * PC_CM) ** 3 / MSUN_G
    units.check_size(path, "mass_msun", mass, settings.get("mass_msun"))
    temperature = settings.get("temperature_k") or np.nan
    speed = sound_speed_kms(temperature, mu or np.nan)
    mach = np.nan if velocity is None else _rms(velocity) / speed
    yield Simulation(
        path=path,
        source="cube",
        data_kind=str(facts.get("data_kind", "user-simulation")),
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
        remarks=() if velocity is not None else ("no velocity: centroids are NaN",),
    )


@contextmanager
def _open_hdf5(path: Path) -> Iterator[tuple[dict, dict]]:
    """({name: data set}, the attributes of the file)."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected {EXPECTED}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise BadInput(
            f"{path}: not a readable HDF5 file ({error}); cut short, or no HDF5 file at all?"
        ) from None
    with file:
        names: list[str] = []
        file.visit(names.append)
        arrays = {name: file[name] for name in names if isinstance(file[name], h5py.Dataset)}
        yield arrays, dict(file.attrs)


@contextmanager
def _open_fits(path: Path) -> Iterator[tuple[dict, dict]]:
    """({name of the extension, or its number: image}, box and data kind of the first cube)."""
    with opened(path, EXPECTED) as hdus:
        cubes = {
            hdu.name.lower() or str(k): hdu
            for k, hdu in enumerate(hdus)
            if hdu.header.get("NAXIS") == 3
        }
        header = next(iter(cubes.values())).header if cubes else fits.Header()
        box = _fits_box(path, header) if cubes else ""
        facts = {"box": box, "data_kind": header.get("SKYKIND", "")}
        yield cubes, {key: value for key, value in facts.items() if value}


def _fits_box(path: Path, header: fits.Header) -> str:
    """Width of the box as text, empty where the header has no CDELT or CUNIT."""
    steps = {
        (abs(header.get(f"CDELT{k}", 0.0)), str(header.get(f"CUNIT{k}", "")).strip())
        for k in (1, 2, 3)
    }
    if len(steps) > 1:
        message = f"CDELT and CUNIT of the axes are {sorted(steps)}"
        raise BadInput(f"{path}: {message}; expected the same for all three")
    step, unit = steps.pop()
    return f"{step * header['NAXIS1']!r} {unit}" if step and unit else ""


def _cube(path: Path, arrays: dict, name: str, settings: dict) -> tuple[np.ndarray, str]:
    """A cube (z, y, x) float64, and its unit in the file (empty: none)."""
    name = name if name in arrays else name.lower()
    require(arrays, [name], path, "cube")
    item = arrays[name]
    try:
        values = item[()] if isinstance(item, h5py.Dataset) else item.data
        values = np.array(values, dtype=np.float64)
    except UNREADABLE as error:
        raise BadInput(f"{path}: {name} is not readable ({error}); cut short?") from None
    if values.ndim != 3 or len(set(values.shape)) != 1:
        message = f"{name} has shape {values.shape}; expected a cube of n x n x n cells"
        raise BadInput(f"{path}: {message}")
    order = settings.get("axes", "zyx")
    if order not in ("zyx", "xyz"):
        raise BadInput(f"{path}: axes is {order!r} in the config; expected zyx or xyz")
    if isinstance(item, h5py.Dataset):
        values = values.T if order == "xyz" else values
        unit = next((item.attrs[key] for key in UNIT_NAMES if key in item.attrs), "")
    else:
        unit = item.header.get("BUNIT", "")
    return np.ascontiguousarray(values), unit.decode() if isinstance(unit, bytes) else str(unit)


def _velocity(
    path: Path, arrays: dict, settings: dict, shape: tuple[int, ...]
) -> np.ndarray | None:
    """Velocity (3, z, y, x) float64 [km/s]; None where neither file nor settings name one."""
    names = settings.get("velocity") or [name for name in VELOCITY if name in arrays]
    if not names:
        return None
    if len(names) != 3:
        raise BadInput(
            f"{path}: velocity components are {', '.join(names)}; expected three, along x, y, z"
        )
    velocity = np.empty((3, *shape))
    for component, name in zip(velocity, names, strict=True):
        values, unit = _cube(path, arrays, name, settings)
        if values.shape != shape or not np.isfinite(values).all():
            message = f"{name} has shape {values.shape} or NaN"
            raise BadInput(f"{path}: {message}; expected {shape} and finite values")
        scale = units.factor(path, name, unit, "km/s", settings.get("assume", {}).get("velocity"))
        np.multiply(values, scale, out=component)
    return velocity


def _quantity(
    path: Path, what: str, stated: str | bytes | None, target: str, assumed: str | None
) -> float:
    """A number in `target` units from a text such as "10 pc"; `assumed` where none is stated."""
    stated = stated.decode() if isinstance(stated, bytes) else stated
    text = str(stated if stated is not None else assumed or "")
    number, _, unit = text.strip().partition(" ")
    try:
        value = float(number)
    except ValueError:
        message = f"{what} is {text or 'not stated'!r}; expected number and unit, as '10 pc'"
        raise BadInput(f"{path}: {message}") from None
    return value * units.factor(path, what, unit, target)


def _rms(velocity: np.ndarray) -> float:
    """3D rms about the mean, weighted by volume."""
    return float(np.sqrt(velocity.var(axis=(1, 2, 3)).sum()))
