"""Shocks of a gas: their Mach number, place and power, whatever the slabs."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from skyloom.cli import BadInput
from skyloom.radio.simulate import shocks

REAL = os.environ.get("SKYLOOM_REALDATA")
WITH_REAL = pytest.mark.skipif(not REAL, reason="SKYLOOM_REALDATA is not set")
MACH = 3.0
SHAPE = (20, 12, 16)
SHOCK = 9  # cell along z
TABLE = """#  Mach 1.0e-02 1.0e+00 1.0e+02
1.5 1e-20 1e-10 1e-5
3.0 1e-4 1e-2 1e-1
100 0.5 0.5 0.5
"""


def jump(mach: float) -> float:
    return (5 * mach**2 - 1) * (mach**2 + 3) / (16 * mach**2)


def fields() -> dict[str, np.ndarray]:
    """A planar shock that runs along z: hot gas behind it, at smaller z."""
    z = np.arange(SHAPE[0])[:, None, None] + np.zeros(SHAPE)
    hot = z < SHOCK
    velocity = np.where(hot, 1.0, np.where(z == SHOCK, 0.0, -1.0))
    zero = np.zeros(SHAPE)
    parts = {"Density": np.where(hot, 3.0, 1.0), "Temperature": np.where(hot, jump(MACH), 1) * 2e7}
    parts |= {"z-velocity": velocity, "y-velocity": zero, "x-velocity": zero}
    return parts | {"Bz": zero + 1.0, "By": zero, "Bx": zero + 2.0}


@pytest.fixture
def output(tmp_path) -> dict:
    with h5py.File(tmp_path / "full.h5", "w") as file:
        for name, values in fields().items():
            file[name] = values
    # 1e-4 electrons per cm3 at a density of 1, fields of some uG
    density = 1e-4 * shocks.ELECTRONS * shocks.PROTON_G
    velocity = 1e-6 / np.sqrt(4 * np.pi * density)
    (tmp_path / "full.conv2").write_text(f"1 2 0.2 {density} {velocity}\n")
    (tmp_path / "psi.txt").write_text(TABLE)
    path = str(tmp_path / "full.h5")
    settings = {"files": dict.fromkeys(shocks.NAMES, path), "cell_kpc": 50.0, "axis": "z"}
    settings |= {"conversion": str(tmp_path / "full.conv2"), "frequency_mhz": 1400.0}
    settings |= {"psi_table": str(tmp_path / "psi.txt"), "efficiency": 0.05}
    settings |= {"least_efficiency": 0.0, "least_mach": 2.0}
    return settings | {"exponents": {"density": 0, "velocity": 0, "magnetic": 0}}


def test_mach_number_is_that_of_the_jump_of_temperature():
    np.testing.assert_allclose(shocks.mach_of_jump(jump(np.array([1.5, 3, 50]))), [1.5, 3, 50])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planar_shock_is_one_layer_of_its_mach_number(axis):
    parts = {name: np.moveaxis(v, 0, axis) for name, v in fields().items()}
    velocity = np.zeros((3, *parts["Density"].shape))
    velocity[axis] = parts["z-velocity"]
    gas = shocks.Gas(parts["Density"], parts["Temperature"], velocity, velocity)
    place, mach, behind = shocks.shocks(gas, 2.0)
    sides = [n - 2 * shocks.REACH for k, n in enumerate(gas.electrons.shape) if k != axis]
    assert len(place) == np.prod(sides) and (place[:, axis] == SHOCK).all()
    np.testing.assert_allclose(mach, MACH)
    assert (behind[:, axis] == SHOCK - shocks.REACH).all()


def test_gas_that_expands_or_has_no_jump_is_no_shock():
    parts = fields()
    still = np.zeros((3, *SHAPE))
    for sign, temperature in ((-1, parts["Temperature"]), (1, np.full(SHAPE, 2e7))):
        velocity = still.copy()
        velocity[0] = sign * parts["z-velocity"]
        gas = shocks.Gas(parts["Density"], temperature, velocity, still)
        assert len(shocks.shocks(gas, 1.3)[0]) == 0


def test_power_is_that_of_hoeft_and_brueggen(output):
    """psi is 0.01 at Mach 3 and 1 keV, and 0.1 at 100 keV."""
    power, z = shocks.project(output)
    kev = 2e7 * jump(MACH) / shocks.KELVIN_PER_KEV
    psi = 10 ** (-2 + np.log10(kev) / 2)
    s = 2 * (MACH**2 + 1) / (MACH**2 - 1)
    field = np.sqrt(5.0)
    expected = 6.4e34 * 0.05**2 * 3.0 * psi * (kev / 7) ** 1.5
    expected *= field ** (1 + s / 2) / (3.2**2 * 1.2**4 + field**2)
    assert z == 0.2 and power.shape == (12, 16)
    np.testing.assert_allclose(power[2:-2, 2:-2], expected, rtol=1e-6)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_slabs_change_nothing(output, axis):
    output["axis"] = axis
    whole, _ = shocks.project(output, slab=100)
    assert whole.sum() > 0
    for slab in (1, 3, 9, 10):
        np.testing.assert_allclose(shocks.project(output, slab=slab)[0], whole, rtol=1e-12)


def test_exponents_are_those_stated(output):
    plain, _ = shocks.project(output)
    output["exponents"]["density"] = 3
    dense, _ = shocks.project(output)
    np.testing.assert_allclose(dense[5, 5] / plain[5, 5], 1.2**3)


def test_broken_outputs_are_refused_by_file(output, tmp_path):
    with h5py.File(output["files"]["density"], "a") as file:
        del file["By"]
    with pytest.raises(BadInput, match="no dataset 'By' at its root; found Bx, Bz"):
        shocks.project(output)
    (tmp_path / "page.h5").write_text("<html>")
    with pytest.raises(BadInput, match="page.h5: cannot be opened as HDF5"):
        shocks.project(output | {"files": dict.fromkeys(shocks.NAMES, str(tmp_path / "page.h5"))})
    (tmp_path / "short.conv2").write_text("1 2 3")
    with pytest.raises(BadInput, match="3 numbers; expected five"):
        shocks.project(output | {"conversion": str(tmp_path / "short.conv2")})
    with pytest.raises(BadInput, match="none.txt: cannot be read as the table of psi"):
        shocks.read_efficiency(tmp_path / "none.txt")


@WITH_REAL
def test_real_table_of_psi_is_read():
    table = shocks.read_efficiency(Path(REAL) / "radio/sim/mach_psi_table.txt")
    assert table.psi.shape == (244, 13) and table.kev[-1] == 100
    assert table.of(np.array([1641.013]), np.array([1.0]))[0] == pytest.approx(0.903, rel=1e-3)
    assert (np.diff(table.of(np.linspace(1.5, 50, 40), np.full(40, 3.0))) > -1e-6).all()
