"""Catalogues of the Besançon model's web service, in both layouts that it writes.

Text of fixed width: a header with all numbers of the model, stars between two lines of column
names, and their number at the end. Magnitudes are of Johnson-Cousins, with extinction by the
service's own dust. They are freed of it by the ratios of the header, and brought to 2MASS by
Carpenter 2001 (AJ 121, 2851), eqs. A1 to A4, from the system of Bessell & Brett.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skyloom.cli import BadInput
from skyloom.extinction.simulate.population import Stars
from skyloom.extinction.simulate.stars import AGB, BANDS, DWARF, GIANT, SUBGIANT

VERSIONS = "2003-12", "0611", "2013-04", "1603"
SYSTEM = "Johnson-Cousins"
FIRST, LAST = "Dist", "Mbol"  # columns at both ends of the line of names
NEEDED = "Dist", "CL", "Age", "Av", "l", "b"
# colour excesses E(V - X) / A_V of the header, in the order of its bands V B U R I J H K L 12 25
EXCESSES = {"J": 4, "H": 5, "K": 6}
# luminosity classes 1 to 7: supergiants, bright giants, giants, subgiants, dwarfs, white dwarfs,
# T Tauri stars
PHASES = np.array([AGB, AGB, AGB, GIANT, SUBGIANT, DWARF, DWARF, DWARF])
AGES = 10  # seven of the thin disc, thick disc, halo, bulge: as `galaxy.POPULATIONS`


@dataclass(frozen=True)
class Besancon:
    """stars : without extinction, in the bands that the file has; NaN in the others
    area : solid angle [deg2]; extinction : A_V (n,) of the service's dust [mag]
    """

    stars: Stars
    longitude: float
    latitude: float
    area: float
    version: str
    extinction: np.ndarray


def read_besancon(path: str | Path, bands: tuple[str, ...] = ("J", "K"), area: float | None = None):
    """A catalogue file.

    bands : which must be there; area : of a single field [deg2], as which the file's stars are a
        pool; None: the file's
    Raises BadInput for another version or photometric system, a missing band, and a file that is
    cut short.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; expected a Besançon catalogue") from None
    text = "\n".join(lines)
    version = _version(path, text)
    excesses = _system(path, text)
    longitude, latitude, solid = _direction(path, text)
    names, rows = _rows(path, lines)
    columns = dict(zip(names, rows.T, strict=True))
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise BadInput(
            f"{path}: column {', '.join(missing)} not found (columns: {' '.join(names)})"
        )
    apparent = _apparent(columns)
    for band in EXCESSES.keys() & apparent.keys():
        apparent[band] = apparent[band] - (1 - excesses[EXCESSES[band]]) * columns["Av"]
    found = _in_2mass(apparent)
    lacking = [band for band in bands if band not in found]
    if lacking:
        raise BadInput(
            f"{path}: no {', '.join(lacking)} by the columns {' '.join(names)}; expected colours"
            " such as J-K and V-K in the form of the service"
        )
    magnitudes = np.full((len(BANDS), len(rows)), np.nan, np.float32)
    for band, values in found.items():
        magnitudes[BANDS.index(band)] = values
    stars = Stars(
        (columns["Dist"] * 1e3).astype(np.float32),
        magnitudes,
        PHASES[columns["CL"].astype(int).clip(0, 7)].astype(np.int8),
        (columns["Age"].astype(int) - 1).clip(0, AGES - 1).astype(np.int8),
        solid / (area or solid),
    )
    return Besancon(stars, longitude, latitude, solid, version, columns["Av"])


def _version(path: Path, text: str) -> str:
    found = re.search(r"STELLAR POPULATION SYNTHESIS\s+(\S+)", text)
    if not found:
        raise BadInput(
            f"{path}: no line BESANCON MODEL OF STELLAR POPULATION SYNTHESIS; expected a catalogue"
            " of the Besançon model's service"
        )
    if found[1] not in VERSIONS:
        raise BadInput(f"{path}: version {found[1]}; expected one of {', '.join(VERSIONS)}")
    return found[1]


def _system(path: Path, text: str) -> list[float]:
    """The header's colour excesses of a file in the system of Johnson and Cousins."""
    found = re.search(r"^\s*System:\s*(\S+)([^\n]*)", text, re.MULTILINE)
    name = found[1] if found else "none"
    if not name.startswith(SYSTEM):
        raise BadInput(f"{path}: photometric system {name}; expected {SYSTEM}")
    numbers = [float(n) for n in re.findall(r"\s(\d\.\d+)", found[2])]
    if len(numbers) <= max(EXCESSES.values()):
        raise BadInput(
            f"{path}: {len(numbers)} colour excesses in the line System; expected those of B to K"
        )
    return numbers


def _direction(path: Path, text: str) -> tuple[float, float, float]:
    number = r"([-+]?[\d.]+)"
    found = re.search(rf"\(l =\s*{number};\s*b =\s*{number}\).*Solid angle\s*{number}", text)
    if not found:
        raise BadInput(f"{path}: no line with l, b and Solid angle; expected that of one field")
    longitude, latitude, area = map(float, found.groups())
    if not area > 0:
        raise BadInput(f"{path}: Solid angle is {area:g}; expected square degrees")
    return longitude, latitude, area


def _rows(path: Path, lines: list[str]) -> tuple[list[str], np.ndarray]:
    """Names of columns and the numbers (star, column) between the two lines of names."""
    cut = f"{path}: cut short: "
    ends = [k for k, line in enumerate(lines) if line.split()[:1] == [FIRST] and LAST in line]
    if not ends:
        raise BadInput(f"{cut}no line of columns {FIRST} to {LAST}; fetch it again")
    total = next((line for line in lines[ends[0] :] if "TOTAL NUMBER OF STARS" in line), None)
    if len(ends) < 2 or total is None:
        raise BadInput(f"{cut}no line TOTAL NUMBER OF STARS; fetch it again")
    names = lines[ends[0]].split()
    rows = []
    for number in range(ends[0] + 1, ends[1]):
        words = lines[number].split()
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        if len(row) != len(names):
            raise BadInput(
                f"{path}: line {number + 1} has {len(words)} words; expected {len(names)} numbers"
            )
        rows.append(row)
    expected = int(total.split(":")[1].split()[0])
    if len(rows) != expected:
        raise BadInput(f"{cut}{len(rows)} stars found, {expected} announced; fetch it again")
    if not rows:
        raise BadInput(f"{path}: no star; expected those of a field")
    return names, np.array(rows)


def _apparent(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Magnitudes by band from the band that the file has and its colours."""
    found = {name: values for name, values in columns.items() if name in "UBVRIJHKL"}
    colours = [name.split("-") for name in columns if re.fullmatch(r"[A-Z]-[A-Z]", name)]
    # a colour gives one band where it has the other
    for _ in colours:
        for first, second in colours:
            values = columns[f"{first}-{second}"]
            if first in found and second not in found:
                found[second] = found[first] - values
            elif second in found and first not in found:
                found[first] = found[second] + values
    return found


def _in_2mass(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """J, H, Ks of those bands that are there."""
    result = {}
    if "K" in found:
        result["K"] = found["K"] - 0.044
        if "J" in found:
            result["J"] = result["K"] + 0.972 * (found["J"] - found["K"]) - 0.011
        if "H" in found:
            result["H"] = result["K"] + 0.996 * (found["H"] - found["K"]) + 0.028
    return result
