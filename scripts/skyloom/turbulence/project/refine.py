"""The resolution pattern of adaptive refinement on a uniform grid: coarse cells where gas is thin.

RAMSES (Teyssier 2002, A&A 385, 337, section 2.1) refines a cell that meets a criterion, here a
density, or that contains a refined cell, and then widens the refined region by some cells. Here
that is done from the finest level upwards on blocks of 2, 4, 8 ... cells. A block that is not
refined becomes its mean, so that mass is conserved. Only the pattern is mimicked: the gas was
evolved on the fine grid everywhere.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter

from skyloom.cli import BadInput
from skyloom.turbulence.read.simulation import Cube


def mimic(cube: Cube, thresholds: list[float], expand: int = 1) -> tuple[Cube, np.ndarray]:
    """The coarsened cube, and the share of the volume (len(thresholds) + 1,) at each coarsening.

    Velocity is averaged as momentum. A `centroid` without the velocity stays that of the uniform
    grid.
    """
    coarsening = coarsenings(cube.density, thresholds, expand)
    share = np.bincount(coarsening.ravel(), minlength=len(thresholds) + 1) / coarsening.size
    density = average(cube.density, coarsening)
    velocity = None
    if cube.velocity is not None:
        with np.errstate(invalid="ignore"):
            velocity = np.stack(
                [average(cube.density * v, coarsening) / density for v in cube.velocity]
            )
        velocity[:, density == 0] = 0
    return replace(cube, density=density, velocity=velocity), share


def coarsenings(density: np.ndarray, thresholds: list[float], expand: int = 1) -> np.ndarray:
    """Number of coarsenings by 2 of each cell (z, y, x): int8 from 0 to len(thresholds).

    density : (n, n, n), periodic
    thresholds : density over the mean, from which on a block of 2^(k+1) cells is refined
    expand : number of such blocks by which the refined region is widened in every direction

    Raises BadInput where n is not a multiple of the coarsest block.
    """
    coarsest = 2 ** len(thresholds)
    if density.shape[0] % coarsest or len(set(density.shape)) > 1:
        raise BadInput(
            f"grid of {density.shape} cells; expected a cube of a multiple of {coarsest} for"
            f" {thresholds}"
        )
    if expand < 0 or not all(value > 0 for value in thresholds):
        raise BadInput(
            f"thresholds {thresholds}, expand {expand}; expected thresholds above 0 and expand"
            " from 0"
        )
    result = np.zeros(density.shape, dtype=np.int8)
    mean, block = density / density.mean(), density.shape[0]
    refined = np.zeros(density.shape, dtype=bool)  # the finest cells have nothing inside
    for threshold in thresholds:
        mean, block = _blocks(mean).mean(axis=(1, 3, 5)), block // 2
        refined = (mean >= threshold) | _blocks(refined).any(axis=(1, 3, 5))
        if expand:
            refined = maximum_filter(refined, size=2 * expand + 1, mode="wrap")
        result += _enlarge(~refined, density.shape[0] // block)
    return result


def average(field: np.ndarray, coarsening: np.ndarray) -> np.ndarray:
    """The field (z, y, x) with each cell the mean of its block of 2^coarsening cells, float64."""
    result = np.array(field, dtype=np.float64)
    mean = result
    for k in range(1, int(coarsening.max()) + 1):
        mean = _blocks(mean).mean(axis=(1, 3, 5))
        np.copyto(result, _enlarge(mean, 2**k), where=coarsening == k)
    return result


def _blocks(field: np.ndarray) -> np.ndarray:
    """A view (n/2, 2, n/2, 2, n/2, 2) of a cube (n, n, n)."""
    half = len(field) // 2
    return field.reshape(half, 2, half, 2, half, 2)


def _enlarge(field: np.ndarray, times: int) -> np.ndarray:
    """Each value of a cube repeated `times` along each axis."""
    n = len(field)
    wide = np.broadcast_to(field[:, None, :, None, :, None], (n, times, n, times, n, times))
    return wide.reshape((n * times,) * 3)
