"""Extinction laws: A_X / A_V of a band X, by name. A run states its law, and outputs store it.

E(J - K) / A_V is alike in all of them. A_K differs by a factor of 1.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skyloom.cli import BadInput


@dataclass(frozen=True)
class Law:
    """ratios : A_X / A_V by band; source : paper, and how the numbers were taken from it"""

    ratios: dict[str, float]
    source: str


SF11_V = 2.742  # A_V / E(B-V)_SFD of Landolt V, same table
LAWS = {
    "wang2019": Law(
        {"J": 0.243, "H": 0.131, "K": 0.078, "G": 0.789, "BP": 1.002, "RP": 0.589}
        | {"g": 1.155, "r": 0.843, "i": 0.628, "z": 0.487, "y": 0.395},
        "Wang & Chen 2019 (ApJ 877, 116), table 3, for red clump stars; Gaia DR2 bands",
    ),
    "ccm1989": Law(
        {"J": 0.282, "H": 0.190, "K": 0.114, "G": 0.871, "BP": 1.092, "RP": 0.631}
        | {"g": 1.163, "r": 0.872, "i": 0.666, "z": 0.510, "y": 0.429},
        "Cardelli, Clayton & Mathis 1989 (ApJ 345, 245), R_V = 3.1: table 3 for J, H, K; eqs. 2 and"
        " 3 at the pivot wavelengths of Gaia EDR3 and Pan-STARRS",
    ),
    "sf2011": Law(
        {"J": 0.709 / SF11_V, "H": 0.449 / SF11_V, "K": 0.302 / SF11_V}
        | {"g": 3.172 / SF11_V, "r": 2.271 / SF11_V, "i": 1.682 / SF11_V}
        | {"z": 1.322 / SF11_V, "y": 1.087 / SF11_V},
        "Schlafly & Finkbeiner 2011 (ApJ 737, 103), table 6, R_V = 3.1, over Landolt V; UKIRT J, H,"
        " K; no Gaia bands",
    ),
}


def ratios(name: str, bands: Sequence[str]) -> np.ndarray:
    """A_X / A_V of the bands (band,).

    Raises BadInput for a law or a band that is not listed.
    """
    if name not in LAWS:
        raise BadInput(f"extinction law {name!r}; expected one of {', '.join(LAWS)}")
    law = LAWS[name].ratios
    missing = [band for band in bands if band not in law]
    if missing:
        listed = ", ".join(law)
        raise BadInput(f"extinction law {name}: no band {', '.join(missing)} (bands: {listed})")
    return np.array([law[band] for band in bands])
