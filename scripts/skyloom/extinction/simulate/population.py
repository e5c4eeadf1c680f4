"""The stars of a sightline without extinction: a compact model after that of Besançon.

`galaxy` has the densities, `stars` the content of each population. Here both give stars, drawn with
a Poisson number.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from skyloom.extinction.simulate.galaxy import POPULATIONS, density, place
from skyloom.extinction.simulate.stars import BANDS, contents

FARTHEST, SHELLS = 14000.0, 700  # [pc]
EDGES = np.linspace(0, FARTHEST, SHELLS + 1)
SR_PER_DEG2 = (np.pi / 180) ** 2
SATURATED = 2.0  # K of stars that are left out


@dataclass(frozen=True)
class Stars:
    """Stars of a field without extinction, in random order, float32.

    distance (n,) : [pc]; magnitudes (band, n) : apparent, of `stars.BANDS`; phase (n,) : as
    `stars`; population (n,) : index in `galaxy.POPULATIONS`; richness : fields of such stars that
    were drawn together
    """

    distance: np.ndarray
    magnitudes: np.ndarray
    phase: np.ndarray
    population: np.ndarray
    richness: float

    def __len__(self) -> int:
        return len(self.distance)

    def band(self, name: str) -> np.ndarray:
        """Apparent magnitudes (n,) of a band."""
        return self.magnitudes[BANDS.index(name)]


def sightline(
    longitude: float,
    latitude: float,
    area: float,
    limits: dict[str, float],
    rng: np.random.Generator,
    richness: float = 1.0,
    draws: int = 200_000,
) -> Stars:
    """The stars of a field that are brighter than the limit in one band at least.

    longitude, latitude : Galactic [deg]; area : solid angle [deg2]; limits : magnitude by band
    richness : fields to draw together, a pool to draw single fields from
    draws : weighted stars that stand for each population
    """
    masses = shell_masses(longitude, latitude, area * richness, EDGES)
    nothing = np.zeros(0)
    parts = [(nothing, np.zeros((len(BANDS), 0)), nothing.astype(np.int8), nothing.astype(np.int8))]
    for index, (mass, content) in enumerate(zip(masses, contents(draws), strict=True)):
        order, cumulated, number = _visible(draws, index, tuple(limits.items()))
        total = cumulated[number]
        count = rng.poisson(mass * total)
        if not count.sum():
            continue
        shell = np.repeat(np.arange(SHELLS), count)
        wanted = rng.random(shell.size) * total[shell]
        chosen = np.searchsorted(cumulated, wanted, side="right") - 1
        chosen = order[chosen.clip(0, number[shell] - 1)]
        inner, outer = EDGES[shell] ** 3, EDGES[shell + 1] ** 3
        distance = np.cbrt(inner + rng.random(shell.size) * (outer - inner))
        magnitudes = content.magnitudes[:, chosen] + modulus(distance)
        population = np.full(shell.size, index, np.int8)
        parts.append((distance, magnitudes, content.phase[chosen], population))
    distance, magnitudes, phase, population = (
        np.concatenate(values, -1) for values in zip(*parts, strict=True)
    )
    seen = magnitudes[BANDS.index("K")] > SATURATED
    seen &= np.any([magnitudes[BANDS.index(b)] < limit for b, limit in limits.items()], 0)
    chosen = rng.permutation(np.flatnonzero(seen))
    arrays = (values[..., chosen].astype(np.float32) for values in (distance, magnitudes))
    return Stars(*arrays, phase[chosen], population[chosen], richness)


def shell_masses(
    longitude: float, latitude: float, area: float, edges: np.ndarray
) -> list[np.ndarray]:
    """Mass of living stars (shell,) of each population [Msun]. edges : of the shells [pc]"""
    volume = area * SR_PER_DEG2 * np.diff(edges**3) / 3
    at = place(longitude, latitude, (edges[1:] + edges[:-1]) / 2)
    return [density(population, at) * volume for population in POPULATIONS]


def modulus(distance: np.ndarray) -> np.ndarray:
    """Distance modulus [mag] of a distance [pc]."""
    return 5 * np.log10(np.maximum(distance, 1e-3)) - 5


@cache
def _visible(
    draws: int, population: int, limits: tuple[tuple[str, float], ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The order of a population's stars, their weight before each, and how many a shell shows.

    A star is seen up to the largest modulus that some limit leaves. In the order of that modulus,
    those of a shell are its first, by its near edge.
    """
    content = contents(draws)[population]
    reach = np.max([m - content.magnitudes[BANDS.index(b)] for b, m in limits], 0)
    order = np.argsort(-reach, kind="stable")
    number = np.searchsorted(-reach[order], -modulus(EDGES[:-1]))
    return order, np.append(0, content.weight[order].cumsum()), number
