"""Clouds of a list of simulations: initial field, evolution and the result that is kept.

The backend `early` takes no steps. Its density is the analytic density of the first moments
(`early`) and its velocity is the initial one, which is frozen. Its maps cost one velocity field
each, which makes them suitable for pretraining.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from skyloom.cli import BadInput
from skyloom.turbulence.physics import MYR_PER_TIME, sound_speed_kms
from skyloom.turbulence.simulate.arrays import Array, library, to_host
from skyloom.turbulence.simulate.early import early_contrast
from skyloom.turbulence.simulate.solver import Evolution, evolve, initial_states
from skyloom.turbulence.simulate.velocity import velocity_field


class Cloud(NamedTuple):
    """The end of a simulation.

    contrast : (z, y, x) rho/rho0 - 1
    centroid : (axis, row, column) [km/s], density-weighted velocity along x, y, z
    mass_error : error of the mean density, in units of rho0
    momentum_error : error of the mean momentum, in units of rho0 times the initial rms |v|
    failure : the reason of a failure, else None; the other fields of a failed simulation are
        invalid
    """

    contrast: np.ndarray
    centroid: np.ndarray
    steps: int
    mass_error: float
    momentum_error: float
    failure: str | None


def clouds(
    config: dict, simulations: list[dict], device: str | None = None
) -> Iterator[tuple[dict, Cloud]]:
    """Run `simulations` (of `plan`), `config["batch"]` at a time; yields each with its cloud.

    On a device of torch fields stay there from the velocity on: the host gets clouds alone.

    device : torch's name of a device; None is numpy, and for the backend torch a GPU where there
        is one. Raises BadInput for an unknown precision
    """
    if config["precision"] not in ("float32", "float64"):
        raise BadInput(
            f"simulations: precision is {config['precision']!r}; expected float32 or float64"
        )
    sound = sound_speed_kms(config["temperature_k"], config["mu"])
    for start in range(0, len(simulations), config["batch"]):
        batch = simulations[start : start + config["batch"]]
        fields = [_velocity(config, row, sound, device) for row in batch]
        xp = library(fields[0])
        velocity = xp.stack(fields)
        drift = velocity.mean((2, 3, 4), dtype=xp.float64)
        time = np.array([row["time_myr"] for row in batch]) / MYR_PER_TIME
        if config["backend"] == "early":
            states, steps, failures = _early(velocity, config["box_pc"], time, sound)
        else:
            # `evolve` reports an overflow as a failure
            with np.errstate(over="ignore", invalid="ignore"):
                states, steps, failures = evolve(
                    initial_states(xp.asarray(velocity, dtype=getattr(xp, config["precision"]))),
                    time,
                    config["box_pc"] / config["grid"],
                    sound,
                    config["order"],
                    config["courant"],
                    config["backend"],
                    device,
                    config["compile"],
                )
        for k, row in enumerate(batch):
            rms = row["mach"] * sound
            yield row, _cloud(states[k], int(steps[k]), drift[k], rms, failures.get(k))


def _velocity(config: dict, row: dict, sound: float, device: str | None) -> Array:
    return velocity_field(
        config["grid"],
        row["index"],
        row["seed"],
        row["mach"] * sound,
        config["initial_kmax"],
        device,
    )


def _early(velocity: np.ndarray, box: float, time: np.ndarray, sound: float) -> Evolution:
    """States of the analytic density.

    A simulation fails where its density is not positive: its time is too late for the
    approximation.
    """
    density = np.stack(
        [1 + early_contrast(v, box, t, sound) for v, t in zip(velocity, time, strict=True)]
    )
    least = density.min((1, 2, 3))
    failures = {
        int(k): f"density of {least[k]:.3g} of the mean: too late for the analytic one"
        for k in range(len(least))
        if not least[k] > 0
    }
    return Evolution(
        initial_states(velocity, density[:, None]), np.zeros(len(velocity), int), failures
    )


def _cloud(state: Array, steps: int, drift: Array, rms: float, failure: str | None) -> Cloud:
    xp = library(state)
    density, momentum = state[0], state[1:]
    # the values of a failed simulation may not be finite
    with np.errstate(all="ignore"):
        contrast = density - 1
        centroid = [
            momentum[axis].sum(axis, dtype=xp.float64) / density.sum(axis, dtype=xp.float64)
            for axis in (2, 1, 0)
        ]
        mass = float(abs(contrast.mean(dtype=xp.float64)))
        shift = float(abs(momentum.mean((1, 2, 3), dtype=xp.float64) - drift).max() / rms)
    return Cloud(to_host(contrast), to_host(xp.stack(centroid)), steps, mass, shift, failure)
