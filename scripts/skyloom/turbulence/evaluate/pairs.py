"""Does one model beat another? Their difference on the same images, image by image.

Two models err on the same difficult images, so that their difference is known better than either of
their scores; intervals that overlap say nothing. Both are scored on the same bootstrap draws of
whole simulations.
"""

import numpy as np
import xarray as xr

from skyloom import metrics
from skyloom.cli import BadInput
from skyloom.turbulence.evaluate import read_views, room_of


def paired(
    patches: xr.Dataset, first: list[xr.Dataset], second: list[xr.Dataset], settings: dict
) -> list[dict]:
    """First less second, in each mean over views or simulations that both have.

    Parameters ----------
    patches : the test rows of patches.nc
    first, second : predictions of these rows, one a seed; a model's score of an image is the mean
        over its seeds
    settings : `draws` and `seed` of the bootstrap

    Returns ------- `metric`, `better`, `first`, `second`, `difference`, its 68 % interval `lo`,
    `hi`, `won`, the share of draws in which the first is better (a tie counts half), `n`,
    `simulations`; nothing where one is of the class and the other of the index
    """
    simulation = patches["simulation"].values
    counts = metrics.multiplicities(simulation, settings["draws"], settings["seed"])
    (room, ours), (other, theirs) = (_scores(patches, each) for each in (first, second))
    found = []
    for name in ours if room is other else ():
        rows = ours[name][1]
        weights, better = counts[:, rows], room.BETTER[name]
        draws = metrics.mean(ours[name][0] - theirs[name][0], weights)
        value, lo, hi = metrics.bracket(draws, simulation[rows])
        gain = draws[1:] if better == "higher" else -draws[1:]
        found.append(
            {
                "metric": name,
                "better": better,
                "first": ours[name][0].mean(),
                "second": theirs[name][0].mean(),
                "difference": float(value),
                "lo": float(lo),
                "hi": float(hi),
                "won": float(np.mean((gain > 0) + (gain == 0) / 2)),
                "n": len(rows),
                "simulations": len(np.unique(simulation)),
            }
        )
    return found


def _scores(patches: xr.Dataset, seeds: list[xr.Dataset]):
    """The room of a model, and its scores averaged over seeds, name -> (score, row of its view)."""
    views = [read_views(patches, each) for each in seeds]
    rooms = {room_of(each) for each in views}
    if len(rooms) != 1:
        raise BadInput(
            f"predictions: {len(seeds)} seeds of a model are of class and of index; expected "
            "one of them"
        )
    room = rooms.pop()
    tables = [room.scores(each) for each in views]
    return room, {
        name: (np.mean([table[name][0] for table in tables], axis=0), rows)
        for name, (_, rows) in tables[0].items()
    }
