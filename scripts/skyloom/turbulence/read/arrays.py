"""Files of arrays, HDF5, FITS or numpy: opened by their first bytes, with what they state."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import astropy.units as u
import h5py
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from skyloom import images
from skyloom.cli import BadInput, require
from skyloom.turbulence.read.units import text_of

EXPECTED = "a cube of density (HDF5, FITS, .npy or .npz)"
COVERING_GRID = "write a covering grid of yt: ds.covering_grid(...).save_as_dataset(...)"
UNIT_NAMES = "units", "unit"  # attributes of an HDF5 data set
FACTS = "box", "time", "data_kind"  # attributes of an HDF5 file, texts in a .npz
# name of a group, a data set or an attribute -> the code that writes it, as blocks or particles
NO_GRID = {
    "RootGridSize": "Athena++",
    "refine level": "FLASH",
    "Grid00000001": "Enzo",
    "level_0": "Chombo",
    "GridData": "GAMER",
    "PartType0": "GADGET, GIZMO or AREPO",
}
AXES = 1, 2, 3  # of a FITS image
SAME = 1e-6  # largest relative difference between the sides of a cell


class Array(NamedTuple):
    """An array of a file.

    data : of an open file, indexed as a numpy array
    axes : names of its axes in the order of its indices, such as "zyx"; empty without names
    """

    data: h5py.Dataset | fits.hdu.image.Section | np.ndarray
    unit: str = ""
    axes: str = ""


class Contents(NamedTuple):
    """What an open file has: arrays by name, `FACTS` by name.

    standard : order of axes without a name by the standard of the format, empty without one
    code : that writes such a file as blocks or particles, empty for a uniform grid
    """

    path: Path
    arrays: dict[str, Array]
    facts: dict[str, str]
    standard: str = ""
    code: str = ""


def opened(path: str | Path) -> AbstractContextManager[Contents]:
    """The contents of a file, whatever its name.

    Raises BadInput for a file that is missing, cut short or of another format, and for a FITS cube
    of position and velocity.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected {EXPECTED}")
    with open(path, "rb") as file:
        head = file.read(16)
    opener = next((OPENERS[magic] for magic in OPENERS if head.startswith(magic)), None)
    if opener:
        return opener(path)
    raise BadInput(
        f"{path}: begins with {head!r}{'' if head else ' (cut short)'}; expected {EXPECTED}:"
        f" {COVERING_GRID}, or a .npz"
    )


def full_name(contents: Contents, name: str) -> str:
    """The name of an array with its group; `name` may lack the group, and differ in case."""
    ends = {full: (full, full.lower(), full.lower().rpartition("/")[2]) for full in contents.arrays}
    for wanted, k in ((name, 0), (name.lower(), 1), (name.lower(), 2)):
        matches = [full for full, end in ends.items() if end[k] == wanted]
        if len(matches) == 1:
            return matches[0]
        if matches:
            refuse(contents, f"{name} is in {', '.join(matches)}", "one, named in the config")
    if contents.code:
        refuse(contents, f"no array {name}", "a uniform grid")
    require(contents.arrays, [name], contents.path, "cube")


def read_cube(contents: Contents, name: str, order: str) -> np.ndarray:
    """An array (z, y, x) float64; `order` are the axes of its indices, as "xyz".

    Raises BadInput where it is no cube of n x n x n cells, or cut short.
    """
    data = contents.arrays[name].data
    try:
        values = np.squeeze(np.array(data[...], dtype=np.float64))
    except images.UNREADABLE as error:
        raise BadInput(f"{contents.path}: {name} is not readable ({error}); cut short?") from None
    if values.ndim != 3 or len(set(values.shape)) != 1:
        refuse(contents, f"{name} has shape {data.shape}", "a cube of n x n x n cells")
    return np.ascontiguousarray(values.transpose([order.index(axis) for axis in "zyx"]))


def order_of_axes(contents: Contents, name: str) -> str:
    """The axes of an array's indices, by their names or by coordinates x, y, z of each cell.

    Empty where the file has neither.
    """
    array, group = contents.arrays[name], name[: name.rfind("/") + 1]
    order = array.axes
    grids = {axis: contents.arrays.get(group + axis) for axis in "xyz"}
    if not order and all(grid and grid.data.shape == array.data.shape for grid in grids.values()):
        for step in np.eye(array.data.ndim, dtype=int):
            order += "".join(
                axis
                for axis, grid in grids.items()
                if grid.data[tuple(step)] != grid.data[tuple(0 * step)]
            )
    return order if sorted(order) == sorted("xyz") else ""


def refuse(contents: Contents, content: str, expected: str) -> NoReturn:
    """Raise BadInput, with the way out of blocks and particles."""
    code = f" ({contents.code} writes no uniform grid: {COVERING_GRID})" if contents.code else ""
    raise BadInput(f"{contents.path}: {content}; expected {expected}{code}")


@contextmanager
def _hdf5(path: Path) -> Iterator[Contents]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise BadInput(f"{path}: not a readable HDF5 file ({error}); cut short?") from None
    with file:
        # of links only those at the top: a link may lead back to its own group
        names: list[str] = [*file]
        file.visit(names.append)
        items = {name: file.get(name) for name in names}
        arrays = {
            name: Array(item, _hdf5_unit(item), "".join(map(_dimension, item.dims)))
            for name, item in items.items()
            if isinstance(item, h5py.Dataset)
        }
        facts = {key: text_of(file.attrs[key]) for key in FACTS if key in file.attrs}
        yield Contents(path, arrays, facts, code=_code([*file, *file.attrs]))


def _hdf5_unit(item: h5py.Dataset) -> str:
    return text_of(next((item.attrs[key] for key in UNIT_NAMES if key in item.attrs), ""))


def _dimension(dimension) -> str:
    """The name of a dimension, by its label or, as of netCDF, by its scale."""
    name = dimension.label or (dimension[0].name if len(dimension) else "")
    return name.rpartition("/")[2].lower()


def _code(names: list[str]) -> str:
    return next((code for name, code in NO_GRID.items() if name in names), "")


@contextmanager
def _numpy(path: Path) -> Iterator[Contents]:
    try:
        loaded = np.load(path, mmap_mode="r")
        items = {"density": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: not a readable numpy file ({error}); cut short?") from None
    facts = {key: text_of(items[key]) for key in FACTS if key in items}
    yield Contents(path, {name: Array(item) for name, item in items.items()}, facts)


@contextmanager
def _fits(path: Path) -> Iterator[Contents]:
    """Images of three axes, errors left out, and the box of the first by its cells."""
    with images.opened(path, EXPECTED) as hdus:
        shapes = {k: hdu.shape for k, hdu in enumerate(hdus) if hdu.is_image and hdu.shape}
        cubes = [hdus[k] for k, shape in shapes.items() if sum(n > 1 for n in shape) == 3]
        cubes = {
            hdu.name.lower() or str(k): hdu
            for k, hdu in enumerate(cubes)
            if not images.is_error(hdu.name)
        }
        if not cubes:
            found = ", ".join(map(str, shapes.values())) or "none"
            message = f"images of shape {found}; expected {EXPECTED}"
            raise BadInput(f"{path}: {message} (a map is read by source: maps)")
        header = next(iter(cubes.values())).header
        facts = {"box": _fits_box(path, header), "data_kind": str(header.get("SKYKIND", ""))}
        arrays = {
            name: Array(
                hdu.section,
                text_of(hdu.header.get("BUNIT", "")),
                "".join(str(hdu.header.get(f"CTYPE{k}", "")).strip().lower() for k in (3, 2, 1)),
            )
            for name, hdu in cubes.items()
        }
        yield Contents(path, arrays, {k: v for k, v in facts.items() if v}, standard="zyx")


def _fits_box(path: Path, header: fits.Header) -> str:
    """Width of the box as text: cells along an axis times their side (CDELT, PC or CD matrix).

    Raises BadInput for an axis on the sky or of velocity, and for cells that are no cubes.
    """
    try:
        wcs = WCS(header, naxis=3)
    except ValueError as error:
        raise BadInput(f"{path}: coordinates of the cube are not readable: {error}") from None
    axes = [[str(header.get(f"{key}{k}", "")).strip() for key in ("CTYPE", "CUNIT")] for k in AXES]
    units = [u.Unit(unit, parse_strict="silent") for _, unit in axes]
    spectral = any(unit.is_equivalent(other) for unit in units for other in ("m/s", "Hz"))
    if wcs.has_celestial or wcs.has_spectral or spectral:
        message = f"axes are {', '.join(' '.join(axis).strip() or 'unnamed' for axis in axes)}"
        raise BadInput(
            f"{path}: {message}, a cube of position and velocity; expected density in space:"
            " integrate it over velocity, and read it by source: maps"
        )
    sides = proj_plane_pixel_scales(wcs)
    if len({unit for _, unit in axes}) > 1 or not sides.max() <= sides.min() * (1 + SAME):
        cell = ", ".join(f"{side:.10g} {unit}" for side, (_, unit) in zip(sides, axes, strict=True))
        raise BadInput(f"{path}: sides of a cell are {cell}; expected cubes")
    return f"{float(sides[0]) * header['NAXIS1']!r} {axes[0][1]}".strip()


# first bytes -> reader
OPENERS: dict[bytes, Callable[[Path], AbstractContextManager[Contents]]] = {
    b"\x89HDF": _hdf5,
    b"\x93NUMPY": _numpy,
    b"PK\x03\x04": _numpy,
    **dict.fromkeys((images.FITS_BEGINS, *images.COMPRESSED), _fits),
}
