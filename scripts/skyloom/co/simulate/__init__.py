"""The embedded stand-in sky of the CO study, in the files and units of the real products.

The sky is built from a relation between CO, dust and HI. Scores on it test code and compare models.
They do not predict performance on the real sky.

The parameters were tuned by hand on seed 1 at NSIDE 512 against `skyloom.co.anchors`. Another seed
gives another sky, which misses some of the anchors. The anchors do not constrain the predictable
share of the scatter between CO and dust. That share was raised on purpose, by stronger shielding
and a smaller X-factor scatter. Its measure was the gain in rho_l over the dust map of the recipe of
`galaxy`, inverted on the observed maps. No network was trained for the tuning, and the parameters
are frozen since. `galaxy` lists the predictable and the unpredictable parts.
"""

import healpy as hp
import numpy as np

from skyloom.cli import BadInput
from skyloom.co.simulate.galaxy import emission
from skyloom.co.simulate.instrument import observe

__all__ = ["DEFAULTS", "emission", "observe", "simulate_sky"]

DEFAULTS = {
    "nside": 512,
    "seed": 1,
    # atomic gas
    "hi_density": 0.54,  # [cm-3] at the Sun
    "hi_height_kpc": 0.145,  # Gaussian, at the Sun; it flares outwards
    "local_bubble": 0.25,  # of that density within 100 pc
    "hi_opacity_column": 235.0,  # [1e20 cm-2] at which the optically thin column stops growing
    # dense gas
    "dense_density": 2.4,  # [H cm-3] in the ring
    "dense_floor": 0.045,  # of that, everywhere in the disc
    "dense_height_kpc": 0.06,
    "ring_radius_kpc": 4.8,
    "ring_width_kpc": 2.2,
    "phase_column": 7.5,  # [1e20 cm-2] of dense gas in a shell that is half molecular
    # turbulence
    "turbulence_slope": -2.75,
    "outer_scale_kpc": 0.15,
    "diffuse_width": 0.66,  # of the logarithm
    "dense_width": 1.6,
    "dense_correlation": 0.7,  # of dense with diffuse gas
    "mixing_depth_kpc": 0.4,  # a shell deeper than that averages over clouds
    "mixing_exponent": 0.12,
    # shielding
    "core_fwhm_arcmin": 60.0,
    "edge_fwhm_arcmin": 15.0,
    "edge_weight": 1.7,
    "shielding_threshold": 0.6,  # d ln(CO threshold) / d contrast, with the sign turned
    "shielding_brightness": 0.8,  # d ln W / d contrast
    "core_cooling": 0.23,  # d ln(dust brightness) / d contrast, with the sign turned
    # dust
    "emissivity": 0.34,  # [MJy/sr per 1e20 cm-2] at 857 GHz
    "emissivity_scatter": 0.15,
    "inner_warmth": 0.8,
    "dust_monopole": 0.64,  # [MJy/sr] of the cosmic infrared background, in the product
    "dust_noise": 0.05,  # [MJy/sr]
    "hi_noise": 0.02,  # [1e20 cm-2]
    # CO
    "co_threshold": 2.2,  # [1e20 cm-2] of H2 in a shell, where shielding is neutral
    "x_factor": 2.0,  # [1e20 cm-2 per K km/s]
    "x_factor_scatter_dex": 0.06,
    "x_factor_slope": -3.5,
    "x_factor_l0": 800.0,
    "saturation": 180.0,  # [K km/s]
    "ratio_disc": 0.65,  # of 2-1 over 1-0
    "ratio_inner": 0.8,
    "ratio_scatter": 0.1,
    "co_noise_10": 0.45,  # [K km/s]
    "co_noise_21": 0.12,
    "masked_fraction": 0.03,
}


def simulate_sky(config: dict) -> dict[str, np.ndarray]:
    """Columns of the three products for `config`, which overrides `DEFAULTS`.

    `dust` [MJy/sr, with the monopole], `hi` [1e20 cm-2], `I10 E10 N10 I21 E21 N21` [K km/s] and
    `M10 M21` (1 where valid): (n_pix,) RING, float32, NaN where masked. Raises BadInput for an
    unknown key or an NSIDE that is no power of two.
    """
    unknown = sorted(set(config) - set(DEFAULTS))
    if unknown:
        raise BadInput(
            f"simulated sky: unknown key {unknown[0]}; expected one of {', '.join(DEFAULTS)}"
        )
    if not hp.isnsideok(config.get("nside", 512), nest=True):
        raise BadInput(f"simulated sky: nside is {config['nside']}; expected a power of two")
    config = {**DEFAULTS, **config}
    return observe(emission(config), config)
