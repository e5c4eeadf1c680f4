"""Which stars a population has: masses, ages and metallicities, and their absolute magnitudes.

A star formation rate that is constant over the ages of a population, an IMF of two power laws, and
an analytic sketch of stellar evolution. Magnitudes are 2MASS J, H, Ks and Gaia G, BP, RP (Vega),
and Pan-STARRS1 r, i (AB).

Three parts were adjusted on data, all counts else were not. Colours of the giant branch follow
three MIST v1.2 isochrones (log age 9.63, 9.96, 10.00). H - K follows a real field of 2MASS at l =
233, b = -19 deg. The time on the giant branch at M_K = -1.6, 27 Myr/mag, is a compromise: MIST has
38, and the red stars of that field are nearest to the model with 17 to 27.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from skyloom.extinction.simulate.galaxy import POPULATIONS, Population

MASSES = 0.09, 30.0  # [Msun]
FAINTEST = 8.5  # M_K; fainter stars are seen within 300 pc alone
BANDS = "J", "H", "K", "G", "BP", "RP", "r", "i"
DWARF, SUBGIANT, GIANT, CLUMP, AGB = range(5)  # phases

# The main sequence in the middle of its life, after the table of Pecaut & Mamajek 2013 (ApJS 208,
# 9): mass [Msun], M_K, J - K, G - K, BP - RP.
SEQUENCE = np.array(
    [
        (0.085, 9.96, 1.10, 6.30, 4.70),
        (0.10, 9.32, 0.94, 5.75, 4.13),
        (0.162, 8.36, 0.85, 4.95, 3.35),
        (0.23, 7.55, 0.82, 4.45, 2.79),
        (0.37, 6.55, 0.81, 4.00, 2.39),
        (0.44, 5.97, 0.81, 3.75, 2.16),
        (0.57, 5.20, 0.79, 3.30, 1.84),
        (0.63, 4.95, 0.77, 2.90, 1.70),
        (0.70, 4.55, 0.67, 2.45, 1.41),
        (0.78, 4.20, 0.58, 2.10, 1.18),
        (0.87, 3.85, 0.48, 1.75, 0.98),
        (0.94, 3.55, 0.42, 1.53, 0.90),
        (1.00, 3.27, 0.38, 1.40, 0.82),
        (1.08, 3.05, 0.35, 1.30, 0.78),
        (1.18, 2.80, 0.31, 1.18, 0.70),
        (1.33, 2.33, 0.25, 0.98, 0.58),
        (1.61, 1.78, 0.17, 0.68, 0.42),
        (1.86, 1.50, 0.09, 0.38, 0.22),
        (2.2, 1.00, 0.00, 0.02, 0.00),
        (3.4, 0.35, -0.08, -0.23, -0.10),
        (5.4, -0.45, -0.14, -0.42, -0.20),
        (8.0, -1.10, -0.20, -0.65, -0.30),
        (17.7, -3.05, -0.25, -0.80, -0.40),
    ]
).T
# J - K of the giant branch at solar metallicity by M_K, and its slope with [Fe/H] (MIST)
BRANCH = np.array(
    [
        (-8.0, 1.50, 0.30),
        (-6.0, 1.30, 0.30),
        (-4.0, 1.02, 0.23),
        (-1.6, 0.74, 0.14),
        (0.0, 0.64, 0.12),
        (2.0, 0.60, 0.12),
    ]
).T
# H - K by J - K: the control field's medians at K < 13.3, less their reddening of 0.004. Giants
# and dwarfs separate from J - K = 0.7 on. Beyond the field's colours MIST plus the 0.03 by which
# MIST is bluer within them; below 0 a line through the zero of the system.
H_DWARF = np.array([(-0.3, -0.07), (0.0, 0.01), (0.15, 0.034), (0.35, 0.059), (0.55, 0.092)])
H_DWARF = np.vstack([H_DWARF, [(0.65, 0.111), (0.75, 0.15), (0.82, 0.22), (1.1, 0.38)]]).T
H_GIANT = np.array([(0.0, 0.01), (0.35, 0.059), (0.55, 0.092), (0.65, 0.111), (0.75, 0.13)])
H_GIANT = np.vstack([H_GIANT, [(0.85, 0.15), (1.05, 0.20), (1.25, 0.265), (1.5, 0.36)]]).T
# G - RP by BP - RP, EDR3: MIST v1.2, dwarfs and giants agree within 0.02. Below 0.4 a line through
# the zero of the system.
G_RP = np.array([(-0.5, -0.28), (0.0, 0.0), (0.4, 0.25), (0.8, 0.483), (1.2, 0.677), (1.6, 0.848)])
G_RP = np.vstack([G_RP, [(2.0, 0.987), (2.4, 1.109), (2.8, 1.202), (3.4, 1.323), (4.2, 1.437)]]).T
# G - r and G - i of Pan-STARRS1 by BP - RP: the relations of Gaia DR3 to SDSS (documentation, table
# 5.9), within 0.02 of Pan-STARRS1. Below 0.4 a line through Vega; i beyond 2.0 as MIST's I by Tonry
# et al. 2012 (ApJ 750, 99), table 6; beyond 3.0 the last slope.
G_R = np.array([(-0.5, -0.16), (0.0, -0.10), (0.4, -0.044), (0.8, 0.015), (1.2, 0.032)])
G_R = np.vstack([G_R, [(1.6, -0.021), (2.0, -0.162), (2.4, -0.394), (2.8, -0.706), (4.8, -2.49)]]).T
G_I = np.array([(-0.5, -0.75), (0.0, -0.37), (0.4, -0.06), (0.8, 0.157), (1.2, 0.333)])
G_I = np.vstack([G_I, [(1.6, 0.477), (2.0, 0.587), (2.4, 0.75), (2.8, 0.86), (4.8, 1.30)]]).T
BRANCH_GROWTH = 0.28 * np.log(10)  # dN/dM_K ~ 10^(0.28 M_K) along the giant branch (MIST)
LOW_MASS = 2.0  # [Msun] below which helium ignites in a flash
COLOUR_SCATTER = 0.02  # [mag]


@dataclass(frozen=True)
class Content:
    """Stars of one population.

    weight (n,) : number per Msun of living stars; magnitudes (band, n) : absolute, of `BANDS`;
    phase (n,) : int8, 0 dwarf to 4 asymptotic branch
    """

    weight: np.ndarray
    magnitudes: np.ndarray
    phase: np.ndarray


def lifetime(mass: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
    """[Gyr] Raiteri, Villata & Navarro 1996 (A&A 315, 105), eq. 3, within their metallicities."""
    z = (np.log10(0.02) + metallicity).clip(-4, -1.5)
    m = np.log10(mass)
    exponent = 10.13 + 0.07547 * z - 0.008084 * z**2
    exponent += (-4.424 - 0.7939 * z - 0.1187 * z**2) * m
    exponent += (1.262 + 0.3385 * z + 0.05417 * z**2) * m**2
    return 10 ** (exponent - 9)


@cache
def contents(number: int = 200_000, seed: int = 1) -> tuple[Content, ...]:
    """The stars of each population; `number` weighted draws of each."""
    generators = (np.random.default_rng((seed, k)) for k in range(len(POPULATIONS)))
    return tuple(
        content(population, number, rng)
        for population, rng in zip(POPULATIONS, generators, strict=True)
    )


def content(population: Population, number: int, rng: np.random.Generator) -> Content:
    """Weighted stars of one population, living and brighter than M_K = `FAINTEST`."""
    age = rng.uniform(*population.age, number)
    scatter = population.dispersion * rng.standard_normal(number)
    metallicity = (population.metallicity + scatter).clip(-2.4, 0.5)
    mass, weight = _masses(population, age, rng)
    magnitudes, phase = evolved(mass, age, metallicity, rng)
    living = phase >= 0
    weight /= (weight * mass)[living].sum()
    kept = living & (magnitudes[2] < FAINTEST)
    return Content(weight[kept], magnitudes[:, kept], phase[kept].astype(np.int8))


def _masses(
    population: Population, age: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Masses [Msun] and weights. Half of the draws lie where stars leave the main sequence."""
    number, (least, most) = len(age), MASSES
    grid = np.geomspace(least, most, 4000)
    # lifetimes fall with mass
    log_life = np.log(lifetime(grid, np.full_like(grid, population.metallicity)))
    leaving = np.exp(np.interp(-np.log(age / 1.1), -log_life, np.log(grid)))
    width = 0.30
    anywhere = least * (most / least) ** rng.random(number)
    near = leaving * np.exp(width * (rng.random(number) - 0.5))
    mass = np.where(rng.random(number) < 0.5, anywhere, near)
    drawn = 0.5 / (mass * np.log(most / least)) * (mass < most)
    drawn += 0.5 / (mass * width) * (np.abs(np.log(mass / leaving)) < width / 2)
    low, high = population.slopes
    imf = np.where(mass < 1, mass**-low, mass**-high)
    return mass, imf / drawn / number


def evolved(
    mass: np.ndarray, age: np.ndarray, metallicity: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute magnitudes (band, n) and phase (n,), -1 of a dead star.

    mass : [Msun]; age : [Gyr]
    """
    low = mass < LOW_MASS
    main = 0.88 * lifetime(mass, metallicity) * np.where(low, 1.0, 0.92)
    log = np.log(mass)
    k0, jk0, gk0, colour0 = (np.interp(log, np.log(SEQUENCE[0]), row) for row in SEQUENCE[1:])
    # along the main sequence a star brightens; metals redden it
    part = (age / main).clip(0, 1) - 0.4
    evolving = mass > 0.55
    k = k0 + (0.25 * metallicity - 0.9 * part) * evolving
    jk = jk0 + np.where(mass > 1.3, 0.10, -0.03) * part * evolving
    jk += 0.07 * metallicity * (mass > 0.5)

    # phases after it: durations [Myr]
    after = (age - main) * 1e3
    turning = np.where(low, 180 * main / mass.clip(0.7), 30 * main)
    per_mag = np.where(low, 27 * mass.clip(0.7) ** -1.2, 4.0)  # on the branch at M_K = -1.6
    massive = 9.8 * np.log10(mass.clip(2.2) / 2.2)
    base, tip = np.where(low, 1.9, 0.2), np.where(low, -6.6, -1.6 - massive)
    start, end = (np.exp(BRANCH_GROWTH * (m + 1.6)) for m in (base, tip))
    climbing = per_mag / BRANCH_GROWTH * (start - end)
    burning = np.where(low, 100.0, 220 * main)
    ending = np.where(low, 14.0, 30 * main)
    on_branch = after - turning
    in_clump = on_branch - climbing
    on_agb = in_clump - burning
    phases = [after <= 0, on_branch < 0, in_clump < 0, on_agb < 0, on_agb < ending]
    phase = np.select(phases, [DWARF, SUBGIANT, GIANT, CLUMP, AGB], -1)

    turn = (after / turning).clip(0, 1)
    leaving_k = k0 - 0.54 + 0.25 * metallicity
    k_sub = leaving_k + (base - leaving_k) * turn
    jk_sub = jk + (branch_colour(base, metallicity) - jk) * turn**0.7
    left = (start - on_branch * BRANCH_GROWTH / per_mag).clip(1e-9)
    k_branch = np.log(left) / BRANCH_GROWTH - 1.6
    # Hawkins et al. 2017 (MNRAS 471, 722): M_K = -1.61 +- 0.17
    k_clump = np.where(low, -1.61 + 0.17 * rng.standard_normal(len(mass)), -1.20 - massive)
    jk_clump = 0.65 + 0.11 * metallicity.clip(-2, 0.4) + 0.03 * np.log(mass.clip(2) / 2)
    end_part = (on_agb / ending).clip(0, 1)
    k_agb = np.where(low, -2.6 - 5.2 * end_part, k_clump - 1 - 3 * end_part)
    jk_branch, jk_agb = (branch_colour(m, metallicity) for m in (k_branch, k_agb))
    choices = [phase == p for p in (SUBGIANT, GIANT, CLUMP, AGB)]
    k = np.select(choices, [k_sub, k_branch, k_clump, k_agb], k)
    jk = np.select(choices, [jk_sub, jk_branch, jk_clump, jk_agb + 0.02], jk)
    jk = jk + COLOUR_SCATTER * rng.standard_normal(len(mass))

    # share of a giant's colours: none on the main sequence, all from the branch on
    share = np.where(phase == SUBGIANT, turn, phase > SUBGIANT)
    return _in_bands(k, jk, gk0, colour0, share), phase


def branch_colour(k: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
    """J - K of the giant branch at M_K."""
    solar, slope = (np.interp(k, BRANCH[0], row) for row in BRANCH[1:])
    return solar + slope * metallicity.clip(-2, 0.4)


def _in_bands(k, jk, gk_dwarf, colour_dwarf, share) -> np.ndarray:
    """Magnitudes (band, n) of `BANDS` from M_K and colours.

    share : weight of a giant's colours
    """
    hk = (1 - share) * np.interp(jk, *H_DWARF) + share * np.interp(jk, *H_GIANT)
    # G - K and BP - RP of giants by J - K, of MIST's EDR3 magnitudes
    redder = jk - 0.65
    square = 3.0 * redder.clip(0) ** 2
    gk = gk_dwarf + share * (2.07 + 3.3 * redder + square - gk_dwarf)
    colour = colour_dwarf + share * (1.22 + 2.2 * redder + square - colour_dwarf)
    g = k + gk
    rp = g - np.interp(colour, *G_RP)
    r, i = (g - np.interp(colour, *table) for table in (G_R, G_I))
    return np.stack([k + jk, k + hk, k, g, rp + colour, rp, r, i])
