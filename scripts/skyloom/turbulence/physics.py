"""Units and constants of an isothermal cloud in a box.

The solver works in pc, km/s and the mean density of the box. Isothermal gas without gravity has no
other scale: mass and box matter only for maps in physical units. CGS constants: CODATA 2018 and IAU
2015.
"""

import math

PC_CM = 3.0856775814913673e18
MYR_S = 3.15576e13  # Julian years
KMS_CM = 1e5
MSUN_G = 1.98840987e33
BOLTZMANN = 1.380649e-16  # [erg/K]
HYDROGEN_G = 1.6735575e-24  # [g] mass of the atom
GAS_PER_HYDROGEN = 1.4  # mass of a gas with helium over that of its hydrogen

SIZE_TOLERANCE = 0.01  # far more than between definitions of the parsec or the solar mass

MYR_PER_TIME = PC_CM / KMS_CM / MYR_S  # [Myr] unit of time, 1 pc / (km/s): 0.978


def sound_speed_kms(temperature_k: float, mu: float) -> float:
    """Isothermal sound speed [km/s] of gas with `mu` hydrogen masses a particle.

    It is 0.188 at 10 K and mu = 2.33. The isothermal run of RAMSES has mu = 1 by default, which
    makes it 0.287.
    """
    return math.sqrt(BOLTZMANN * temperature_k / (mu * HYDROGEN_G)) / KMS_CM


def temperature_k(sound_speed_kms: float, mu: float) -> float:
    """Temperature [K] of isothermal gas: the inverse of `sound_speed_kms`."""
    return (sound_speed_kms * KMS_CM) ** 2 * mu * HYDROGEN_G / BOLTZMANN


def mean_density(mass_msun: float, box_pc: float) -> float:
    """Mean density [g cm-3] of a periodic cube."""
    return mass_msun * MSUN_G / (box_pc * PC_CM) ** 3


def mean_column(mass_msun: float, box_pc: float) -> float:
    """Mean column density [g cm-2] through a periodic cube along an axis."""
    return mass_msun * MSUN_G / (box_pc * PC_CM) ** 2


def converged(grid: int) -> dict[str, float]:
    """Wave numbers [cycles a box] up to which amplitudes and phases of column density are right.

    Against the analytic early-time density the amplitude falls below 0.9 at grid / 16, the
    correlation by band below 0.9 at grid / 8 (second-order scheme, 64^3 and 128^3).
    """
    return {"amplitude": grid / 16, "phase": grid / 8}
