"""Diffuse emission without a network: islands of a smoothed image, and of its coarse wavelets.

Both choose their parameters on validation for each beam of the set, as networks choose their
threshold.
"""

import itertools

import numpy as np
import torch
from scipy.ndimage import convolve1d, gaussian_filter, label
from torch import Tensor

from skyloom.examples import Batch, Examples
from skyloom.radio.data.beams import nearest
from skyloom.radio.data.noise import clipped, signal_to_noise
from skyloom.radio.simulate.field import CLASSES, DIFFUSE, NONE
from skyloom.radio.simulate.instrument import FWHM, beam_area

SPLINE = np.array([1, 4, 6, 4, 1]) / 16  # of the a-trous transform (Starck & Murtagh 2006)
THRESHOLD = 0.5  # of the score
BELOW = 0.49  # score of pixels in islands that are too small


def fit(entry: dict, examples: Examples, seed: int) -> dict:
    """The parameters of the grid with the largest overlap (IoU) on validation, at each beam."""
    batch = examples.valid[np.arange(min(len(examples.valid), entry["images"]))]
    groups = nearest(batch["beam_arcsec"], examples.meta["beams"])
    chosen = []
    for k in range(len(examples.meta["beams"])):
        own = torch.from_numpy(groups == k)
        of_beam = {name: values[own] for name, values in batch.items()} if own.any() else batch
        chosen.append(best(entry, of_beam, examples.meta["invalid"]))
    return {"module": entry["module"], "chosen": chosen}


def best(entry: dict, batch: Batch, invalid: int) -> dict[str, float]:
    """`scale`, `level` and `island` of the largest overlap in a batch."""
    images, observed, beams = planes(batch)
    label_ = batch["label"][:, 0].numpy()
    true, kept = label_ == DIFFUSE, observed & (label_ != invalid)
    parameters, overlap = None, -1.0
    for scale in entry["scales"]:
        maps = [
            significance(entry["module"], *field, scale)
            for field in zip(images, observed, beams, strict=True)
        ]
        for level, island in itertools.product(entry["levels"], entry["islands"]):
            found = np.stack(
                [islands(m, b, level, island) for m, b in zip(maps, beams, strict=True)]
            )
            both, either = ((found & true)[kept]).sum(), ((found | true)[kept]).sum()
            if both / max(either, 1) > overlap:
                parameters, overlap = (scale, level, island), both / max(either, 1)
    names = ("scale", "level", "island")
    return {name: float(value) for name, value in zip(names, parameters, strict=True)}


def predict(state: dict, batch: Batch, meta: dict) -> dict[str, Tensor]:
    """`prediction` (n, class, y, x), a score that is 0.5 at the level, and `threshold` (n,)."""
    images, observed, beams = planes(batch)
    out = np.zeros((len(images), len(CLASSES), *images.shape[1:]), np.float32)
    groups = nearest(batch["beam_arcsec"], meta["beams"])
    for k, (image, seen, beam) in enumerate(zip(images, observed, beams, strict=True)):
        scale, level, island = (state["chosen"][groups[k]][n] for n in ("scale", "level", "island"))
        found = significance(state["module"], image, seen, beam, scale).clip(0)
        score = found / (found + level)
        kept = islands(found, beam, level, island)
        out[k, DIFFUSE] = np.where(kept, score, np.minimum(score, BELOW))
    out[:, NONE] = 1 - out[:, DIFFUSE]
    return {"prediction": torch.from_numpy(out), "threshold": torch.full((len(images),), THRESHOLD)}


def planes(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images in units of their noise (n, y, x), what is observed of them, and their beams (n,)."""
    image, observed = batch["input"][:, 0], batch["input"][:, 1] > 0
    return signal_to_noise(image).numpy(), observed.numpy(), batch["beam"].numpy()


def significance(
    module: str, image: np.ndarray, observed: np.ndarray, beam: float, scale: float
) -> np.ndarray:
    """The image (y, x) at a coarse scale [beam], in units of the noise of observed pixels there."""
    coarse = (smoothed if module == "threshold" else wavelets)(image, beam * scale)
    middle, deviation = clipped(np.where(observed, coarse, np.nan))
    return (coarse - middle) / max(deviation, 1e-6) if np.isfinite(middle) else 0 * coarse


def smoothed(image: np.ndarray, fwhm: float) -> np.ndarray:
    """The image with a Gaussian of `fwhm` [pixel], as the low-resolution image from which
    ddf-pipeline makes its mask of extended sources.
    """
    return gaussian_filter(image, fwhm / FWHM)


def wavelets(image: np.ndarray, size: float) -> np.ndarray:
    """The image less its a-trous scales below `size` [pixel]."""
    coarse, step = image, 1
    while step < size:
        kernel = np.zeros(4 * step + 1)
        kernel[::step] = SPLINE
        for axis in (0, 1):
            coarse = convolve1d(coarse, kernel, axis, mode="reflect")
        step *= 2
    return coarse


def islands(values: np.ndarray, beam: float, level: float, least: float) -> np.ndarray:
    """Pixels above `level` in islands of at least `least` beam areas, (y, x) bool."""
    numbers, _ = label(values > level, np.ones((3, 3)))
    sizes = np.bincount(numbers.ravel())
    large = sizes >= least * beam_area(beam, beam)
    large[0] = False
    return large[numbers]
