"""Stars of surveys from public archives, one table a sightline.

Addresses and names of tables are those that the archives documented in 2026; the user's config may
state another address. The columns are those that `read.catalogue` reads.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord

from skyloom.cli import BadInput
from skyloom.extinction.read import tap
from skyloom.extinction.read.catalogue import FORMS, read_catalogue

UNREACHABLE = 3  # fields in a row after which the server is given up


class _Stopped(Exception):
    """The caller takes no more fields."""


@dataclass(frozen=True)
class Archive:
    """service : address; table : name in ADQL; form : of `FORMS`; quoted : names need quotes"""

    service: str
    table: str
    form: str
    quoted: bool = False


VIZIER = "https://tapvizier.cds.unistra.fr/TAPVizieR/tap"
ARCHIVES = {
    "2mass": {
        "vizier": Archive(VIZIER, '"II/246/out"', "VizieR II/246", quoted=True),
        "irsa": Archive("https://irsa.ipac.caltech.edu/TAP", "fp_psc", "IRSA fp_psc"),
    },
    "gaia": {
        "vizier": Archive(VIZIER, '"I/355/gaiadr3"', "VizieR I/355", quoted=True),
        "esa": Archive(
            "https://gea.esac.esa.int/tap-server/tap", "gaiadr3.gaia_source", "Gaia archive"
        ),
    },
    "panstarrs": {"vizier": Archive(VIZIER, '"II/349/ps1"', "VizieR II/349", quoted=True)},
}


@dataclass(frozen=True)
class Field:
    """A square of the sky around a Galactic direction; side : [deg]"""

    longitude: float
    latitude: float
    side: float

    @property
    def name(self) -> str:
        return f"l{self.longitude:07.3f}_b{self.latitude:+07.3f}"


def grid(
    longitude: tuple[float, float],
    latitude: tuple[float, float],
    side: float,
    spacing: float | None = None,
) -> list[Field]:
    """The fields of a region, whose limits are edges of cells [deg]; l may run across 360.

    spacing : side of the cells, in whose middles the fields lie [deg]; None: that of the fields
    """
    cell = spacing or side
    spans = (longitude[1] - longitude[0]) % 360 or 360.0, latitude[1] - latitude[0]
    numbers = [span / cell for span in spans]
    if not all(n >= 1 and abs(n - round(n)) < 1e-6 for n in numbers):
        raise BadInput(
            f"l {longitude}, b {latitude}: {numbers[0]:g} x {numbers[1]:g} fields of {cell:g} deg;"
            " expected whole numbers"
        )
    columns, rows = (cell * (np.arange(round(n)) + 0.5) for n in numbers)
    return [
        Field((longitude[0] + x) % 360, latitude[0] + y, side)
        for y in rows.tolist()
        for x in columns.tolist()
    ]


def query(survey: str, archive: Archive, field: Field, brighter: dict[str, float]) -> str:
    """ADQL for the stars of a field.

    brighter : band -> the magnitude down to which stars are asked for
    """
    form = FORMS[survey][archive.form]
    unknown = [band for band in brighter if band not in form.bands]
    if unknown:
        raise BadInput(f"brighter: band {', '.join(unknown)}; expected {', '.join(form.bands)}")
    names = [*form.equatorial, *(name for pair in form.bands.values() for name in pair)]
    names += form.flags.values()

    def quoted(name: str) -> str:
        return f'"{name}"' if archive.quoted else name

    # as wide in l as a square of the sky is
    half = field.side / 2
    wide = half / np.cos(np.radians(field.latitude))
    corners = [(-wide, -half), (-wide, half), (wide, half), (wide, -half)]
    place = SkyCoord(
        [field.longitude + x for x, _ in corners],
        [field.latitude + y for _, y in corners],
        unit="deg",
        frame="galactic",
    ).icrs
    polygon = ", ".join(f"{p.ra.deg:.6f}, {p.dec.deg:.6f}" for p in place)
    point = ", ".join(map(quoted, form.equatorial))
    cuts = [f"1 = CONTAINS(POINT('ICRS', {point}), POLYGON('ICRS', {polygon}))"]
    cuts += [f"{quoted(form.bands[band][0])} < {limit:g}" for band, limit in brighter.items()]
    columns = ", ".join(map(quoted, names))
    return f"SELECT {columns} FROM {archive.table} WHERE {' AND '.join(cuts)}"


def download(
    survey: str,
    archive: Archive,
    fields: Sequence[Field],
    folder: Path,
    brighter: dict[str, float],
    *,
    jobs: int = 4,
    patience: float = tap.PATIENCE,
    wait: Callable[[float], object] | None = None,
) -> Iterator[dict]:
    """Bring the table of each field to `folder/NAME.vot`; a table that is there is not asked again.

    jobs : that the server has at a time; wait : in place of a pause of so many seconds
    Yields for each field, in order, `field`, `l`, `b`, `stars` and `reason`, which is empty where
    the field is there. Raises Unreachable after `UNREACHABLE` fields in a row without an answer.
    """

    ended = threading.Event()

    def pause(seconds: float) -> None:
        (wait or ended.wait)(seconds)
        if ended.is_set():
            raise _Stopped

    def number(path: Path) -> int:
        return len(read_catalogue(path, survey))

    def one(field: Field) -> tuple[int, BadInput | None]:
        adql, path = query(survey, archive, field, brighter), folder / f"{field.name}.vot"
        try:
            stars = tap.fetch(archive.service, adql, path, number, patience=patience, wait=pause)
        except BadInput as error:
            return 0, error
        return stars, None

    silent = 0
    pool = ThreadPoolExecutor(jobs)
    try:
        for field, (stars, error) in zip(fields, pool.map(one, fields), strict=True):
            silent = silent + 1 if isinstance(error, tap.Unreachable) else 0
            if silent >= UNREACHABLE:
                raise error
            if error:
                print(f"{field.name}: left out: {error}", file=sys.stderr, flush=True)
            place = {"field": field.name, "l": field.longitude, "b": field.latitude}
            yield place | {"stars": stars, "reason": str(error or "")}
    finally:
        # a job that runs on the server goes on with the next call
        ended.set()
        pool.shutdown(cancel_futures=True)
