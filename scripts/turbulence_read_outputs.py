"""Project outputs of RAMSES or cubes of density, or cut maps, to one file of column density."""

from collections.abc import Iterator
from dataclasses import replace

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
    parser.add_argument("--inputs", nargs="+", required=True, help=help)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()

    if args.config["source"] == "maps":
        columns, what = maps.sky_columns(args.inputs, args.config), "cut-outs"
    else:
        gas = simulations(args.inputs, args.config)
        columns = column_maps(gas, args.config["pixels"], args.config["refine"])
        what = "simulations"
    patchset.write(columns, args.output)
    side = columns.sizes["x"]
    print(f"{columns.sizes['simulation']} {what}, {side} x {side} pixels")


def simulations(paths: list[str], config: dict) -> Iterator[Simulation]:
    """The outputs in their order; facts in the config (index, seed, mach) replace those read."""
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
