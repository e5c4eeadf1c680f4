"""HEALPix maps from FITS tables by column name; keywords are checked before pixels are read.

The layout follows "FITS file format specifications for HEALPix products" (Hivon et al., v0.6).
Columns are taken by name, never by number: healpy.read_map(field=4) of the HI4PI release gives
N(HI) or the Galactic latitude, depending on the keyword INDXSCHM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import healpy
import numpy as np
from astropy.io import fits

from skyloom.cli import BadInput, require
from skyloom.images import opened, require_unit

# HEALPix marks a missing pixel by -1.6375e30; no map in physical units comes near
UNSEEN_LIMIT = 1e29
CHUNK_PIXELS = 1 << 22  # pixels reordered at a time: 32 MiB of indices
# pixels of 0.9 deg: noise averages down, yet a wrong order scrambles them beyond recognition
COARSE_NSIDE = 64
SLIP_MARGIN = 0.1  # see check_ordering

FRAMES = {
    "galactic": {"G", "GAL", "GALACTIC"},
    "celestial": {"C", "Q", "EQ", "EQUATORIAL", "CELESTIAL"},
}


@dataclass(frozen=True)
class HealpixTable:
    """Full-sky maps of one file.

    maps : (n_column, n_pixel) float32 in RING order, NaN where the file has no value
    """

    path: Path
    columns: tuple[str, ...]
    maps: np.ndarray
    nside: int
    ordering: str  # label of the file; `maps` is RING in any case
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

    columns : column name -> unit as in `images.SPELLINGS`, None for a column without (a mask)
    index : the column with the pixel number of each row; without it rows must be in pixel order
    frame : expected COORDSYS (or SKYCOORD), a key of `FRAMES`
    lenient : accept a header without TUNIT or COORDSYS, as of small copies of survey maps; a wrong
        one is refused in any case

    Raises BadInput for a file that is missing or cut short, a missing column, another unit,
    ordering, NSIDE, frame or number of rows, or a column without any valid pixel.
    """
    path = Path(path)
    with opened(path, memmap=True) as hdus:
        hdu = next((h for h in hdus if isinstance(h, fits.BinTableHDU)), None)
        if hdu is None:
            raise BadInput(
                f"{path}: no binary table; expected a HEALPix map with columns {', '.join(columns)}"
            )
        _check_length(path, hdu)
        header = hdu.header.copy()
        # LAMBDA writes the HEALPix keywords to the primary header
        header.extend(hdus[0].header, unique=True)
        require(hdu.columns.names, [*columns, *([index] if index else [])], path, "column")
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
    """Refuse a map whose pixels are in another order than its header says; return the correlation.

    Two tracers of the same gas correlate on the sky, in the wrong order much less. The first column
    of `table` is compared with that of the trusted `reference`. It is refused where the other order
    correlates better by more than `SLIP_MARGIN`, or where the correlation is below `minimum`.

    Measured at NSIDE 64 in the right and in the wrong order: real dust with real N(HI) 0.97 and
    0.48; CO from the excess of that dust with the noise of Type 2, with dust 0.8 and 0.3.
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
            f"{reference.path} is {correlation:.2f}, and {swapped:.2f} when it is read as {other}"
        )
    if correlation < minimum:
        raise BadInput(
            f"{column} has correlation {correlation:.2f} with {reference.path}, expected at least "
            f"{minimum}: they do not show the same sky (ORDERING or COORDSYS wrong?)"
        )
    return correlation


def _check_length(path: Path, hdu: fits.BinTableHDU) -> None:
    if path.suffix == ".gz":
        return  # gzip ends in a checksum, which `opened` has passed
    expected = hdu.fileinfo()["datLoc"] + hdu.size
    size = path.stat().st_size
    if size < expected:
        raise BadInput(
            f"{path}: cut short: {size} bytes, but its header announces {expected}; fetch it again"
        )


def _check_units(
    path: Path, there: fits.ColDefs, columns: Mapping[str, str | None], lenient: bool
) -> None:
    for name, unit in columns.items():
        if unit is not None:
            require_unit(path, f"column {name}", there[name].unit, unit, lenient)


def _check_frame(path: Path, header: fits.Header, frame: str, lenient: bool) -> None:
    value = str(header.get("COORDSYS", header.get("SKYCOORD", ""))).strip()
    if not value and lenient:
        return
    if value.upper() not in FRAMES[frame]:
        raise BadInput(f"{path}: COORDSYS is {_quoted(value)}; expected {frame} coordinates")


def _ordering(path: Path, header: fits.Header) -> str:
    value = str(header.get("ORDERING", "")).strip().upper()
    ordering = "NESTED" if value == "NEST" else value
    if ordering not in ("RING", "NESTED"):
        raise BadInput(f"{path}: ORDERING is {_quoted(value)}; expected RING or NESTED")
    return ordering


def _nside(path: Path, header: fits.Header) -> int:
    value = header.get("NSIDE")
    try:
        nside = int(value)  # some writers store it as a string
    except (TypeError, ValueError):
        nside = 0
    if nside < 1 or nside & (nside - 1):
        value = "not in the header" if value is None else repr(value)
        raise BadInput(f"{path}: NSIDE is {value}; expected a power of 2")
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
) -> np.ndarray | None:
    """Pixel number of each row (n_pixel,) by the index column; None: rows in pixel order."""
    if index is None:
        if str(header.get("INDXSCHM", "IMPLICIT")).strip().upper() == "EXPLICIT":
            message = "INDXSCHM is EXPLICIT (a pixel number in each row)"
            raise BadInput(f"{path}: {message}; expected IMPLICIT, a full sky")
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
    """Fill `out` (n_pixel,) in RING order from a column of any row length, chunk by chunk."""
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
    # no equality with UNSEEN, which float32 has rounded
    return np.where(coarse > -UNSEEN_LIMIT, coarse, np.nan)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of asinh(map / median).

    That is a logarithm where a map is bright, and linear through zero and noise.
    """
    valid = np.isfinite(first) & np.isfinite(second)
    scaled = [
        np.arcsinh(values[valid] / np.median(np.abs(values[valid]))) for values in (first, second)
    ]
    return float(np.corrcoef(*scaled)[0, 1])


def _quoted(value: str) -> str:
    return repr(value) if value else "not in the header"
