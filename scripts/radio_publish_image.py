"""Put the products of a searched image in place, or fail with the error of its search."""

from pathlib import Path

from skyloom import cli
from skyloom.files import read_json


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--status", type=Path, required=True, help="image -> its error, JSON")
    parser.add_argument("--kept", type=Path, required=True, help="folder, of the image's name")
    parser.add_argument("--output", type=Path, nargs="+", required=True)
    args = parser.parse_args()

    if error := read_json(args.status, [args.kept.name])[args.kept.name]:
        raise cli.BadInput(error)
    for file in args.output:
        cli.link(args.kept / file.name, file)


if __name__ == "__main__":
    cli.run(main)
