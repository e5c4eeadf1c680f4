"""Project shards of our own simulations to maps of column density, on request as if refined
adaptively.
"""

from itertools import chain

from skyloom import patchset
from skyloom.cli import json_argument, parser, run
from skyloom.turbulence.columns import column_maps
from skyloom.turbulence.read import read


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--config", type=json_argument, required=True, help="box_pc, mass_msun, pixels, refine"
    )
    arguments.add_argument(
        "--snapshots", nargs="+", required=True, help="shards of turbulence_simulate_clouds"
    )
    arguments.add_argument("--output", required=True)
    args = arguments.parse_args()

    simulations = chain.from_iterable(
        read("simulated", path, args.config) for path in args.snapshots
    )
    maps = column_maps(simulations, args.config["pixels"], args.config["refine"])
    patchset.write(maps, args.output)
    print(
        f"{int(maps.ok.sum())} of {maps.sizes['simulation']} simulations, {maps.sizes['x']} x "
        f"{maps.sizes['x']} pixels"
    )


if __name__ == "__main__":
    run(main)
