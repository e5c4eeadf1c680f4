"""The scheme of `solver_numba` on torch tensors, for a GPU: the same formulas, all simulations of a
batch at once.
"""

from typing import NamedTuple

import numpy as np
import torch

from skyloom.turbulence.simulate.solver_numba import flux, half_step

AXES = (1, 2, 3)  # z, y, x of a quantity (simulation, z, y, x)


class Fields(NamedTuple):
    """Density and momenta, each (simulation, z, y, x): torch.roll and arithmetic need no ghost
    layers.
    """

    quantities: tuple[torch.Tensor, ...]


def load(states: np.ndarray | torch.Tensor, device: str | None = None) -> Fields:
    """(simulation, 4, z, y, x) as tensors of its precision on `device`; by default on a GPU where
    there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Fields(torch.as_tensor(states, device=device).unbind(1))


@torch.no_grad()
def signals(fields: Fields, sound_speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each simulation the largest sum over axes of |v| + c (NaN where a cell is not finite), and
    least density.
    """
    density, *momenta = fields.quantities
    speed = sum(momentum.abs() for momentum in momenta) / density
    found = (
        torch.stack([speed.amax(AXES) + 3 * sound_speed, density.amin(AXES)]).double().cpu().numpy()
    )
    return np.where(np.isfinite(found[0]), found[0], np.nan), found[1]  # amax and amin hand NaN on


@torch.no_grad()
def step(fields: Fields, ratio: np.ndarray, sound_speed: float, order: int) -> Fields:
    """All simulations one step on, each by its own dt / dx; one whose ratio is 0 rests."""
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
        # components in the order in which `flux` takes them: density, normal, two transverse
        order_of = [0, axis, *(other for other in AXES if other != axis)]
        left = [
            centre[i] if slopes is None else centre[i] + 0.5 * slopes[axis - 1][i] for i in order_of
        ]
        right = [
            centre[i] if slopes is None else centre[i] - 0.5 * slopes[axis - 1][i] for i in order_of
        ]
        right = [quantity.roll(-1, axis) for quantity in right]  # the lower face of the next cell
        fastest = torch.maximum(left[1].abs(), right[1].abs()) + sound_speed
        for i, through in zip(order_of, flux(left, right, fastest, sound2), strict=True):
            new[i] = new[i] - ratio * (through - through.roll(1, axis))
    return Fields(tuple(new))


def unload(fields: Fields) -> np.ndarray:
    """The states (simulation, 4, z, y, x) as a numpy array."""
    return torch.stack(fields.quantities, 1).cpu().numpy()


def _slope(quantity: torch.Tensor, axis: int) -> torch.Tensor:
    """Minmod of the differences to both neighbours: the lower one, held between 0 and the upper
    one.
    """
    lower = quantity - quantity.roll(1, axis)
    upper = lower.roll(-1, axis)
    return torch.maximum(torch.minimum(lower, upper.clamp(min=0)), upper.clamp(max=0))
