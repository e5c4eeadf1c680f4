"""Predicted against true index of a set's models, and the coverage of their intervals."""

from pathlib import Path

import xarray as xr
import yaml

from skyloom import cli, plotting
from skyloom.turbulence.figures import index, scores


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='{"highlight": ["hybrid_index"]}'
    )
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, help="curves.nc of each model and seed"
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json of the same models"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="+",
        required=True,
        help="predictions.nc of one seed of each model",
    )
    parser.add_argument(
        "--published", type=Path, required=True, help="config/turbulence/published.yaml"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    curves = scores.read(args.curves, args.metrics, args.config["highlight"], "coverage")
    points = {}
    for path in args.predictions:
        with xr.open_dataset(path, decode_cf=False) as file:
            points[file.attrs["model"]] = file[["prediction", "index"]].load()
    published = yaml.safe_load(args.published.read_text())["scalars"]
    plotting.save(
        index.index(curves, points, published), args.output, curves.first.attrs["data_kind"]
    )


if __name__ == "__main__":
    cli.run(main)
