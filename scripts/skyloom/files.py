"""Files that pass from rule to rule: netCDF, JSON and CSV. A broken one is refused by its name."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import netCDF4

from skyloom.cli import BadInput, require

# both take a second to import, and training needs neither
if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

AGAIN = "make or fetch it again"


@contextlib.contextmanager
def open_dataset(path: str | Path, **options) -> Iterator[xr.Dataset]:
    """A netCDF-4 file, as `xarray.open_dataset` with these options opens it.

    Values are read late. Where reading them fails in the body, BadInput names the broken file.
    """
    import xarray as xr

    check_netcdf(path)
    try:
        with xr.open_dataset(path, engine="netcdf4", **options) as file:
            yield file
    except BadInput:
        raise
    except Exception:
        # an error of the body is not an error of the file
        _refuse_damage(path)
        raise


def load_dataset(path: str | Path, **options) -> xr.Dataset:
    """The whole of a netCDF-4 file in memory."""
    with open_dataset(path, **options) as file:
        return file.load()


def check_netcdf(path: str | Path) -> None:
    """Refuse a file that is no netCDF-4, or is shorter than its header states."""
    path = _existing(path, "a netCDF-4 file")
    with open(path, "rb") as file:
        head = file.read(48)
    if head[:3] == b"CDF":
        raise BadInput(
            f"{path}: this is netCDF-3; expected netCDF-4 (convert it: nccopy -k nc4 OLD NEW)"
        )
    if head[:8] != b"\x89HDF\r\n\x1a\n":
        raise BadInput(f"{path}: begins with {head[:8]!r}; expected a netCDF-4 file")
    # The superblock of HDF5 holds the end of the file, at a position that depends on its version.
    field = slice(40, 48) if head[8] < 2 else slice(28, 36)
    expected, size = int.from_bytes(head[field], "little"), path.stat().st_size
    if size < expected:
        raise BadInput(f"{path}: cut short, {size} bytes found, {expected} bytes expected; {AGAIN}")


def read_json(path: str | Path, keys: Iterable[str] = ()) -> dict:
    """The table of a JSON file, with these keys at least."""
    text = _text(path, "a JSON file")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadInput(f"{path}: no JSON at {place} ({error.msg}); cut short? {AGAIN}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: a {type(content).__name__} found; expected a JSON object")
    require(content, keys, path, "key")
    return content


def read_csv(
    path: str | Path, columns: Iterable[str] = (), numbers: Iterable[str] = (), **options
) -> pd.DataFrame:
    """A CSV file with these columns, as `pandas.read_csv` with these options reads it.

    numbers : those of the columns in which every value must be a number
    """
    import pandas as pd

    text = _text(path, "a CSV file")
    if not text.endswith("\n"):
        raise BadInput(f"{path}: the last line has no end; cut short? {AGAIN}")
    try:
        table = pd.read_csv(io.StringIO(text), **options)
    except ValueError as error:
        raise BadInput(f"{path}: no CSV ({error}); {AGAIN}") from None
    require(table, [*columns, *numbers], path, "column")
    for name in numbers:
        wrong = pd.to_numeric(table[name], errors="coerce").isna()
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            value = table[name].iloc[row]
            raise BadInput(f"{path}: row {row + 1}: {name} is {value!r}; expected a number")
    return table


def read_parquet(path: str | Path) -> pd.DataFrame:
    """A parquet file. It needs a large package, which no other part of the workflow uses."""
    import pandas as pd

    path = _existing(path, "a parquet file")
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise BadInput(
            f"{path}: parquet needs the package pyarrow: pip install pyarrow, or convert the file"
        ) from None
    except Exception as error:
        raise BadInput(f"{path}: parquet cut short or damaged: {error}; {AGAIN}") from None


def _existing(path: str | Path, expected: str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected {expected}")
    return path


def _text(path: str | Path, expected: str) -> str:
    """The text of a file, which is not empty."""
    try:
        text = _existing(path, expected).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: no UTF-8 text ({error}); expected {expected}") from None
    if not text.strip():
        raise BadInput(f"{path}: empty; expected {expected}")
    return text


def _refuse_damage(path: str | Path) -> None:
    """Raise BadInput where some value of a netCDF-4 file cannot be read."""
    try:
        with netCDF4.Dataset(path) as file:
            for variable in file.variables.values():
                variable[...]
    except Exception as error:
        raise BadInput(
            f"{path}: damaged ({error}); expected a netCDF-4 file that is whole; {AGAIN}"
        ) from None
