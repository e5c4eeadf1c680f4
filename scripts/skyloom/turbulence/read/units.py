"""Units of simulation outputs: conversions with astropy, and the refusal of a box of the wrong
size.
"""

from pathlib import Path

import astropy.units as u

from skyloom.cli import BadInput
from skyloom.turbulence.physics import HYDROGEN_G

SIZE_TOLERANCE = 0.01  # a parsec of 3.0857e18 cm, or a solar mass of 1.99e33 g, differs by far less

# The config's key -> its unit, and those that it is easily taken for.
SIZES = {"box_pc": (u.pc, (u.kpc, u.Mpc, u.AU, u.cm, u.m)), "mass_msun": (u.M_sun, (u.g, u.kg))}


def factor(
    path: str | Path,
    what: str,
    found: str | None,
    target: str,
    assumed: str | None = None,
    mu: float | None = None,
) -> float:
    """The number that takes values in the unit `found`, or in `assumed` where the file states none,
    to `target`.

    Units as astropy reads them, scaled ones included: "6.77e-22 g cm-3" stands for a code unit.
    With `mu`, the mean particle mass [hydrogen atoms], a number of particles per volume is a
    density too, and per area a column density. Raises BadInput for a unit that is absent, unknown
    or of another dimension.
    """
    particles = (
        [(u.cm**-k, u.g / u.cm**k, lambda n: n * mu * HYDROGEN_G) for k in (2, 3)] if mu else []
    )
    text = str(found or "").strip() or str(assumed or "").strip()
    if not text:
        raise BadInput(
            f"{path}: {what} has no unit; expected one of {target} (or name it in the config)"
        )
    try:
        return float(u.Unit(text).to(target, equivalencies=particles))
    except (ValueError, TypeError, u.UnitConversionError):
        raise BadInput(
            f"{path}: {what} is in {text!r}; expected a unit that converts to {target}"
        ) from None


def check_size(path: str | Path, what: str, found: float, expected: float | None) -> None:
    """Refuse a box or a mass other than the config's; `what` is the config's key, a key
    of `SIZES`.
    """
    if expected is None or abs(found / expected - 1) < SIZE_TOLERANCE:
        return
    unit, others = SIZES[what]
    slips = [(other, unit, unit.to(other)) for other in others] + [
        (unit, other, other.to(unit)) for other in others
    ]
    hints = [
        f" ({a} taken for {b}?)"
        for a, b, ratio in slips
        if abs(found / expected / ratio - 1) < SIZE_TOLERANCE
    ]
    hint = hints[0] if hints else ""
    raise BadInput(
        f"{path}: {what} is {found:.6g}; expected {expected:.6g}, as the config says{hint}"
    )
