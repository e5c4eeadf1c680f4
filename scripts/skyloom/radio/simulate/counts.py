"""Point sources at 150 MHz by their counts.

Mandal+ 2021 (A&A 648, A5), eq. 13: log10(S^2.5 dN/dS [Jy^1.5 sr^-1]) is a polynomial of log10(S
[mJy]), valid between 0.2 mJy and 10 Jy.
"""

from functools import cache

import numpy as np

COEFFICIENTS = (1.655, -0.1150, 0.2272, 0.51788, -0.449661, 0.160265, -0.028541, 0.002041)
FAINTEST_MJY, BRIGHTEST_MJY = 0.2, 1e4
SR_PER_DEG2 = (np.pi / 180) ** 2


def counts(flux_mjy: np.ndarray) -> np.ndarray:
    """dN/dS [1 / mJy / deg2]."""
    log = np.log10(flux_mjy)
    scaled = 10 ** np.polynomial.polynomial.polyval(log, COEFFICIENTS)  # Jy^1.5 / sr
    return scaled * (flux_mjy / 1e3) ** -2.5 * SR_PER_DEG2 / 1e3


@cache
def above(number: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes [mJy], and the number of brighter sources [1/deg2]."""
    flux = np.geomspace(FAINTEST_MJY, BRIGHTEST_MJY, number)
    mean = np.sqrt(counts(flux[1:]) * counts(flux[:-1])) * np.diff(flux)
    return flux, np.append(mean[::-1].cumsum()[::-1], 0.0)


def draw(area_deg2: float, rng: np.random.Generator) -> np.ndarray:
    """Fluxes [mJy] of the sources of an area."""
    flux, number = above()
    wanted = rng.uniform(0, number[0], rng.poisson(number[0] * area_deg2))
    return np.interp(-wanted, -number, flux)
