"""The simulations of a set and of a shard: a pure function of the config, standard library only."""

import math
import random

from skyloom.cli import BadInput

QUANTITIES = ("index", "mach", "time_myr")
POSITIVE = ("box_pc", "mass_msun", "temperature_k", "mu", "simulations", "batch")


def simulations(config: dict) -> list[dict]:
    """The simulations of a set in order: {"seed", "index", "mach", "time_myr"} each.

    Seeds count up from `config["seed"]`. `index`, `mach` and `time_myr` are each a number, a list
    or {"low", "high"}. The simulations take the values of a list in turn. Between low and high the
    seed of a simulation draws a uniform value.

    Raises BadInput with the key of a value out of range.
    """
    check(config)
    rows = []
    for number in range(config["simulations"]):
        seed = config["seed"] + number
        row = {"seed": seed} | {
            name: _value(name, config[name], number, seed) for name in QUANTITIES
        }
        for name in QUANTITIES:
            if not (math.isfinite(row[name]) and row[name] > 0):
                raise BadInput(
                    f"simulations: {name} is {row[name]!r} at seed {seed}; expected a "
                    "positive number"
                )
        rows.append(row)
    return rows


def shard(rows: list[dict], number: int, shards: int) -> list[dict]:
    """Part `number` of `shards`: contiguous rows, and sizes that differ by one at most."""
    if not 0 <= number < shards:
        raise BadInput(f"simulations: shard {number} of {shards}; expected 0 to {shards - 1}")
    return rows[number * len(rows) // shards : (number + 1) * len(rows) // shards]


def check(config: dict) -> None:
    """Refuse values that allow no simulation."""
    for name in POSITIVE:
        if config[name] is None or not (math.isfinite(config[name]) and config[name] > 0):
            raise BadInput(f"simulations: {name} is {config[name]!r}; expected a positive number")
    if config["grid"] % 2 or config["grid"] < 8:
        raise BadInput(
            f"simulations: grid is {config['grid']!r}; expected an even number of at least 8 cells"
        )
    if not 0 < config["courant"] < 1:
        raise BadInput(
            f"simulations: courant is {config['courant']!r}; expected between 0 and 1 (unstable "
            "above)"
        )


def _value(name: str, setting: float | list | dict, number: int, seed: int) -> float:
    if isinstance(setting, dict):
        # Python seeds its generator by the SHA-512 of a text, the same in every version
        return random.Random(f"{name} {seed}").uniform(setting["low"], setting["high"])
    if isinstance(setting, list):
        if not setting:
            raise BadInput(f"simulations: {name} is an empty list; expected at least one value")
        return float(setting[number % len(setting)])
    return float(setting)
