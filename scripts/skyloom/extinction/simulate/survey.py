"""What surveys measure: errors and completeness of bands, the diagrams, and what is randomised.

Errors of 2MASS are fitted to a real field at l = 233, b = -19 deg. Its counts fall to 50 % at J
16.95, H 16.35, K 15.75, within 0.1 mag. In the Galactic plane confusion makes the limits brighter,
and a field's own limit must be measured. The limits here are nominal ones for the plane.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.extinction.simulate import draws
from skyloom.extinction.simulate.laws import ratios
from skyloom.extinction.simulate.population import Stars
from skyloom.extinction.simulate.stars import BANDS
from skyloom.networks.devices import to_device

LARGEST_ERROR = 0.4  # [mag]; a fainter star is not in a catalogue
DEEPEST = 1.5  # a star that much fainter than the limit is never detected [mag]


@dataclass(frozen=True)
class Band:
    """Errors hypot(floor, error 10^(slope (m - at))), and detection.

    limit : magnitude of 50 % completeness; width : of the logistic function there [mag]
    """

    survey: str
    floor: float
    error: float
    at: float
    slope: float
    limit: float
    width: float

    def sigma(self, magnitude):
        """Deviation of measured magnitudes [mag]."""
        steep = self.error * 10 ** (self.slope * (np.asarray(magnitude) - self.at))
        return np.minimum(np.hypot(self.floor, steep), LARGEST_ERROR)

    def completeness(self, fainter):
        """Share of stars detected that are `fainter` than the limit [mag]."""
        return 1 / (1 + np.exp(np.clip(np.asarray(fainter) / self.width, -40, 40)))


# Gaia EDR3: the errors at G = 17 and 20 of Brown et
# al. 2021 (A&A 649, A1), table 4, for a star of BP - RP = 1; limits are nominal.
# Pan-STARRS1, mean magnitudes of 12 visits: 5 sigma in one visit at r 21.8, i 21.5 (Chambers et al.
# 2016, arXiv:1612.05560), which are nominal limits, too; the floor is nominal.
SURVEYS = {
    "J": Band("2mass", 0.024, 0.072, 16.00, 0.37, 16.7, 0.20),
    "H": Band("2mass", 0.024, 0.080, 15.23, 0.37, 15.9, 0.22),
    "K": Band("2mass", 0.021, 0.070, 14.30, 0.375, 15.3, 0.25),
    "G": Band("gaia", 0.0005, 0.006, 20.0, 0.26, 20.7, 0.20),
    "BP": Band("gaia", 0.001, 0.108, 20.4, 0.318, 20.9, 0.20),
    "RP": Band("gaia", 0.001, 0.052, 19.4, 0.313, 20.2, 0.20),
    "r": Band("panstarrs", 0.01, 0.063, 21.8, 0.33, 21.8, 0.25),
    "i": Band("panstarrs", 0.01, 0.063, 21.5, 0.33, 21.5, 0.25),
}


@dataclass(frozen=True)
class Diagram:
    """A colour-magnitude diagram of the stars that are detected in all of its bands.

    colour : the bands whose difference is x; magnitude : the band of y; x, y : ranges [mag]
    """

    colour: tuple[str, str]
    magnitude: str
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.magnitude, *self.colour)))


DIAGRAMS = {
    "2mass": Diagram(("J", "K"), "K", (-0.5, 6.0), (7.5, 15.5)),
    "2mass_h": Diagram(("H", "K"), "K", (-0.5, 3.5), (7.5, 15.5)),
    "gaia": Diagram(("BP", "RP"), "G", (-0.5, 6.0), (8.0, 18.0)),
    # brighter stars are saturated
    "panstarrs": Diagram(("r", "i"), "i", (-0.5, 3.5), (14.0, 18.0)),
    # a star must be in both catalogues
    "2mass_gaia": Diagram(("G", "K"), "K", (-1.0, 15.0), (7.5, 15.5)),
}


@dataclass(frozen=True)
class Randomised:
    """Ranges of what a survey does not state, drawn once for each example.

    count : star counts are 1 +- count times the model's; limit : limits are 0 to `limit` brighter
    [mag], 0.7 of it alike for the bands of a survey; zero : deviation of zero points [mag]; law :
    the law is a mixture with `other`, whose share is 0 to `law`
    """

    count: float = 0.25
    limit: float = 1.2
    zero: float = 0.03
    law: float = 1.0
    other: str = "ccm1989"


NOTHING = Randomised(0.0, 0.0, 0.0, 0.0)
COMMON = 0.7


@dataclass(frozen=True)
class Conditions:
    """The survey of each example, tensors of its device.

    count (n,) : star counts over the model's; most : an upper bound of them; limit, zero, law
    (n, band) : 50 % limit [mag], zero point [mag] and A_X / A_V
    """

    count: Tensor
    most: float
    limit: Tensor
    zero: Tensor
    law: Tensor


def conditions(
    examples: Tensor,
    bands: Sequence[str],
    law: str = "wang2019",
    randomised: Randomised = NOTHING,
    limits: dict[str, float] | None = None,
) -> Conditions:
    """The surveys of examples, a function of their seeds (n,).

    limits : 50 % limits by band where they are not those of `SURVEYS`, as of a field in the plane
    """
    own = [(limits or {}).get(band, SURVEYS[band].limit) for band in bands]
    own, first, other = (
        to_device(torch.tensor(values, dtype=torch.float32), examples.device)
        for values in (own, ratios(law, bands), ratios(randomised.other, bands))
    )
    count = 1 + randomised.count * (2 * draws.uniform(examples, draws.COUNT)[:, 0] - 1)
    names = list(dict.fromkeys(band.survey for band in SURVEYS.values()))
    # a band has the same draws next to any other bands
    columns = [BANDS.index(band) for band in bands]
    surveys = [names.index(SURVEYS[band].survey) for band in bands]
    shifts = draws.uniform(examples, draws.LIMIT, len(names) + len(BANDS))
    common = torch.stack([shifts[:, k] for k in surveys], 1)
    single = torch.stack([shifts[:, len(names) + k] for k in columns], 1)
    zeros = draws.normal(examples, draws.ZERO, len(BANDS))
    brighter = randomised.limit * (COMMON * common + (1 - COMMON) * single)
    share = randomised.law * draws.uniform(examples, draws.LAW)
    return Conditions(
        count,
        1 + randomised.count,
        own - brighter,
        randomised.zero * torch.stack([zeros[:, k] for k in columns], 1),
        (1 - share) * first + share * other,
    )


def observe(
    stars: Stars,
    extinction: np.ndarray,
    law: str,
    rng: np.random.Generator,
    limits: dict[str, float] | None = None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A catalogue of the stars: measured magnitude and its error (n,) by band.

    Both are NaN where a star is not detected.
    extinction (n,) : A_V [mag]; limits : 50 % limits by band where they are not those of `SURVEYS`
    """
    found = {}
    for name, ratio in zip(SURVEYS, ratios(law, tuple(SURVEYS)), strict=True):
        band = SURVEYS[name]
        true = stars.band(name) + ratio * extinction
        error = band.sigma(true)
        measured = true + error * rng.standard_normal(len(stars))
        limit = (limits or {}).get(name, band.limit)
        seen = rng.random(len(stars)) < band.completeness(measured - limit)
        seen &= true <= limit + DEEPEST
        found[name] = tuple(np.where(seen, values, np.nan) for values in (measured, error))
    return found


def bands_of(diagrams: Sequence[str]) -> tuple[str, ...]:
    """All bands of these diagrams, each once.

    Raises BadInput for a diagram that is not listed.
    """
    unknown = [name for name in diagrams if name not in DIAGRAMS]
    if unknown:
        known = ", ".join(DIAGRAMS)
        raise BadInput(f"diagram {', '.join(unknown)}; expected one or more of {known}")
    return tuple(dict.fromkeys(band for name in diagrams for band in DIAGRAMS[name].bands))
