"""Predicted against true index of a set's models, and the coverage of their intervals."""

from pathlib import Path

import yaml

from skyloom import cli, files, plotting
from skyloom.turbulence.figures import index, scores


def main() -> None:
    parser = cli.parser(__doc__)
    help = '"models": {name: how it is drawn}, "set", its label'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "curves.nc of each model and seed"
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help=help)
    help = "metrics.json of the same models, scores.nc beside each"
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help=help)
    help = "predictions.nc of one seed of each model"
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--verdict", type=Path, required=True, help="verdict.json")
    help = "config/turbulence/published.yaml"
    parser.add_argument("--published", type=Path, required=True, help=help)
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    published = yaml.safe_load(args.published.read_text())
    sources = args.curves, args.metrics, args.verdict
    drawn = scores.read(*sources, args.config, published, needed="coverage")
    points = {}
    for path in args.predictions:
        with files.open_dataset(path, decode_cf=False) as file:
            cli.require(file.variables, ("prediction", "index"), path, "variable")
            points[file.attrs["model"]] = file[["prediction", "index"]].load()
    plotting.save(index.index(drawn, points), args.output, drawn.first.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
