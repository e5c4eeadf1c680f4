"""The Galaxy of the stand-in before any telescope: gas in disc, flare and arms, clouds, emission.

The molecular ring and disc follow Puglisi et al. 2017 (MCMole3D). The flared HI disc follows
Kalberla & Kerp 2009. Dust per hydrogen atom and CO-dark gas follow Planck 2011 XIX. Deviations from
these papers were needed to reach the anchors.

Predictable from the dust and HI maps, in principle:

- the molecular column, from the dust in excess of HI;
- the shielding, from the shape of the map around a pixel, not from that pixel. It moves the CO
  threshold, brightens CO in the cores of clouds and cools the dust there;
- the warmer dust and higher line ratio of the inner Galaxy, from the large-scale brightness.

Not predictable:

- the X factor of each cloud;
- the number of clouds along a line of sight, each of which passes the threshold by itself;
- the scatter of the dust emissivity and of the line ratio, and the noise.
"""

import math

import healpy as hp
import numpy as np

from skyloom.co.simulate.fields import band_limit, beam, gaussian_field, interpolator

SUN_RADIUS_KPC = 8.2
SUN_HEIGHT_KPC = 0.02
COLUMN_PER_KPC = 30.857  # [1e20 cm-2 per kpc] at a density of 1 cm-3
SHELL_EDGES_KPC = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 18.0)
SAMPLES_PER_SHELL = 6
# NSIDE of the disc without turbulence, which is then interpolated to the sky's NSIDE
SMOOTH_NSIDE = 128


def emission(config: dict) -> dict[str, np.ndarray]:
    """The sky before beams and noise, (n_pix,) float32, RING.

    `hi`, `h2` [1e20 cm-2], `dust` [MJy/sr], `w10`, `w21` [K km/s]. The sky is summed over shells of
    distance, since the phase and the CO of a cloud depend on its own column. They do not depend on
    the column of the line of sight.
    """
    nside = config["nside"]
    coarse = min(nside, SMOOTH_NSIDE)
    up = interpolator(coarse, nside)
    hi, clouds = np.float32(0), []
    for shell in range(len(SHELL_EDGES_KPC) - 1):
        diffuse, dense = disc_columns(coarse, *SHELL_EDGES_KPC[shell : shell + 2], config)
        clumps, cloud_clumps = turbulence(shell, config)
        atomic, molecular = phases(up(diffuse) * clumps, up(dense) * cloud_clumps, config)
        hi = hi + atomic
        clouds.append(molecular)
    h2 = sum(clouds)

    shielded = shielding(hi + 2 * h2, config)
    threshold = config["co_threshold"] * np.exp(-config["shielding_threshold"] * shielded)
    bright = sum(np.maximum(molecular - threshold, 0) for molecular in clouds)
    opaque = config["hi_opacity_column"]
    return {
        "hi": opaque * -np.expm1(-hi / opaque),
        "h2": h2,
        "dust": dust(hi + 2 * h2, shielded, config),
        **co_lines(bright, shielded, config),
    }


def disc_columns(
    nside: int, near_kpc: float, far_kpc: float, config: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of hydrogen [1e20 cm-2] between two distances, without turbulence.

    Returns the column of the diffuse disc and that of the dense gas, (n_pix,) each.
    """
    x, y, z = hp.pix2vec(nside, np.arange(hp.nside2npix(nside)))
    step = (far_kpc - near_kpc) / SAMPLES_PER_SHELL
    diffuse, dense = np.zeros(len(x)), np.zeros(len(x))
    for distance in near_kpc + step * (np.arange(SAMPLES_PER_SHELL) + 0.5):
        radius = np.hypot(SUN_RADIUS_KPC - distance * x, distance * y)
        height = SUN_HEIGHT_KPC + distance * z
        arms = spiral_arms(radius, np.arctan2(distance * y, SUN_RADIUS_KPC - distance * x))

        flare = config["hi_height_kpc"] * np.exp((radius - SUN_RADIUS_KPC) / 9.8)
        density = config["hi_density"] * np.exp(-np.maximum(radius - SUN_RADIUS_KPC, 0) / 3.75)
        density *= (0.7 + 0.6 * arms) * np.exp(-0.5 * (height / flare) ** 2)
        diffuse += density * (config["local_bubble"] if distance < 0.1 else 1.0)

        ring = np.exp(-0.5 * ((radius - config["ring_radius_kpc"]) / config["ring_width_kpc"]) ** 2)
        density = config["dense_density"] * (ring * (0.3 + 1.8 * arms) + config["dense_floor"])
        density *= np.exp(-0.5 * (height / config["dense_height_kpc"]) ** 2)
        # no cloud lies within the Local Bubble
        dense += density * (0.0 if distance < 0.1 else 1.0)
    return diffuse * step * COLUMN_PER_KPC, dense * step * COLUMN_PER_KPC


def spiral_arms(radius_kpc: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Strength, 0 to 1, of four logarithmic arms of pitch 12 deg and Gaussian width 0.35 kpc."""
    tangent, width_kpc = np.tan(np.radians(12.0)), 0.35
    phase = np.log(np.maximum(radius_kpc, 0.1) / 4.0) / tangent - azimuth
    # in units of the quarter turn between two arms
    turn = (phase / (np.pi / 2) + 0.5) % 1.0 - 0.5
    distance = turn * (np.pi / 2) * radius_kpc * np.sin(np.radians(12.0))
    return np.exp(-0.5 * (distance / width_kpc) ** 2)


def turbulence(shell: int, config: dict) -> tuple[np.ndarray, np.ndarray]:
    """Lognormal factors of mean one for the diffuse and the dense gas of a shell.

    The two fields share a part of their structure. The outer scale is a length, so that its angle
    shrinks with distance. A deep shell averages over more outer scales and has less contrast.
    """
    near, far = SHELL_EDGES_KPC[shell : shell + 2]
    # an outer scale of at least l = 4 keeps the two halves of the sky alike
    outer = max(1.2 * (near + far) / 2 / config["outer_scale_kpc"], 4.0)

    def spectrum(ell: np.ndarray) -> np.ndarray:
        return (ell**2 + outer**2) ** (config["turbulence_slope"] / 2)

    mixing = max((far - near) / config["mixing_depth_kpc"], 1.0) ** -config["mixing_exponent"]
    gas, variance = gaussian_field(f"diffuse {shell}", spectrum, config)
    independent, _ = gaussian_field(f"dense {shell}", spectrum, config)
    share = config["dense_correlation"]
    clouds = share * gas + math.sqrt(1 - share**2) * independent

    def lognormal(field: np.ndarray, width: float) -> np.ndarray:
        return np.exp(np.float32(width) * field - np.float32(width**2 * variance / 2))

    diffuse = lognormal(gas, config["diffuse_width"] * mixing)
    dense = lognormal(clouds, config["dense_width"] * mixing)
    return diffuse, dense


def phases(diffuse: np.ndarray, dense: np.ndarray, config: dict) -> tuple[np.ndarray, np.ndarray]:
    """Atomic column [1e20 cm-2 of H] and molecular column [1e20 cm-2 of H2].

    Dense gas turns molecular where it shields itself.
    """
    molecular = 1 / (1 + (config["phase_column"] / np.maximum(dense, 1e-3)) ** 3)
    return diffuse + dense * (1 - molecular), dense * molecular / 2


def shielding(column: np.ndarray, config: dict) -> np.ndarray:
    """Shielding of a line of sight from starlight, -1 to 1, from the shape of the column's map.

    The core of a cloud exceeds its surroundings (a Gaussian of `core_fwhm_arcmin`) and is shielded.
    Where the column changes steeply, light enters from the side. Steepness is |grad ln N| at
    `edge_fwhm_arcmin`, per that length.
    """
    nside, lmax = config["nside"], band_limit(config["nside"])
    log_column = np.log(column)
    alm = hp.map2alm(log_column, lmax=lmax, iter=0)
    surroundings = hp.alm2map(
        hp.almxfl(alm, beam(config["core_fwhm_arcmin"], lmax)), nside, lmax=lmax
    )
    edges = hp.almxfl(alm, beam(config["edge_fwhm_arcmin"], lmax))
    _, slope_theta, slope_phi = hp.alm2map_der1(edges, nside, lmax=lmax)
    steepness = np.hypot(slope_theta, slope_phi) * np.radians(config["edge_fwhm_arcmin"] / 60)
    return np.tanh(log_column - surroundings - config["edge_weight"] * steepness).astype(np.float32)


def dust(column: np.ndarray, shielded: np.ndarray, config: dict) -> np.ndarray:
    """Brightness at 857 GHz [MJy/sr] of a hydrogen column [1e20 cm-2].

    Dust is warmer in the inner Galaxy and colder in cores.
    """
    scatter, variance = gaussian_field(
        "emissivity", lambda ell: (ell**2 + 20.0**2) ** (-2.4 / 2), config
    )
    width = config["emissivity_scatter"]
    warmth = config["inner_warmth"] * inner_galaxy(config["nside"], 35.0)
    emissivity = config["emissivity"] * (1 + warmth)
    log_factor = width * scatter - width**2 * variance / 2 - config["core_cooling"] * shielded
    return column * emissivity * np.exp(log_factor)


def co_lines(bright: np.ndarray, shielded: np.ndarray, config: dict) -> dict[str, np.ndarray]:
    """`w10` and `w21` [K km/s] of the H2 column [1e20 cm-2] above the CO threshold.

    Both lines saturate.
    """
    x_scale = config["x_factor_l0"]
    x_scatter, _ = gaussian_field(
        "x factor", lambda ell: (ell**2 + x_scale**2) ** (config["x_factor_slope"] / 2), config
    )
    ratio_scatter, _ = gaussian_field(
        "line ratio", lambda ell: (ell**2 + 50.0**2) ** (-2.4 / 2), config
    )
    log_x = (
        config["x_factor_scatter_dex"] * math.log(10) * x_scatter
        - config["shielding_brightness"] * shielded
    )
    thin = bright / (config["x_factor"] * np.exp(log_x))
    w10 = config["saturation"] * np.log1p(thin / config["saturation"])
    ratio = config["ratio_disc"] + (config["ratio_inner"] - config["ratio_disc"]) * inner_galaxy(
        config["nside"], 35.0
    )
    return {"w10": w10, "w21": w10 * ratio * np.exp(config["ratio_scatter"] * ratio_scatter)}


def inner_galaxy(nside: int, width_deg: float) -> np.ndarray:
    """A map of exp(-(angle / width)^2), with the angle to the Galactic centre: (n_pix,) float32."""
    x = hp.pix2vec(nside, np.arange(hp.nside2npix(nside)))[0]
    angle = np.degrees(np.arccos(np.clip(x, -1, 1)))
    return np.exp(-((angle / width_deg) ** 2)).astype(np.float32)
