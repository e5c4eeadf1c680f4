"""Images without a band of wave numbers, with their phases alone, or with their amplitudes alone.

A part of a periodic map has edges, across which its waves do not close. Bands are removed from the
image mirrored at its edges (its cosine transform), which is continuous, by filters with soft sides:
nothing rings. Phases need a periodic image. They are those of the part's periodic component (Moisan
2011, J. Math. Imaging Vis. 39, 161): the image less a smooth field, which follows from the jumps
across the edges alone. For a whole map, periodic itself, all of this is exact.

Images are (n, y, x), square; wave numbers are in cycles an image.
"""

import numpy as np
from scipy.fft import dctn, fft2, idctn, ifft2

SIDE = 0.25  # width of a filter's side [octaves]
AXES = (1, 2)


# --- bands


def band_edges(lowest: float, highest: float, per_octave: int) -> np.ndarray:
    """Edges of bands of 1 / per_octave octaves from `lowest`, the last at or above `highest`."""
    octaves = np.log2(highest / lowest)
    return lowest * 2 ** (np.arange(np.ceil(octaves * per_octave - 1e-9) + 1) / per_octave)


def above(k: np.ndarray, edge: float) -> np.ndarray:
    """1 for wave numbers above `edge`, 0 below, half a cosine in ln k between; of edge 0 and
    infinity 1 and 0.
    """
    if not 0 < edge < np.inf:
        return np.full(np.shape(k), float(edge == 0))
    with np.errstate(divide="ignore"):
        place = np.clip(np.log2(np.asarray(k) / edge) / SIDE + 0.5, 0, 1)
    return (1 - np.cos(np.pi * place)) / 2


def within(k: np.ndarray, low: float, high: float) -> np.ndarray:
    """1 for wave numbers between `low` and `high`, 0 beyond and for the mean."""
    return np.where(k > 0, above(k, low) - above(k, high), 0)


def without_band(images: np.ndarray, low: float, high: float, periodic: bool) -> np.ndarray:
    """The images without their waves between `low` and `high`; the mean stays."""
    modes, k = spectrum(images, periodic)
    return field(modes * (1 - within(k, low, high)), periodic)


def neutral_band(
    images: np.ndarray, amplitude: np.ndarray, low: float, high: float, periodic: bool
) -> np.ndarray:
    """The images with the mean `amplitude` (y, x) of waves between `low` and `high`.

    Phases are kept. Unlike an image without the band, this one resembles the training images. The
    amplitude is relative to that of the other waves, which are weaker in a standardised image with
    a strong band.
    """
    modes, k = spectrum(images, periodic)
    gain = within(k, low, high)
    others = (1 - gain) * (k > 0)
    scale = np.sqrt((np.abs(modes * others) ** 2).sum(AXES) / ((amplitude * others) ** 2).sum())
    neutral = _with(modes, amplitude) * scale[:, None, None]
    return field(modes * (1 - gain) + neutral * gain, periodic)


def lowpassed(images: np.ndarray, highest: float, periodic: bool) -> np.ndarray:
    """The images without their waves above `highest`."""
    modes, k = spectrum(images, periodic)
    return field(modes * (1 - above(k, highest)), periodic)


def spectrum(images: np.ndarray, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Fourier modes of periodic images or cosine modes of others, and their wave numbers (y, x)."""
    if periodic:
        return fft2(images, axes=AXES), wave_numbers(images.shape[-1])
    half = np.arange(images.shape[-1]) / 2  # mirrored, an image has waves of half a cycle
    return dctn(images, axes=AXES, norm="ortho"), np.hypot(half[:, None], half)


def field(modes: np.ndarray, periodic: bool) -> np.ndarray:
    """The images of these modes."""
    return ifft2(modes, axes=AXES).real if periodic else idctn(modes, axes=AXES, norm="ortho")


def mean_amplitude(images: np.ndarray, periodic: bool) -> np.ndarray:
    """Mean modulus of each mode, (y, x)."""
    return np.abs(spectrum(images, periodic)[0]).mean(0)


def _with(modes: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """The modes with another modulus."""
    size = np.abs(modes)
    return np.divide(modes, size, out=np.ones_like(modes), where=size > 0) * amplitude


def wave_numbers(n: int) -> np.ndarray:
    """Wave number of each mode of `fft2` of n x n pixels [cycles an image]."""
    k = np.fft.fftfreq(n, 1 / n)
    return np.hypot(k[:, None], k)


# --- phases and amplitudes


def periodic_part(images: np.ndarray) -> np.ndarray:
    """The images less a smooth field with the jumps across their edges (Moisan 2011, eq. 11)."""
    jumps = np.zeros(images.shape)
    rows, columns = images[:, 0] - images[:, -1], images[:, :, 0] - images[:, :, -1]
    jumps[:, 0] -= rows
    jumps[:, -1] += rows
    jumps[:, :, 0] -= columns
    jumps[:, :, -1] += columns
    angle = 2 * np.pi * np.fft.fftfreq(images.shape[-1])
    laplacian = 2 * np.cos(angle)[:, None] + 2 * np.cos(angle) - 4
    laplacian[0, 0] = 1  # the sum of the jumps is zero
    smooth = ifft2(fft2(jumps, axes=AXES) / laplacian, axes=AXES).real
    return images - smooth


def phases_only(images: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """Periodic images with their phases and another `amplitude` (y, x)."""
    return field(_with(spectrum(images, periodic=True)[0], amplitude), periodic=True)


def amplitudes_only(images: np.ndarray, seed: int) -> np.ndarray:
    """Gaussian fields with the amplitudes of periodic images, and phases of white noise."""
    noise = fft2(np.random.default_rng(seed).standard_normal(images.shape), axes=AXES)
    return ifft2(np.abs(fft2(images, axes=AXES)) * noise / np.abs(noise), axes=AXES).real
