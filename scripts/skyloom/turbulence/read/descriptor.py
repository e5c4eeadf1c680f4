"""Names of the variables in the hydro files of a RAMSES output, with or without a descriptor."""

import re
from pathlib import Path

from skyloom.cli import BadInput, require

FILE = "hydro_file_descriptor.txt"
MHD_VARIABLES = 11  # density, velocity, two faces of the magnetic field, pressure
PRESSURE = ("pressure", "thermal_pressure")  # since 2017 and before

# " 1, density, d", and until 2017 "variable # 1: density"
VERSIONED = re.compile(r"\s*(\d+)\s*,\s*([^,]+?)\s*,\s*\w+\s*$")
NUMBERED = re.compile(r"\s*variable\s*#\s*(\d+)\s*:\s*(\S+)\s*$")


def variable_names(path: Path, variables: int, dimensions: int) -> tuple[list[str], list[str]]:
    """Names of the `variables` in the order of the file, and remarks.

    path : the descriptor, which need not exist

    Without a descriptor the order is that of the hydro solver: density, velocity, pressure, then
    scalars. The magnetic solver writes density and velocity first, too; with as many variables as
    it writes the place of the pressure is unknown. Raises BadInput for a descriptor of another form
    or length, or without density or velocity.
    """
    velocity = [f"velocity_{axis}" for axis in "xyz"[:dimensions]]
    if not path.exists():
        if variables < dimensions + 2:
            message = f"no such file, and {variables} variables; expected {dimensions + 2} or more"
            raise BadInput(f"{path}: {message}")
        names = ["density", *velocity, "unknown_00" if variables >= MHD_VARIABLES else "pressure"]
        names += [f"scalar_{k:02d}" for k in range(variables - len(names))]
        return names, [f"no {FILE}: variables taken for {', '.join(names)}"]
    names = _parse(path)
    if len(names) != variables:
        message = f"{len(names)} variables; expected {variables}, as in the hydro files"
        raise BadInput(f"{path}: {message}")
    require(names, ["density", *velocity], path, "variable")
    return names, []


def _parse(path: Path) -> list[str]:
    lines = path.read_text(errors="replace").splitlines()
    version = next((m[1] for line in lines if (m := re.match(r"#\s*version:\s*(\S+)", line))), None)
    form = NUMBERED if version is None else VERSIONED
    rows = [match.groups() for line in lines if (match := form.match(line))]
    if version not in (None, "1") or not rows:
        raise BadInput(
            f"{path}: unknown form of descriptor (version {version}); "
            "expected version 1 (' 1, density, d') or lines like 'variable # 1: density'"
        )
    if [int(row[0]) for row in rows] != list(range(1, len(rows) + 1)):
        numbers = ", ".join(row[0] for row in rows)
        raise BadInput(f"{path}: variables are numbered {numbers}; expected 1 to {len(rows)}")
    return [row[1] for row in rows]
