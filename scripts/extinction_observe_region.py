"""The diagrams of the sightlines of a region, with their verdicts.

They are drawn on a coherent mock sky, with the true profiles, or read from star tables.
"""

import time
from pathlib import Path

from skyloom import cli
from skyloom.extinction.data import region
from skyloom.extinction.products import profiles
from skyloom.scores.records import write_csv


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"region", "fields", "set", "checks" by name of the set, "surveys" of the lists',
    )
    parser.add_argument(
        "--lists", type=Path, nargs="*", default=[], help="lists of star tables, one a survey"
    )
    parser.add_argument("--output", type=Path, required=True, help="region, netCDF")
    parser.add_argument("--output-table", type=Path, required=True, help="sightlines, CSV")
    args = parser.parse_args()

    begin = time.process_time()
    config = args.config
    # none on a mock sky
    lists = dict(zip(config["surveys"], args.lists, strict=True)) or None
    drawn, table = region.observed(
        config["region"], config["fields"], config["set"], config["checks"], lists
    )
    profiles.write(drawn, args.output)
    with cli.atomic(args.output_table) as part:
        write_csv(table, part)
    for line in region.counted(table):
        print(line)
    print(f"{time.process_time() - begin:.0f} core-seconds")


if __name__ == "__main__":
    cli.run(main)
