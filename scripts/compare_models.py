"""Compare the models of one study on its test sets: all records, the headline table, the verdict.

The verdict is on the network of each set that is best on validation: chosen on test, it would be
the best of many. Published numbers stand in columns of their own, since they were measured on other
data.
"""

from pathlib import Path

import pandas as pd
import yaml

from skyloom import cli
from skyloom.pages import scores, words
from skyloom.pages.document import document, download
from skyloom.scores import comparison, records
from skyloom.scores.verdict import verdict


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"comparison", the section; "labels", "abouts", "sets": names and sentences',
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json, scores.nc beside each"
    )
    parser.add_argument("--published", type=Path, help="config/<study>/published.yaml")
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="columns.yaml")
    parser.add_argument("--output-metrics", type=Path, required=True, help=".csv, all records")
    parser.add_argument("--output-comparison", type=Path, required=True, help=".csv, the headline")
    parser.add_argument("--output-columns", type=Path, required=True, help=".csv, its columns")
    parser.add_argument("--output-verdict", type=Path, required=True, help=".json")
    parser.add_argument("--output-html", type=Path, required=True, help="the comparison")
    args = parser.parse_args()

    settings = args.config["comparison"] | {"sets": args.config["sets"]}
    names = scores.names(args.config)
    test = records.read(args.metrics, draws=True)
    validation = records.read(args.metrics, "validation")
    if others := sorted(set(test.study) - {args.study}):
        raise cli.BadInput(
            f"--metrics: records of the study {', '.join(others)} found, expected only {args.study}"
        )
    headline = comparison.headline_items(test, settings["headline"])
    published = yaml.safe_load(args.published.read_text())["scalars"] if args.published else []
    chosen = comparison.best_networks(validation, settings["chosen_by"])
    chosen_by = comparison.selection_scores(validation, settings["chosen_by"])
    reference = settings.get("reference", "")
    label = settings["labels"].get(reference, "")
    table = comparison.table(test, headline, reference, published, chosen, label)
    result = verdict(table, test, headline, chosen, chosen_by, settings)
    print(result["text"])

    rows = pd.concat([test.drop(columns=["draws", "digest"]), validation], ignore_index=True)
    with cli.atomic(args.output_metrics) as part:
        records.write_csv(rows, part)
    with cli.atomic(args.output_comparison) as part:
        records.write_csv(table, part)
    with cli.atomic(args.output_columns) as part:
        records.write_csv(comparison.columns(table, headline, test), part)
    with cli.atomic(args.output_verdict) as part:
        records.write_json(result, part)
    text = words.read(args.words)
    body = scores.comparison(table, result, headline, test, names, text, settings)
    body += f"<p>{download(args.output_comparison)} {download(args.output_columns)}</p>"
    with cli.atomic(args.output_html) as part:
        part.write_text(document("Models compared", body))


if __name__ == "__main__":
    cli.run(main)
