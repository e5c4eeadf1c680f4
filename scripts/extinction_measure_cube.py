"""Artefacts of a cube beside the truth: tiles, fingers of God, bands of latitude, its reach."""

from pathlib import Path

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"reach" (relative, absolute_mag, from_pc)',
    )
    parser.add_argument("--cube", type=Path, required=True)
    parser.add_argument(
        "--truth", type=Path, required=True, help="true profiles of the same directions, netCDF"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    from skyloom.extinction.products import cube, maps, profiles, statistics
    from skyloom.scores.records import write_csv

    found = cube.read_cube(args.cube)
    truth = cube.of_profiles(profiles.read_profiles(args.truth, truth=True), found)
    table = statistics.table(found, truth, maps.Bound(**args.config["reach"]))
    with cli.atomic(args.output) as part:
        write_csv(table, part)


if __name__ == "__main__":
    cli.run(main)
