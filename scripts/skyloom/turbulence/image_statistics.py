"""Summary statistics of images of turbulence: images (n, y, x) -> features (n, feature).

Nothing here is fitted.
"""

import numpy as np
import torch
from skimage.feature import hog
from torch import Tensor

from skyloom.cli import BadInput

HEIGHT = 1e-12  # keeps a logarithm finite
CACHED = 4  # images whose scattering fits into the cache of a core: twice as fast as hundreds
DIFFERENCES = 4  # highest order of the differences, which resolves spectra up to k**-10


# --- the power spectrum


def power_spectrum(images: np.ndarray, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers (k,) [cycles an image] and log10 power (n, k), averaged over rings of width one.

    A part of a periodic map has edges: less its mean it is multiplied by a Hann window first.
    """
    n = images.shape[-1]
    images = images - images.mean((1, 2), keepdims=True)
    if not periodic:
        window = np.hanning(n + 2)[1:-1]
        window = window[:, None] * window
        images = (images - (images * window).sum((1, 2), keepdims=True) / window.sum()) * window
    power = np.abs(np.fft.fft2(images)) ** 2
    wave = np.fft.fftfreq(n, 1 / n)
    ring = np.rint(np.hypot(wave[:, None], wave)).astype(int).ravel()
    last = n // 2
    average = (ring[:, None] == np.arange(1, last)) / np.bincount(ring, minlength=last)[1:last]
    return np.arange(1, last), np.log10(power.reshape(len(images), -1) @ average + HEIGHT)


def slope(k: np.ndarray, log_power: np.ndarray, low: float, high: float) -> np.ndarray:
    """Exponent of a power law fitted to rings low <= k <= high of equal weight: (n, 1)."""
    band = (k >= low) & (k <= high)
    x = np.log10(k[band])
    x = x - x.mean()
    return (log_power[:, band] @ x / (x @ x))[:, None]


# --- gradients


def hog_features(images: np.ndarray, pixels: int, orientations: int) -> np.ndarray:
    """Histograms of oriented gradients (Dalal & Triggs 2005) of cells of `pixels`, by place.

    Blocks are single cells with the L2-Hys norm.
    """
    return np.array([_hog(image, pixels, orientations, "L2-Hys").ravel() for image in images])


def pooled_hog(images: np.ndarray, pixels: int, orientations: int) -> np.ndarray:
    """Mean and deviation over cells of their sorted histograms, (n, 2 orientations)."""
    cells = np.array([_hog(image, pixels, orientations, "L1") for image in images])
    cells = np.sort(cells.reshape(len(images), -1, orientations), axis=-1)
    return np.concatenate([cells.mean(1), cells.std(1)], axis=1)


def _hog(image: np.ndarray, pixels: int, orientations: int, norm: str) -> np.ndarray:
    return hog(
        image,
        orientations=orientations,
        pixels_per_cell=(pixels, pixels),
        cells_per_block=(1, 1),
        block_norm=norm,
        feature_vector=False,
    )


def gradient_histograms(images: np.ndarray, cells: int, orientations: int) -> np.ndarray:
    """ln of the mean gradient in each direction of `cells` x `cells`: HOG without its norm."""
    n = images.shape[-1] // cells * cells
    along_y, along_x = np.gradient(images, axis=(1, 2))
    strength = np.hypot(along_y, along_x)
    angle = np.arctan2(along_y, along_x) % np.pi / np.pi
    direction = (angle * orientations).astype(int) % orientations
    by_direction = strength[..., None] * (direction[..., None] == np.arange(orientations))
    shape = (len(images), cells, n // cells, cells, n // cells, orientations)
    mean = by_direction[:, :n, :n].reshape(shape).mean((2, 4)).reshape(len(images), -1)
    return np.log(mean + 1e-6 * strength.mean())


# --- structure functions


def structure_functions(images: Tensor) -> Tensor:
    """ln of the mean squared differences of order one to four at lags of 1, 2, 4 ... pixels.

    The difference of order m is the sum of (-1)**j C(m, j) f(x + j lag) over j = 0..m. Its square
    is averaged over all places with m + 1 points within the image, and over both axes, then over
    both diagonals. Two points cannot resolve spectra of images steeper than k**-4; more can
    (Falcon+ 2007, Cho & Lazarian 2009, multi-point structure functions), and they need no periodic
    image. The m + 1 points take at most three quarters of the side of the image.
    """
    functions = []
    for directions in (((1, 0), (0, 1)), ((1, 1), (1, -1))):
        for lag in (2**octave for octave in range(images.shape[-1].bit_length())):
            pair = [images, images]
            for order in range(1, DIFFERENCES + 1):
                if 4 * order * lag > 3 * images.shape[-1]:
                    break
                pair = [
                    _difference(part, lag * y, lag * x)
                    for part, (y, x) in zip(pair, directions, strict=True)
                ]
                functions.append(sum(part.square().mean((-1, -2)) for part in pair) / 2)
    return (torch.stack(functions, -1) + HEIGHT).log()


def _difference(images: Tensor, y: int, x: int) -> Tensor:
    """f(place + (y, x)) - f(place) where both are within the image; y >= 0."""
    ny, nx = images.shape[-2:]
    left, right = max(-x, 0), max(x, 0)
    return images[..., y:, right : nx - left] - images[..., : ny - y, left : nx - right]


# --- wavelet scattering


def scattering(images: np.ndarray, scales: int, angles: int) -> np.ndarray:
    """ln of the scattering coefficients of order one and two, means over the image.

    Bruna & Mallat 2013: |x * psi_1| and ||x * psi_1| * psi_2| with psi_2 wider than psi_1, for all
    pairs of angles, by FFT, periodic. Order two is divided by its order one, which removes the
    amplitude and keeps the texture.
    """
    bank = torch.from_numpy(morlet_bank(images.shape[-1], scales, angles)).float()
    parts = []
    for start in range(0, len(images), CACHED):
        image = torch.from_numpy(np.ascontiguousarray(images[start : start + CACHED], np.float32))
        first, second = scattering_coefficients(image[:, None], bank, angles)
        parts.append(torch.cat([first.flatten(1), *(wider.flatten(1) for wider in second)], 1))
    return torch.cat(parts).numpy()


def scattering_coefficients(
    images: Tensor, bank: Tensor, angles: int
) -> tuple[Tensor, list[Tensor]]:
    """ln of order one (n, scale, angle), and of order two over order one.

    images : (n, 1, y, x)
    bank : of `morlet_bank`

    Order two is a list of (n, angle, wider scale, its angle), of each scale but the widest.
    """
    modulus = _modulus(torch.fft.fft2(images) * bank)  # (n, scale angle, y, x)
    first, spectrum, second = modulus.mean((-1, -2)) + HEIGHT, torch.fft.fft2(modulus), []
    for start in range(0, len(bank) - angles, angles):
        scale = slice(start, start + angles)
        wider = _modulus(spectrum[:, scale, None] * bank[start + angles :]).mean((-1, -2))
        second.append((wider / first[:, scale, None] + HEIGHT).log().unflatten(2, (-1, angles)))
    return first.unflatten(1, (-1, angles)).log(), second


def _modulus(spectrum: Tensor) -> Tensor:
    """|x| from the Fourier transform of x, with a gradient at zero.

    torch's own `abs` guards against overflow, and takes 2.7 times as long.
    """
    x = torch.fft.ifft2(spectrum)
    return torch.addcmul(x.real.square(), x.imag, x.imag).add_(HEIGHT**2).sqrt()


def morlet_bank(n: int, scales: int, angles: int) -> np.ndarray:
    """Morlet wavelets of mean zero in Fourier space, (scale angle, n, n).

    Their wave numbers are octaves from 3 pi / 4 a pixel downwards. Raises BadInput where the widest
    wavelet, of 2^scales pixels, does not fit into the image.
    """
    if 2**scales > n:
        expected = f"expected at most {n.bit_length() - 1}"
        raise BadInput(f"scattering: {scales} scales of images of {n} pixels; {expected}")
    wave = 2 * np.pi * np.fft.fftfreq(n)
    ky, kx = np.meshgrid(wave, wave, indexing="ij")
    bank = []
    for scale in range(scales):
        width = 0.8 * 2**scale  # of the envelope [pixels]
        centre = 0.75 * np.pi / 2**scale  # wave number [1/pixel]
        for angle in np.pi * np.arange(angles) / angles:

            def envelope(middle: float, width: float = width, angle: float = angle) -> np.ndarray:
                """Gaussian around a wave number along `angle`, narrower across, with aliases."""
                total = np.zeros_like(kx)
                for y in (-1, 0, 1):
                    for x in (-1, 0, 1):
                        a, b = kx + 2 * np.pi * x, ky + 2 * np.pi * y
                        along = a * np.cos(angle) + b * np.sin(angle)
                        across = b * np.cos(angle) - a * np.sin(angle)
                        exponent = -((width * (along - middle)) ** 2) / 2
                        exponent -= (width * across * angles / 4) ** 2 / 2
                        total += np.exp(exponent)
                return total

            constant, wavelet = envelope(0.0), envelope(centre)
            bank.append(wavelet - constant * (wavelet[0, 0] / constant[0, 0]))
    return np.array(bank)
