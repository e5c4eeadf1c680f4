"""Errors and coverage of the models of a set against distance and A_V."""

from pathlib import Path

from skyloom import cli, files, plotting
from skyloom.extinction import figures


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"models"')
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help="curves.nc of each")
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    datasets = list(map(files.load_dataset, args.curves))
    curves = {file.attrs["model"]: file for file in datasets}
    figure = figures.scores(curves, plotting.model_looks(args.config["models"]))
    plotting.save(figure, args.output, datasets[0].attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
