"""Non-local means (Buades+ 2005) within each patch, of scikit-image: the simple alternative.

The noise of the Type 2 map is correlated over its 15' beam, and a 3-degree patch holds only 144
beams. The expected gain is 0.1 to 0.7 dB there, against 7.8 dB for white noise of the same rms.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.restoration import denoise_nl_means

from skyloom.cli import BadInput


def denoise(target: np.ndarray, error: np.ndarray, settings: dict) -> np.ndarray:
    """Denoise patches by the method that `settings["method"]` names.

    target, error : (n, y, x) [K km/s], NaN where masked. The result has the same shape and NaN
        pixels.
    Raises BadInput for an unknown method.
    """
    if settings["method"] not in DENOISERS:
        raise BadInput(
            f"denoiser {settings['method']!r} is unknown; expected one of {', '.join(DENOISERS)}"
        )
    return DENOISERS[settings["method"]](target, error, settings)


def nlm_patch(target: np.ndarray, error: np.ndarray, settings: dict) -> np.ndarray:
    """Non-local means within each patch (n, y, x).

    settings : `h`, strength of the filter in units of the noise; `patch_size`, `patch_distance`
        [pixel]

    The noise is the median error of the patch. A patch without an error or a value is returned
    unchanged. A patch of 128 x 128 pixels takes some 25 ms with patch size 5 and distance 6.
    """
    out = np.array(target, np.float32)
    for patch, sigma_map in zip(out, error, strict=True):
        masked = ~np.isfinite(patch)
        positive = np.isfinite(sigma_map) & (sigma_map > 0)
        if masked.all() or not positive.any():
            continue
        sigma = float(np.median(sigma_map[positive]))
        smooth = denoise_nl_means(
            _filled(patch, masked),
            patch_size=settings["patch_size"],
            patch_distance=settings["patch_distance"],
            h=settings["h"] * sigma,
            sigma=sigma,
            fast_mode=True,
            preserve_range=True,
        )
        patch[~masked] = smooth[~masked]
    return out


def _filled(patch: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """The patch (y, x) with masked pixels replaced by the nearest valid ones.

    The fill has no edge that the filter could smear.
    """
    if not masked.any():
        return patch
    nearest = distance_transform_edt(masked, return_distances=False, return_indices=True)
    return patch[tuple(nearest)]


DENOISERS = {"nlm_patch": nlm_patch}
