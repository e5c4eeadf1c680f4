"""A figure of a cube: the sky, the plane from above, how far it reaches, or its profile."""

from pathlib import Path

from skyloom import cli, plotting
from skyloom.extinction.products import cube, figures, maps, outside, profiles

FIGURES = "sky", "face", "reach", "profile"
REACH = {"relative": 0.1, "absolute_mag": 0.1}


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        default={},
        help='optional: "dust" (path, column, mag_per_unit, title), "regions" (path),'
        ' "reach" (relative, absolute_mag)',
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
            other, title = outside.dust_map(stated, found), stated.get("title", "dust map")
        else:
            other, title = (None if truth is None else truth.median[-1]), "truth"
        compared = truth is not None and not config.get("dust")
        figure = figures.sky(found, other, title, compared)
    elif args.figure == "face":
        listed = outside.regions(config["regions"]) if config.get("regions") else None
        figure = figures.face(found, truth, listed)
    elif args.figure == "reach":
        stated = REACH | config.get("reach", {})
        relative, absolute = stated["relative"], stated["absolute_mag"]
        true = None if truth is None else maps.reach_true(found, truth, relative, absolute)
        bound = f"{100 * relative:g} % of $A_V$ + {absolute:g} mag"
        figure = figures.reach(found, maps.reach_stated(found, relative, absolute), true, bound)
    else:
        figure = figures.profile(found, truth)
    plotting.save(figure, args.output, found.data_kind)


if __name__ == "__main__":
    cli.run(main)
