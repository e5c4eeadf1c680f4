"""IoU and reliability of the models of a set."""

from pathlib import Path

import xarray as xr

from skyloom import cli, plotting
from skyloom.shapes import figures


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"models"')
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help="curves.nc of each")
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    files = [xr.load_dataset(path) for path in args.curves]
    curves = {file.attrs["model"]: file for file in files}
    figure = figures.scores(curves, plotting.model_looks(args.config["models"]))
    plotting.save(figure, args.output, files[0].attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
