"""Where stars are in the Milky Way: the density laws of the Besançon model of 2003.

Robin et al. 2003 (A&A 409, 523). All numbers are those in the header of a catalogue that the
model's web service wrote (version 2003-12), unless said. Lengths are in pc, densities in Msun/pc3.
"""

from dataclasses import dataclass

import numpy as np

SUN_RADIUS, SUN_HEIGHT = 8500.0, 15.0
DISC_CUT = 14000.0
FLARE_START, FLARE_SLOPE = 9500.0, 0.545e-6
# the header has a slope of 0.18; Reylé et al. 2009 (A&A 495, 819) find half of it
WARP_START, WARP_SLOPE = 8400.0, 0.09
YOUNG_LENGTHS = 5000.0, 3000.0  # of the thin disc below 0.15 Gyr: disc and its central hole
OLD_LENGTHS = 2530.0, 1320.0
THICK_HEIGHT, THICK_LENGTH, THICK_CORE = 800.0, 2500.0, 400.0
HALO_EXPONENT, HALO_CORE = 2.44, 500.0
BULGE_AXES, BULGE_ANGLE, BULGE_CUT = (1590.0, 424.0, 424.0), np.radians(78.9), 2540.0
METALLICITY_GRADIENT = -0.07  # of the thin disc [dex/kpc]


@dataclass(frozen=True)
class Population:
    """Age [Gyr], density at the Sun, axis ratio, [Fe/H] and its deviation, slopes of the IMF.

    age : limits; density : the bulge's is that of its centre; slopes : of dN/dM below and above
    1 Msun
    """

    name: str
    age: tuple[float, float]
    density: float
    flattening: float
    metallicity: float
    dispersion: float
    slopes: tuple[float, float]


# Ages of the old populations are within 0.5 Gyr of the header's. The IMF of the discs is x = 0.6
# and 2.0, of the thick disc and the halo x = -0.5, of the bulge x = 1.35, with slope x + 1. The
# densities of thick disc and halo are those of Robin et al. 2003, table 1. The bulge has 13.70
# stars/pc3 at its centre, of 0.35 Msun on average for its IMF.
THIN_SLOPES = 1.6, 3.0
POPULATIONS = (
    Population("thin 1", (0.01, 0.15), 3.999e-3, 0.0140, 0.01, 0.12, THIN_SLOPES),
    Population("thin 2", (0.15, 1.0), 7.902e-3, 0.0268, 0.03, 0.12, THIN_SLOPES),
    Population("thin 3", (1.0, 2.0), 6.224e-3, 0.0375, 0.03, 0.10, THIN_SLOPES),
    Population("thin 4", (2.0, 3.0), 4.020e-3, 0.0551, 0.01, 0.11, THIN_SLOPES),
    Population("thin 5", (3.0, 5.0), 5.814e-3, 0.0696, -0.07, 0.18, THIN_SLOPES),
    Population("thin 6", (5.0, 7.0), 4.928e-3, 0.0785, -0.14, 0.17, THIN_SLOPES),
    Population("thin 7", (7.0, 10.0), 6.590e-3, 0.0791, -0.37, 0.20, THIN_SLOPES),
    Population("thick", (10.5, 11.5), 1.34e-3, 1.0, -0.78, 0.30, (0.5, 0.5)),
    Population("halo", (12.5, 13.5), 9.32e-6, 0.76, -1.78, 0.50, (0.5, 0.5)),
    Population("bulge", (9.5, 10.5), 13.70 * 0.35, 1.0, 0.00, 0.40, (2.35, 2.35)),
)


@dataclass(frozen=True)
class Place:
    """Galactocentric places of the shape of the distances [pc].

    x : from the centre to the Sun; y : to l = 90 deg; z : to the north, `warped` above the warped
    plane
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @property
    def radius(self) -> np.ndarray:
        return np.hypot(self.x, self.y)

    @property
    def warped(self) -> np.ndarray:
        # the line of nodes is that of the Sun
        lift = WARP_SLOPE * (self.radius - WARP_START).clip(0)
        return self.z - lift * np.sin(np.arctan2(self.y, self.x))


def place(longitude, latitude, distance) -> Place:
    """Of heliocentric distances [pc] in Galactic directions [deg]; the arguments broadcast."""
    angle, height = np.radians(longitude), np.radians(latitude)
    flat = distance * np.cos(height)
    z = distance * np.sin(height) + SUN_HEIGHT
    return Place(SUN_RADIUS - flat * np.cos(angle), flat * np.sin(angle), z)


def density(population: Population, at: Place) -> np.ndarray:
    """Mass density of living stars [Msun/pc3]."""
    kind = population.name.split()[0]
    return {"thin": _thin, "thick": _thick, "halo": _halo, "bulge": _bulge}[kind](population, at)


def _thin(population: Population, at: Place) -> np.ndarray:
    """Einasto's law with a hole, warp and flare (Robin et al. 2003, table 3)."""
    young = population is POPULATIONS[0]
    flare = 1 + FLARE_SLOPE * (at.radius - FLARE_START).clip(0)
    ellipse = np.hypot(at.radius, at.warped / (flare * population.flattening))
    sun = np.hypot(SUN_RADIUS, SUN_HEIGHT / population.flattening)
    shape = _einasto(ellipse, young) / _einasto(sun, young)
    return population.density * shape * (at.radius < DISC_CUT)


def _einasto(a, young: bool):
    if young:
        disc, hole = (np.exp(-((a / length) ** 2)) for length in YOUNG_LENGTHS)
    else:
        disc, hole = (np.exp(-np.sqrt(0.25 + (a / length) ** 2)) for length in OLD_LENGTHS)
    return disc - hole


def _thick(population: Population, at: Place) -> np.ndarray:
    """An exponential whose core in z is a parabola."""
    radial = np.exp(-(at.radius - SUN_RADIUS) / THICK_LENGTH)
    return population.density * radial * _layer(at.warped) / _layer(SUN_HEIGHT)


def _layer(z):
    z, h, core = np.abs(z), THICK_HEIGHT, THICK_CORE
    inner = 1 - z**2 / (core * (2 * h + core))
    return np.where(z <= core, inner, np.exp((core - z) / h) / (1 + core / (2 * h)))


def _halo(population: Population, at: Place) -> np.ndarray:
    a = np.sqrt(at.radius**2 + (at.z / population.flattening) ** 2).clip(HALO_CORE)
    return population.density * (a / SUN_RADIUS) ** -HALO_EXPONENT


def _bulge(population: Population, at: Place) -> np.ndarray:
    """The boxy Gaussian G2 of Dwek et al. 1995."""
    sin, cos = np.sin(BULGE_ANGLE), np.cos(BULGE_ANGLE)
    along, across = at.x * sin + at.y * cos, at.y * sin - at.x * cos
    a, b, c = (v / axis for v, axis in zip((along, across, at.z), BULGE_AXES, strict=True))
    radius2 = np.sqrt((a**2 + b**2) ** 2 + c**4)
    return population.density * np.exp(-radius2 / 2) * (at.radius < BULGE_CUT)
