"""Mock fields: a survey's conditions, and diagrams of many examples of several pools."""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skyloom.extinction.data.pools import Pools
from skyloom.extinction.simulate import diagrams, draws, skies
from skyloom.extinction.simulate.survey import (
    NOTHING,
    SURVEYS,
    Conditions,
    Randomised,
    bands_of,
    conditions,
)

NONE = {"count": 1.0, "brighter": 0.0, "zero": 0.0, "law": None}  # of `mismatch`


def grid(settings: dict) -> skies.Grid:
    """Bins of distance of a set."""
    return skies.Grid(settings["bins"], settings["step"])


def prior(settings: dict) -> skies.Prior:
    """What the profiles of a set are drawn from."""
    given = settings["profiles"]
    return skies.Prior(
        tuple(given["slope"]),
        tuple(given["spread"]),
        given["median"],
        given["scatter"],
        given["largest"],
    )


def limits(settings: dict) -> dict[str, float]:
    """50 % limits by band that the model assumes."""
    stated = settings["limits"]
    return {band: stated.get(band, SURVEYS[band].limit) for band in bands_of(settings["diagrams"])}


def training_survey(settings: dict, examples: Tensor) -> Conditions:
    """The surveys that a model is trained on: the assumed one, or random ones around it."""
    given = Randomised(**settings["range"]) if settings["randomised"] else NOTHING
    bands = bands_of(settings["diagrams"])
    return conditions(examples, bands, settings["law"], given, limits(settings))


def limit_ranges(settings: dict) -> dict[str, tuple[float, float]]:
    """50 % limits by band that a model is trained on, least and most [mag]."""
    reach = settings["range"]["limit"] if settings["randomised"] else 0.0
    return {band: (limit - reach, limit) for band, limit in limits(settings).items()}


def limited_survey(measured: dict[str, float]):
    """The surveys of the training, but for limits: those that were measured, by band [mag].

    A limit outside of the training is replaced by the nearest of the training; one that is NaN or
    was not measured, by the assumed one.
    """

    def survey(settings: dict, examples: Tensor) -> Conditions:
        drawn = training_survey(settings, examples)
        known = [
            np.clip(limit, *ends) if np.isfinite(limit := measured.get(band, np.nan)) else ends[1]
            for band, ends in limit_ranges(settings).items()
        ]
        return replace(drawn, limit=torch.tensor(known).float().expand_as(drawn.limit))

    return survey


def test_survey(settings: dict, examples: Tensor) -> Conditions:
    """The surveys of test examples: those of the training, or one that departs from the assumed."""
    wrong = NONE | {k: v for k, v in (settings["mismatch"] or {}).items() if v is not None}
    if wrong == NONE:
        return training_survey(settings, examples)
    bands = bands_of(settings["diagrams"])
    brighter = {band: limit - wrong["brighter"] for band, limit in limits(settings).items()}
    law = wrong["law"] or settings["law"]
    given = conditions(examples, bands, law, NOTHING, brighter)
    zero = given.zero.clone()
    # J is the band whose zero point moves: J - K moves by as much
    zero[:, bands.index("J")] += wrong["zero"]
    return Conditions(
        given.count * wrong["count"], given.most * wrong["count"], given.limit, zero, given.law
    )


def present(settings: dict, examples: Tensor) -> Tensor:
    """Which diagrams training examples have (n, diagram) bool, one of them at least.

    examples (n,) : seeds. Each diagram is missing with the probability `missing`.
    """
    number = len(settings["diagrams"])
    drawn = draws.uniform(examples, draws.MISSING, number + 1)
    found = drawn[:, 1:] >= settings["missing"]
    one = (drawn[:, :1] * number).long().clamp(max=number - 1)
    return found.scatter(1, one, found.gather(1, one) | ~found.any(1, keepdim=True))


def given(settings: dict) -> list[bool]:
    """Whether a survey of the test has each diagram."""
    names = settings["given"] or settings["diagrams"]
    return [name in names for name in settings["diagrams"]]


class Fields:
    """Pools as fields of the diagrams of a set, and their smooth dust; made when first used."""

    def __init__(self, pools: Pools, settings: dict):
        self.pools, self.settings, self.grid = pools, settings, grid(settings)
        self.made: dict[int, tuple[diagrams.Field, Tensor]] = {}

    def __getitem__(self, pool: int) -> tuple[diagrams.Field, Tensor]:
        """The field of a pool and its smooth dust (bin,)."""
        if pool not in self.made:
            mean = torch.as_tensor(self.pools.mean(pool, self.grid)).float()
            names = self.settings["diagrams"]
            self.made[pool] = self.pools.field(pool, names, self.grid), mean
        return self.made[pool]

    def without_stars(self, numbers: np.ndarray) -> "Fields":
        """The fields of these pools, ready to draw from, without the stars that they are made of.

        Processes share the memory of their tensors.
        """
        fields = copy.copy(self)
        fields.pools, fields.made = None, {int(number): self[int(number)] for number in numbers}
        return fields

    def bare(self, pool: int) -> Tensor:
        """The mean diagrams without extinction in the assumed survey (diagram, y, x)."""
        return diagrams.bare(self[pool][0], self.grid.bins, limits=limits(self.settings))

    def draw(self, examples: Tensor, pool: np.ndarray, survey=training_survey):
        """Diagrams (n, diagram, y, x) float32 and profiles (n, bin) [mag] of examples.

        examples (n,) : seeds; pool (n,) : the pool of each; survey : of the settings and examples
        """
        profiles = torch.empty(len(examples), self.grid.bins)
        shape = len(self.settings["diagrams"]), diagrams.PIXELS, diagrams.PIXELS
        counts = torch.empty(len(examples), *shape)
        drawn_from = prior(self.settings)
        for number in np.unique(pool):
            rows = torch.from_numpy(np.flatnonzero(pool == number))
            field, mean = self[int(number)]
            profiles[rows] = skies.profiles(examples[rows], mean, drawn_from)
            given = survey(self.settings, examples[rows])
            counts[rows] = diagrams.counts(field, profiles[rows], given, examples[rows])
        return counts, profiles


def seeds(seed: int, epoch: int, index: np.ndarray) -> Tensor:
    """Seeds of the examples `index` (n,) of an epoch."""
    return draws.seeds(seed, epoch, torch.from_numpy(np.asarray(index, np.int64)))
