"""Score the predictions of a set's models against a second CO map, at the common beam.

The same scores against the first map are listed next to them.
"""

from pathlib import Path

import numpy as np

from skyloom import cli, files
from skyloom.co.evaluate import second_map
from skyloom.healpix import HealpixTable
from skyloom.patchset import PatchSet
from skyloom.predictions import rows_of
from skyloom.scores.records import write_csv


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="second_map, co_to_cmb, evaluate"
    )
    parser.add_argument(
        "--second-map", type=Path, required=True, help="HEALPix table of CO [K km/s]"
    )
    parser.add_argument(
        "--maps",
        type=Path,
        required=True,
        help="maps.nc; its dust is the reference for the order of pixels",
    )
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="predictions.nc, one a model"
    )
    parser.add_argument("--output", type=Path, required=True, help=".csv")
    args = parser.parse_args()

    maps = PatchSet(args.maps)
    dust = np.asarray(maps.array("dust"))[None]
    reference = HealpixTable(
        args.maps, ("dust",), dust, int(maps.attrs["nside"]), "RING", maps.attrs["data_kind"], None
    )
    settings = args.config["second_map"] | {
        "path": args.second_map,
        "co_to_cmb": args.config["co_to_cmb"],
    }
    table, beam = second_map.read(settings, reference)
    tiles = rows_of(args.patches, "test")
    predictions = []
    for path in args.predictions:
        with files.open_dataset(path) as file:
            if file["tile"].values.tolist() != tiles.tile.values.tolist():
                raise cli.BadInput(
                    f"{path}: tiles differ; expected the {tiles.sizes['example']} test tiles of "
                    f"{args.patches}"
                )
            predictions.append(file[["prediction"]].load())
    rows = second_map.compare(tiles, predictions, table, beam, args.config["evaluate"])
    rows["second_map"] = f"{args.config['second_map']['kind']}: {args.second_map.name}"
    rows["second_column"] = table.columns[0]
    with cli.atomic(args.output) as part:
        write_csv(rows, part)


if __name__ == "__main__":
    cli.run(main)
