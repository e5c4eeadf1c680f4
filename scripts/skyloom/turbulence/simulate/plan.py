"""Which simulations a set holds and which a shard makes: a pure function of the config, standard
library only.
"""

import math
import random

from skyloom.cli import BadInput

DRAWN = ("index", "mach", "time_myr")
POSITIVE = ("box_pc", "mass_msun", "temperature_k", "mu", "simulations", "batch")


def simulations(config: dict) -> list[dict]:
    """A set's simulations in order: {"seed", "index", "mach", "time_myr"} each.

    Seeds count up from `config["seed"]`. `index`, `mach` and `time_myr` are each a number, a list
    that the simulations take in turn, or {"low", "high"}, from which a simulation's own seed draws
    evenly. Raises BadInput naming the key of a value out of range.
    """
    check(config)
    rows = []
    for place in range(config["simulations"]):
        seed = config["seed"] + place
        row = {"seed": seed} | {name: _value(name, config[name], place, seed) for name in DRAWN}
        for name in DRAWN:
            if not (math.isfinite(row[name]) and row[name] > 0):
                raise BadInput(
                    f"simulations: {name} is {row[name]!r} at seed {seed}; expected a "
                    "positive number"
                )
        rows.append(row)
    return rows


def shard(rows: list[dict], number: int, shards: int) -> list[dict]:
    """Part `number` of `shards`, neighbours staying together; sizes differ by one at most."""
    if not 0 <= number < shards:
        raise BadInput(f"simulations: shard {number} of {shards}; expected 0 to {shards - 1}")
    return rows[number * len(rows) // shards : (number + 1) * len(rows) // shards]


def check(config: dict) -> None:
    """Refuse values of which no simulation can be made."""
    for name in POSITIVE:
        if config[name] is None or not (math.isfinite(config[name]) and config[name] > 0):
            raise BadInput(f"simulations: {name} is {config[name]!r}; expected a positive number")
    if config["grid"] % 2 or config["grid"] < 8:
        raise BadInput(
            f"simulations: grid is {config['grid']!r}; expected an even number of at least 8 cells"
        )
    if not 0 < config["courant"] < 1:
        raise BadInput(
            f"simulations: courant is {config['courant']!r}; expected between 0 and 1 (above: "
            "unstable)"
        )


def _value(name: str, given: float | list | dict, place: int, seed: int) -> float:
    if isinstance(given, dict):
        # of a text, Python's generator is seeded by SHA-512: the same in every version
        return random.Random(f"{name} {seed}").uniform(given["low"], given["high"])
    if isinstance(given, list):
        if not given:
            raise BadInput(f"simulations: {name} is an empty list; expected at least one value")
        return float(given[place % len(given)])
    return float(given)
