"""What a set's simulations cost, before they are run: arithmetic only, for dry runs and a job's
resources.

Rates are of benchmarks/turbulence_solver.py on a shared 2.5 GHz Xeon. The GPU's are estimates, as
none was at hand: an eager torch step moves some 5.7 kB a cell in single precision, so that 3 TB/s
would allow five times as many updates.
"""

import math
from typing import NamedTuple

from skyloom.turbulence.physics import MYR_PER_TIME, sound_speed_kms

CORE_UPDATES = 22e6  # cells a core advances by one second-order step in a second
FIELD_SECONDS = 2.5e-7  # of a core, a cell of the initial velocity
GPU_UPDATES = 1e8  # estimate
GPU_FIELD_SECONDS = 1e-9  # estimate, a cell
PEAK_SPEED = 4.2  # largest sum over axes of |v| beside the rms of |v|: of 2 million Gaussian cells
BYTES_IN_MEMORY = 190  # a cell: field, state and its ghosted copies
BYTES_ON_DISK = 4  # a cell: density contrast


class Cost(NamedTuple):
    """Of a list of simulations; memory is one simulation's."""

    simulations: int
    cell_updates: float
    core_seconds: float
    gpu_hours: float
    memory_gib: float
    disk_gib: float


def steps(config: dict, simulation: dict) -> int:
    """Time steps that a simulation will take, to some 10 %: the fastest signal of a Gaussian field,
    kept up.
    """
    if config["backend"] == "early":
        return 0
    sound = sound_speed_kms(config["temperature_k"], config["mu"])
    fastest = sound * (3 + PEAK_SPEED * simulation["mach"])
    dt_myr = config["courant"] * config["box_pc"] / config["grid"] / fastest * MYR_PER_TIME
    return math.ceil(simulation["time_myr"] / dt_myr)


def cost(config: dict, simulations: list[dict]) -> Cost:
    """Cost of a shard, or of all shards together; `gpu_hours` in place of `core_seconds` where the
    backend is torch.
    """
    cells = config["grid"] ** 3
    updates = float(cells * sum(steps(config, simulation) for simulation in simulations))
    fields = cells * len(simulations)
    return Cost(
        len(simulations),
        updates,
        updates / CORE_UPDATES + fields * FIELD_SECONDS,
        (updates / GPU_UPDATES + fields * GPU_FIELD_SECONDS) / 3600,
        cells * BYTES_IN_MEMORY * config["batch"] / 2**30,
        fields * BYTES_ON_DISK / 2**30,
    )
