"""A table of the report as a page: words for its columns, sortable, with the CSV inside.

A text beside the CSV (`<table>.txt`) is the sentence above it.
"""

from pathlib import Path

from skyloom import cli, files
from skyloom.pages import scores, words
from skyloom.pages.csv_table import csv_table
from skyloom.pages.document import document, download, paragraph


def main() -> None:
    parser = cli.parser(__doc__)
    about = '"title", "table" (its entry in columns.yaml), "labels", "abouts", "sets"'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=about)
    parser.add_argument("--table", type=Path, required=True, help=".csv")
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="columns.yaml")
    parser.add_argument("--output", type=Path, required=True, help=".html")
    args = parser.parse_args()

    config = args.config
    frame = files.read_csv(args.table, keep_default_na=False, na_values=[""])
    sentence = args.table.with_suffix(".txt")
    body = paragraph(sentence.read_text()) if sentence.exists() else ""
    names, text = scores.names(config), words.read(args.words)
    body += csv_table(frame, config["table"], names, text)
    with cli.atomic(args.output) as part:
        part.write_text(document(config["title"], f"{body}\n<p>{download(args.table)}</p>"))
    print(f"{len(frame)} rows in {args.output}")


if __name__ == "__main__":
    cli.run(main)
