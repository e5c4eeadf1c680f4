"""Score of the training and the validation split against the step, a panel a network."""

from pathlib import Path

from skyloom import cli, files, plotting
from skyloom.figures import history
from skyloom.pages import words


def main() -> None:
    parser = cli.parser(__doc__)
    help = '"models": name -> kind, label, colour, marker'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = ".../<model>/seed<k>/history.csv"
    parser.add_argument("--history", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="columns.yaml")
    help = "patches.nc, or the kind of its data"
    parser.add_argument("--data-kind", required=True, help=help)
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    histories = history.by_model(args.history)
    looks = plotting.model_looks(args.config["models"])
    sheet = history.figure(histories, looks, words.read(args.words))
    plotting.save(sheet, args.output, data_kind(args.data_kind))


def data_kind(text: str) -> str:
    """The data kind itself, or read from a patch set."""
    if not text.endswith(".nc"):
        return text

    with files.open_dataset(text, decode_cf=False) as file:
        return file.attrs["data_kind"]


if __name__ == "__main__":
    cli.run(main)
