"""Write results/<run>/index.html: verdicts, tables and figures with captions below one another.

With --front the first page of the report is printed instead.
"""

from pathlib import Path

from skyloom import cli
from skyloom.pages import index, run


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the run")
    parser.add_argument("--front", action="store_true", help="print the first page of the report")
    args = parser.parse_args()

    current = run.read(args.results)
    if args.front:
        print(index.front(current))
        return
    with cli.atomic(args.results / "index.html") as part:
        part.write_text(index.index(current))


if __name__ == "__main__":
    cli.run(main)
