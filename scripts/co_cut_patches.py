"""Cut one shard of a set's patches from the prepared maps."""

from pathlib import Path

from skyloom import cli, patchset
from skyloom.co.data.patches import LINE_NAMES, cut_patches, patch_maps, shard_rows
from skyloom.co.data.regions import read_tiles, tile_views


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help="sections tiles, set; names of complexes; block_deg",
    )
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc of co_prepare_maps")
    parser.add_argument("--tiles", type=Path, required=True, help="table of co_select_tiles")
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="patches of the shard, netCDF")
    args = parser.parse_args()
    tiles, settings = args.config["tiles"], args.config["set"]

    source = patchset.PatchSet(args.maps)
    maps = patch_maps(source, settings["line"])
    views = tile_views(
        read_tiles(args.tiles), settings["views"], settings["shift_deg"], tiles["seed"]
    )
    part = views.iloc[shard_rows(len(views), args.shard, args.shards)]
    patches = cut_patches(maps, part, args.config["complexes"], tiles["size_deg"], tiles["pixels"])
    patches.attrs |= {
        "data_kind": source.attrs["data_kind"],
        "beam_arcmin": source.attrs["beam_arcmin"],
        "line": LINE_NAMES[settings["line"]],
        "bright_fraction": tiles["bright_fraction"],
        "snr_threshold": tiles["snr_threshold"],
        "block_deg": args.config["block_deg"],
    }
    patchset.write(patches, args.output)
    print(f"{len(part)} of {len(views)} patches of {tiles['pixels']} x {tiles['pixels']} pixels")


if __name__ == "__main__":
    cli.run(main)
