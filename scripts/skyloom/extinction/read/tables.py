"""Tables of stars in any of the formats that archives write: FITS, VOTable, parquet, CSV.

The format is that of the content, not of the name. A server's error page and a table that its
server cut short are refused by their words.
"""

import re
import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table

from skyloom import files, images
from skyloom.cli import BadInput

AGAIN = "fetch it again"
KNOWN = "FITS, VOTable, parquet or CSV"


def read_table(path: str | Path) -> Table:
    """The first table of a file.

    Raises BadInput for a file that is missing, empty, cut short, a web page or another format, and
    for the answer of a server that reports an error or left out rows.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected a table of stars")
    with open(path, "rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise BadInput(f"{path}: empty; expected a table of stars; {AGAIN}")
    if head.startswith(b"PAR1"):
        return Table.from_pandas(files.read_parquet(path))
    if head.lstrip().startswith(b"<"):
        return _votable(path, head)
    if head.startswith(images.FITS_BEGINS) or head.startswith(tuple(images.COMPRESSED)):
        return _fits(path)
    return _csv(path)


def column(path: str | Path, table: Table, name: str, unit: str | None = None) -> np.ndarray:
    """Values (n,) float64 of a column, NaN where masked.

    unit : expected; a column without a unit passes
    """
    values = table[name]
    found = values.unit
    if unit and found is not None and u.Unit(found, parse_strict="silent") != u.Unit(unit):
        raise BadInput(f"{path}: column {name} is in {found}; expected {unit}")
    try:
        plain = np.ma.filled(np.ma.asarray(values).astype(float), np.nan)
    except (TypeError, ValueError):
        raise BadInput(f"{path}: column {name} has text; expected numbers [{unit}]") from None
    return np.asarray(plain, float)


def words(table: Table, name: str) -> np.ndarray:
    """A column (n,) as text, empty where masked."""
    values = np.ma.asarray(table[name])
    mask = np.ma.getmaskarray(values)
    plain = [v.decode() if isinstance(v, bytes) else str(v) for v in values.data.tolist()]
    return np.where(mask, "", np.array(plain, dtype=str)) if plain else np.array([], dtype=str)


def plain_words(page: str) -> str:
    """The beginning of a page or an XML document without its tags, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())[:200]


def _fits(path: Path) -> Table:
    with images.opened(path, "a table of stars") as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise BadInput(f"{path}: FITS without a table; expected a table of stars")
        table = Table.read(tables[0], format="fits")
        table.meta = dict(hdus[0].header) | dict(tables[0].header)
        return table


def _votable(path: Path, head: bytes) -> Table:
    if b"<VOTABLE" not in head:
        text = plain_words(head.decode(errors="replace"))[:80]
        raise BadInput(f"{path}: is a web page ({text!r}); expected {KNOWN}; {AGAIN}")
    try:
        with warnings.catch_warnings(action="ignore"):
            document = parse(path)
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(f"{path}: VOTable cut short or damaged: {reason}; {AGAIN}") from None
    for resource in document.resources:
        for info in resource.infos:
            if info.name != "QUERY_STATUS" or info.value == "OK":
                continue
            said = plain_words(info.content or "")
            reason = "rows were left out" if info.value == "OVERFLOW" else said
            raise BadInput(f"{path}: the server answered {info.value}: {reason}; {AGAIN}")
    tables = list(document.iter_tables())
    if not tables:
        raise BadInput(f"{path}: VOTable without a table; expected a table of stars; {AGAIN}")
    return tables[0].to_table(use_names_over_ids=True)


def _csv(path: Path) -> Table:
    frame = files.read_csv(path, comment="#", skipinitialspace=True)
    if frame.shape[1] < 2:
        raise BadInput(f"{path}: one column {frame.columns[0]!r}; expected {KNOWN}")
    return Table.from_pandas(frame)
