"""Simulated fields as a patch set.

Each field is a sky realisation of its own, which is its split's and its block's source.
"""

import numpy as np
import xarray as xr

from skyloom.patchset import SPLITS, flags
from skyloom.radio.simulate import field
from skyloom.radio.simulate.field import CLASSES, DIFFUSE, INVALID


def shard(settings: dict, number: int, of: int) -> xr.Dataset:
    """Every `of`-th field of a set, from the `number`-th on.

    settings : those of `field.draw`; `train`, `valid` and `test`, numbers of fields; `seed`;
        `confusers`, of training and validation: the test fields have them always
    """
    rows = [(split, k) for split in SPLITS for k in range(settings[split])][number::of]
    drawn = [
        field.draw(settings, generator(settings, *row), has_galaxies(settings, row[0]))
        for row in rows
    ]
    levels = [f.levels.grid.mean((1, 2)) for f in drawn]
    dims = "example", "y", "x"
    attributes = flags(CLASSES, np.uint8)
    numbers = [list(SPLITS).index(split) * 10**7 + k for split, k in rows]
    return xr.Dataset(
        {
            "image": (dims, np.stack([f.image for f in drawn]), {"units": "Jy/beam"}),
            "diffuse": (
                dims,
                np.stack([f.diffuse for f in drawn]),
                {"units": "1", "long_name": "diffuse brightness without noise, over the noise"},
            ),
            "target": (
                dims,
                np.stack([f.label for f in drawn]),
                attributes | {"units": "1", "invalid": INVALID},
            ),
        },
        {
            "split": ("example", np.array([SPLITS[s] for s, _ in rows], np.int8), flags(SPLITS)),
            "realisation": ("example", np.array(numbers)),
            "background": ("example", np.array([b for b, _ in levels]), {"units": "Jy/beam"}),
            "noise": ("example", np.array([s for _, s in levels]), {"units": "Jy/beam"}),
            "beam_pixels": ("example", np.array([f.beam for f in drawn])),
            "beam_arcsec": ("example", np.array([f.beam_arcsec for f in drawn])),
            "diffuse_share": ("example", np.array([(f.label == DIFFUSE).mean() for f in drawn])),
        },
        {
            "data_kind": "user-simulation" if settings["maps"] else "simulated",
            "mask_sigma": settings["mask_sigma"],
            "beams": np.array(settings["beams"], float),  # ["]
        },
    )


def generator(settings: dict, split: str, number: int) -> np.random.Generator:
    """Random numbers of one field. Sets of one seed share their test fields."""
    key = (SPLITS[split], number)
    return np.random.default_rng(np.random.SeedSequence(settings["seed"], spawn_key=key))


def has_galaxies(settings: dict, split: str) -> bool:
    return settings["confusers"] or split == "test"
