"""Read outputs of RAMSES or cubes of density and project them, or read maps, to one file of column
density.
"""

from collections.abc import Iterator
from dataclasses import replace

from skyloom import patchset
from skyloom.cli import BadInput, json_argument, parser, run
from skyloom.turbulence.columns import column_maps
from skyloom.turbulence.read import Simulation, maps, read
from skyloom.turbulence.read.simulation import FACTS


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--config",
        type=json_argument,
        required=True,
        help="source, pixels, refine, simulations (what is known of each output), and the "
        "settings of the reader",
    )
    arguments.add_argument(
        "--inputs", nargs="+", required=True, help="folders output_NNNNN, or files"
    )
    arguments.add_argument("--output", required=True)
    args = arguments.parse_args()

    if args.config["source"] == "maps":
        columns, what = maps.column_maps(args.inputs, args.config), "cut-outs"
    else:
        gas = simulations(args.inputs, args.config)
        columns, what = (
            column_maps(gas, args.config["pixels"], args.config["refine"]),
            "simulations",
        )
    patchset.write(columns, args.output)
    print(
        f"{columns.sizes['simulation']} {what}, {columns.sizes['x']} x {columns.sizes['x']} pixels"
    )


def simulations(paths: list[str], config: dict) -> Iterator[Simulation]:
    """The outputs in their order, with what the config states of each (index, seed, mach) in place
    of what was read.
    """
    known = config["simulations"] or [{}] * len(paths)
    if len(known) != len(paths):
        raise BadInput(
            f"config simulations: {len(known)} entries; expected {len(paths)}, one for each input"
        )
    for path, facts in zip(paths, known, strict=True):
        if facts.keys() - FACTS.keys():
            raise BadInput(
                f"config simulations: unknown {sorted(facts.keys() - FACTS.keys())}; expected "
                f"{list(FACTS)}"
            )
        for simulation in read(config["source"], path, config):
            yield replace(simulation, facts={**simulation.facts, **facts})


if __name__ == "__main__":
    run(main)
