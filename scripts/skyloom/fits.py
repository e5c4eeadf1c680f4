"""HEALPix maps from FITS tables, by column name, with every keyword that matters checked before the
pixels are read.

The layout is that of "FITS file format specifications for HEALPix products" (Hivon et al., v0.6).
Columns are taken by name and never by number: healpy.read_map(field=4) of the HI4PI release gives
N(HI) or the Galactic latitude, depending on the keyword INDXSCHM.
"""

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import healpy
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from skyloom.cli import BadInput

UNSEEN_LIMIT = (
    1e29  # HEALPix marks a missing pixel by -1.6375e30; no map in physical units comes near
)
CHUNK_PIXELS = 1 << 22  # pixels reordered at a time: 32 MiB of indices
# pixels of 0.9 deg: noise averaged down, yet an ordering slip scrambles them beyond recognition
COARSE_NSIDE = 64
SLIP_MARGIN = 0.1  # see check_ordering

# Spellings of a unit after `_plain_unit`. Upper and lower case differ on purpose: mJy is not MJy.
SPELLINGS = {
    "K_RJ km/s": {"K_RJkm/s", "KRJkm/s", "Kkm/s", "K_RJkms-1", "KRJkms-1", "Kkms-1"},
    "MJy/sr": {"MJy/sr", "Mjy/sr", "MJysr-1"},
    "cm-2": {"cm-2", "1/cm2", "atoms/cm2", "atomscm-2", "H/cm2", "Hcm-2"},
    "uK_RJ": {"uK_RJ", "uKRJ", "muK_RJ"},
    "K": {"K"},
    "mag": {"mag"},
}
FRAMES = {
    "galactic": {"G", "GAL", "GALACTIC"},
    "celestial": {"C", "Q", "EQ", "EQUATORIAL", "CELESTIAL"},
}


@dataclass(frozen=True)
class HealpixTable:
    """Full-sky maps of one file: `maps` (n_column, n_pixel) float32 in RING order, NaN where the
    file has no value.
    """

    path: Path
    columns: tuple[str, ...]
    maps: np.ndarray
    nside: int
    ordering: str  # as labelled in the file; `maps` is RING whatever it says
    data_kind: str  # keyword SKYKIND, "survey" where it is absent
    header: fits.Header

    def __getitem__(self, column: str) -> np.ndarray:
        return self.maps[self.columns.index(column)]


def read_healpix(
    path: str | Path,
    columns: Mapping[str, str | None],
    *,
    index: str | None = None,
    frame: str = "galactic",
    lenient: bool = False,
) -> HealpixTable:
    """Read full-sky columns of a HEALPix table.

    Parameters ----------
    columns : column name -> unit as in `SPELLINGS`, or None for a column without unit (a mask)
    index : name of the column that holds the pixel number of each row; without it rows must be in
        pixel order
    frame : expected COORDSYS (or SKYCOORD), a key of `FRAMES`
    lenient : accept a header that lacks TUNIT or COORDSYS, as small copies of survey maps do; a
        wrong one never

    Raises ------
    BadInput : file missing or cut short, column not there, unit, ordering, NSIDE, frame or number
        of rows other than
        expected, or a column without any valid pixel
    """
    path = Path(path)
    with _open(path) as hdus:
        hdu = next((h for h in hdus if isinstance(h, fits.BinTableHDU)), None)
        if hdu is None:
            raise BadInput(
                f"{path}: no binary table; expected a HEALPix map with columns {', '.join(columns)}"
            )
        _check_length(path, hdu)
        header = hdu.header.copy()
        header.extend(
            hdus[0].header, unique=True
        )  # LAMBDA writes the HEALPix keywords to the primary header
        _check_columns(path, hdu.columns, [*columns, *([index] if index else [])])
        _check_units(path, hdu.columns, columns, lenient)
        _check_frame(path, header, frame, lenient)
        ordering = _ordering(path, header)
        nside = _nside(path, header)
        _check_full_sky(path, hdu.data, columns, nside)
        rows = _row_pixels(path, hdu.data, header, nside, index)
        maps = np.empty((len(columns), healpy.nside2npix(nside)), dtype=np.float32)
        for row, name in zip(maps, columns, strict=True):
            _read_column(hdu.data[name], row, rows, nside, ordering)
            _mark_missing(row, header.get("BAD_DATA"))
            if not np.isfinite(row).any():
                raise BadInput(
                    f"{path}: column {name} has no valid pixel (all NaN or UNSEEN); expected a "
                    "full-sky map"
                )
    kind = str(header.get("SKYKIND", "survey")).strip()
    return HealpixTable(path, tuple(columns), maps, nside, ordering, kind, header)


def check_ordering(table: HealpixTable, reference: HealpixTable, minimum: float = -1.0) -> float:
    """Refuse a map whose pixels are not in the order that its header claims; return the correlation
    as labelled.

    Two tracers of the same gas correlate on the sky; a RING map read as NESTED, or the reverse,
    keeps only what its hemispheres and its bright few pixels have in common with the other. Two
    questions find the slip: does the first column of `table` follow that of the trusted `reference`
    better in the other order, by more than `SLIP_MARGIN`, and is the correlation below `minimum` as
    it is? Measured at NSIDE 64, right and wrong: real dust with real N(HI) 0.97 and 0.48; CO made
    from the excess of that dust, with the noise of Type 2, with dust 0.8 and 0.3.
    """
    nside = min(COARSE_NSIDE, table.nside, reference.nside)
    trusted = _coarse(reference.maps[0], nside)
    correlation = _correlation(_coarse(table.maps[0], nside), trusted)
    other = "RING" if table.ordering == "NESTED" else "NESTED"
    undo = {"r2n": True} if other == "RING" else {"n2r": True}
    swapped = _correlation(_coarse(healpy.reorder(table.maps[0], **undo), nside), trusted)
    column = f"{table.path}: column {table.columns[0]}"
    if swapped > correlation + SLIP_MARGIN:
        raise BadInput(
            f"{column} is not in {table.ordering} order as ORDERING says: its correlation with "
            f"{reference.path} "
            f"is {correlation:.2f}, and {swapped:.2f} when it is read as {other}"
        )
    if correlation < minimum:
        raise BadInput(
            f"{column} has correlation {correlation:.2f} with {reference.path}, expected at least "
            f"{minimum}: they "
            "do not show the same sky (ORDERING or COORDSYS wrong?)"
        )
    return correlation


def require_unit(
    path: str | Path, what: str, found: str | None, expected: str, lenient: bool = False
) -> None:
    """Refuse a unit that is no spelling of `expected`; an absent one passes only if `lenient`."""
    if not (found or "").strip():
        if lenient:
            return
        raise BadInput(f"{path}: {what} has no unit; expected {expected}")
    if _plain_unit(found) not in SPELLINGS[expected]:
        raise BadInput(f"{path}: {what} is in {found.strip()!r}; expected {expected}")


@contextmanager
def _open(path: Path) -> Iterator[fits.HDUList]:
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected a FITS file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", AstropyUserWarning
            )  # "may have been truncated": _check_length says it
            source = _decompressed(path) if path.suffix == ".gz" else path
            with fits.open(source, memmap=source is path) as hdus:
                yield hdus
    except BadInput:
        raise
    except (EOFError, zlib.error) as error:
        raise BadInput(f"{path}: compressed file is cut short ({error}); fetch it again") from None
    except (OSError, fits.VerifyError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise BadInput(
            f"{path}: not a readable FITS file ({error}); cut short, or no FITS file at all?"
        ) from None


def _decompressed(path: Path) -> io.BytesIO:
    """All of a gzip file at once: astropy takes one that is cut short for a file with fewer
    extensions.
    """
    with gzip.open(path) as stream:
        return io.BytesIO(stream.read())


def _check_length(path: Path, hdu: fits.BinTableHDU) -> None:
    if path.suffix == ".gz":
        return  # gzip ends in a checksum of its own, which _decompressed has passed
    expected = hdu.fileinfo()["datLoc"] + hdu.size
    found = path.stat().st_size
    if found < expected:
        raise BadInput(
            f"{path}: cut short: {found} bytes, but its header announces {expected}; fetch it again"
        )


def _check_columns(path: Path, there: fits.ColDefs, wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in there.names]
    if missing:
        raise BadInput(
            f"{path}: column {', '.join(missing)} not found (columns: {', '.join(there.names)})"
        )


def _check_units(
    path: Path, there: fits.ColDefs, columns: Mapping[str, str | None], lenient: bool
) -> None:
    for name, unit in columns.items():
        if unit is not None:
            require_unit(path, f"column {name}", there[name].unit, unit, lenient)


def _check_frame(path: Path, header: fits.Header, frame: str, lenient: bool) -> None:
    found = str(header.get("COORDSYS", header.get("SKYCOORD", ""))).strip()
    if not found and lenient:
        return
    if found.upper() not in FRAMES[frame]:
        raise BadInput(f"{path}: COORDSYS is {_shown(found)}; expected {frame} coordinates")


def _ordering(path: Path, header: fits.Header) -> str:
    found = str(header.get("ORDERING", "")).strip().upper()
    found = "NESTED" if found == "NEST" else found
    if found not in ("RING", "NESTED"):
        raise BadInput(f"{path}: ORDERING is {_shown(found)}; expected RING or NESTED")
    return found


def _nside(path: Path, header: fits.Header) -> int:
    found = header.get("NSIDE")
    try:
        nside = int(found)  # some writers store it as a string
    except (TypeError, ValueError):
        nside = 0
    if nside < 1 or nside & (nside - 1):
        raise BadInput(
            f"{path}: NSIDE is {'not in the header' if found is None else repr(found)}; expected "
            "a power of 2"
        )
    return nside


def _check_full_sky(
    path: Path, data: fits.FITS_rec, columns: Mapping[str, str | None], nside: int
) -> None:
    n_pixel = healpy.nside2npix(nside)
    for name in columns:
        if data[name].size != n_pixel:
            raise BadInput(
                f"{path}: {data[name].size} pixels in column {name}; NSIDE {nside} needs "
                f"{n_pixel} (full sky)"
            )


def _row_pixels(
    path: Path, data: fits.FITS_rec, header: fits.Header, nside: int, index: str | None
):
    """Pixel number of each row (n_pixel,) where the table has an index column, else None: rows in
    pixel order.
    """
    if index is None:
        if str(header.get("INDXSCHM", "IMPLICIT")).strip().upper() == "EXPLICIT":
            raise BadInput(
                f"{path}: INDXSCHM is EXPLICIT (a pixel number in each row); expected IMPLICIT, a "
                "full sky"
            )
        return None
    n_pixel = healpy.nside2npix(nside)
    rows = np.asarray(data[index], dtype=np.int64).ravel()
    if rows.min() < 0 or rows.max() >= n_pixel or (np.bincount(rows, minlength=n_pixel) != 1).any():
        raise BadInput(
            f"{path}: column {index} runs from {rows.min()} to {rows.max()}; "
            f"expected each pixel of NSIDE {nside}, 0 to {n_pixel - 1}, once"
        )
    return rows


def _read_column(
    column: np.ndarray, out: np.ndarray, rows: np.ndarray | None, nside: int, ordering: str
) -> None:
    """Fill `out` (n_pixel,) in RING order from a table column of any row length, a chunk
    at a time.
    """
    repeat = out.size // len(column)
    step = max(CHUNK_PIXELS // repeat, 1)
    for start in range(0, len(column), step):
        values = np.asarray(column[start : start + step]).reshape(-1)
        first = start * repeat
        pixels = slice(first, first + values.size)
        if rows is not None:
            pixels = rows[pixels]
        if ordering == "NESTED":
            pixels = np.arange(first, first + values.size) if rows is None else pixels
            pixels = healpy.nest2ring(nside, pixels)
        out[pixels] = values


def _mark_missing(values: np.ndarray, bad: float | None) -> None:
    with np.errstate(invalid="ignore"):
        values[~(np.abs(values) < UNSEEN_LIMIT)] = np.nan
        if bad is not None and np.isfinite(float(bad)):
            values[np.isclose(values, float(bad), rtol=1e-5, atol=0)] = np.nan


def _coarse(values: np.ndarray, nside: int) -> np.ndarray:
    filled = np.where(np.isfinite(values), values, healpy.UNSEEN)
    coarse = healpy.ud_grade(filled, nside, dtype=np.float64)
    return np.where(
        coarse > -UNSEEN_LIMIT, coarse, np.nan
    )  # not == UNSEEN, which float32 has rounded


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of asinh(map / median): a logarithm where a map is bright, linear through
    zero and noise.
    """
    valid = np.isfinite(first) & np.isfinite(second)
    scaled = [
        np.arcsinh(values[valid] / np.median(np.abs(values[valid]))) for values in (first, second)
    ]
    return float(np.corrcoef(*scaled)[0, 1])


def _plain_unit(unit: str) -> str:
    return re.sub(r"[\s.*^()\[\]]", "", unit).replace("sec", "s")


def _shown(value: str) -> str:
    return repr(value) if value else "not in the header"
