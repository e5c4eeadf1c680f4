"""Pools of model stars, one for each sightline and split, and the file that holds them.

A direction that is trained on has three pools: training, validation and test share no star. All
others are tested only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import files
from skyloom.cli import BadInput
from skyloom.extinction.read.besancon import read_besancon
from skyloom.extinction.simulate import diagrams, population, skies
from skyloom.extinction.simulate.population import Stars
from skyloom.extinction.simulate.stars import BANDS
from skyloom.extinction.simulate.survey import bands_of
from skyloom.patchset import SPLITS, flag_names, flags

GROUPS = "trained", "unseen", "beyond"
ROWS = [("trained", "train"), ("trained", "valid"), ("trained", "test")]
ROWS += [("unseen", "test"), ("beyond", "test")]
BEYOND = 10_000  # directions of one group at most, so that each pool has a seed of its own


def draw(settings: dict, splits: Iterable[str] = SPLITS) -> xr.Dataset:
    """The pools of all sightlines by the embedded model, in the order of `ROWS`, of these splits.

    settings : for each group `longitude` and `latitude` [deg], whose grid are its directions;
    `area` [deg2], `faintest` magnitudes by band, `richness`, `seed`; `bands` that are kept.
    Returns `distance` [pc] and `magnitude` of all stars one pool after the other; (pool) `first`,
    `number`, `longitude`, `latitude`, `group`, `split`.
    """
    found = []
    for row, (group, split) in enumerate(ROWS):
        if split not in splits:
            continue
        for k, (longitude, latitude) in enumerate(directions(settings[group])):
            rng = np.random.default_rng((settings["seed"], row * BEYOND + k))
            stars = population.sightline(
                longitude,
                latitude,
                settings["area"],
                settings["faintest"],
                rng,
                settings["richness"],
            )
            found.append((stars, longitude, latitude, group, split))
    return dataset(found, settings, "simulated")


def read(paths: dict[str, list[str]], settings: dict) -> xr.Dataset:
    """The pools of files of the Besançon service, of which those of a group are named.

    The stars of a trained direction are shared out among its three pools: half of them train.
    """
    found = []
    for group, split in ROWS:
        for path in paths[group]:
            file = read_besancon(path, area=settings["area"])
            parts = [0.0, 1.0]
            if group == "trained":
                parts = {"train": [0, 0.5], "valid": [0.5, 0.75], "test": [0.75, 1]}[split]
            stars = shared_out(file.stars, *parts, settings["seed"])
            found.append((stars, file.longitude, file.latitude, group, split))
    return dataset(found, settings, "user-simulation")


def shared_out(stars: Stars, begin: float, end: float, seed: int) -> Stars:
    """The stars between two shares of a random order."""
    order = np.random.default_rng(seed).permutation(len(stars))
    chosen = order[int(begin * len(stars)) : int(end * len(stars))]
    return Stars(
        stars.distance[chosen],
        stars.magnitudes[:, chosen],
        stars.phase[chosen],
        stars.population[chosen],
        stars.richness * (end - begin),
    )


def directions(grid: dict) -> list[tuple[float, float]]:
    """(longitude, latitude) [deg] of the grid of both lists."""
    return [(x, y) for x in grid["longitude"] for y in grid["latitude"]]


def dataset(found: list[tuple], settings: dict, data_kind: str) -> xr.Dataset:
    """found : (stars, longitude, latitude, group, split) of each pool."""
    bands = settings["bands"]
    rows = [BANDS.index(band) for band in bands]
    stars, longitude, latitude, group, split = zip(*found, strict=True)
    number = np.array([len(s) for s in stars])
    codes = np.array([GROUPS.index(g) for g in group], np.int8)
    degrees = {"units": "deg"}
    return xr.Dataset(
        {
            "distance": ("star", np.concatenate([s.distance for s in stars]), {"units": "pc"}),
            "magnitude": (
                ("band", "star"),
                np.concatenate([s.magnitudes[rows] for s in stars], 1),
                {"units": "mag", "long_name": "apparent magnitude without extinction"},
            ),
            "first": ("pool", np.cumsum(number) - number),
            "number": ("pool", number),
            "richness": ("pool", np.array([s.richness for s in stars])),
        },
        {
            "band": list(bands),
            "longitude": ("pool", np.array(longitude, float), degrees),
            "latitude": ("pool", np.array(latitude, float), degrees),
            "group": ("pool", codes, flags(GROUPS)),
            "split": ("pool", np.array([SPLITS[s] for s in split], np.int8), flags(SPLITS)),
        },
        {"data_kind": data_kind, "area_deg2": settings["area"]},
    )


@dataclass(frozen=True)
class Pools:
    """The pools of a file.

    stars : of each pool; longitude, latitude (pool,) [deg]; group, split : names of each pool
    """

    stars: list[Stars]
    longitude: np.ndarray
    latitude: np.ndarray
    group: list[str]
    split: list[str]
    bands: list[str]
    data_kind: str

    def of(self, split: str, group: str | None = None) -> np.ndarray:
        """The numbers of the pools of a split, and of a group where one is stated."""
        kept = [
            s == split and group in (None, g) for s, g in zip(self.split, self.group, strict=True)
        ]
        return np.flatnonzero(kept)

    def field(self, pool: int, names: list[str], grid: skies.Grid) -> diagrams.Field:
        """Raises BadInput for diagrams of bands that the pools lack."""
        missing = [band for band in bands_of(names) if band not in self.bands]
        if missing:
            found = ", ".join(self.bands)
            raise BadInput(f"config: bands of the fields: no {', '.join(missing)} (bands: {found})")
        return diagrams.field(self.stars[pool], names, grid.step)

    def mean(self, pool: int, grid: skies.Grid) -> np.ndarray:
        """The smooth dust along a pool's direction (bin,), of sum 1."""
        return skies.mean_profile(self.longitude[pool], self.latitude[pool], grid)


def load(path: str | Path) -> Pools:
    """The pools of a file. Raises BadInput for one without stars of a pool."""
    return of_dataset(files.load_dataset(path, decode_cf=False), path)


def of_dataset(file: xr.Dataset, path: str | Path = "the fields") -> Pools:
    """The pools of what `draw` or `read` gives."""
    stars, bands = [], file["band"].values.tolist()
    ends = zip(file["first"].values, file["number"].values, strict=True)
    for pool, (first, number) in enumerate(ends):
        if not number > 0:
            raise BadInput(f"{path}: pool {pool} has {number} stars; expected those of a field")
        part = file.isel(star=slice(first, first + number))
        magnitudes = np.full((len(BANDS), number), np.nan, np.float32)
        magnitudes[[BANDS.index(band) for band in bands]] = part["magnitude"].values
        # no diagram depends on phase or population
        nothing = np.zeros(number, np.int8)
        richness = float(file["richness"][pool])
        stars.append(Stars(part["distance"].values, magnitudes, nothing, nothing, richness))
    names = (file[name] for name in ("group", "split"))
    group, split = ([flag_names(v)[int(code)] for code in v.values] for v in names)
    longitude, latitude = file["longitude"].values, file["latitude"].values
    return Pools(stars, longitude, latitude, group, split, bands, file.attrs["data_kind"])
