"""One `evolve` for both solvers: every simulation of a batch keeps its own clock, and a faulty one
leaves the batch.
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np

from skyloom.cli import BadInput

BACKENDS = ("numba", "torch")
SMALLEST_STEP = 1e-5  # of a simulation's time: what needs so short a step has run away


class Evolution(NamedTuple):
    """States (simulation, 4, z, y, x), steps taken (simulation,), and why simulations failed
    {number: reason}.
    """

    states: np.ndarray
    steps: np.ndarray
    failures: dict[int, str]


def initial_states(velocity: np.ndarray, density: np.ndarray | float = 1.0) -> np.ndarray:
    """Conserved states (simulation, 4, z, y, x) of velocities (simulation, 3, z, y, x) along z, y,
    x.
    """
    density = np.broadcast_to(density, velocity[:, :1].shape)
    return np.concatenate([density, density * velocity], axis=1, dtype=velocity.dtype)


def evolve(
    states: np.ndarray,
    time: np.ndarray | float,
    cell: float,
    sound_speed: float,
    order: int = 2,
    courant: float = 0.5,
    backend: str = "numba",
    device: str | None = None,
) -> Evolution:
    """Isothermal gas on a periodic grid after `time`.

    Parameters ----------
    states : (simulation, 4, z, y, x); density (mean 1), momentum along z, y, x [km/s]; float64,
        with torch float32 too
    time : (simulation,) or one for all, positive [pc / (km/s)]
    cell [pc], sound_speed [km/s]
    order : 2 (MUSCL-Hancock) or 1
    courant : dt is this times `cell` over the largest sum over axes of |v| + c, as in RAMSES
    backend : numba (CPU; its threads are numba's) or torch (`device`: a GPU where there is one)

    Raises BadInput for an unknown backend or order, and a Courant number at which the scheme is
    unstable.
    """
    solver = _solver(backend, order, courant)
    time = np.broadcast_to(np.asarray(time, float), len(states))
    clock, steps, failures = np.zeros(len(states)), np.zeros(len(states), int), {}
    fields = solver.load(states, device)
    while True:
        fastest, least = solver.signals(fields, sound_speed)
        with np.errstate(invalid="ignore"):
            wanted = courant * cell / fastest
        running = np.zeros(len(states), bool)
        for k in range(len(states)):
            if k in failures:
                continue
            if reason := _fault(fastest[k], least[k], wanted[k] / time[k]):
                failures[k] = f"{reason} after {steps[k]} steps"
            else:
                running[k] = clock[k] < time[k]
        if not running.any():
            return Evolution(solver.unload(fields), steps, failures)
        last = wanted >= (time - clock) * (
            1 - 1e-12
        )  # so that round-off leaves no sliver of a step
        dt = np.where(running, np.where(last, time - clock, wanted), 0.0)
        fields = solver.step(fields, dt / cell, sound_speed, order)
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
    if backend == "torch":  # either library takes a second or two to load
        from skyloom.turbulence.simulate import solver_torch as solver
    else:
        from skyloom.turbulence.simulate import solver_numba as solver
    return solver


def _fault(fastest: float, least: float, share: float) -> str | None:
    """What is wrong with a simulation of this signal speed [km/s], least density, and step as a
    share of its time.
    """
    if not np.isfinite(fastest):
        return "a value is not finite"
    if least <= 0:
        return f"density of {least:.3g} of the mean"
    if share < SMALLEST_STEP:
        return f"unstable: time step of {share:.1e} of the run (signal speed {fastest:.3g} km/s)"
    return None
