"""Project shards of our own simulations to maps of column density.

With `refine` the density is coarsened first, like on an adaptive grid.
"""

from itertools import chain
from pathlib import Path

from skyloom import cli, patchset
from skyloom.turbulence.project.columns import column_maps
from skyloom.turbulence.read.sources import read


def main() -> None:
    parser = cli.parser(__doc__)
    help = "box_pc, mass_msun, pixels, refine"
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "shards of turbulence_simulate_clouds"
    parser.add_argument("--snapshots", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--output", type=Path, required=True, help="columns.nc")
    args = parser.parse_args()

    shards = (read("simulated", path, args.config) for path in args.snapshots)
    simulations = chain.from_iterable(shards)
    maps = column_maps(simulations, args.config["pixels"], args.config["refine"])
    patchset.write(maps, args.output)
    good, side = int(maps.ok.sum()), maps.sizes["x"]
    print(f"{good} of {maps.sizes['simulation']} simulations, {side} x {side} pixels")


if __name__ == "__main__":
    cli.run(main)
