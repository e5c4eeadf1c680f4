"""Tables of simulated stars in the columns of VizieR, as if a survey had seen them.

2MASS is II/246, Gaia DR3 I/355, Pan-STARRS1 II/349. `read.catalogue` reads them as it reads the
real ones.
"""

from pathlib import Path

import numpy as np
from astropy.table import Table

from skyloom import cli
from skyloom.extinction.read.catalogue import FORMS
from skyloom.extinction.simulate.population import Stars
from skyloom.extinction.simulate.survey import observe

COLUMNS = {
    "2mass": FORMS["2mass"]["VizieR II/246"],
    "gaia": FORMS["gaia"]["VizieR I/355"],
    "panstarrs": FORMS["panstarrs"]["VizieR II/349"],
}
# largest errors of the qualities of 2MASS: S/N of 10, 7 and 5 (Explanatory Supplement, II.2.a)
QUALITIES = {"A": 0.10857, "B": 0.15510, "C": 0.21714, "D": np.inf}


def catalogue(
    stars: Stars,
    extinction: np.ndarray,
    law: str,
    centre: tuple[float, float],
    area: float,
    rng: np.random.Generator,
    limits: dict[str, float] | None = None,
) -> dict[str, Table]:
    """A table for each survey, of the stars that it detects in one band at least.

    extinction (n,) : A_V [mag]; centre, area : of a square field [deg, deg2]
    limits : 50 % limits by band where they are not those of `survey.SURVEYS`
    """
    longitude, latitude = places(len(stars), centre, area, rng)
    measured = observe(stars, extinction, law, rng, limits)
    tables = {}
    for survey, form in COLUMNS.items():
        seen = np.any([np.isfinite(measured[band][0]) for band in form.bands], 0)
        table = Table({form.galactic[0]: longitude[seen], form.galactic[1]: latitude[seen]})
        for band, names in form.bands.items():
            for name, values in zip(names, measured[band], strict=True):
                table[name] = values[seen].astype(np.float32)
                table[name].unit = "mag"
        if survey == "2mass":
            table[form.flags["quality"]] = _qualities([measured[b][1][seen] for b in form.bands])
            table[form.flags["confusion"]] = np.full(len(table), "000")
            table[form.flags["extended"]] = np.zeros(len(table), np.int16)
        for name in form.galactic:
            table[name].unit = "deg"
        table.meta = {"SKYKIND": "simulated", "LAW": law}
        tables[survey] = table
    return tables


def places(
    number: int, centre: tuple[float, float], area: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Uniform places [deg] in a square field on the sphere."""
    half = np.sqrt(area) / 2
    edges = np.sin(np.radians([centre[1] - half, centre[1] + half]))
    latitude = np.degrees(np.arcsin(rng.uniform(*edges, number)))
    width = half / np.cos(np.radians(centre[1]))
    return (centre[0] + rng.uniform(-width, width, number)) % 360, latitude


def write(table: Table, path: Path) -> None:
    """A FITS table; stars without a value have NaN."""
    with cli.atomic(path) as part:
        table.write(part, format="fits", overwrite=True)


def _qualities(errors: list[np.ndarray]) -> np.ndarray:
    """The letters of all bands as 2MASS writes them, U where a star is not detected."""
    limits = np.array(list(QUALITIES.values()))
    letters = np.array([*QUALITIES, "U"])
    columns = [
        letters[np.where(np.isfinite(e), np.searchsorted(limits, e), len(limits))] for e in errors
    ]
    return np.array(["".join(row) for row in zip(*columns, strict=True)], dtype="U3")
