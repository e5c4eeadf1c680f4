"""Each network of a set with each baseline, draw by draw: R/pairs_<set>.csv.

Columns: `network`, `baseline`, their seeds; `score`, `subset`, `unit`, `better`; their values
`network_value` and `baseline_value`; `difference`, network less baseline (of a bias, a ratio or a
coverage: of the distances from the best value), with its 95 % interval `lo`, `hi`; `result`,
better, level or worse; `wins`, the share of bootstrap draws in which the network is better; `n`
examples, `blocks`.
"""

from pathlib import Path

from skyloom import cli
from skyloom.scores import pairs, records


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"headline"')
    parser.add_argument(
        "--metrics",
        type=Path,
        nargs="+",
        required=True,
        help="metrics.json of the models of one set, scores.nc beside each",
    )
    parser.add_argument("--output", type=Path, required=True, help=".csv")
    args = parser.parse_args()

    test = records.read(args.metrics, draws=True)
    if len(sets := sorted(set(test["set"]))) > 1:
        raise cli.BadInput(f"--metrics: models of the sets {', '.join(sets)}; expected one set")
    table = pairs.table(test, args.config["headline"])
    print(table.to_string(index=False))
    with cli.atomic(args.output) as part:
        records.write_csv(table, part)


if __name__ == "__main__":
    cli.run(main)
