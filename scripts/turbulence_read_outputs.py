"""Project simulation outputs, or cut maps, to one file of column density (columns.nc).

The outputs are those of RAMSES or cubes of density. The log has a line of each: its name, index,
Mach number, time and seed (unknown: nan, a seed -1), and what is peculiar.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from skyloom import cli, patchset
from skyloom.turbulence.project.columns import column_maps
from skyloom.turbulence.read import maps, outputs
from skyloom.turbulence.read.simulation import Simulation
from skyloom.turbulence.read.sources import read

LOGGED = ("index", "mach", "time_myr", "seed")


def main() -> None:
    parser = cli.parser(__doc__)
    help = "source, pixels, refine, outputs (facts by name of an output), settings of the reader"
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "files, or folders with outputs"
    parser.add_argument("--inputs", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--output", type=Path, required=True, help="columns.nc")
    args = parser.parse_args()

    if args.config["source"] == "maps":
        columns, unit = maps.sky_columns(args.inputs, args.config), "cut-outs"
    else:
        gas = simulations(args.inputs, args.config)
        columns = column_maps(gas, args.config["pixels"], args.config["refine"])
        unit = "simulations"
    patchset.write(columns, args.output)
    side = columns.sizes["x"]
    print(f"{columns.sizes['simulation']} {unit}, {side} x {side} pixels")


def simulations(paths: list[Path], config: dict) -> Iterator[Simulation]:
    """The outputs in the order of their names.

    Facts of the config (index, seed, mach) replace those of the files. Raises BadInput as
    `outputs.find` and the reader.
    """
    for output in outputs.find(paths, config["source"], config.get("outputs")):
        for simulation in read(config["source"], output.path, config):
            facts = {**simulation.facts, **output.facts}
            properties = ", ".join(f"{name} {facts[name]:.6g}" for name in LOGGED)
            print("; ".join([f"{output.name}: {properties}", *simulation.remarks]), flush=True)
            yield replace(simulation, name=output.name, facts=facts)


if __name__ == "__main__":
    cli.run(main)
