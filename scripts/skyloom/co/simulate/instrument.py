"""What the three telescopes make of the stand-in: beams, correlated noise, null maps, masks."""

import healpy as hp
import numpy as np

from skyloom.co.simulate.fields import gaussian_field, noise_field, smooth

HI_BEAM_ARCMIN = 16.2  # HI4PI Collaboration 2016
DUST_BEAM_ARCMIN = 5.0  # GNILC where it is bright
CO_BEAM_ARCMIN = 15.0  # Planck 2013 XIII, Type 2


def observe(truth: dict[str, np.ndarray], config: dict) -> dict[str, np.ndarray]:
    """The products' columns from the sky: `dust`, `hi`, `I10 E10 N10 M10 I21 E21 N21 M21`; NaN
    where masked.
    """
    sky = {
        "dust": smooth(truth["dust"], DUST_BEAM_ARCMIN) + config["dust_monopole"],
        "hi": smooth(truth["hi"], HI_BEAM_ARCMIN),
    }
    sky["dust"] += config["dust_noise"] * noise_field("dust noise", DUST_BEAM_ARCMIN, config)
    sky["hi"] += config["hi_noise"] * noise_field("hi noise", HI_BEAM_ARCMIN, config)
    np.maximum(sky["hi"], 0.1, out=sky["hi"])  # a survey's column is positive

    depth = scan_depth(config["nside"])
    valid = co_mask(truth["w10"], depth, config)
    for line in ("10", "21"):
        error = config[f"co_noise_{line}"] * depth
        sky[f"I{line}"] = smooth(truth[f"w{line}"], CO_BEAM_ARCMIN)
        sky[f"I{line}"] = sky[f"I{line}"] + error * noise_field(
            f"noise {line}", CO_BEAM_ARCMIN, config
        )
        sky[f"E{line}"] = error
        sky[f"N{line}"] = error * noise_field(f"null {line}", CO_BEAM_ARCMIN, config)
        for column in ("I", "E", "N"):
            sky[f"{column}{line}"] = np.where(valid, sky[f"{column}{line}"], np.float32(np.nan))
        sky[f"M{line}"] = valid
    return sky


def scan_depth(nside: int) -> np.ndarray:
    """Noise relative to its typical value: Planck's scanning is deepest at the ecliptic poles;
    float32, RING.
    """
    theta, _ = hp.Rotator(coord="GE")(*hp.pix2ang(nside, np.arange(hp.nside2npix(nside))))
    latitude = 90 - np.degrees(theta)
    return np.clip(1.25 - 0.75 * (latitude / 90) ** 2, 0.5, 1.25).astype(np.float32)


def co_mask(w10: np.ndarray, depth: np.ndarray, config: dict) -> np.ndarray:
    """Valid pixels, uint8: patches of faint and noisy sky, `masked_fraction` of it, are
    left out.
    """
    patches, _ = gaussian_field("mask", lambda ell: np.exp(-((ell / 80.0) ** 2)), config)
    badness = np.where(w10 < 1.0, patches + 4 * depth, -np.inf)
    return (badness <= np.quantile(badness, 1 - config["masked_fraction"])).astype(np.uint8)
