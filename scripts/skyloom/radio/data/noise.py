"""Background and noise of an image from its own pixels, and the network's view of it.

The same code serves training images and mosaics.
"""

from dataclasses import dataclass

import numpy as np

from skyloom.radio.data.pixels import Pixels, release

BOX_BEAMS = 36.0  # side of a box [beam], 150 pixels of LoTSS
CLIP, ROUNDS = 3.0, 5
MAD = 1.4826  # deviation of a Gaussian over its median absolute deviation
LEAST_SHARE = 0.1  # of a box that must be observed
SOFTENING = 2.0  # [noise] below which the scale is linear


@dataclass(frozen=True)
class Levels:
    """Background and noise of the boxes of an image, (2, row, column); bilinear between them.

    shape : of the image; given : a map (y, x) in place of the boxes' noise
    """

    grid: np.ndarray
    shape: tuple[int, int]
    given: np.ndarray | Pixels | None = None

    def on(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Background and noise (y, x) of a part of the image, which may reach beyond it.

        A part with steps begins within the image.
        """
        places = []
        for part, n, number in zip((rows, columns), self.shape, self.grid.shape[1:], strict=True):
            middle = (np.arange(number) + 0.5) * n / number
            at = np.arange(part.start, part.stop, part.step) + 0.5
            places.append(np.interp(at, middle, np.arange(number)))
        along = _between(self.grid, places[0], 1)
        background, noise = _between(along, places[1], 2).astype(np.float32)
        if self.given is not None:
            inside = tuple(
                slice(max(0, s.start), min(n, s.stop), s.step)
                for s, n in zip((rows, columns), self.shape, strict=True)
            )
            part = tuple(
                slice(i.start - s.start, i.stop - s.start) if s.step is None else slice(None)
                for i, s in zip(inside, (rows, columns), strict=True)
            )
            noise[part] = self.given[inside]
        return background, noise


def _between(grid: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear values of a grid at fractional `places` of an axis."""
    low = places.astype(int)
    high = (low + 1).clip(max=grid.shape[axis] - 1)
    shape = [1, 1, 1]
    shape[axis] = -1
    weight = (places - low).reshape(shape)
    return grid.take(low, axis) * (1 - weight) + grid.take(high, axis) * weight


def levels(
    image: np.ndarray | Pixels, beam: float, given: np.ndarray | Pixels | None = None
) -> Levels | None:
    """Of an image (y, x), NaN where unobserved; beam : FWHM [pixel]. None of one without a pixel.

    given : the survey's map of the noise (y, x)

    An unobserved box has the median of the others.
    """
    number = [max(1, round(n / (BOX_BEAMS * beam))) for n in image.shape]
    rows, columns = (
        np.linspace(0, n, k + 1).astype(int) for n, k in zip(image.shape, number, strict=True)
    )
    grid = np.full((2, *number), np.nan)
    for j in range(number[0]):
        for i in range(number[1]):
            grid[:, j, i] = clipped(image[rows[j] : rows[j + 1], columns[i] : columns[i + 1]])
        release(image)
    if not np.isfinite(grid).any():
        return None
    middle = np.nanmedian(grid, (1, 2))[:, None, None]
    return Levels(np.where(np.isfinite(grid), grid, middle), image.shape, given)


def clipped(values: np.ndarray) -> tuple[float, float]:
    """Median and deviation after clipping; NaN of too few observed values."""
    found = values[np.isfinite(values)]
    if found.size < max(16, LEAST_SHARE * values.size):
        return np.nan, np.nan
    for _ in range(ROUNDS):
        middle = np.median(found)
        deviation = MAD * np.median(abs(found - middle))
        inside = abs(found - middle) <= CLIP * deviation
        if inside.all() or not deviation > 0:
            break
        found = found[inside]
    return float(middle), float(deviation)


def network_input(image: np.ndarray, background: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """What a network sees of an image, (..., 2, y, x) float32: asinh of S/N, and what is observed.

    Unobserved pixels are 0 in both. The arguments have the shape (..., y, x) or broadcast to it.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (image - background) / noise
    observed = np.isfinite(ratio)
    scaled = np.arcsinh(np.where(observed, ratio, 0) / SOFTENING)
    return np.stack([scaled, observed], -3).astype(np.float32)


def signal_to_noise(scaled):
    """The inverse of the scale of `network_input`, of numpy or torch."""
    return SOFTENING * (scaled.sinh() if hasattr(scaled, "sinh") else np.sinh(scaled))
