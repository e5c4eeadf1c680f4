"""Maps of log N of both classes and the images that a set cuts from them."""

import contextlib
from pathlib import Path

import xarray as xr

from skyloom import cli, plotting
from skyloom.turbulence.figures import images


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"families": [...], "count": number of simulations of a class}',
    )
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc of the set")
    parser.add_argument(
        "--columns", type=Path, nargs="+", required=True, help="columns.nc of each family in order"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    with contextlib.ExitStack() as stack:
        patches, *columns = [
            stack.enter_context(xr.open_dataset(path, decode_cf=False))
            for path in (args.patches, *args.columns)
        ]
        families = dict(zip(args.config["families"], columns, strict=True))
        figure = images.panels(patches, families, args.config["count"])
        plotting.save(figure, args.output, patches.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
