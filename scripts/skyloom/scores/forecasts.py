"""Scores of probabilistic forecasts (Gneiting & Raftery 2007, JASA 102, 359)."""

import numpy as np
from scipy.special import ndtr

NOMINAL = 0.6827  # share of a normal distribution within one standard deviation
NOMINAL95 = 0.95
LEVELS = np.linspace(0.05, 0.95, 19)  # of the central intervals of a coverage curve


def gaussian_crps(mean: np.ndarray, sigma: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of a Gaussian forecast, in the unit of `observed`."""
    z = (observed - mean) / sigma
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return sigma * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
