"""Radio power of shocks in gas on a uniform grid, projected.

A cell is a shock where the velocity converges most along the axis of the largest jump of
temperature (Ryu+ 2003, ApJ 593, 599). Its power is that of Hoeft & Brueggen 2007 (MNRAS 375, 77),
eq. 32. Fields are read in slabs: a field never has to fit in memory.
"""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from skyloom.cli import BadInput

REACH = 2  # cells from a shock to the gas before and behind it
PROTON_G, ELECTRONS = 1.6726e-24, 1.17  # proton mass [g], mass of gas per electron [proton mass]
KELVIN_PER_KEV = 1.160e7
CMB_UG = 3.2  # field with the energy density of the CMB today [uG]
NAMES = {
    "density": ("Density",),
    "temperature": ("Temperature",),
    "velocity": ("z-velocity", "y-velocity", "x-velocity"),
    "magnetic": ("Bz", "By", "Bx"),
}


class Gas(NamedTuple):
    """Fields (z, y, x): electrons [cm-3], temperature [K], and vectors (3, z, y, x) along z, y, x:
    velocity in any unit, magnetic field [uG].
    """

    electrons: np.ndarray
    temperature: np.ndarray
    velocity: np.ndarray
    magnetic: np.ndarray


class Efficiency(NamedTuple):
    """The function psi of Hoeft & Brueggen by Mach number (row) and temperature [keV] (column)."""

    mach: np.ndarray
    kev: np.ndarray
    psi: np.ndarray

    def of(self, mach: np.ndarray, kev: np.ndarray) -> np.ndarray:
        """psi at (n,) shocks, bilinear in the logarithms; beyond the table its edge."""
        rows = np.interp(np.log(mach), np.log(self.mach), np.arange(len(self.mach)))
        columns = np.interp(np.log(kev), np.log(self.kev), np.arange(len(self.kev)))
        j, i = (
            np.minimum(p.astype(int), n - 2)
            for p, n in zip((rows, columns), self.psi.shape, strict=True)
        )
        v, w, table = rows - j, columns - i, np.log(self.psi)
        low = table[j, i] * (1 - w) + table[j, i + 1] * w
        high = table[j + 1, i] * (1 - w) + table[j + 1, i + 1] * w
        return np.exp(low * (1 - v) + high * v)


def read_efficiency(path: str | Path) -> Efficiency:
    """The table: a first line with the temperatures, then a line for each Mach number."""
    try:
        with open(path, encoding="utf-8") as file:
            words = file.readline().replace("#", " ").split()
            table = np.loadtxt(file)
        kev = np.array([float(word) for word in words[1:]])
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read as the table of psi ({error})") from error
    if table.ndim != 2 or table.shape[1] != len(kev) + 1 or not (table > 0).all():
        raise BadInput(
            f"{path}: {len(kev)} temperatures and rows of {table.shape[-1]} numbers; expected a"
            " Mach number and a positive psi for each temperature"
        )
    return Efficiency(table[:, 0], kev, table[:, 1:])


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


# --- shocks ---------------------------------------------------------------------------------------


def mach_of_jump(ratio: np.ndarray) -> np.ndarray:
    """Mach number of a jump of temperature T2 / T1 > 1 (Rankine & Hugoniot, gamma = 5/3).

    16 M^2 T2 / T1 = (5 M^2 - 1) (M^2 + 3)
    """
    b = 16 * ratio - 14
    return np.sqrt((b + np.sqrt(b**2 + 60)) / 10)


def shocks(gas: Gas, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (n, 3), Mach numbers (n,) and places of the gas behind (n, 3) of the shocks.

    Cells nearer to an edge than `REACH` are left out. least : Mach number of the faintest
    """
    inner = (slice(REACH, -REACH),) * 3
    divergence = sum(np.gradient(gas.velocity[axis], axis=axis) for axis in range(3))
    ratios, behind = [], []
    for axis in range(3):
        after, before = (_shifted(gas.temperature, axis, step) for step in (REACH, -REACH))
        ratios.append(np.maximum(after / before, before / after))
        behind.append(np.where(after > before, REACH, -REACH))
    steepest = np.argmax(ratios, 0)
    jump = np.max(ratios, 0)
    narrow = np.zeros(jump.shape, bool)
    for axis in range(3):
        before, here, after = (_shifted(divergence, axis, step) for step in (-1, 0, 1))
        # of two equal cells the first one
        narrow |= (steepest == axis) & (here < before) & (here <= after)
    found = narrow & (divergence[inner] < 0) & (mach_of_jump(jump) >= least)
    places = np.argwhere(found)
    axis = steepest[found]
    step = np.take_along_axis(np.stack(behind), steepest[None], 0)[0][found]
    downstream = places + REACH
    downstream[np.arange(len(places)), axis] += step
    return places + REACH, mach_of_jump(jump[found]), downstream


def _shifted(values: np.ndarray, axis: int, step: int) -> np.ndarray:
    """The inner cells of a field, `step` further along an axis."""
    part = [slice(REACH, n - REACH) for n in values.shape]
    part[axis] = slice(REACH + step, values.shape[axis] - REACH + step)
    return values[tuple(part)]


def radio_power(
    mach: np.ndarray,
    electrons: np.ndarray,
    kelvin: np.ndarray,
    field_ug: np.ndarray,
    area_mpc2: float,
    z: float,
    ghz: float,
    xi: np.ndarray,
) -> np.ndarray:
    """[erg/s/Hz] of shocks (n,) (Hoeft & Brueggen 2007, eq. 32).

    electrons, kelvin, field_ug : density [cm-3], temperature and field [uG] behind the shock; xi :
    share of the energy that electrons get
    """
    s = 2 * (mach**2 + 1) / (mach**2 - 1)
    power = 6.4e34 * area_mpc2 * (electrons / 1e-4) * (xi / 0.05)
    power = power * (kelvin / KELVIN_PER_KEV / 7) ** 1.5 * (ghz / 1.4) ** (-s / 2)
    return power * field_ug ** (1 + s / 2) / (CMB_UG**2 * (1 + z) ** 4 + field_ug**2)


# --- files ----------------------------------------------------------------------------------------


def project(settings: dict, slab: int = 64) -> tuple[np.ndarray, float]:
    """Radio power of an output along an axis (n, n) [erg/s/Hz], and its redshift.

    settings : `files` with `density`, `temperature`, `velocity`, `magnetic`; `conversion`, a .conv2
        file; `exponents` of (1 + z) in `density`, `velocity`, `magnetic`; `cell_kpc`, proper;
        `axis`, `frequency_mhz`, `psi_table`, `efficiency`, `least_efficiency`, `least_mach`
    slab : cells along z that are read at once
    """
    z, density, velocity = read_conversion(settings["conversion"])
    power = {k: (1 + z) ** e for k, e in settings["exponents"].items()}
    # the unit of the field follows from those of density and velocity, in Gauss
    magnetic = np.sqrt(4 * np.pi * density) * velocity * 1e6 * power["magnetic"]
    scales = {
        "density": density * power["density"] / (ELECTRONS * PROTON_G),
        "temperature": 1.0,
        "velocity": velocity * power["velocity"],
        "magnetic": magnetic,
    }
    table = read_efficiency(settings["psi_table"])
    sets, shape = _open(settings["files"])
    axis = "zyx".index(settings["axis"])
    out = np.zeros([n for k, n in enumerate(shape) if k != axis])
    for first in range(0, shape[0], slab):
        rows = slice(max(0, first - REACH), min(shape[0], first + slab + REACH))
        if rows.stop - rows.start <= 2 * REACH:
            continue  # at an edge
        gas = Gas(*(_read(sets[name], rows, scales[name]) for name in NAMES))
        place, mach, behind = shocks(gas, settings["least_mach"])
        layer = place[:, 0] + rows.start
        mine = (layer >= first) & (layer < first + slab)
        place, mach, behind = place[mine], mach[mine], tuple(behind[mine].T)
        kelvin = gas.temperature[behind]
        xi = settings["efficiency"] * table.of(mach, kelvin / KELVIN_PER_KEV)
        found = radio_power(
            mach,
            gas.electrons[behind],
            kelvin,
            np.sqrt((gas.magnetic[(slice(None), *behind)] ** 2).sum(0)),
            (settings["cell_kpc"] / 1e3) ** 2,
            z,
            settings["frequency_mhz"] / 1e3,
            np.maximum(xi, settings["least_efficiency"]),
        )
        cells = place + [rows.start, 0, 0]
        target = tuple(np.delete(cells, axis, 1).T)
        np.add.at(out, target, found)
    return out, z


def _open(files: dict[str, str]) -> tuple[dict[str, list[h5py.Dataset]], tuple[int, int, int]]:
    """The datasets of each field, and their common shape."""
    sets: dict[str, list[h5py.Dataset]] = {}
    for name, wanted in NAMES.items():
        path = files[name]
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise BadInput(f"{path}: cannot be opened as HDF5 ({error})") from error
        missing = [key for key in wanted if key not in file]
        if missing:
            found = ", ".join(file) or "nothing"
            raise BadInput(f"{path}: no dataset {missing[0]!r} at its root; found {found}")
        sets[name] = [file[key] for key in wanted]
    shapes = {d.shape for parts in sets.values() for d in parts}
    if len(shapes) > 1 or any(len(s) != 3 or min(s) < 2 * REACH + 1 for s in shapes):
        raise BadInput(
            f"{files['density']}: fields have shapes {sorted(shapes)}; expected one of three axes"
        )
    return sets, shapes.pop()


def _read(parts: list[h5py.Dataset], rows: slice, scale: float) -> np.ndarray:
    """A slab of one field, or of the components of a vector."""
    values = np.stack([part[rows] for part in parts]).astype(np.float64) * scale
    bad = ~np.isfinite(values)
    if bad.any():
        raise BadInput(
            f"{parts[0].file.filename}: {bad.sum()} values of {parts[0].name} are not finite"
        )
    return values if len(parts) > 1 else values[0]
