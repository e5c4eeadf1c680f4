"""One figure of the classification by a set's models: roc, confusion or reliability."""

from pathlib import Path

import yaml

from skyloom import cli, plotting
from skyloom.turbulence.figures import scores

FIGURES = {
    "roc": scores.roc,
    "confusion": scores.confusion,
    "reliability": scores.reliability,
}


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    help = '"models": {name: how it is drawn}, "set", its label'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "curves.nc of each model and seed"
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help=help)
    help = "metrics.json of the same models, scores.nc beside each"
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--verdict", type=Path, required=True, help="verdict.json")
    help = "config/turbulence/published.yaml"
    parser.add_argument("--published", type=Path, required=True, help=help)
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    published = yaml.safe_load(args.published.read_text())
    files = args.curves, args.metrics, args.verdict
    drawn = scores.read(*files, args.config, published, needed="roc")
    plotting.save(FIGURES[args.figure](drawn), args.output, drawn.first.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
