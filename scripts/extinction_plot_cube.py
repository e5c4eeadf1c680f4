"""A figure of a cube: the sky, the plane from above, how far it reaches, or its profile."""

from pathlib import Path

from skyloom import cli, plotting
from skyloom.extinction.products import cube, figures, maps, outside, profiles

FIGURES = "sky", "face", "reach", "profile"


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        default={},
        help='optional: "dust" (path, column, mag_per_unit, title), "hii_regions" (path),'
        ' "reach" (relative, absolute_mag, from_pc)',
    )
    parser.add_argument("--cube", type=Path, required=True)
    parser.add_argument("--truth", type=Path, help="true profiles of the same directions, netCDF")
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    config, found = args.config, cube.read_cube(args.cube)
    truth = None
    if args.truth:
        truth = cube.of_profiles(profiles.read_profiles(args.truth, truth=True), found)
    if args.figure == "sky":
        if config.get("dust"):
            stated = config["dust"]
            other, title = outside.dust_map(stated, found), stated["title"]
        else:
            other, title = (None if truth is None else truth.median[-1]), "truth"
        compared = truth is not None and not config.get("dust")
        figure = figures.sky(found, other, title, compared)
    elif args.figure == "face":
        listed = outside.regions(config["hii_regions"]) if config.get("hii_regions") else None
        figure = figures.face(found, truth, listed)
    elif args.figure == "reach":
        bound = maps.Bound(**config.get("reach", {}))
        true = None if truth is None else maps.reach_true(found, truth, bound)
        figure = figures.reach(found, maps.reach_stated(found, bound), true, str(bound))
    else:
        figure = figures.profile(found, truth)
    plotting.save(figure, args.output, found.data_kind)


if __name__ == "__main__":
    cli.run(main)
