"""Images without a band of their wave numbers, and images of which only the phases or only the amplitudes are kept.

A part of a periodic map has edges, between which its waves do not close. Bands are taken out of the image mirrored at
its edges (its cosine transform), which is continuous everywhere, and the filters have soft sides: nothing rings.
Phases belong to a periodic image: they are those of the part's periodic component (Moisan 2011, J. Math. Imaging
Vis. 39, 161), which differs from it by a smooth field that the jumps across its edges alone determine. A whole map is
periodic itself, and all of this is exact.

Images are (n, y, x), square; wave numbers are in cycles an image.
"""

from collections.abc import Callable

import numpy as np
from scipy.fft import dctn, fft2, idctn, ifft2

SIDE = 0.25  # width of a filter's side [octaves]
AXES = (1, 2)


# --- bands ---------------------------------------------------------------------------------------------------------


def band_edges(lowest: float, highest: float, per_octave: int) -> np.ndarray:
    """Edges of bands of 1 / per_octave octaves from `lowest`, the last at or above `highest`."""
    octaves = np.log2(highest / lowest)
    return lowest * 2 ** (np.arange(np.ceil(octaves * per_octave - 1e-9) + 1) / per_octave)


def above(k: np.ndarray, edge: float) -> np.ndarray:
    """1 for wave numbers above `edge`, 0 below, half a cosine in ln k between; of edge 0 and infinity 1 and 0."""
    if not 0 < edge < np.inf:
        return np.full(np.shape(k), float(edge == 0))
    with np.errstate(divide="ignore"):
        place = np.clip(np.log2(np.asarray(k) / edge) / SIDE + 0.5, 0, 1)
    return (1 - np.cos(np.pi * place)) / 2


def without_band(images: np.ndarray, low: float, high: float, periodic: bool) -> np.ndarray:
    """The images without their waves between `low` and `high`; the mean stays."""
    return _filtered(images, lambda k: np.where(k > 0, 1 - above(k, low) + above(k, high), 1), periodic)


def lowpassed(images: np.ndarray, highest: float, periodic: bool) -> np.ndarray:
    """The images without their waves above `highest`."""
    return _filtered(images, lambda k: 1 - above(k, highest), periodic)


def _filtered(images: np.ndarray, gain: Callable, periodic: bool) -> np.ndarray:
    if periodic:
        return ifft2(fft2(images, axes=AXES) * gain(wave_numbers(images.shape[-1])), axes=AXES).real
    half = np.arange(images.shape[-1]) / 2  # mirrored, an image has waves of half a cycle
    return idctn(dctn(images, axes=AXES, norm="ortho") * gain(np.hypot(half[:, None], half)), axes=AXES, norm="ortho")


def wave_numbers(n: int) -> np.ndarray:
    """Of each mode of `fft2` of n x n pixels [cycles an image]."""
    k = np.fft.fftfreq(n, 1 / n)
    return np.hypot(k[:, None], k)


# --- phases and amplitudes -----------------------------------------------------------------------------------------


def periodic_part(images: np.ndarray) -> np.ndarray:
    """The images less the smooth field that carries the jumps between opposite edges (Moisan 2011, eq. 11)."""
    jumps = np.zeros(images.shape)
    rows, columns = images[:, 0] - images[:, -1], images[:, :, 0] - images[:, :, -1]
    jumps[:, 0] -= rows
    jumps[:, -1] += rows
    jumps[:, :, 0] -= columns
    jumps[:, :, -1] += columns
    angle = 2 * np.pi * np.fft.fftfreq(images.shape[-1])
    laplacian = 2 * np.cos(angle)[:, None] + 2 * np.cos(angle) - 4
    laplacian[0, 0] = 1  # of a sum that is zero
    smooth = ifft2(fft2(jumps, axes=AXES) / laplacian, axes=AXES).real
    return images - smooth


def mean_amplitude(images: np.ndarray) -> np.ndarray:
    """Mean modulus of each Fourier mode of periodic images, (y, x)."""
    return np.abs(fft2(images, axes=AXES)).mean(0)


def phases_only(images: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """Periodic images with their own phases and the `amplitude` (y, x) of others."""
    modes = fft2(images, axes=AXES)
    size = np.abs(modes)
    return ifft2(np.divide(modes, size, out=np.ones_like(modes), where=size > 0) * amplitude, axes=AXES).real


def amplitudes_only(images: np.ndarray, seed: int) -> np.ndarray:
    """Periodic images with their own amplitudes and the phases of white noise: Gaussian fields of their spectra."""
    noise = fft2(np.random.default_rng(seed).standard_normal(images.shape), axes=AXES)
    return ifft2(np.abs(fft2(images, axes=AXES)) * noise / np.abs(noise), axes=AXES).real
