"""One figure of how well the models of a set tell the two classes apart: roc, confusion, or
reliability.
"""

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
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json of the same"
    )
    parser.add_argument(
        "--published", type=Path, required=True, help="config/turbulence/published.yaml"
    )
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    found = scores.read(args.curves, args.metrics, args.config["highlight"], "roc")
    more = (
        [yaml.safe_load(args.published.read_text())["confusion"]]
        if args.figure == "confusion"
        else []
    )
    figure = getattr(scores, args.figure)(found, *more)
    plotting.save(figure, args.output, found.first.attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
