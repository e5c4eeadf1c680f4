"""What an interferometer makes of a sky: dirty and restoring beam, CLEAN, noise.

The coverage is that of the Dutch stations of LOFAR in an observation of eight hours. Images are in
units of the noise: a point of flux 1 has the peak 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from skyloom.radio.simulate.stations import HBA

LIGHT_SPEED = 299_792_458.0  # [m/s]
ARCSEC = np.pi / 180 / 3600
BAND_MHZ = 120.0, 168.0  # of LoTSS (Shimwell+ 2017, arXiv:1611.02700)
HOURS = 8.0
TIMES, CHANNELS = 64, 8  # samples of the coverage
SHORTEST_M = 100.0  # baselines below are left out, as in LoTSS
ROBUST = -0.5  # Briggs' robustness (Briggs 1995, eq. 3.16)
CLEAN_DEPTH = 3.0  # [noise] brightness from which on emission is cleaned
CLEAN_EDGE = 0.5  # [noise] width of that limit
FWHM = np.sqrt(8 * np.log(2))  # of a Gaussian, in standard deviations


@dataclass(frozen=True)
class Response:
    """An instrument on a grid, as transforms by `scipy.fft.rfft2`.

    dirty, restored : of the dirty and of the restoring beam, peak 1; noise : the filter of white
    noise that gives noise of deviation 1; beam : FWHM of the restoring beam, a circle as in LoTSS,
    with the area of the main lobe [pixel]
    """

    dirty: np.ndarray
    restored: np.ndarray
    noise: np.ndarray
    beam: float

    @property
    def grid(self) -> int:
        """Pixels along a side."""
        return self.dirty.shape[0]

    @property
    def area(self) -> float:
        """Of the restoring beam [pixel]."""
        return beam_area(self.beam, self.beam)


def beam_area(major: float, minor: float) -> float:
    """Of a Gaussian beam by its FWHM, in their unit squared."""
    return np.pi * major * minor / (4 * np.log(2))


def response(
    grid: int, beam_arcsec: float, beam_pixels: float, declination: float, hour: float
) -> Response:
    """The instrument towards a declination [deg], at a mean hour angle [h].

    beam_arcsec : least FWHM of the restoring beam, reached by a taper; a low declination has a
        wider one
    beam_pixels : pixels in `beam_arcsec`
    """
    pixel = beam_arcsec / beam_pixels * ARCSEC
    weights, noise, radius = uv_weights(grid, pixel, declination, hour)
    if lobe_size(weights, grid) < beam_pixels:
        taper = _taper(weights, radius, grid, beam_pixels)
        weights, noise = weights * taper, noise * taper
    beam = lobe_size(weights, grid)
    peak = fft.irfft2(weights, s=(grid, grid))[0, 0]
    power = fft.irfft2(noise**2, s=(grid, grid))[0, 0]  # variance of filtered white noise
    restored = fft.rfft2(gaussian_beam((grid, grid), beam, beam, 0.0)).real
    arrays = (weights / peak, restored, noise / np.sqrt(power))
    return Response(*(array.astype(np.float32) for array in arrays), beam)


def uv_weights(
    grid: int, pixel: float, declination: float, hour: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Briggs weights of the cells of `rfft2`, the deviation of their noise, and their radius.

    pixel : [rad]. The radius is in wavelengths.
    """
    u, v = coverage(declination, hour)
    cell = 1 / (grid * pixel)
    row, column = (np.rint(np.concatenate([w, -w]) / cell).astype(int) for w in (v, u))
    half = grid // 2
    inside = (np.abs(row) < half) & (np.abs(column) < half) & (column >= 0)
    place = row[inside] % grid * (half + 1) + column[inside]
    number = np.bincount(place, minlength=grid * (half + 1)).reshape(grid, half + 1).astype(float)
    mean = (number**2).sum() / number.sum()
    down = 1 / (1 + number * (5 * 10**-ROBUST) ** 2 / mean)
    radius = cell * np.hypot(fft.fftfreq(grid, 1 / grid)[:, None], np.arange(half + 1))
    return number * down, np.sqrt(number) * down, radius


def coverage(declination: float, hour: float) -> tuple[np.ndarray, np.ndarray]:
    """u and v of all baselines, times and channels [wavelength] (Thompson+ 2017, eq. 4.1)."""
    longitude = np.arctan2(HBA[:, 1].mean(), HBA[:, 0].mean())
    cos, sin = np.cos(longitude), np.sin(longitude)
    x, y = HBA[:, 0] * cos + HBA[:, 1] * sin, HBA[:, 1] * cos - HBA[:, 0] * sin
    first, second = np.triu_indices(len(HBA), 1)
    dx, dy, dz = (w[second] - w[first] for w in (x, y, HBA[:, 2]))
    long = np.sqrt(dx**2 + dy**2 + dz**2) > SHORTEST_M
    dx, dy, dz = (w[long][:, None] for w in (dx, dy, dz))
    angle = np.radians(15 * (hour + np.linspace(-HOURS / 2, HOURS / 2, TIMES)))
    pole = np.radians(declination)
    u = np.sin(angle) * dx + np.cos(angle) * dy
    v = np.sin(pole) * (np.sin(angle) * dy - np.cos(angle) * dx) + np.cos(pole) * dz
    waves = np.linspace(*BAND_MHZ, CHANNELS) * 1e6 / LIGHT_SPEED
    return tuple((w[..., None] * waves).ravel() for w in (u, v))


def _taper(weights: np.ndarray, radius: np.ndarray, grid: int, wanted: float) -> np.ndarray:
    """The Gaussian in uv with which the beam has the mean FWHM `wanted` [pixel], by bisection."""
    low, high = 1e-3 * radius.max(), 10 * radius.max()
    for _ in range(30):
        middle = np.sqrt(low * high)
        taper = np.exp(-0.5 * (radius / middle) ** 2)
        wide = lobe_size(weights * taper, grid) > wanted
        low, high = (middle, high) if wide else (low, middle)
    return taper


def lobe_size(weights: np.ndarray, grid: int) -> float:
    """Mean FWHM of the main lobe of the dirty beam that these weights give [pixel]."""
    major, minor = fit_beam(fft.irfft2(weights, s=(grid, grid)))
    return float(np.sqrt(major * minor))


def fit_beam(psf: np.ndarray) -> tuple[float, float]:
    """FWHM (major, minor) [pixel] of the main lobe, with its peak at 0, 0.

    A Gaussian through the pixels above half of the peak and those around it, by least squares of
    the logarithm.
    """
    n = psf.shape[0]
    psf = psf / psf[0, 0]
    reach = 1
    while reach < n // 2 and min(psf[reach, 0], psf[0, reach]) > 0.5:
        reach += 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    lobe = psf[y, x].clip(1e-3)
    inside = (lobe > 0.5) | ((abs(y) <= 1) & (abs(x) <= 1))
    terms = np.stack([(x * x)[inside], (x * y)[inside], (y * y)[inside]], 1)
    (a, b, c), *_ = np.linalg.lstsq(terms, np.log(lobe[inside]), rcond=None)
    values = np.linalg.eigvalsh(-2 * np.array([[a, b / 2], [b / 2, c]]))
    major, minor = FWHM / np.sqrt(values.clip(1e-12))
    return float(major), float(minor)


def gaussian_beam(shape: Sequence[int], major: float, minor: float, angle: float) -> np.ndarray:
    """A Gaussian of peak 1 at pixel 0, 0 of a periodic grid (y, x).

    major, minor : FWHM [pixel]; angle : of the major axis, from y (north) towards -x (east) [deg]
    """
    major, minor, angle = major / FWHM, minor / FWHM, np.radians(angle)
    y, x = np.meshgrid(*(fft.fftfreq(n, 1 / n) for n in shape), indexing="ij")
    along = y * np.cos(angle) - x * np.sin(angle)
    across = y * np.sin(angle) + x * np.cos(angle)
    return np.exp(-0.5 * ((along / major) ** 2 + (across / minor) ** 2))


def smooth(sky: np.ndarray, instrument: Response) -> np.ndarray:
    """A sky [flux/pixel] (..., y, x) with the restoring beam, [flux/beam]."""
    size = (instrument.grid,) * 2
    image = fft.irfft2(fft.rfft2(sky, size) * instrument.restored, s=size)
    return image[..., : sky.shape[-2], : sky.shape[-1]].astype(np.float32)


def observe(sky: np.ndarray, instrument: Response, rng: np.random.Generator) -> np.ndarray:
    """The image [noise] of a sky (y, x) [noise/pixel] after CLEAN.

    What is bright is cleaned and has the restoring beam; the rest keeps the dirty one, with its
    wings. The noise has the power that the weights give it.
    """
    limit = (smooth(sky, instrument) - CLEAN_DEPTH) / CLEAN_EDGE
    cleaned = sky / (1 + np.exp(-limit.clip(-30, 30)))
    shape, grid = sky.shape, (instrument.grid,) * 2
    total = fft.rfft2(cleaned, grid) * instrument.restored
    total += fft.rfft2(sky - cleaned, grid) * instrument.dirty
    total += fft.rfft2(rng.standard_normal(grid, np.float32)) * instrument.noise
    return fft.irfft2(total, s=grid)[: shape[0], : shape[1]].astype(np.float32)
