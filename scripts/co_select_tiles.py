"""Choose the tiles of one set and assign each a split by its position on the sky."""

from pathlib import Path

from skyloom import cli
from skyloom.co.data.regions import select_tiles
from skyloom.patchset import PatchSet


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="sections tiles, split and set"
    )
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc of co_prepare_maps")
    parser.add_argument(
        "--signal", type=Path, required=True, help="maps.nc, or a denoised map, for the SNR"
    )
    parser.add_argument("--output", type=Path, required=True, help="table of tiles, CSV")
    args = parser.parse_args()

    maps, signal = PatchSet(args.maps), PatchSet(args.signal)
    line = args.config["set"]["line"]
    planes = {"signal": signal.array(f"co{line}"), "error": signal.array(f"co{line}_error")}
    planes |= {name: maps.array(name) for name in ("dust", "hi")}
    table = select_tiles(planes, args.config["tiles"], args.config["split"], args.config["set"])
    with cli.atomic(args.output) as path:
        table.to_csv(path, index=False, float_format="%.6g")

    bright = table["bright_fraction"] >= args.config["tiles"]["bright_fraction"]
    counts = (
        table.assign(sky=bright.map({True: "bright", False: "faint"}))
        .groupby(["split", "complex", "sky"])
        .size()
    )
    print(counts.to_string())


if __name__ == "__main__":
    cli.run(main)
