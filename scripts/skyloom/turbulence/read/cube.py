"""Uniform cubes of density, and velocity where it is there, from HDF5 or FITS files of any code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from skyloom.cli import BadInput
from skyloom.turbulence.physics import MSUN_G, PC_CM, sound_speed_kms
from skyloom.turbulence.read import units
from skyloom.turbulence.read.simulation import FACTS, Cube, Simulation, check_density

UNIT_NAMES = "units", "unit"  # attribute of an HDF5 data set
VELOCITY = "velocity_x", "velocity_y", "velocity_z"


def read(path: str | Path, settings: dict) -> Iterator[Simulation]:
    """Yield the one simulation of a file with a cube of density.

    HDF5: data sets with an attribute `units`; the file's attributes `box` and `time` are texts such
    as "10 pc". FITS: image extensions with BUNIT; the box is NAXIS times CDELT, in CUNIT. Its axes
    are x, y, z (numpy: z, y, x).

    settings --------
    mu, temperature_k : of the gas; a density in cm-3 counts particles of mean mass `mu`
    density : name of the data set or extension (default "density", of FITS the first cube)
    velocity : names of its three components (default velocity_x, velocity_y, velocity_z, where they
        are there)
    axes : "zyx" (default) or "xyz", the order of an HDF5 array's axes, the fastest last
    assume : units that the file does not state: {"density": "6.77e-22 g cm-3", "velocity": "km/s",
        "box": "10 pc"}
    box_pc, mass_msun : as expected (None: any)

    Raises BadInput where the file is cut short, a name is not there, a unit is absent or of another
    dimension, the cube is not cubic, or box, mass or density cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected a cube of density (HDF5 or FITS)")
    is_fits = path.name.lower().endswith((".fits", ".fits.gz", ".fit"))
    with (_open_fits if is_fits else _open_hdf5)(path) as (arrays, facts):
        assume, mu = settings.get("assume", {}), settings.get("mu")
        name = settings.get("density") or (next(iter(arrays), "density") if is_fits else "density")
        density, unit = _cube(path, arrays, name, settings)
        density *= units.factor(
            path, f"density ({name})", unit, "g cm-3", assume.get("density"), mu
        )
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
    yield Simulation(
        path=path,
        source="cube",
        data_kind=str(facts.get("data_kind", "user-simulation")),
        gas=Cube(density, velocity),
        box_pc=box,
        mean_density=mean_density,
        facts=FACTS
        | {"time_myr": time, "mach": np.nan if velocity is None else _rms(velocity) / speed},
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
    """({name: data set}, the file's attributes)."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise BadInput(
            f"{path}: not a readable HDF5 file ({error}); cut short, or no HDF5 file at all?"
        ) from None
    with file:
        arrays: dict = {}
        file.visititems(
            lambda name, item: (
                arrays.update({name: item}) if isinstance(item, h5py.Dataset) else None
            )
        )
        yield arrays, dict(file.attrs)


@contextmanager
def _open_fits(path: Path) -> Iterator[tuple[dict, dict]]:
    """({extension name, or its number: image}, box and data kind as the first cube's header has
    them).
    """
    try:
        with warnings.catch_warnings(action="ignore", category=AstropyUserWarning):
            hdus = fits.open(path, memmap=False)
            cubes = {
                hdu.name.lower() or str(k): hdu
                for k, hdu in enumerate(hdus)
                if hdu.header.get("NAXIS") == 3
            }
    except OSError as error:
        raise BadInput(
            f"{path}: not a readable FITS file ({error}); cut short, or no FITS file at all?"
        ) from None
    with hdus:
        header = next(iter(cubes.values())).header if cubes else fits.Header()
        facts = {
            "box": _fits_box(path, header) if cubes else "",
            "data_kind": header.get("SKYKIND", ""),
        }
        yield cubes, {key: value for key, value in facts.items() if value}


def _fits_box(path: Path, header: fits.Header) -> str:
    """Width of the box as text, empty where the header has no CDELT or CUNIT."""
    steps = {
        (abs(header.get(f"CDELT{k}", 0.0)), str(header.get(f"CUNIT{k}", "")).strip())
        for k in (1, 2, 3)
    }
    if len(steps) > 1:
        raise BadInput(
            f"{path}: CDELT and CUNIT of the axes are {sorted(steps)}; expected the same for "
            "all three"
        )
    step, unit = steps.pop()
    return f"{step * header['NAXIS1']!r} {unit}" if step and unit else ""


def _cube(path: Path, arrays: dict, name: str, settings: dict) -> tuple[np.ndarray, str]:
    """A cube (z, y, x) float64 as it is in the file, and the unit that the file states."""
    item = arrays.get(name, arrays.get(name.lower()))
    if item is None:
        raise BadInput(f"{path}: {name} not found (cubes: {', '.join(arrays) or 'none'})")
    try:
        values = np.array(
            item[()] if isinstance(item, h5py.Dataset) else item.data, dtype=np.float64
        )
    except (OSError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: {name} is not readable ({error}); cut short?") from None
    if values.ndim != 3 or len(set(values.shape)) != 1:
        raise BadInput(
            f"{path}: {name} has shape {values.shape}; expected a cube of n x n x n cells"
        )
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
    """Velocity (3, z, y, x) float64 [km/s], None where the file has none and the settings name
    none.
    """
    names = settings.get("velocity") or [name for name in VELOCITY if name in arrays]
    if not names:
        return None
    if len(names) != 3:
        raise BadInput(
            f"{path}: velocity components are {', '.join(names)}; expected three, along x, y and z"
        )
    velocity = np.empty((3, *shape))
    for component, name in zip(velocity, names, strict=True):
        values, unit = _cube(path, arrays, name, settings)
        if values.shape != shape or not np.isfinite(values).all():
            raise BadInput(
                f"{path}: {name} has shape {values.shape} or NaN; expected {shape} and "
                "finite values"
            )
        scale = units.factor(path, name, unit, "km/s", settings.get("assume", {}).get("velocity"))
        np.multiply(values, scale, out=component)
    return velocity


def _quantity(path: Path, what: str, found, target: str, assumed: str | None) -> float:
    """A number with its unit, such as "10 pc"; `assumed` stands for one that the file does not
    state.
    """
    text = (
        found.decode()
        if isinstance(found, bytes)
        else str(found if found is not None else assumed or "")
    )
    number, _, unit = text.strip().partition(" ")
    try:
        value = float(number)
    except ValueError:
        raise BadInput(
            f"{path}: {what} is {text or 'not stated'!r}; expected number and unit, as '10 pc'"
        ) from None
    return value * units.factor(path, what, unit, target)


def _rms(velocity: np.ndarray) -> float:
    """3D rms about the mean, weighted by volume."""
    return float(np.sqrt(velocity.var(axis=(1, 2, 3)).sum()))
