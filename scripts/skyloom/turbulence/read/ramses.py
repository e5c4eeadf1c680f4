"""RAMSES outputs (Teyssier 2002, A&A 385, 337): info file, amr and hydro files of every process.

The layout is that of output_amr and output_hydro of RAMSES. The file of a process also holds copies
of its neighbours' grids and, where the box is not periodic, grids of the boundary. They do not
count. A grid of level l has 2^n_dim cells, each 2^-l of the box wide; a cell without a son is a
leaf.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from skyloom.cli import BadInput, require
from skyloom.turbulence.physics import MSUN_G, MYR_S, PC_CM, temperature_k
from skyloom.turbulence.read import units
from skyloom.turbulence.read.descriptor import FILE, PRESSURE, variable_names
from skyloom.turbulence.read.records import Records
from skyloom.turbulence.read.simulation import (
    FACTS,
    Cells,
    Simulation,
    check_density,
    check_velocity,
)

INFO_KEYS = ("ncpu", "ndim", "levelmin", "levelmax", "boxlen", "time", "unit_l", "unit_d", "unit_t")
ISOTHERMAL = (
    0.01  # largest spread of pressure / density over its median; of isothermal gas rounding
)
NAME, INFO = re.compile(r"output_\d{5}"), re.compile(r"info_(\d{5})\.txt")


@dataclass(frozen=True)
class Leaves:
    """Leaf cells in code units: `index`, `level` as in `Cells`, `values` name -> (n,) float64."""

    info: dict[str, float | int]
    index: np.ndarray
    level: np.ndarray
    values: dict[str, np.ndarray]
    remarks: list[str]


def read(path: str | Path, settings: dict) -> Iterator[Simulation]:
    """Yield the one simulation of a RAMSES output in three dimensions.

    path : the folder output_NNNNN
    settings : `mu`; expected `box_pc` and `mass_msun` (None: any); `isothermal` (default true),
        whether isothermal gas without self-gravity is expected. Other physics is a remark, and a
        warning on stderr where it is unexpected.

    Raises BadInput for a file that is missing, cut short or of another output, and for impossible
    box, mass or density.
    """
    leaves = read_leaves(path)
    info, values = leaves.info, leaves.values
    if info["ndim"] != 3:
        raise BadInput(f"{path}: ndim is {info['ndim']}; expected a simulation in three dimensions")
    speed_unit = info["unit_l"] / info["unit_t"] / 1e5  # km/s
    velocity = np.stack([values[f"velocity_{axis}"] for axis in "xyz"], axis=1) * speed_unit
    check_velocity(path, velocity)
    cells = Cells(leaves.index, leaves.level, values["density"] * info["unit_d"], velocity)
    box_cm = info["boxlen"] * info["unit_l"]
    mean_density = float(np.sum(cells.density * cells.volume))
    units.check_size(path, "box_pc", box_cm / PC_CM, settings.get("box_pc"))
    mass = mean_density * box_cm**3 / MSUN_G
    units.check_size(path, "mass_msun", mass, settings.get("mass_msun"))

    squared, least, most = _sound_speed_squared(values)
    isothermal = squared > 0 and most - least <= ISOTHERMAL
    sound_speed = float(np.sqrt(squared)) * speed_unit if isothermal else np.nan
    physics = _other_physics(Path(path), values, least, most)
    if settings.get("isothermal", True) and physics:
        message = f"{'; '.join(physics)}; expected isothermal gas without self-gravity"
        print(f"warning: {path}: {message}", file=sys.stderr)
    facts = {
        "mach": _rms_velocity(cells) / sound_speed,
        "time_myr": info["time"] * info["unit_t"] / MYR_S,
        "steps": info["nstep_coarse"],
    }
    attributes = {
        "mu": settings["mu"],
        "temperature_k": temperature_k(sound_speed, settings["mu"]),
        "sound_speed_kms": sound_speed,
        "scheme": "RAMSES",
    }
    yield Simulation(
        path=Path(path),
        source="ramses",
        data_kind="user-simulation",
        gas=cells,
        box_pc=box_cm / PC_CM,
        mean_density=mean_density,
        facts=FACTS | facts,
        attributes=attributes,
        remarks=tuple(leaves.remarks + physics),
    )


def read_leaves(path: str | Path) -> Leaves:
    """All leaf cells of an output of one to three dimensions, in code units.

    Raises BadInput for a file that is missing, cut short or of another output, and where the leaves
    do not fill the box.
    """
    folder = Path(path)
    present = _files(folder)
    number = _output_number(folder, present)
    info = read_info(present[f"info_{number}.txt"])
    files = _files_of_processes(folder, present, number, info["ncpu"])
    remarks, pieces, names = [], [], None
    for process, (amr_file, hydro_file) in enumerate(files):
        amr, hydro = Records(amr_file), Records(hydro_file)
        grids, first = _read_amr_header(amr, info)
        variables = _read_hydro_header(hydro, info, grids.shape[1])
        if names is None:
            descriptor = present.get(FILE, folder / FILE)
            names, remarks = variable_names(descriptor, variables, info["ndim"])
        pieces += _read_levels(amr, hydro, grids, process, first, variables, info["ndim"])
    if not pieces:
        raise BadInput(f"{path}: no leaf cells in the files of {len(files)} processes")
    index, level, values = (np.concatenate(part, axis=0) for part in zip(*pieces, strict=True))
    filled = float(np.sum(np.ldexp(1.0, -info["ndim"] * level.astype(int))))
    if abs(filled - 1) > 1e-9:  # a sum of powers of two: exact but for cells 30 bits below the box
        raise BadInput(
            f"{path}: leaf cells fill {filled:.6g} of the box; expected 1, all files being of one"
            " output"
        )
    check_density(path, values[:, names.index("density")])
    return Leaves(info, index, level, dict(zip(names, values.T, strict=True)), remarks)


def read_info(path: str | Path) -> dict[str, float | int]:
    """Run parameters and units [cgs] of an info file: of its lines `key = number` `INFO_KEYS`.

    `nstep_coarse` is -1 where it is not stated. Raises BadInput for other than numbers above 0.
    """
    pattern = r"^\s*(\w+)\s*=\s*([^\s!]+)"
    texts = dict(re.findall(pattern, Path(path).read_text(errors="replace"), re.MULTILINE))
    require(texts, INFO_KEYS, path, "key")
    info = {key: _number(texts[key]) for key in INFO_KEYS}
    for key, value in info.items():
        # the time of a cosmological run is below 0
        if not (-np.inf if key == "time" else 0) < value < np.inf:
            raise BadInput(f"{path}: {key} is {texts[key]!r}; expected a number above 0")
    steps = _number(texts.get("nstep_coarse", ""))
    return info | {"nstep_coarse": int(np.nan_to_num(steps, nan=-1))}


def is_output(path: Path) -> bool:
    """Whether a folder is an output, complete or not: it has an info file, or the name of one."""
    return path.is_dir() and bool(NAME.fullmatch(path.name) or _numbers(_files(path)))


def _files(folder: Path) -> dict[str, Path]:
    """The files of an output by name; RAMSES can spread them over folders group_NNNNN."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected an output of RAMSES")
    groups = [group for group in folder.glob("group_[0-9]*") if group.is_dir()]
    return {path.name: path for place in (folder, *groups) for path in place.iterdir()}


def _numbers(names: Iterable[str]) -> list[str]:
    return [match[1] for name in names if (match := INFO.fullmatch(name))]


def _output_number(folder: Path, names: Iterable[str]) -> str:
    """The number of an output, which its files have; the folder may have been renamed."""
    numbers = sorted(_numbers(names))
    if len(numbers) != 1:
        if "info.txt" in names:
            way_out = "an output of mini-RAMSES is not read: write a covering grid of yt"
        else:
            way_out = "expected info_NNNNN.txt of one output of RAMSES"
        raise BadInput(f"{folder}: info files {', '.join(numbers) or 'not found'}; {way_out}")
    return numbers[0]


def _number(text: str) -> float | int:
    """A Fortran number, NaN where the text is none.

    1.0D-22 is one, and 0.1-100: the letter is left out before an exponent of three digits.
    """
    text = re.sub(r"(?<=[\d.])(?=[+-])", "e", text.lower().replace("d", "e"))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return np.nan


def _files_of_processes(
    folder: Path, present: dict[str, Path], number: str, processes: int
) -> list[tuple[Path, Path]]:
    """The amr and the hydro file of each process."""
    names = [
        tuple(f"{kind}_{number}.out{process:05d}" for kind in ("amr", "hydro"))
        for process in range(1, processes + 1)
    ]
    missing = [name for pair in names for name in pair if name not in present]
    if missing:
        raise BadInput(
            f"{folder}: {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''} not found; "
            f"expected amr and hydro files of {processes} processes (ncpu in info_{number}.txt)"
        )
    return [tuple(present[name] for name in pair) for pair in names]


def _read_amr_header(amr: Records, info: dict) -> tuple[np.ndarray, int]:
    """Numbers of grids (level, process or boundary), and the coordinate at which the box begins.

    Coordinates are in coarse cells; boundaries add a coarse cell on either side of the box.
    """
    processes, dimensions = amr.read("i4", 1)[0], amr.read("i4", 1)[0]
    coarse = amr.read("i4", 3)
    levels = int(amr.read("i4", 1)[0])
    if (processes, dimensions, levels) != (info["ncpu"], info["ndim"], info["levelmax"]):
        raise BadInput(
            f"{amr.path}: ncpu, ndim, levelmax are {processes}, {dimensions}, {levels}; "
            f"expected {info['ncpu']}, {info['ndim']}, {info['levelmax']}, as in the info file"
        )
    amr.skip(1)  # largest number of grids
    boundaries = int(amr.read("i4", 1)[0])
    amr.skip(1 + 12)  # current number of grids; box length, times, cosmology
    amr.skip(2)  # ends of the linked lists
    grids = amr.read("i4", levels * processes).reshape(levels, processes)
    amr.skip(1)
    if boundaries:
        amr.skip(2)
        grids = np.hstack([grids, amr.read("i4", levels * boundaries).reshape(levels, boundaries)])
    amr.skip(1)  # free memory
    ordering = amr.read("u1").tobytes().decode("ascii", "replace").strip()
    amr.skip(5 if ordering == "bisection" else 1)  # which process has which part of the box
    amr.skip(3)  # coarse cells
    first = coarse[:dimensions] // 2
    if len(set(first)) > 1 or coarse.max() > 3:
        message = f"nx, ny, nz are {coarse}; expected a cubic box of one coarse cell"
        raise BadInput(f"{amr.path}: {message}")
    return grids, int(first[0])


def _read_hydro_header(hydro: Records, info: dict, domains: int) -> int:
    """The number of variables."""
    processes, variables, dimensions, levels, boundaries = (
        int(hydro.read("i4", 1)[0]) for _ in range(5)
    )
    hydro.skip(1)  # ratio of specific heats
    expected = info["ncpu"], info["ndim"], info["levelmax"], domains - info["ncpu"]
    if (processes, dimensions, levels, boundaries) != expected:
        raise BadInput(
            f"{hydro.path}: ncpu, ndim, levelmax, nboundary are {processes}, {dimensions}, "
            f"{levels}, {boundaries}; expected {', '.join(map(str, expected))}, as in the amr file"
        )
    return variables


def _read_levels(
    amr: Records,
    hydro: Records,
    grids: np.ndarray,
    process: int,
    first: int,
    variables: int,
    dimensions: int,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """[(index, level, values)] of the leaves of one process, level by level.

    Reads both files to their last byte.
    """
    cells, pieces = 2**dimensions, []
    for level, domains in enumerate(grids, start=1):
        for domain, count in enumerate(map(int, domains)):
            _check_grid_count(hydro, level, count)
            if count == 0:
                continue
            amr.pass_block("i4", 3, count)  # numbers: the grid's, the next, the previous
            place, real = amr.real(count), hydro.real(count)
            if domain != process:
                amr.pass_block(place, dimensions, count)
                amr.pass_block("i4", 1 + 2 * dimensions + 3 * cells, count)
                hydro.pass_block(real, cells * variables, count)
                continue
            centre = amr.block(place, (dimensions,), count)
            amr.pass_block("i4", 1 + 2 * dimensions, count)  # father and neighbours
            leaf = amr.block("i4", (cells,), count) == 0
            amr.pass_block("i4", 2 * cells, count)  # process and refinement of each cell
            values = hydro.block(real, (cells, variables), count).astype(np.float64)

            father = np.floor((centre - first) * 2 ** (level - 1))  # (dimensions, count)
            # x varies fastest
            corner = np.arange(cells) >> np.arange(dimensions)[:, None] & 1  # (dimensions, cells)
            index = 2 * father.astype(np.int32)[:, None, :] + corner[:, :, None]
            index = index[:, leaf].T.astype(np.int32)
            if index.size and (index.min() < 0 or index.max() >= 2**level):
                message = f"grids of level {level} lie outside the box; expected one cubic box"
                raise BadInput(f"{amr.path}: {message}")
            levels = np.full(len(index), level, np.int8)
            pieces.append((index, levels, values.transpose(0, 2, 1)[leaf]))
    amr.end()
    hydro.end()
    return pieces


def _check_grid_count(hydro: Records, level: int, count: int) -> None:
    header = int(hydro.read("i4", 1)[0]), int(hydro.read("i4", 1)[0])
    if header != (level, count):
        raise BadInput(
            f"{hydro.path}: level {header[0]} with {header[1]} grids; "
            f"expected level {level} with {count}, as in the amr file: files of one output?"
        )


def _sound_speed_squared(values: dict[str, np.ndarray]) -> tuple[float, float, float]:
    """Median of pressure / density [code units], least and largest value over it; NaN: unknown."""
    name = next((name for name in PRESSURE if name in values), None)
    if name is None:
        return np.nan, np.nan, np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = values[name] / values["density"]
        median = np.median(squared)
        return float(median), float(squared.min() / median), float(squared.max() / median)


def _other_physics(
    folder: Path, values: dict[str, np.ndarray], least: float, most: float
) -> list[str]:
    """Remarks on physics beyond isothermal gas without self-gravity."""
    remarks = []
    if not np.isfinite(most - least):
        remarks.append("isothermal or not is unknown: no pressure, or cells without density")
    elif most - least > ISOTHERMAL:
        ratio = f"{least:.4g} to {most:.4g} times its median"
        remarks.append(f"not isothermal: pressure / density is {ratio}")
    files = _files(folder)
    namelist = files.get("namelist.txt")
    lines = namelist.read_text(errors="replace").splitlines() if namelist else []
    switched_on = any(
        re.search(r"\bpoisson\s*=\s*\.t", line.split("!")[0], re.IGNORECASE) for line in lines
    )
    if switched_on or any(fnmatch(name, "grav_*.out*") for name in files):
        remarks.append("self-gravitating")
    if any(name.startswith("B_") for name in values):
        remarks.append("magnetic")
    return remarks


def _rms_velocity(cells: Cells) -> float:
    """3D rms velocity [km/s] about the mean, weighted by volume as of a Gaussian initial field."""
    weight = cells.volume[:, None]
    mean = np.sum(weight * cells.velocity, axis=0)
    return float(np.sqrt(np.sum(weight * (cells.velocity - mean) ** 2)))
