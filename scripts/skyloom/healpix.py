"""HEALPix maps from FITS tables by column name; keywords are checked before pixels are read.

The layout follows "FITS file format specifications for HEALPix products" (Hivon et al., v0.6).
Columns are taken by name, never by number: healpy.read_map(field=4) of the HI4PI release gives
N(HI) or the Galactic latitude, depending on the keyword INDXSCHM.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import healpy
import numpy as np
from astropy.io import fits

from skyloom.cli import BadInput
from skyloom.images import opened, require_unit

# HEALPix marks a missing pixel by -1.6375e30, others by -1e28; no map in physical units comes near
UNSEEN_LIMIT = 1e27
BLANKS = -32768, -9999, -999, -99  # other marks of a missing pixel
FEW = 0.03  # share of a map or of a tile above which one value marks sky without observation
TILE_NSIDE = 32  # pixels of 1.8 deg, in which that share is also taken
PIXEL_COLUMNS = "PIXEL", "PIXINDEX", "HPXINDEX", "PIX"
CHUNK_PIXELS = 1 << 22  # pixels reordered at a time: 32 MiB of indices
# pixels of 0.9 deg: noise averages down, yet a wrong order scrambles them beyond recognition
COARSE_NSIDE = 64
SLIP_MARGIN, ALIKE = 0.05, 0.4  # see check_same_sky
SET_KEYWORD = "; where the pixels are right, set the keyword in the file"

FRAMES = {
    "galactic": {"G", "GAL", "GALACTIC"},
    "celestial": {"C", "Q", "EQ", "EQUATORIAL", "CELESTIAL"},
}


@dataclass(frozen=True)
class Stated:
    """What the config states of a file that differs from the product that a reader expects."""

    names: Mapping[str, str] = field(default_factory=dict)  # column -> its name in the file
    units: Mapping[str, str] = field(default_factory=dict)  # column -> its unit, not that of TUNIT
    name_key: str = ""  # keys of the config that set these, for messages
    unit_key: str = ""


@dataclass(frozen=True)
class HealpixTable:
    """Maps of one file.

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
    stated: Stated = Stated(),
) -> HealpixTable:
    """Read columns of the one HEALPix table in a file that has them, in upper or lower case.

    columns : column name -> unit as in `images.SPELLINGS`, "" for any, None for values to be taken
        as they stand (a mask, a coordinate)
    index : the column with the pixel number of each row; without it one of `PIXEL_COLUMNS` where
        INDXSCHM is EXPLICIT or rows are few, else rows are the whole sky in pixel order
    frame : expected COORDSYS (or SKYCOORD), a key of `FRAMES`
    lenient : accept a header without TUNIT or COORDSYS, as of small copies of survey maps; a wrong
        one is refused in any case

    Raises BadInput for a file that is missing or cut short, a missing column, another unit,
    ordering, NSIDE, frame or number of rows, or a column with a unit without any valid pixel.
    """
    path = Path(path)
    with opened(path, memmap=True) as hdus:
        wanted = [stated.names.get(name, name) for name in (*columns, *([index] if index else []))]
        hdu = _find_table(path, hdus, wanted, stated)
        header = hdu.header.copy()
        # LAMBDA writes the HEALPix keywords to the primary header
        header.extend(hdus[0].header, unique=True)
        there = {name: hdu.columns[wanted[k]] for k, name in enumerate(columns)}
        _check_units(path, there, columns, lenient, stated)
        _check_frame(path, header, frame, lenient)
        ordering = _ordering(path, header)
        nside = _nside(path, header)
        rows = _row_pixels(path, hdu, header, nside, wanted[: len(columns)], wanted[len(columns) :])
        maps = np.full((len(columns), healpy.nside2npix(nside)), np.nan, dtype=np.float32)
        for row, (name, unit) in zip(maps, columns.items(), strict=True):
            _read_column(hdu.data[there[name].name], row, rows, nside, ordering)
            if unit is None:
                continue
            _mark_missing(row, header.get("BAD_DATA"), there[name].null)
            if not np.isfinite(row).any():
                raise BadInput(
                    f"{path}: column {there[name].name} has no valid pixel (all NaN or UNSEEN); "
                    "expected a map"
                )
    kind = str(header.get("SKYKIND", "survey")).strip()
    return HealpixTable(path, tuple(columns), maps, nside, ordering, kind, header)


def drop_repeated(table: HealpixTable, column: str) -> None:
    """Make NaN in `column` of a survey where it repeats one value: zero, or its lowest.

    No two pixels of a measured map are equal. A value marks sky without observation where more
    than `FEW` of the map have it, or of a pixel of `TILE_NSIDE`. Prints the share. Raises BadInput
    where no other value is left.
    """
    values = table[column]
    for value in sorted({float(min(np.nanmin(values), 0)), 0.0}) * (table.data_kind == "survey"):
        same = values == value
        same &= _is_frequent(same, table.nside)
        if same.sum() == np.isfinite(values).sum():
            raise BadInput(f"{table.path}: column {column} is {value:g} everywhere; expected a map")
        if same.any():
            values[same] = np.nan
            print(
                f"{table.path}: column {column} is exactly {value:g} on {same.mean():.2%} of the "
                "sky: counted as not observed"
            )


def check_same_sky(
    table: HealpixTable, reference: HealpixTable, minimum: float = -1.0, key: str = ""
) -> float:
    """Refuse a map that does not show the sky of the trusted `reference`; return the correlation.

    Two tracers of the same gas correlate on the sky, and less where one is in another order or
    frame than its header says. The first column of `table` is refused where its correlation is
    below `minimum` (a key of the config), is none (no common pixel), or where the map covers half
    of the sky and another reading (`_readings`) correlates by more than `ALIKE`, and better by more
    than `SLIP_MARGIN`. A constant map is refused.

    Measured at NSIDE 64, right, and in another reading at best (NESTED for RING; mirrored):
    real dust with real N(HI) 0.97, 0.48, 0.87; CO from the excess of that dust, with the noise of
    Type 2, with dust 0.75, 0.28, 0.63.
    """
    nside = min(COARSE_NSIDE, table.nside, reference.nside)
    trusted, coarse = (coarse_map(each.maps[0], nside) for each in (reference, table))
    for each, values in ((reference, trusted), (table, coarse)):
        if not np.nanmax(values) > np.nanmin(values):
            raise BadInput(
                f"{each.path}: column {each.columns[0]} is {np.nanmax(values):g} everywhere; "
                "expected a map of the sky"
            )
    correlation = _correlation(coarse, trusted)
    readings = {
        name: _correlation(values, trusted)
        for name, values in _readings(table, coarse, nside).items()
    }
    best = max(readings, key=lambda name: np.nan_to_num(readings[name], nan=-1))
    slipped = readings[best] > ALIKE and not readings[best] <= correlation + SLIP_MARGIN
    if not correlation >= minimum or (slipped and np.isfinite(coarse).mean() > 0.5):
        expected = f"; expected at least {minimum:g}" + f" ({key} of the config)" * bool(key)
        better = f"; it is {readings[best]:.2f} when the map is {best}: mend file or header"
        raise BadInput(
            f"{table.path}: column {table.columns[0]} has correlation {correlation:.2f} with "
            f"{reference.path}: they do not show the same sky" + (better if slipped else expected)
        )
    return correlation


def coarse_map(values: np.ndarray, nside: int) -> np.ndarray:
    """Mean of a map's valid pixels in each pixel of a lower NSIDE, float64."""
    filled = np.where(np.isfinite(values), values, healpy.UNSEEN)
    coarse = healpy.ud_grade(filled, nside, dtype=np.float64)
    # no equality with UNSEEN, which float32 has rounded
    return np.where(coarse > -UNSEEN_LIMIT, coarse, np.nan)


def _find_table(
    path: Path, hdus: fits.HDUList, wanted: Sequence[str], stated: Stated
) -> fits.BinTableHDU:
    """The one table with all columns `wanted`; FITS does not distinguish upper and lower case."""
    tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
    if not tables:
        raise BadInput(
            f"{path}: no binary table; expected a HEALPix map with columns {', '.join(wanted)}"
        )
    lacking = [
        [name for name in wanted if name.lower() not in map(str.lower, table.columns.names)]
        for table in tables
    ]
    nearest = min(range(len(tables)), key=lambda k: len(lacking[k]))
    if lacking[nearest]:
        raise BadInput(
            f"{path}: column {', '.join(lacking[nearest])} not found "
            f"(columns: {', '.join(tables[nearest].columns.names)})"
            + f"; a column of another name: set {stated.name_key}"
            * bool(stated.name_key)
        )
    if lacking.count([]) > 1:
        names = [hdu.name for hdu, missing in zip(tables, lacking, strict=True) if not missing]
        raise BadInput(
            f"{path}: columns {', '.join(wanted)} in the extensions {', '.join(names)}; expected "
            "one table that has them: write the one that you mean to a file of its own"
        )
    return tables[nearest]


def _check_units(
    path: Path,
    there: Mapping[str, fits.Column],
    columns: Mapping[str, str | None],
    lenient: bool,
    stated: Stated,
) -> None:
    for name, unit in columns.items():
        if unit:
            found = stated.units.get(name) or there[name].unit
            key = stated.unit_key
            hint = f"; a column that is in {unit} all the same: set {key}" * bool(key)
            require_unit(path, f"column {there[name].name}", found, unit, lenient, hint)


def _check_frame(path: Path, header: fits.Header, frame: str, lenient: bool) -> None:
    value = str(header.get("COORDSYS", header.get("SKYCOORD", ""))).strip()
    if not value and lenient:
        return
    if value.upper() not in FRAMES[frame]:
        raise BadInput(
            f"{path}: COORDSYS is {_quoted(value)}; expected {frame} coordinates{SET_KEYWORD}"
        )


def _ordering(path: Path, header: fits.Header) -> str:
    value = str(header.get("ORDERING", "")).strip().upper()
    ordering = "NESTED" if value == "NEST" else value
    if ordering not in ("RING", "NESTED"):
        raise BadInput(
            f"{path}: ORDERING is {_quoted(value)}; expected RING or NESTED{SET_KEYWORD}"
        )
    return ordering


def _nside(path: Path, header: fits.Header) -> int:
    value = header.get("NSIDE")
    nside = _number(value)  # some writers store it as a string
    if not nside >= 1 or not np.log2(nside).is_integer():
        value = "not in the header" if value is None else repr(value)
        raise BadInput(f"{path}: NSIDE is {value}; expected a power of 2{SET_KEYWORD}")
    return int(nside)


def _row_pixels(
    path: Path,
    hdu: fits.BinTableHDU,
    header: fits.Header,
    nside: int,
    names: Sequence[str],
    index: Sequence[str],
) -> np.ndarray | None:
    """Pixel number of each row by the index column; None: the whole sky in pixel order.

    index : the name of that column, or nothing
    """
    n_pixel = healpy.nside2npix(nside)
    sizes = {name: hdu.data[name].size for name in names}
    explicit = str(header.get("INDXSCHM", "")).strip().upper() == "EXPLICIT"
    if not index and (explicit or set(sizes.values()) != {n_pixel}):
        index = [name for name in hdu.columns.names if name.upper() in PIXEL_COLUMNS][:1]
        if explicit and not index:
            raise BadInput(
                f"{path}: INDXSCHM is EXPLICIT, but no column {' or '.join(PIXEL_COLUMNS)} numbers "
                f"the pixels (columns: {', '.join(hdu.columns.names)})"
            )
    rows = np.asarray(hdu.data[index[0]], dtype=np.int64).ravel() if index else None
    expected = n_pixel if rows is None else rows.size
    for name, size in sizes.items():
        if size != expected:
            raise BadInput(
                f"{path}: {size} pixels in column {name}; NSIDE {nside} needs {n_pixel}, or a "
                "column PIXEL that numbers them"
            )
    if rows is None:
        return None
    if not rows.size:
        raise BadInput(f"{path}: column {index[0]} has no rows; expected pixel numbers")
    if not (0 <= rows.min() and rows.max() < n_pixel and np.bincount(rows).max() == 1):
        raise BadInput(
            f"{path}: column {index[0]} runs from {rows.min()} to {rows.max()}; "
            f"expected pixels of NSIDE {nside}, 0 to {n_pixel - 1}, once each"
        )
    return rows


def _read_column(
    column: np.ndarray, out: np.ndarray, rows: np.ndarray | None, nside: int, ordering: str
) -> None:
    """Fill `out` (n_pixel,) in RING order from a column of any row length, chunk by chunk."""
    repeat = column.size // len(column)
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


def _mark_missing(values: np.ndarray, *marks: object) -> None:
    """NaN for UNSEEN, infinity, `BLANKS` and the marks of the header, of which any may be text."""
    with np.errstate(invalid="ignore"):
        values[~(np.abs(values) < UNSEEN_LIMIT)] = np.nan
    values[np.isin(values, BLANKS)] = np.nan
    for mark in marks:
        number = _number(mark)
        if abs(number) < UNSEEN_LIMIT:
            values[np.isclose(values, number, rtol=1e-5, atol=0)] = np.nan


def _number(value: object) -> float:
    """A keyword's value as a number, NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _is_frequent(same: np.ndarray, nside: int) -> np.ndarray | bool:
    """Whether `same` is true in more than `FEW` of the map; else where it is so in a tile."""
    if same.mean() > FEW or nside <= TILE_NSIDE or not same.any():
        return same.mean() > FEW
    share = healpy.ud_grade(same.astype(np.float32), TILE_NSIDE)
    # one pixel is no repetition
    return healpy.ud_grade(share, nside) > max(FEW, 1.5 * (TILE_NSIDE / nside) ** 2)


def _readings(table: HealpixTable, coarse: np.ndarray, nside: int) -> dict[str, np.ndarray]:
    """The map `coarse` of `nside` as it would be where its header or its longitude is wrong."""
    other = "RING" if table.ordering == "NESTED" else "NESTED"
    undo = {"r2n": True} if other == "RING" else {"n2r": True}
    lon, lat = healpy.pix2ang(nside, np.arange(coarse.size), lonlat=True)
    places = {
        "mirrored east-west": (-lon, lat),
        "mirrored north-south": (lon, -lat),
        "turned by 180 deg of longitude": (lon + 180, lat),
        "turned from celestial to Galactic": healpy.Rotator(coord="GC")(lon, lat, lonlat=True),
    }
    return {f"read as {other}": coarse_map(healpy.reorder(table.maps[0], **undo), nside)} | {
        name: coarse[healpy.ang2pix(nside, *place, lonlat=True)] for name, place in places.items()
    }


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of asinh(map / median); NaN where one is constant.

    That is a logarithm where a map is bright, and linear through zero and noise. The mean replaces
    a median of zero.
    """
    valid = np.isfinite(first) & np.isfinite(second)
    sizes = [np.abs(values[valid]) for values in (first, second)]
    if not valid.any() or not all(np.ptp(values[valid]) > 0 for values in (first, second)):
        return np.nan
    scaled = [
        np.arcsinh(values[valid] / (np.median(size) or size.mean()))
        for values, size in zip((first, second), sizes, strict=True)
    ]
    return float(np.corrcoef(*scaled)[0, 1])


def _quoted(value: str) -> str:
    return repr(value) if value else "not in the header"
