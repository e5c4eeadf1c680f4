"""One figure of the classification by a set's models: roc, confusion or reliability."""

from pathlib import Path

import yaml

from skyloom import cli, plotting
from skyloom.turbulence.figures import scores

FIGURES = ("roc", "confusion", "reliability")


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='{"highlight": ["cnn"]}'
    )
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, help="curves.nc of each model and seed"
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json of the same models"
    )
    parser.add_argument(
        "--published", type=Path, required=True, help="config/turbulence/published.yaml"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    curves = scores.read(args.curves, args.metrics, args.config["highlight"], "roc")
    published = (
        [yaml.safe_load(args.published.read_text())["confusion"]]
        if args.figure == "confusion"
        else []
    )
    figure = getattr(scores, args.figure)(curves, *published)
    plotting.save(figure, args.output, curves.first.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
