"""One `evolve` for both solvers.

Every simulation of a batch has its own clock, and a failed simulation leaves the batch.
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np

from skyloom.cli import BadInput
from skyloom.turbulence.simulate.arrays import Array, library, to_host

BACKENDS = ("numba", "torch")
# share of a simulation's time; a shorter step means that the simulation is unstable
SMALLEST_STEP = 1e-5


class Evolution(NamedTuple):
    """States (simulation, 4, z, y, x), steps taken (simulation,), and failures {number: reason}."""

    states: Array
    steps: np.ndarray
    failures: dict[int, str]


def initial_states(velocity: Array, density: Array | float = 1.0) -> Array:
    """Conserved states (simulation, 4, z, y, x) of velocities (simulation, 3, z, y, x).

    Components are those along z, y, x.
    """
    xp = library(velocity)
    density = xp.ones_like(velocity[:, :1]) * density
    return xp.concatenate([density, density * velocity], axis=1)


def evolve(
    states: Array,
    time: np.ndarray | float,
    cell: float,
    sound_speed: float,
    order: int = 2,
    courant: float = 0.5,
    backend: str = "numba",
    device: str | None = None,
    compile: bool = False,
) -> Evolution:
    """Isothermal gas on a periodic grid after `time`.

    Parameters
    ----------
    states : (simulation, 4, z, y, x), density (mean 1) and momentum along z, y, x [km/s]; float64,
        with torch float32 too. Tensors of torch come back as tensors on the device
    time : (simulation,) or one for all, positive [pc / (km/s)]
    cell : [pc]
    sound_speed : [km/s]
    order : 2 (MUSCL-Hancock) or 1
    courant : dt is this times `cell` over the largest sum over axes of |v| + c, as in RAMSES
    backend : numba (CPU, with numba's threads) or torch (`device`, by default a GPU where there is
        one)
    compile : whether torch.compile fuses the steps of the backend torch

    Raises
    ------
    BadInput : an unknown backend or order, or a Courant number at which the scheme is unstable
    """
    solver = _solver(backend, order, courant)
    step = solver.compiled() if compile else solver.step
    time = np.broadcast_to(np.asarray(time, float), len(states))
    clock, steps, failures = np.zeros(len(states)), np.zeros(len(states), int), {}
    fields = solver.load(states, device)
    while True:
        fastest, least = solver.signals(fields, sound_speed)
        with np.errstate(invalid="ignore"):
            longest = courant * cell / fastest
        running = np.zeros(len(states), bool)
        for k in range(len(states)):
            if k in failures:
                continue
            if reason := _fault(fastest[k], least[k], longest[k] / time[k]):
                failures[k] = f"{reason} after {steps[k]} steps"
            else:
                running[k] = clock[k] < time[k]
        if not running.any():
            end = solver.unload(fields)
            return Evolution(to_host(end) if library(states) is np else end, steps, failures)
        # the tolerance avoids a tiny last step due to round-off
        last = longest >= (time - clock) * (1 - 1e-12)
        dt = np.where(running, np.where(last, time - clock, longest), 0.0)
        fields = step(fields, dt / cell, sound_speed, order)
        clock = np.where(running & last, time, clock + dt)
        steps += running


def _solver(backend: str, order: int, courant: float) -> ModuleType:
    if backend not in BACKENDS:
        raise BadInput(f"solver: backend is {backend!r}; expected one of {', '.join(BACKENDS)}")
    if order not in (1, 2):
        raise BadInput(f"solver: order is {order!r}; expected 1 or 2")
    if not 0 < courant < 1:
        raise BadInput(
            f"solver: courant is {courant!r}; expected between 0 and 1, above which the scheme is "
            "unstable"
        )
    # either library takes a second or two to load
    if backend == "torch":
        from skyloom.turbulence.simulate import solver_torch as solver
    else:
        from skyloom.turbulence.simulate import solver_numba as solver
    return solver


def _fault(fastest: float, least: float, share: float) -> str | None:
    """The fault of a simulation, None where there is none.

    fastest : signal speed [km/s]; least : least density; share : time step over the simulation's
        time
    """
    if not np.isfinite(fastest):
        return "a value is not finite"
    if not least > 0:
        return f"density of {least:.3g} of the mean"
    if not share >= SMALLEST_STEP:
        return f"unstable: time step of {share:.1e} of the run (signal speed {fastest:.3g} km/s)"
    return None
