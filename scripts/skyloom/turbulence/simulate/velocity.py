"""Solenoidal Gaussian velocity field with a power-law spectrum: the start of a simulation.

The noise of a Fourier mode is a hash of (seed, component, wave vector). A seed therefore gives one
field on every grid, backend and device, and a finer grid only adds modes. `numpy` and `torch` run
the same lines.
"""

import math
from types import ModuleType

import numpy as np
import scipy.fft

from skyloom.cli import BadInput
from skyloom.hashing import key, mix, shifted
from skyloom.turbulence.simulate.arrays import Array, library

BLOCK = 1 << 17  # modes at a time, which fit into the cache of a core
BLOCK_GPU = 1 << 24
LARGEST_K = 1 << 20  # wave numbers take 21 bits each in the hash


def velocity_field(
    grid: int,
    index: float,
    seed: int,
    rms: float,
    kmax: int | None = None,
    device: str | None = None,
) -> Array:
    """Velocity (3, grid, grid, grid), float64, components along the axes of the array.

    Parameters
    ----------
    index : n of the power spectrum in three dimensions, P(k) ~ k^-n: 11/3 Kolmogorov, 4 Burgers
    rms : root mean square of |v| of the modes on this grid, in the unit of the result
    kmax : modes 1 <= |k| <= kmax, in units of the box; None is all modes without the Nyquist planes
    device : None for numpy, else torch's name of the device of the result

    Raises
    ------
    BadInput : an odd grid, a kmax that does not fit, an index or rms that is not finite
    """
    kmax = _checked_kmax(grid, index, rms, kmax)
    xp, options = _backend(device)
    line = xp.concatenate(
        [xp.arange(0, grid // 2, **options), xp.arange(-(grid // 2), 0, **options)]
    )
    half = xp.arange(0, grid // 2 + 1, **options)
    complex_ = {**options, "dtype": xp.complex128}
    modes = xp.zeros((3, grid, grid, grid // 2 + 1), **complex_)
    planes = max(1, (BLOCK if device in (None, "cpu") else BLOCK_GPU) // (grid * (grid // 2 + 1)))
    power = 0.0
    for start in range(0, grid, planes):
        k = line[start : start + planes, None, None], line[None, :, None], half[None, None, :]
        block = _solenoidal_modes(xp, k, index, seed, kmax)
        for component in range(3):
            modes[component, start : start + planes] = block[component]
            # a mode off the plane kx = 0 represents its conjugate, too
            power += 2 * float((abs(block[component]) ** 2).sum()) - float(
                (abs(block[component][..., 0]) ** 2).sum()
            )
    modes *= rms / math.sqrt(power) * grid**3
    return xp.stack([_to_space(component, grid) for component in modes])


def _solenoidal_modes(xp: ModuleType, k: tuple, index: float, seed: int, kmax: int) -> list:
    """Hermitian modes of the three components without their part along k.

    They are 0 outside 1 <= |k| <= kmax.
    """
    k2 = sum(component**2 for component in k)
    inside = (k2 >= 1) & (k2 <= kmax**2)
    # On the plane kx = 0 one of k and -k has its own noise, and the other is its conjugate.
    mirrored = (k[2] == 0) & ((k[1] < 0) | ((k[1] == 0) & (k[0] < 0)))
    sign = 1 - 2 * (mirrored * 1)
    wave = _pack(*(component * sign for component in k))
    k2 = _real(xp, xp.where(inside, k2, 1))
    amplitude = inside * k2 ** (-index / 4)  # |v_k| ~ k^(-n/2)
    noise = []
    for component in range(3):
        # Box-Muller; the scale cancels in the normalisation to `rms`
        radius = amplitude * xp.sqrt(-2 * xp.log(_uniform(xp, wave, key(seed, 2 * component))))
        phase = 2 * math.pi * _uniform(xp, wave, key(seed, 2 * component + 1))
        noise.append(radius * xp.cos(phase) + 1j * (sign * radius * xp.sin(phase)))
    parallel = sum(a * b for a, b in zip(k, noise, strict=True)) / k2
    return [b - a * parallel for a, b in zip(k, noise, strict=True)]


def _to_space(modes: Array, grid: int) -> Array:
    if isinstance(modes, np.ndarray):
        return scipy.fft.irfftn(modes, s=(grid,) * 3, overwrite_x=True)
    return library(modes).fft.irfftn(modes, s=(grid,) * 3)


# --- the hash ------------------------------------------------------------------------------------


def _pack(kz, ky, kx):
    """One integer for a wave vector."""
    return ((kz + LARGEST_K) << 42) | ((ky + LARGEST_K) << 21) | (kx + LARGEST_K)


def _uniform(xp: ModuleType, x, key: int):
    """Uniform in (0, 1), 53 bits: two rounds of SplitMix64's mixer on the wave vector's integer."""
    x = mix(mix(x ^ key) + key)
    return (_real(xp, shifted(x, 11)) + 0.5) * 2.0**-53


def _real(xp: ModuleType, x):
    """float64, stated explicitly: torch makes float32 of an integer times 1.0."""
    return xp.asarray(x, dtype=xp.float64)


def _backend(device: str | None) -> tuple[ModuleType, dict]:
    if device is None:
        return np, {"dtype": np.int64}
    import torch

    return torch, {"dtype": torch.int64, "device": device}


def _checked_kmax(grid: int, index: float, rms: float, kmax: int | None) -> int:
    """The highest wave number. Refuses settings that give no field or one that is not finite."""
    largest = grid // 2 - 1
    kmax = largest if kmax is None else kmax
    if grid % 2 or not 1 <= kmax <= largest:
        raise BadInput(
            f"velocity field: grid {grid} with kmax {kmax}; expected an even grid and 1 to "
            f"{largest}"
        )
    if not (math.isfinite(index) and math.isfinite(rms) and rms > 0):
        raise BadInput(
            f"velocity field: index {index}, rms {rms}; expected finite numbers, rms positive"
        )
    return kmax
