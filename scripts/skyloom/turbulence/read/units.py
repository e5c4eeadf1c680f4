"""Units of simulation outputs: conversions by astropy, and the refusal of a wrong box or mass."""

from pathlib import Path

import astropy.units as u

from skyloom.cli import BadInput
from skyloom.turbulence.physics import HYDROGEN_G

SIZE_TOLERANCE = 0.01  # far more than between definitions of the parsec or the solar mass

# key of the config -> its unit, and units that are easily confused with it
SIZES = {"box_pc": (u.pc, (u.kpc, u.Mpc, u.AU, u.cm, u.m)), "mass_msun": (u.M_sun, (u.g, u.kg))}


def factor(
    path: str | Path,
    what: str,
    unit: str | None,
    target: str,
    assumed: str | None = None,
    mu: float | None = None,
) -> float:
    """The factor from `unit`, or from `assumed` where a file states none, to `target`.

    Units are those of astropy, scaled ones included: "6.77e-22 g cm-3" is a code unit. With `mu`,
    the mean particle mass [hydrogen atoms], a number of particles per volume is a density, and one
    per area a column density. Raises BadInput for a unit that is absent, unknown or of another
    dimension.
    """
    particles = []
    if mu:
        particles = [(u.cm**-k, u.g / u.cm**k, lambda n: n * mu * HYDROGEN_G) for k in (2, 3)]
    text = str(unit or "").strip() or str(assumed or "").strip()
    if not text:
        message = f"{what} has no unit; expected one of {target} (or name it in the config)"
        raise BadInput(f"{path}: {message}")
    try:
        return float(u.Unit(text).to(target, equivalencies=particles))
    except (ValueError, TypeError, u.UnitConversionError):
        message = f"{what} is in {text!r}; expected a unit that converts to {target}"
        raise BadInput(f"{path}: {message}") from None


def check_size(path: str | Path, what: str, value: float, expected: float | None) -> None:
    """Refuse a box or a mass other than in the config; `what` is the key, one of `SIZES`."""
    if expected is None or abs(value / expected - 1) < SIZE_TOLERANCE:
        return
    unit, others = SIZES[what]
    confusions = [(other, unit, unit.to(other)) for other in others]
    confusions += [(unit, other, other.to(unit)) for other in others]
    hints = [
        f" ({a} taken for {b}?)"
        for a, b, ratio in confusions
        if abs(value / expected / ratio - 1) < SIZE_TOLERANCE
    ]
    hint = hints[0] if hints else ""
    raise BadInput(
        f"{path}: {what} is {value:.6g}; expected {expected:.6g}, as the config says{hint}"
    )
