"""What was found in an image beside a mask of its diffuse emission that the user states."""

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy.ndimage import gaussian_filter, label

from skyloom import images
from skyloom.cli import BadInput
from skyloom.radio.data.noise import MAD
from skyloom.radio.read import Image
from skyloom.radio.simulate.field import ARTEFACT, DIFFUSE, GALAXY

SMOOTHING = 2.0  # deviation of the Gaussian before a component is taken [pixel]


def truth(stated: dict, image: Image) -> tuple[np.ndarray, np.ndarray]:
    """True diffuse emission, and the pixels that are no part of it for sure, (y, x) bool.

    stated : `classes`, a FITS file of a simulated image, whose galaxies and artefacts are
        excluded; or `mask`, a FITS file above 0 where emission is diffuse; or `level` and `at` of
        `component`; and `excluded`, a FITS file that is 0 where sources of other kinds are, as
        Halo-FDCA writes it
    image : as the file has it, not smoothed
    Raises BadInput where a mask has other pixels than the image, or nothing in it.
    """
    if "classes" in stated:
        classes = _mask(stated["classes"], image)
        return classes == DIFFUSE, np.isin(classes, (GALAXY, ARTEFACT))
    if "mask" in stated:
        path = Path(stated["mask"])
        true = np.nan_to_num(_mask(path, image)) > 0
    else:
        path = image.path
        true = component(image, stated["level"], stated["at"])
    excluded = np.zeros(true.shape, bool)
    if "excluded" in stated:
        excluded = _mask(stated["excluded"], image) == 0
    if not (true & ~excluded).any():
        raise BadInput(f"{path}: no pixel of the truth is left; expected diffuse emission")
    return true, excluded


def component(image: Image, level: float, at: tuple[float, float]) -> np.ndarray:
    """The connected pixels above `level` [noise] around a place.

    The image is smoothed first, and the noise is the deviation of the smoothed image by its median
    absolute deviation; an interferometer sees no background.

    at : right ascension, declination [deg]
    Raises BadInput where the place is outside of the image or below the level.
    """
    values = np.asarray(image.data, np.float64)
    observed = np.isfinite(values)
    smooth = gaussian_filter(np.where(observed, values, 0), SMOOTHING)
    kept = smooth[observed]
    noise = MAD * np.median(abs(kept - np.median(kept)))
    numbers, _ = label(observed & (smooth > level * noise), np.ones((3, 3)))
    x, y = image.wcs.world_to_pixel(SkyCoord(*at * u.deg))
    inside = -0.5 <= y < image.data.shape[0] - 0.5 and -0.5 <= x < image.data.shape[1] - 0.5
    number = numbers[int(np.rint(y)), int(np.rint(x))] if inside else 0
    if not number > 0:
        where = "is not above the level" if inside else "is outside of the image"
        raise BadInput(
            f"{image.path}: truth.at, {at[0]:g} {at[1]:g} deg, {where}; expected a place within"
            f" emission above {level:g} times the noise"
        )
    return numbers == number


def agreement(
    found: np.ndarray, true: np.ndarray, excluded: np.ndarray, pixel: float
) -> dict[str, float]:
    """Scores of found pixels (y, x) bool, over the pixels that are not excluded.

    Columns: iou, recall, precision; iou_all, with the excluded pixels; excluded, the share of
    these that is found; area, area_true [arcmin2]. pixel : ["]
    """
    kept = ~excluded
    both, either = found & true, found | true
    return {
        "iou": _share(both & kept, either & kept),
        "iou_all": _share(both, either),
        "recall": _share(both & kept, true & kept),
        "precision": _share(both & kept, found & kept),
        "excluded": _share(found & excluded, excluded),
        "area": float((found & kept).sum()) * pixel**2 / 3600,
        "area_true": float((true & kept).sum()) * pixel**2 / 3600,
    }


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    number = whole.sum()
    return float(part.sum() / number) if number else float("nan")


def _mask(path: str | Path, image: Image) -> np.ndarray:
    """The plane (y, x) of a mask on the pixels of an image."""
    values, _ = images.read_image(path, 2, expected="a mask on the pixels of an image")
    image.require_shape(values, "the mask", path)
    return values
