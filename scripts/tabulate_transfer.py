"""Scores of models on other sets than the one that they were trained on: R/transfer.csv.

Columns: skyloom/scores/transfer.py.
"""

from pathlib import Path

from skyloom import cli
from skyloom.scores import records, transfer


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"trained_on": {model: set}, "headline", "transfer_score"',
    )
    parser.add_argument(
        "--metrics",
        type=Path,
        nargs="+",
        required=True,
        help="metrics.json of each model and set, scores.nc beside each",
    )
    parser.add_argument("--output", type=Path, required=True, help=".csv")
    args = parser.parse_args()

    headline = args.config["headline"]
    table = transfer.table(
        records.read(args.metrics, draws=True), args.config["trained_on"], headline
    )
    for item in headline:
        if item["name"] == args.config.get("transfer_score"):
            print("\n".join(transfer.sentences(table, item)))
    with cli.atomic(args.output) as part:
        records.write_csv(table, part)


if __name__ == "__main__":
    cli.run(main)
