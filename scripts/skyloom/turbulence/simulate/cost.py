"""Cost of the simulations of a set before they run, for dry runs and the resources of a job.

The rates of a core are those of benchmarks/turbulence_solver.py on a shared 2.5 GHz Xeon. The rates
of a GPU are those of an H200 (benchmarks/gpu_smoke) times the ratio of the bandwidths of an A100
and an H200, 1.3 and 4.2 TB/s: a step moves numbers and computes little.
"""

import math
from typing import NamedTuple

from skyloom.turbulence.physics import MYR_PER_TIME, sound_speed_kms

CORE_UPDATES = 22e6  # [cells/s] second-order steps of a core
FIELD_SECONDS = 2.5e-7  # [s/cell] initial velocity, of a core
GPU_UPDATES = {False: 3.0e8, True: 2.4e9}  # [cells/s] in single precision, not compiled or compiled
GPU_FIELD_SECONDS = 1e-9  # [s/cell] estimate
# largest sum over axes of |v| over the rms of |v|, of 2 million Gaussian cells
PEAK_SPEED = 4.2
BYTES_IN_MEMORY = 190  # [B/cell] field, state and its copies with ghost layers
BYTES_ON_DISK = 4  # [B/cell] density contrast


class Cost(NamedTuple):
    """Cost of a list of simulations. `memory_gib` is that of one batch."""

    simulations: int
    cell_updates: float
    core_seconds: float
    gpu_hours: float
    memory_gib: float
    disk_gib: float


def steps(config: dict, simulation: dict) -> int:
    """Number of time steps of a simulation, to some 10 %.

    The step is that of the fastest signal of a Gaussian field, which is assumed to stay.
    """
    if config["backend"] == "early":
        return 0
    sound = sound_speed_kms(config["temperature_k"], config["mu"])
    fastest = sound * (3 + PEAK_SPEED * simulation["mach"])
    dt_myr = config["courant"] * config["box_pc"] / config["grid"] / fastest * MYR_PER_TIME
    return math.ceil(simulation["time_myr"] / dt_myr)


def cost(config: dict, simulations: list[dict]) -> Cost:
    """Cost of a shard, or of all shards together.

    `gpu_hours` applies where the backend is torch, `core_seconds` otherwise.
    """
    cells = config["grid"] ** 3
    updates = float(cells * sum(steps(config, simulation) for simulation in simulations))
    fields = cells * len(simulations)
    return Cost(
        len(simulations),
        updates,
        updates / CORE_UPDATES + fields * FIELD_SECONDS,
        (updates / GPU_UPDATES[config["compile"]] + fields * GPU_FIELD_SECONDS) / 3600,
        cells * BYTES_IN_MEMORY * config["batch"] / 2**30,
        fields * BYTES_ON_DISK / 2**30,
    )
