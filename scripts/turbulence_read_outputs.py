"""Project simulation outputs, or cut maps, to one file of column density (columns.nc).

The outputs are those of RAMSES or cubes of density.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from skyloom import cli, patchset
from skyloom.turbulence.project.columns import column_maps
from skyloom.turbulence.read import maps
from skyloom.turbulence.read.simulation import FACTS, Simulation
from skyloom.turbulence.read.sources import read


def main() -> None:
    parser = cli.parser(__doc__)
    help = "source, pixels, refine, simulations (facts of each output), settings of the reader"
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "folders output_NNNNN, or files"
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
    """The outputs in order. Facts of the config (index, seed, mach) replace those of the files.

    Raises BadInput where the config has another number of outputs, or an unknown fact.
    """
    rows = config["simulations"] or [{}] * len(paths)
    if len(rows) != len(paths):
        raise cli.BadInput(
            f"config simulations: {len(rows)} entries; expected {len(paths)}, one for each input"
        )
    for path, facts in zip(paths, rows, strict=True):
        unknown = sorted(facts.keys() - FACTS.keys())
        if unknown:
            message = f"unknown {unknown}; expected {list(FACTS)}"
            raise cli.BadInput(f"config simulations: {message}")
        for simulation in read(config["source"], path, config):
            yield replace(simulation, facts={**simulation.facts, **facts})


if __name__ == "__main__":
    cli.run(main)
