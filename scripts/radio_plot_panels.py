"""Test fields in units of their noise: truth, and what each model calls diffuse."""

from pathlib import Path

from skyloom import cli, files, plotting
from skyloom.predictions import rows_of
from skyloom.radio import figures


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"models"')
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    patches = rows_of(args.patches, "test")
    opened = [files.load_dataset(path) for path in args.predictions]
    predictions = {file.attrs["model"]: file for file in opened}
    figure = figures.panels(patches, predictions, plotting.model_looks(args.config["models"]))
    plotting.save(figure, args.output, patches.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
