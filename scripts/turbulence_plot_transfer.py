"""Accuracy on other sets: the matrix of models and sets, or curves against single nuisances."""

from pathlib import Path

from skyloom import cli, plotting
from skyloom.turbulence.figures import transfer

FIGURES = ("matrix", "nuisances")


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"ladders": [{"key": "zoom", "values": {set: zoom}}]}',
    )
    parser.add_argument("--table", type=Path, required=True, help="transfer.csv")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    table = transfer.read(args.table)
    ladders = [args.config["ladders"]] if args.figure == "nuisances" else []
    kinds = ", ".join(dict.fromkeys(table.data))
    plotting.save(getattr(transfer, args.figure)(table, *ladders), args.output, kinds)


if __name__ == "__main__":
    cli.run(main)
