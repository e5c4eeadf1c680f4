"""Cut one shard of a set's patches from the prepared maps."""

from skyloom import patchset
from skyloom.cli import json_argument, parser, run
from skyloom.co.data.patches import LINE_NAMES, cut_patches, patch_maps, shard_rows
from skyloom.co.data.regions import read_tiles, tile_views


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--config",
        type=json_argument,
        required=True,
        help="sections tiles, set; names of complexes; block_deg",
    )
    arguments.add_argument("--maps", required=True, help="maps.nc of co_prepare_maps")
    arguments.add_argument("--tiles", required=True, help="table of co_select_tiles")
    arguments.add_argument("--shard", type=int, required=True)
    arguments.add_argument("--shards", type=int, required=True)
    arguments.add_argument("--output", required=True)
    args = arguments.parse_args()
    tiles, chosen = args.config["tiles"], args.config["set"]

    source = patchset.PatchSet(args.maps)
    maps = patch_maps(source, chosen["line"])
    views = tile_views(read_tiles(args.tiles), chosen["views"], chosen["shift_deg"], tiles["seed"])
    mine = views.iloc[shard_rows(len(views), args.shard, args.shards)]
    patches = cut_patches(maps, mine, args.config["complexes"], tiles["size_deg"], tiles["pixels"])
    patches.attrs |= {
        "data_kind": source.attrs["data_kind"],
        "beam_arcmin": source.attrs["beam_arcmin"],
        "line": LINE_NAMES[chosen["line"]],
        "bright_fraction": tiles["bright_fraction"],
        "snr_threshold": tiles["snr_threshold"],
        "block_deg": args.config["block_deg"],
    }
    patchset.write(patches, args.output)
    print(f"{len(mine)} of {len(views)} patches of {tiles['pixels']} x {tiles['pixels']} pixels")


if __name__ == "__main__":
    run(main)
