"""Shocks in gas on a uniform grid, and their radio power.

A cell is a shock where the velocity converges most along the axis of the largest jump of
temperature (Ryu+ 2003, ApJ 593, 599). Its power is that of Hoeft & Brueggen 2007 (MNRAS 375, 77),
eq. 32.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from skyloom.cli import BadInput

REACH = 2  # cells from a shock to the gas before and behind it
PROTON_G, ELECTRONS = 1.6726e-24, 1.17  # proton mass [g], mass of gas per electron [proton mass]
KELVIN_PER_KEV = 1.160e7
CMB_UG = 3.2  # field with the energy density of the CMB today [uG]


class Gas(NamedTuple):
    """Fields (a, b, c): electrons [cm-3], temperature [K], and vectors (3, a, b, c) along a, b, c:
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
