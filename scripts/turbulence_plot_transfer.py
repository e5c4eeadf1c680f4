"""Accuracy on other sets: the matrix of models and sets, or curves against single nuisances."""

from pathlib import Path

from skyloom import cli, plotting
from skyloom.turbulence.figures import transfer


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=("matrix", "nuisances"), required=True)
    help = '"models": {name: how it is drawn}, "sets": {name: label}, '
    help += '"ladders": [{"key": "zoom", "values": {set: zoom}}]'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--table", type=Path, required=True, help="transfer.csv")
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    table, looks = transfer.read(args.table), plotting.model_looks(args.config["models"])
    if args.figure == "matrix":
        figure = transfer.matrix(table, looks, args.config["sets"])
    else:
        figure = transfer.nuisances(table, args.config["ladders"], looks)
    plotting.save(figure, args.output, ", ".join(dict.fromkeys(table.data)))


if __name__ == "__main__":
    cli.run(main)
