"""Scores of the models of a study by subset of the test split, as a table and as a page."""

from pathlib import Path

from skyloom import cli
from skyloom.pages import scores, words
from skyloom.pages.document import document, download
from skyloom.scores import records

COLUMNS = ("set", "kind", "model", "of", "name", "subset", "value", "lo", "hi", "unit", "better")
COLUMNS += ("seeds", "n", "blocks")


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"comparison", the section; "labels", "abouts", "sets": names and sentences',
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json, scores.nc beside each"
    )
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="columns.yaml")
    parser.add_argument("--output", type=Path, required=True, help=".csv")
    parser.add_argument("--output-html", type=Path, required=True)
    args = parser.parse_args()

    settings = args.config["comparison"]
    test = records.read(args.metrics, draws=True)
    chosen = settings["by_subset"]
    pooled = records.pool_seeds(test[test["name"].isin(chosen)])
    with cli.atomic(args.output) as part:
        records.write_csv(pooled[list(COLUMNS)], part)
    names, text = scores.names(args.config), words.read(args.words)
    body = scores.subsets(test, chosen, names, text, settings)
    body += f"<p>{download(args.output)}</p>"
    with cli.atomic(args.output_html) as part:
        part.write_text(document("Scores by subset", body))
    print(f"{len(pooled)} scores of {pooled.subset.nunique()} subsets in {args.output}")


if __name__ == "__main__":
    cli.run(main)
