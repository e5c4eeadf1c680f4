"""Shocks of a gas: their Mach number and place."""

import os
from pathlib import Path

import numpy as np
import pytest

from skyloom.cli import BadInput
from skyloom.radio.simulate import shocks

REAL = os.environ.get("SKYLOOM_REALDATA")
WITH_REAL = pytest.mark.skipif(not REAL, reason="SKYLOOM_REALDATA is not set")
MACH = 3.0
SHAPE = (20, 12, 16)
SHOCK = 9  # cell along z


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


def test_missing_table_of_psi_is_refused(tmp_path):
    with pytest.raises(BadInput, match="none.txt: cannot be read as the table of psi"):
        shocks.read_efficiency(tmp_path / "none.txt")


@WITH_REAL
def test_real_table_of_psi_is_read():
    table = shocks.read_efficiency(Path(REAL) / "radio/sim/mach_psi_table.txt")
    assert table.psi.shape == (244, 13) and table.kev[-1] == 100
    assert table.of(np.array([1641.013]), np.array([1.0]))[0] == pytest.approx(0.903, rel=1e-3)
    assert (np.diff(table.of(np.linspace(1.5, 50, 40), np.full(40, 3.0))) > -1e-6).all()
