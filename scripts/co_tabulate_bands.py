"""The table of correlation and power band by band within the beam: R/bands.csv.

Columns: skyloom/co/evaluate/band_table.py.
"""

from pathlib import Path

from skyloom import cli
from skyloom.co.evaluate import band_table
from skyloom.scores import records
from skyloom.scores.comparison import best_networks

SCORE, RATIO = "rho_l", "cl_ratio"


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='"reference", "chosen_by"'
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json, scores.nc beside each"
    )
    parser.add_argument("--output", type=Path, required=True, help=".csv")
    args = parser.parse_args()

    test = records.read(args.metrics, draws=True)
    validation = records.read(args.metrics, "validation")
    chosen = best_networks(validation, args.config["chosen_by"])
    reference = args.config["reference"]
    table = band_table.table(test, SCORE, RATIO, reference, chosen)
    print("\n".join(band_table.sentences(table, SCORE, reference)))
    with cli.atomic(args.output) as part:
        records.write_csv(table, part)


if __name__ == "__main__":
    cli.run(main)
