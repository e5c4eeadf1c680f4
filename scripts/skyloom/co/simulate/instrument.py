"""Simulated observation of the stand-in by three telescopes: beams, noise, null maps, masks."""

import healpy as hp
import numpy as np

from skyloom.co.simulate.fields import gaussian_field, noise_field, smooth

HI_BEAM_ARCMIN = 16.2  # HI4PI Collaboration 2016
DUST_BEAM_ARCMIN = 5.0  # GNILC where it is bright
CO_BEAM_ARCMIN = 15.0  # Planck 2013 XIII, Type 2


def observe(truth: dict[str, np.ndarray], config: dict) -> dict[str, np.ndarray]:
    """Columns of the products from the sky `truth` of `galaxy.emission`, (n_pix,) RING.

    `dust` [MJy/sr], `hi` [1e20 cm-2], `I10 E10 N10 I21 E21 N21` [K km/s], NaN where masked; `M10
    M21`, 1 where valid.
    """
    sky = {
        "dust": smooth(truth["dust"], DUST_BEAM_ARCMIN) + config["dust_monopole"],
        "hi": smooth(truth["hi"], HI_BEAM_ARCMIN),
    }
    sky["dust"] += config["dust_noise"] * noise_field("dust noise", DUST_BEAM_ARCMIN, config)
    sky["hi"] += config["hi_noise"] * noise_field("hi noise", HI_BEAM_ARCMIN, config)
    # the column of a survey is positive
    np.maximum(sky["hi"], 0.1, out=sky["hi"])

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
    """Noise relative to its typical value, (n_pix,) float32, RING.

    The scanning of Planck is deepest at the ecliptic poles.
    """
    theta, _ = hp.Rotator(coord="GE")(*hp.pix2ang(nside, np.arange(hp.nside2npix(nside))))
    latitude = 90 - np.degrees(theta)
    return np.clip(1.25 - 0.75 * (latitude / 90) ** 2, 0.5, 1.25).astype(np.float32)


def co_mask(w10: np.ndarray, depth: np.ndarray, config: dict) -> np.ndarray:
    """Valid pixels (n_pix,) uint8.

    The mask removes `masked_fraction` of the sky, in patches where it is faint and noisy.
    """
    patches, _ = gaussian_field("mask", lambda ell: np.exp(-((ell / 80.0) ** 2)), config)
    badness = np.where(w10 < 1.0, patches + 4 * depth, -np.inf)
    return (badness <= np.quantile(badness, 1 - config["masked_fraction"])).astype(np.uint8)
