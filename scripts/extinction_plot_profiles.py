"""Test sightlines: A_V(d) with the truth, or predicted against true A_V, a panel a model."""

from pathlib import Path

from skyloom import cli, files, plotting
from skyloom.extinction import figures
from skyloom.predictions import rows_of


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=("profiles", "scatter"), required=True)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"models"')
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    patches = rows_of(args.patches, "test", drop=["image", "bare", "stars"])
    datasets = map(files.load_dataset, args.predictions)
    predictions = {file.attrs["model"]: file for file in datasets}
    draw = getattr(figures, args.figure)
    figure = draw(patches, predictions, plotting.model_looks(args.config["models"]))
    plotting.save(figure, args.output, patches.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
