"""The beams of a set: sources have as many pixels less as the beam is wider.

What is chosen on validation is chosen for each: a threshold of all fields would be that of the
narrow beam, which has most of the pixels with a source.
"""

import numpy as np


def nearest(arcsec: np.ndarray, beams: list[float]) -> np.ndarray:
    """Place in `beams` ["] of the one whose ratio to each FWHM ["] is nearest to 1."""
    return abs(np.log(np.asarray(arcsec)[..., None] / np.array(beams))).argmin(-1)
