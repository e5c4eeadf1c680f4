"""Failures of adversarial models: turned contrast, collapse to an average, checkerboards."""

import numpy as np

from skyloom.co.evaluate import spectra


def failures(
    maps: dict[str, np.ndarray],
    weight: np.ndarray,
    pixel_arcmin: float,
    beam: float,
    settings: dict,
) -> dict:
    """Measures of failure on tiles (example, y, x), medians over tiles.

    maps : `prediction`, `target` [K km/s], `dust`; weight : share of valid sky; beam : FWHM
        [arcmin];
    settings : `beam_cut`, `taper_deg`, `l_first`, `l_width`, `l_count` of the evaluation.

    - `rho_dust`: correlation of prediction and dust, mean over the bands within the beam; below
        zero the network has
      turned the contrast, which unpaired training allows.
    - `std_ratio`: standard deviation of a tile, predicted over true; below a half the network fell
        back to an average.
    - `cl_ratio_last`: C_l, predicted over true, in the last band of the evaluation.
    - `checkerboard`: the same in the band just below pi / pixel, where transposed convolutions
        leave their pattern.
    """
    n = weight.shape[-1]
    tile_deg, width = n * pixel_arcmin / 60, settings["l_width"]
    taper = spectra.window(n, tile_deg, settings["taper_deg"])
    pairs = [(name, name) for name in maps] + [("prediction", "dust")]
    ell, matrix = spectra.bands(n, tile_deg, settings["l_first"], width, settings["l_count"])
    nyquist = np.pi / np.radians(pixel_arcmin / 60)
    _, last = spectra.bands(n, tile_deg, nyquist - width / 2, width, 1)
    power = spectra.banded(maps, pairs, weight, taper, np.hstack([matrix, last]), tile_deg)
    rho = spectra.coherence(
        power["prediction", "dust"], power["prediction", "prediction"], power["dust", "dust"]
    )
    ratio = power["prediction", "prediction"] / power["target", "target"]
    within = np.flatnonzero(spectra.beam_power(ell, beam) > settings["beam_cut"])
    spread = _std(maps["prediction"], weight) / _std(maps["target"], weight)
    rho, ratio, spread = (np.median(values, 0) for values in (rho, ratio, spread))
    return {
        "rho_dust": rho[within].mean(),
        "std_ratio": spread,
        "cl_ratio_last": ratio[len(ell) - 1],
        "checkerboard": ratio[-1],
    }


def _std(field: np.ndarray, weight: np.ndarray) -> np.ndarray:
    field = np.where(weight > 0, field, 0).astype(np.float64)
    mean, square = (np.average(v, axis=(1, 2), weights=weight) for v in (field, field**2))
    return np.sqrt(square - mean**2)
