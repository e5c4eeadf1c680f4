"""Units of simulation outputs and maps: those that files name, and those that a config assumes.

Conversions are astropy's. A file's own words hold where they convert. Elsewhere `assume` of the
config holds, and a remark says so.
"""

import re
from pathlib import Path

import astropy.units as u
import numpy as np

from skyloom.cli import BadInput
from skyloom.turbulence.physics import GAS_PER_HYDROGEN, HYDROGEN_G, SIZE_TOLERANCE

# key of the config -> its unit, and units that are easily confused with it
SIZES = {"box_pc": (u.pc, (u.kpc, u.Mpc, u.AU, u.cm, u.m)), "mass_msun": (u.M_sun, (u.g, u.kg))}

HYDROGEN = GAS_PER_HYDROGEN * HYDROGEN_G * u.g  # gas for each hydrogen atom
# gas behind A_V = 1 mag: 1.87e21 hydrogen atoms cm-2 (Bohlin, Savage & Drake 1978, ApJ 224, 132,
# R_V = 3.1), and helium
EXTINCTION_G_CM2 = 1.87e21 * HYDROGEN.value
# A_band / A_V (Rieke & Lebofsky 1985, ApJ 288, 618)
BANDS = {"V": 1.0, "J": 0.282, "H": 0.175, "K": 0.112}
# spellings that astropy does not have
SPELLINGS = {
    "cc": u.cm**3,
    "gm": u.g,
    "amu": u.u,
    "mp": u.M_p,
    "m_p": u.M_p,
    "atoms": u.Unit(HYDROGEN),
    "molecules": u.Unit(2 * HYDROGEN),
    "Mag": u.mag,
    **{f"A_{band}": u.Unit(u.mag / ratio) for band, ratio in BANDS.items()},
    "relative": u.dimensionless_unscaled,
    "dimensionless": u.dimensionless_unscaled,
}
MOLECULES = "H2", "H_2"  # to astropy a unit squared
COLUMN = u.g / u.cm**2
# of a column density: an extinction, and what is proportional to it by an unknown factor
EXTINCTION = u.mag, COLUMN, lambda a_v: a_v * EXTINCTION_G_CM2
PROPORTIONAL = u.dimensionless_unscaled, COLUMN, lambda value: value * np.nan
LOGARITHM = re.compile(r"log|dex", re.IGNORECASE)


class Units:
    """Conversion of the quantities of one file; `remarks` names those that the config assumes.

    path : the file, for messages
    assume : key of the config's `assume` -> a unit such as "km/s", scaled ones included
        ("6.77e-22 g cm-3" is a code unit), or of a `quantity` a number with its unit, as "10 pc"
    mu : mean particle mass [hydrogen atoms]; a number of particles per volume is a density, and
        one per area a column density. None: it is refused.
    """

    def __init__(self, path: str | Path, assume: dict[str, str] | None, mu: float | None = None):
        self._path, self._assume = path, assume or {}
        self._equivalencies = [EXTINCTION, PROPORTIONAL]
        if mu:
            self._equivalencies += [
                (u.cm**-k, u.g / u.cm**k, lambda n: n * mu * HYDROGEN_G) for k in (2, 3)
            ]
        self.remarks: list[str] = []

    def factor(self, key: str, name: str, text: str, target: str) -> float:
        """The factor from the unit `text` of the file, or else from assume.<key>, to `target`.

        name : of the data set, for messages
        The factor is NaN of what is only proportional to a column density, "relative". Raises
        BadInput for a logarithm, and where neither is a unit that converts.
        """
        found = f"{name} is in {text!r}" if text else f"{name} has no unit"
        if LOGARITHM.match(text):
            raise BadInput(
                f"{self._path}: {name} is a logarithm, {text!r}; expected {target}: write 10**x"
            )
        for unit in filter(None, (text, self._assume.get(key))):
            try:
                factor = float(_unit(unit).to(target, equivalencies=self._equivalencies))
            except (ValueError, TypeError):
                continue
            self._remark(key, found, text, unit)
            return factor
        message = f"{found}; expected a unit that converts to {target}{self._way_out(key)}"
        raise BadInput(f"{self._path}: {message}")

    def quantity(self, key: str, text: str, target: str, absent: float | None = None) -> float:
        """The number `text` of the file, or else assume.<key>, in the unit `target`.

        assume.<key> is a number with its unit, or the unit of a bare number in the file. `absent`
        is the value where neither states one. Raises BadInput where neither converts.
        """
        assumed = self._assume.get(key, "")
        found = f"{key} is {text!r}" if text else f"{key} is not stated"
        if absent is not None and not text and not assumed:
            return absent
        for stated in (text, assumed, f"{text} {assumed}"):
            try:
                with u.add_enabled_aliases(SPELLINGS):
                    value = float(u.Quantity(stated).to_value(target))
            except (ValueError, TypeError):
                continue
            self._remark(key, found, text, stated)
            return value
        message = f"{found}; expected number and unit, as '10 {target}'{self._way_out(key)}"
        raise BadInput(f"{self._path}: {message}")

    def _remark(self, key: str, found: str, text: str, used: str) -> None:
        if used != text:
            self.remarks.append(f"{found}: assume.{key} holds, {used}")

    def _way_out(self, key: str) -> str:
        assumed = self._assume.get(key)
        return f" (assume.{key} is {assumed!r})" if assumed else f", or assume.{key} in the config"


def text_of(value) -> str:
    """An attribute of a file as text: a string, bytes, a number, or an array of one of these."""
    entries = {
        entry.decode(errors="replace") if isinstance(entry, bytes) else str(entry)
        for entry in np.ravel(value).tolist()
    }
    return entries.pop().strip() if len(entries) == 1 else " ".join(sorted(entries))


def check_size(path: str | Path, what: str, value: float, expected: float | None) -> None:
    """Refuse a box or a mass that is not above 0, or other than in the config.

    what : the key, one of `SIZES`
    expected : its value in the config, None: any
    """
    if not 0 < value < np.inf:
        raise BadInput(f"{path}: {what} is {value:.6g}; expected a number above 0")
    if expected is None or abs(value / expected - 1) < SIZE_TOLERANCE:
        return
    unit, others = SIZES[what]
    confusions = [(other, unit, unit.to(other)) for other in others]
    confusions += [(unit, other, other.to(unit)) for other in others]
    hints = [
        f"{a} taken for {b}?"
        for a, b, ratio in confusions
        if abs(value / expected / ratio - 1) < SIZE_TOLERANCE
    ]
    hint = hints[0] if hints else f"{what}: null takes any"
    raise BadInput(
        f"{path}: {what} is {value:.6g}; expected {expected:.6g}, as the config says ({hint})"
    )


def _unit(text: str) -> u.UnitBase:
    """A unit in astropy's or another of `SPELLINGS`; capitals ("CM-2") where nothing else fits."""
    for molecules in MOLECULES:
        text = text.replace(molecules, "molecules")
    with u.add_enabled_aliases(SPELLINGS):
        try:
            return u.Unit(text)
        except ValueError:
            if not text.isupper():
                raise
            return u.Unit(text.lower())
