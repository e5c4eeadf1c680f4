"""Join the seeds and lines of a product and write FITS files: maps and a template for PySM.

The maps have an uncertainty and a mask.
"""

from pathlib import Path

import numpy as np

from skyloom import cli, files
from skyloom.co.data.regions import read_tiles, tile_views
from skyloom.co.products.write import (
    LineMap,
    join_seeds,
    line_facts,
    mask_bits,
    write_product,
    write_pysm,
)
from skyloom.patchset import PatchSet
from skyloom.provenance import git_state


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="name, product, cnv, tiles, sets"
    )
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc of co_prepare_maps")
    parser.add_argument(
        "--skies",
        type=Path,
        nargs="+",
        required=True,
        help="of co_predict_sky, all lines and seeds",
    )
    parser.add_argument(
        "--tiles",
        type=Path,
        nargs="+",
        required=True,
        help="tiles.csv of each line's set, in order",
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--output-pysm", type=Path, required=True)
    args = parser.parse_args()

    config, maps = args.config, PatchSet(args.maps)
    tiles = dict(zip(config["sets"], args.tiles, strict=True))
    skies: dict[str, list] = {}
    for path in args.skies:
        sky = files.load_dataset(path)
        skies.setdefault(sky.attrs["line"], []).append((path, sky))
    missing = set(config["sets"]) - set(skies)
    if missing:
        raise cli.BadInput(
            f"{args.skies[0].parent}: no sky of CO {', '.join(missing)}; expected those of "
            "the product"
        )
    first = next(iter(skies.values()))[0]
    lines = {}
    for line, settings in config["sets"].items():
        paths, line_skies = zip(*skies[line], strict=True)
        if line_skies[0].sizes["pixel"] != first[1].sizes["pixel"]:
            raise cli.BadInput(
                f"{paths[0]}: another area than {first[0]}; expected all lines on one sky"
            )
        intensity, error, realisation, parts = join_seeds(list(line_skies), list(paths))
        views = tile_views(
            read_tiles(tiles[line]).query("split == 'train'"),
            settings["views"],
            settings["shift_deg"],
            config["tiles"]["seed"],
        )
        noise = np.asarray(maps.array(f"co{line}_error"))
        snr, size = config["tiles"]["snr_threshold"], config["tiles"]["size_deg"]
        bits = mask_bits(line_skies[0], intensity, noise, snr, views, size)
        line_keywords = line_facts(line, list(line_skies), intensity, realisation, parts)
        lines[line] = LineMap(intensity, error, realisation, bits, line_keywords)
        print(
            f"CO {line}: {bits.size} pixels, missing {np.mean(bits & 1 > 0):.2%}, "
            f"extrapolated {np.mean(bits & 2 > 0):.2%}, trained on {np.mean(bits & 4 > 0):.2%}; "
            f"uncertainty: {parts}"
        )

    product, git = config["product"], git_state()
    facts = {
        "PRODUCT": config["name"],
        "SKYKIND": (maps.attrs["data_kind"], "survey or simulation"),
        "AREA": ("full" if product["area"] == "full" else "disc", "sky that is predicted"),
        "WINDOW": ("cosine", "sin x sin over a tile, blended in K km/s"),
        "TILNSIDE": (product["tile_nside"], "tiles lie on the centres of this NSIDE"),
        "TILDEG": (config["tiles"]["size_deg"], "[deg] side of a tile"),
        "SNRCUT": (config["tiles"]["snr_threshold"], "below it a pixel counts as extrapolated"),
        "GITHASH": (
            f"{git['commit'] or 'unknown'}"[:12] + "+" * bool(git["dirty"]),
            "code, + where edited",
        ),
    }
    for raw in ("co", "dust", "hi"):
        facts[f"SHA_{raw.upper()}"] = maps.attrs[f"sha256_{raw}"]
    if product["area"] != "full":
        facts |= {f"AREA{k[:4].upper()}": (v, "[deg]") for k, v in product["area"].items()}
    for line in lines:
        facts[f"CNV{line}"] = (config["cnv"][line], "[K_CMB/(K_RJ km/s)] Planck, A&A 571, A13")
    nside, pixel = int(maps.attrs["nside"]), first[1].pixel.values
    write_product(lines, pixel, nside, facts, args.output)
    write_pysm(lines, pixel, nside, facts, args.output_pysm)


if __name__ == "__main__":
    cli.run(main)
