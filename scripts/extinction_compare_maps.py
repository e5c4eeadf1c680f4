"""Compare a cube with published maps on the same sightlines, in A_V, through dustmaps.

    python scripts/extinction_compare_maps.py --cube cube.fits --output maps.csv \\
        --config '{"maps": {"decaps": {"path": "decaps_mean.h5"}}}'

It needs the package dustmaps and the files of the maps, which the user has. Nothing is fetched.
"""

from pathlib import Path

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"maps"')
    parser.add_argument("--cube", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    from skyloom.extinction.products import cube, published
    from skyloom.scores.records import write_csv

    found = cube.read_cube(args.cube)
    maps = {
        name: published.extinction(name, stated, found)
        for name, stated in args.config["maps"].items()
    }
    with cli.atomic(args.output) as part:
        write_csv(published.table(found, maps), part)


if __name__ == "__main__":
    cli.run(main)
