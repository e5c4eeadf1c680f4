"""Examples without a file, for tests on any device and for the count of operations."""

import numpy as np

from skyloom.examples import Examples, Held
from skyloom.shapes.data.examples import Images
from skyloom.shapes.data.images import CLASSES


def examples(entry: dict, pixels: int, count: int) -> Examples:
    """`count` training images of `pixels` a side, and as many for validation and test."""
    settings = {"pixels": pixels, "density": 3.0, "noise": 0.5}
    stream = Images(settings, count)
    valid, test = (Held(stream.draw(epoch, np.arange(count))) for epoch in (1, 2))
    return Examples(stream, valid, test, {"classes": list(CLASSES)} | settings)
