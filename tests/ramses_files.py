"""Small RAMSES outputs, written record by record as RAMSES' own output routines do, and octrees to
put into them.
"""

from pathlib import Path

import numpy as np

NAMES = ["density", "velocity_x", "velocity_y", "velocity_z", "pressure"]
# in copies of other processes' grids and in grids of the boundary, which a reader must leave alone
GARBAGE = -1e30
# 10 pc, mean density, 1 Myr
UNITS = {"unit_l": 3.0856775814913674e19, "unit_d": 6.77e-22, "unit_t": 3.15576e13}


def octree(
    levels: int, dimensions: int = 3, seed: int = 0, variables: int = 5
) -> tuple[list, list]:
    """(refined, values) of the cells of each level l = 0 ... levels: bool (2^l, ...) and float
    (variable, 2^l, ...).

    The first level is refined everywhere, the last nowhere, those between at random. Index order is
    x, y, z. The velocity is of order 1; the pressure is that of a sound speed of 0.2 in code units,
    isothermal.
    """
    rng = np.random.default_rng(seed)
    refined, values = [], []
    inside = np.ones((1,) * dimensions, dtype=bool)
    for level in range(levels + 1):
        share = 1.0 if level < 2 else 0.4 if level < levels else 0.0
        refined.append(inside & (rng.random(inside.shape) < share))
        cells = rng.standard_normal((variables, *inside.shape))
        cells[0] = rng.uniform(0.5, 2.0, inside.shape)
        cells[dimensions + 1] = 0.04 * cells[0]
        values.append(cells)
        inside = _enlarge(refined[-1])
    return refined, values


def uniform_grid(refined: list, values: list, variable: int) -> np.ndarray:
    """The variable on the grid of the finest level (x, y, z): each leaf's value in all of the cells
    that it covers.
    """
    grid, exists = values[0][variable], np.ones_like(refined[0])
    for level in range(1, len(refined)):
        grid, exists = _enlarge(grid), _enlarge(refined[level - 1] & exists)
        grid = np.where(exists, values[level][variable], grid)
    return grid


def leaf_count(refined: list) -> int:
    """Each refinement replaces one cell by 2^dimensions."""
    return 1 + sum(int(cells.sum()) for cells in refined) * (2 ** refined[0].ndim - 1)


def write_output(
    folder: Path,
    tree: tuple[list, list],
    *,
    processes: int = 1,
    boundaries: bool = False,
    descriptor: str | None = "new",
    names: list[str] | None = None,
    ordering: str = "hilbert",
    real: str = "f8",
    place: str | None = None,
    marker: str = "<i4",
    info: dict | None = None,
) -> Path:
    """Write output 7 below `folder`; returns its own folder.

    real, place : types of the reals in hydro and in amr files; place None: as `real`
    marker : type of the lengths of records, of the byte order of all values

    descriptor : "new", "old", None for no file, or the text of the file
    boundaries : walls all around, which put one more coarse cell on each side of the box
    """
    refined, values = tree
    dimensions, levels = refined[0].ndim, len(refined)  # one level more than there are grids of
    variables = len(values[0])
    names = names or [NAMES[0], *NAMES[1 : 1 + dimensions], NAMES[4]]
    names = names + [f"scalar_{k:02d}" for k in range(variables - len(names))]
    output = folder / "output_00007"
    output.mkdir(parents=True)
    facts = {
        "ncpu": processes,
        "ndim": dimensions,
        "levelmin": 1,
        "levelmax": levels,
        "nstep_coarse": 42,
    }
    facts |= {"boxlen": 1.0, "time": 0.5, **UNITS, **(info or {})}
    lines = [
        f"{key:<12}={value:>11d}" if isinstance(value, int) else f"{key:<12}={value:23.15E}"
        for key, value in facts.items()
    ]
    (output / "info_00007.txt").write_text(
        "\n".join([*lines, "", f"ordering type={ordering:<80}", " 1 0.0 1.0"]) + "\n"
    )
    forms = {
        "new": "\n".join(
            ["# version:  1", "# ivar, variable_name, variable_type"]
            + [f"{k:3d}, {name}, d" for k, name in enumerate(names, 1)]
        ),
        "old": "\n".join(
            [f"nvar        ={variables:11d}"]
            + [f"variable #{k:2d}: {name}" for k, name in enumerate(names, 1)]
        ),
    }
    if descriptor is not None:
        (output / "hydro_file_descriptor.txt").write_text(forms.get(descriptor, descriptor) + "\n")
    for process in range(processes):
        types = (place or real, real)
        parts = _files_of_process(tree, process, processes, boundaries, ordering, types, levels)
        for kind, records in zip(("amr", "hydro"), parts, strict=True):
            content = b"".join(_record(values, marker) for values in records)
            (output / f"{kind}_00007.out{process + 1:05d}").write_bytes(content)
    return output


def _files_of_process(
    tree, process, processes, boundaries, ordering, types, levels
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Values of the records of the amr and of the hydro file."""
    place, real = types
    refined, values = tree
    dimensions, variables = refined[0].ndim, len(values[0])
    walls = 2 * dimensions if boundaries else 0
    coarse = [3 if boundaries and axis < dimensions else 1 for axis in range(3)]
    grids = [[np.empty((0, dimensions), int)] * (processes + walls) for _ in range(levels)]
    for level in range(1, len(refined)):
        parents = np.argwhere(refined[level - 1])
        grids[level - 1] = [*np.array_split(parents, processes)] + [parents[:1] - 1] * walls
    count = np.array([[len(parents) for parents in row] for row in grids], dtype="i4")

    def ints(*numbers) -> np.ndarray:
        return np.array(numbers, dtype="i4")

    def reals(number: int) -> np.ndarray:
        return np.zeros(number)

    amr = [
        ints(processes),
        ints(dimensions),
        ints(*coarse),
        ints(levels),
        ints(1000),
        ints(walls),
        ints(count.sum()),
    ]
    amr += [
        reals(1),
        ints(2, 1, 1),
        reals(2),
        reals(2),
        reals(1),
        reals(levels),
        reals(levels),
        ints(42, 42),
    ]
    amr += [reals(3), reals(7), reals(5), reals(1)]
    amr += [count[:, :processes] * 0] * 2 + [count[:, :processes], ints(*[0] * 10 * levels)]
    if walls:
        amr += [count[:, processes:] * 0] * 2 + [count[:, processes:]]
    amr += [ints(*[0] * 5), np.frombuffer(f"{ordering:<128}".encode(), np.uint8)]
    amr += (
        [reals(3), ints(1, 2), ints(1), reals(3), reals(3)]
        if ordering == "bisection"
        else [reals(processes + 1)]
    )
    amr += [ints(*[1] * int(np.prod(coarse)))] * 3
    hydro = [
        ints(processes),
        ints(variables),
        ints(dimensions),
        ints(levels),
        ints(walls),
        reals(1),
    ]
    for level, row in enumerate(grids, start=1):
        for domain, parents in enumerate(row):
            hydro += [ints(level), ints(len(parents))]
            if not len(parents):
                continue
            own = domain == process
            amr += [np.arange(len(parents), dtype="i4")] * 3
            centres = (parents + 0.5) / 2 ** (level - 1) + coarse[0] // 2
            amr += list(centres.T.astype(place))
            amr += [np.zeros(len(parents), "i4")] * (1 + 2 * dimensions)
            sons, cells = [], []
            for corner in range(2**dimensions):
                bits = [corner >> axis & 1 for axis in range(dimensions)]
                where = tuple((2 * parents + bits).T)
                sons.append(refined[level][where] if own else np.zeros(len(parents)))
                for variable in values[level]:
                    cells.append(variable[where] if own else np.full(len(parents), GARBAGE))
            amr += [part.astype("i4") for part in sons]
            amr += [np.zeros(len(parents), "i4")] * 2 * 2**dimensions
            hydro += [part.astype(real) for part in cells]
    return amr, hydro


def _record(values: np.ndarray, marker: str) -> bytes:
    order = np.dtype(marker).byteorder
    payload = values.astype(values.dtype.newbyteorder(order)).tobytes()
    length = np.array(len(payload), marker).tobytes()
    return length + payload + length


def _enlarge(cells: np.ndarray) -> np.ndarray:
    for axis in range(cells.ndim):
        cells = cells.repeat(2, axis)
    return cells
