"""Choose the tiles of one set and give each its split by its place on the sky."""

from skyloom.cli import atomic, json_argument, parser, run
from skyloom.co.data.regions import select_tiles
from skyloom.patchset import PatchSet


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--config", type=json_argument, required=True, help="sections tiles, split and set"
    )
    arguments.add_argument("--maps", required=True, help="maps.nc of co_prepare_maps")
    arguments.add_argument("--output", required=True, help="the table of tiles, CSV")
    args = arguments.parse_args()

    maps, line = PatchSet(args.maps), args.config["set"]["line"]
    planes = {"signal": maps.array(f"co{line}"), "error": maps.array(f"co{line}_error")}
    table = select_tiles(planes, args.config["tiles"], args.config["split"], args.config["set"])
    with atomic(args.output) as path:
        table.to_csv(path, index=False, float_format="%.6g")

    bright = table["bright_fraction"] >= args.config["tiles"]["bright_fraction"]
    counts = (
        table.assign(sky=bright.map({True: "bright", False: "faint"}))
        .groupby(["split", "complex", "sky"])
        .size()
    )
    print(counts.to_string())


if __name__ == "__main__":
    run(main)
