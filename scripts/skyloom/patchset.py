"""The container that passes from stage to stage: a netCDF-4 file that numpy can map.

A netCDF-4 file is an HDF5 file, and HDF5 stores an array without chunks and compression as one run
of bytes. `PatchSet` reads the start of that run from HDF5 and maps it, which is as fast as a `.npy`
file. An array of another layout (an archived, compressed copy) is read into memory as a whole. This
is slower and gives the same values.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import netCDF4
import numpy as np

from skyloom.cli import BadInput, atomic, require
from skyloom.files import check_netcdf

# xarray takes a second to import, and training does not need it
if TYPE_CHECKING:
    import xarray as xr

PAGE_BYTES = 4096
SPLITS = {"train": 0, "valid": 1, "test": 2}  # values of the coordinate `split`
ALIGN_FROM_BYTES = 65536  # smaller arrays are not aligned


def write(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a patch set atomically: numeric arrays contiguous, page-aligned, in native byte order.

    Where a variable has the dimension `example`, it must come first: BadInput otherwise.
    """
    for name, variable in dataset.variables.items():
        if "example" in variable.dims[1:]:
            raise BadInput(
                f"{path}: variable {name} has dimensions {variable.dims}; expected 'example' first"
            )
    # the layout of a chunked or compressed source must not be kept
    dataset = dataset.drop_encoding()
    dataset = dataset.map(_native, keep_attrs=True).assign_coords(
        {k: _native(v) for k, v in dataset.coords.items()}
    )
    encoding = {
        name: {"contiguous": True, "_FillValue": None}
        for name, v in dataset.variables.items()
        if v.dtype.kind in "fiub"
    }
    with atomic(path) as part, aligned():
        dataset.to_netcdf(part, engine="netcdf4", format="NETCDF4", encoding=encoding)


def merge(shards: list[str | Path], path: str | Path, dim: str = "example") -> None:
    """Join shards along their first dimension `dim`, in order. One shard is in memory at a time.

    Attributes, and variables without `dim`, are those of the first shard. Raises BadInput where the
    variables of a shard differ.
    """
    sizes = [_check_against(shards[0], shard, dim) for shard in shards]
    with atomic(path) as part, aligned(), netCDF4.Dataset(part, "w") as out:
        # every value is written below; a fill would double the work
        out.set_fill_off()
        row = 0
        for shard, size in zip(shards, sizes, strict=True):
            with netCDF4.Dataset(shard) as file:
                file.set_auto_maskandscale(False)
                if shard is shards[0]:
                    _define_like(out, file, dim, sum(sizes))
                for name, variable in file.variables.items():
                    if dim in variable.dimensions:
                        out[name][row : row + size] = variable[:]
                    elif shard is shards[0]:
                        out[name][...] = variable[...]
            row += size


@contextlib.contextmanager
def aligned() -> Iterator[None]:
    """Start large arrays at a page; netCDF-C otherwise packs them at any byte, even an odd one."""
    before = netCDF4.get_alignment()
    netCDF4.set_alignment(ALIGN_FROM_BYTES, PAGE_BYTES)
    try:
        yield
    finally:
        # the initial alignment reads (0, 0), and setting 0 makes every later open fail
        netCDF4.set_alignment(before[0], max(before[1], 1))


def flags(names: Iterable[str], dtype: type = np.int8) -> dict:
    """CF attributes of a variable whose values 0, 1, ... have these names."""
    names = list(names)
    return {"flag_values": np.arange(len(names), dtype=dtype), "flag_meanings": " ".join(names)}


def flag_names(variable: xr.DataArray) -> dict[int, str]:
    """CF flags of a variable such as `split`: {value: meaning}."""
    meanings = variable.attrs["flag_meanings"].split()
    return dict(zip(map(int, np.atleast_1d(variable.attrs["flag_values"])), meanings, strict=True))


class PatchSet:
    """A patch set, opened for reading.

    `attrs` are the attributes of the file. `coords` are the coordinates of each example, {name:
    (example,) array}: tile, split, position. `len()` is the number of examples. Raises BadInput for
    files that are no patch set.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        check_netcdf(self.path)
        with netCDF4.Dataset(self.path) as file:
            file.set_auto_mask(False)
            self.attrs = _plain(file)
            self.coords = {
                name: v[:] for name, v in file.variables.items() if v.dimensions == ("example",)
            }
            self.variables = list(file.variables)
            self._length = len(file.dimensions["example"]) if "example" in file.dimensions else 0
            self._attrs_of = {name: _plain(variable) for name, variable in file.variables.items()}
        self._arrays: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return self._length

    def attrs_of(self, name: str) -> dict:
        """Attributes of a variable as plain Python: units, normalisation constants."""
        self._must_have(name)
        return self._attrs_of[name]

    def array(self, name: str) -> np.ndarray:
        """The whole variable as a read-only map of the file.

        Index it with an array to read a batch.
        """
        self._must_have(name)
        # mapped at first use, so that each worker process has its own map
        if name not in self._arrays:
            self._arrays[name] = self._map(name)
        return self._arrays[name]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_arrays": {}}

    def _must_have(self, name: str) -> None:
        require(self.variables, [name], self.path, "variable")

    def _map(self, name: str) -> np.ndarray:
        if {"scale_factor", "add_offset"} & set(self._attrs_of[name]):
            raise BadInput(
                f"{self.path}: variable {name} is packed (scale_factor, add_offset); expected "
                "plain floats"
            )
        with h5py.File(self.path, "r") as file:
            variable = file[name]
            # the offset is None where the array is chunked, compressed, empty or never written
            start = variable.id.get_offset()
            if start is not None and variable.external is None and variable.dtype.isnative:
                return np.memmap(self.path, variable.dtype, "r", start, variable.shape)
            values = variable[()]
            return values.astype(values.dtype.newbyteorder("="), copy=False)


def _native(array: xr.DataArray) -> xr.DataArray:
    """An array in native byte order: torch refuses the other one, which FITS files have."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _check_against(first: str | Path, shard: str | Path, dim: str) -> int:
    """Number of examples of a shard. Refuses a shard whose layout differs from the first."""
    check_netcdf(shard)
    layout, expected = _layout(shard, dim), _layout(first, dim)
    for name in expected.keys() | layout.keys():
        if layout.get(name) != expected.get(name):
            raise BadInput(
                f"{shard}: variable {name} is {layout.get(name, 'missing')}; expected "
                f"{expected.get(name, 'none')}, as in {first}"
            )
    with netCDF4.Dataset(shard) as file:
        return len(file.dimensions[dim])


def _layout(path: str | Path, dim: str) -> dict[str, tuple]:
    with netCDF4.Dataset(path) as file:
        require(file.dimensions, [dim], path, "dimension")
        sizes = {
            name: None if name == dim else len(dimension)
            for name, dimension in file.dimensions.items()
        }
        return {
            name: (str(variable.dtype), tuple((d, sizes[d]) for d in variable.dimensions))
            for name, variable in file.variables.items()
        }


def _define_like(out: netCDF4.Dataset, file: netCDF4.Dataset, dim: str, length: int) -> None:
    out.setncatts({name: file.getncattr(name) for name in file.ncattrs()})
    for name, dimension in file.dimensions.items():
        out.createDimension(name, length if name == dim else len(dimension))
    for name, variable in file.variables.items():
        new = out.createVariable(
            name, variable.dtype, variable.dimensions, contiguous=variable.dtype is not str
        )
        new.setncatts({key: variable.getncattr(key) for key in variable.ncattrs()})
    out.set_auto_maskandscale(False)


def _plain(item: netCDF4.Dataset | netCDF4.Variable) -> dict:
    """Attributes as plain Python, which a checkpoint can hold."""
    values = {name: item.getncattr(name) for name in item.ncattrs()}
    return {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in values.items()
    }


if sys.byteorder != "little":
    raise ImportError("patch sets are read on little-endian machines only")
