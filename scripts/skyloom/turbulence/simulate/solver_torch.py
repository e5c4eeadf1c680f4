"""The scheme of `solver_numba` on torch tensors, for a GPU.

The formulas are the same, and all simulations of a batch are advanced at once.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from skyloom.turbulence.simulate.arrays import Array
from skyloom.turbulence.simulate.solver_numba import flux, half_step

AXES = (1, 2, 3)  # z, y, x of a quantity (simulation, z, y, x)


class Fields(NamedTuple):
    """Density and momenta, each (simulation, z, y, x). torch.roll needs no ghost layers."""

    quantities: tuple[torch.Tensor, ...]


def load(states: Array, device: str | None = None) -> Fields:
    """(simulation, 4, z, y, x) as tensors of its precision on `device`.

    The default device is a GPU where there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Fields(torch.as_tensor(states, device=device).unbind(1))


@torch.no_grad()
def signals(fields: Fields, sound_speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Largest sum over axes of |v| + c, and least density of each simulation.

    The signal speed is NaN where a cell is not finite.
    """
    density, *momenta = fields.quantities
    speed = sum(momentum.abs() for momentum in momenta) / density
    # amax and amin propagate NaN
    extremes = torch.stack([speed.amax(AXES) + 3 * sound_speed, density.amin(AXES)])
    fastest, least = extremes.double().cpu().numpy()
    return np.where(np.isfinite(fastest), fastest, np.nan), least


@torch.no_grad()
def step(fields: Fields, ratio: np.ndarray, sound_speed: float, order: int) -> Fields:
    """Advance each simulation by one step of its own dt / dx. A ratio of 0 leaves it unchanged."""
    old = density, *momenta = fields.quantities
    sound2 = sound_speed**2
    ratio = torch.as_tensor(ratio, dtype=density.dtype, device=density.device).view(-1, 1, 1, 1)
    cells = (density, *(momentum / density for momentum in momenta))
    centre, slopes = cells, None
    if order == 2:
        slopes = [[_slope(quantity, axis) for quantity in cells] for axis in AXES]
        rise, shear = [s[0] for s in slopes], [s[1:] for s in slopes]
        centre = half_step(density, cells[1:], rise, shear, 0.5 * ratio, sound2)
    new = list(old)
    for axis in AXES:
        # components in the order of `flux`: density, normal, two transverse
        components = [0, axis, *(other for other in AXES if other != axis)]
        left = [
            centre[i] if slopes is None else centre[i] + 0.5 * slopes[axis - 1][i]
            for i in components
        ]
        right = [
            centre[i] if slopes is None else centre[i] - 0.5 * slopes[axis - 1][i]
            for i in components
        ]
        # the lower face of the next cell
        right = [quantity.roll(-1, axis) for quantity in right]
        fastest = torch.maximum(left[1].abs(), right[1].abs()) + sound_speed
        for i, face_flux in zip(components, flux(left, right, fastest, sound2), strict=True):
            new[i] = new[i] - ratio * (face_flux - face_flux.roll(1, axis))
    return Fields(tuple(new))


@cache
def compiled() -> Callable[..., Fields]:
    """`step`, its operations fused into few kernels; the last digits are other ones."""
    return torch.compile(step)


def unload(fields: Fields) -> torch.Tensor:
    """The states (simulation, 4, z, y, x) on their device."""
    return torch.stack(fields.quantities, 1)


def _slope(quantity: torch.Tensor, axis: int) -> torch.Tensor:
    """Minmod of the differences to both neighbours: the lower, clamped between 0 and the upper."""
    lower = quantity - quantity.roll(1, axis)
    upper = lower.roll(-1, axis)
    return torch.maximum(torch.minimum(lower, upper.clamp(min=0)), upper.clamp(max=0))
