"""Project shards of our own simulations to maps of column density, optionally coarsened before."""

from itertools import chain

from skyloom import cli, patchset
from skyloom.turbulence.project.columns import column_maps
from skyloom.turbulence.read.sources import read


def main() -> None:
    parser = cli.parser(__doc__)
    help = "box_pc, mass_msun, pixels, refine"
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "shards of turbulence_simulate_clouds"
    parser.add_argument("--snapshots", nargs="+", required=True, help=help)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()

    shards = (read("simulated", path, args.config) for path in args.snapshots)
    simulations = chain.from_iterable(shards)
    maps = column_maps(simulations, args.config["pixels"], args.config["refine"])
    patchset.write(maps, args.output)
    good, side = int(maps.ok.sum()), maps.sizes["x"]
    print(f"{good} of {maps.sizes['simulation']} simulations, {side} x {side} pixels")


if __name__ == "__main__":
    cli.run(main)
