"""Models that differ from a base model in a key or two, and their scores: R/variants.csv.

Columns: skyloom/scores/variants.py. `steps` and `examples_seen` are of the trainings; a study may
add columns of its own.
"""

from pathlib import Path

import pandas as pd

from skyloom import cli, files
from skyloom.scores import records, variants

RUN = ["model", "seed", "examples_seen"]  # and `steps`, which a baseline does not have


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"entries" by model, "base" (an entry), "split", "subset", "scores", "chosen_by"',
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json, scores.nc beside each"
    )
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of each")
    parser.add_argument(
        "--columns", type=Path, nargs="*", default=[], help="CSV by model and seed, added"
    )
    parser.add_argument("--output", type=Path, required=True, help=".csv")
    args = parser.parse_args()

    config = args.config
    runs = [files.read_json(path, RUN) for path in args.runs]
    columns = pd.DataFrame(runs).reindex(columns=[*RUN, "steps"])
    for path in args.columns:
        added = files.read_csv(path, ["model", "seed"])
        columns = columns.merge(added, on=["model", "seed"], how="left")
    validation = records.read(args.metrics, "validation", draws=True)
    test = records.read(args.metrics, draws=True) if config["split"] == "test" else validation
    table = variants.table(test, validation, config["entries"], config, columns)
    if config["split"] == "validation":
        print(variants.sentence(table, validation, config["chosen_by"]))
    with cli.atomic(args.output) as part:
        records.write_csv(table, part)


if __name__ == "__main__":
    cli.run(main)
