"""One figure of the scores of a set's models: minkowski, plane, pdf, latitude, or calibration."""

from pathlib import Path

import yaml

from skyloom import cli, plotting
from skyloom.co import score_figures

FIGURES = ("minkowski", "plane", "pdf", "latitude", "calibration")


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"subset": "bright", "models": {name: how it is drawn}}',
    )
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, help="curves.nc of each model and seed"
    )
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv")
    parser.add_argument("--published", type=Path, required=True, help="config/co/published.yaml")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    published = yaml.safe_load(args.published.read_text())
    scores = score_figures.read(args.curves, args.config, args.comparison, published)
    figure = getattr(score_figures, args.figure)(scores)
    plotting.save(figure, args.output, scores.first.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
