"""Images of discs, rings and bars under noise, with the class of each pixel.

The amplitude of an object is random: brightness alone does not tell the classes apart.
"""

import numpy as np
import xarray as xr

from skyloom.patchset import SPLITS, flags

CLASSES = ("none", "disc", "ring", "bar")
RADIUS = 3.0, 6.0  # of an object, a bar's half-length [pixel]
HALF_WIDTH = 1.2  # of a ring, a bar [pixel]
AMPLITUDE = 0.5, 1.5


def draw(settings: dict, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One image (y, x) float32 and the class of its pixels (y, x) int8.

    settings : `pixels` along a side, `density` [objects in 1000 pixels], `noise`, its deviation.
        An object hides those that were drawn before it.
    """
    side = settings["pixels"]
    y, x = np.mgrid[:side, :side]
    image, target = np.zeros((side, side), np.float32), np.zeros((side, side), np.int8)
    for kind in rng.integers(1, len(CLASSES), rng.poisson(settings["density"] * side**2 / 1000)):
        y0, x0 = rng.uniform(0, side, 2)
        inside = pixels_of(kind, y - y0, x - x0, rng.uniform(*RADIUS), rng.uniform(0, np.pi))
        image[inside], target[inside] = rng.uniform(*AMPLITUDE), kind
    return image + settings["noise"] * rng.standard_normal(image.shape, np.float32), target


def pixels_of(kind: int, y: np.ndarray, x: np.ndarray, radius: float, angle: float) -> np.ndarray:
    """Which pixels at (y, x) from the centre of an object belong to it, (y, x) bool."""
    distance = np.hypot(x, y)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return {
        "disc": distance < radius,
        "ring": abs(distance - radius) < HALF_WIDTH,
        "bar": (abs(along) < radius) & (abs(across) < HALF_WIDTH),
    }[CLASSES[kind]]


def generator(seed: int, *key: int) -> np.random.Generator:
    """Random numbers of a fixed image; a spawn key keeps them apart from those of a stream."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def patches(settings: dict) -> xr.Dataset:
    """Validation and test images of a set. Its training images are a stream.

    settings : as of `draw`; `valid` and `test` images, `seed`; `train`, images of an epoch.
    Each image is a block of its own: no two show the same objects.
    """
    numbers = [(SPLITS[split], k) for split in ("valid", "test") for k in range(settings[split])]
    images, targets = zip(
        *(draw(settings, generator(settings["seed"], *number)) for number in numbers), strict=True
    )
    split = np.array([code for code, _ in numbers], np.int8)
    dims = ("example", "y", "x")
    return xr.Dataset(
        {
            "image": (dims, np.stack(images), {"units": "1"}),
            "target": (dims, np.stack(targets), flags(CLASSES) | {"units": "1"}),
        },
        {
            "split": ("example", split, flags(SPLITS)),
            "block": ("example", np.arange(len(numbers))),
        },
        settings | {"data_kind": "simulated"},
    )
