"""What each training cost: steps, examples, wall time and device hours, from the run.json of every
model and seed.
"""

from pathlib import Path

import pandas as pd

from skyloom import cli, files

COLUMNS = [
    "model",
    "seed",
    "device",
    "processes",
    "threads",
    "parameters",
    "steps",
    "examples_seen",
    "resumes",
]
COUNTS = ["parameters", "steps"]  # a baseline has neither
SECONDS = ["wall_seconds", "device_seconds"]


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, help="run.json of each model and seed"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    keys = [*(name for name in COLUMNS if name not in COUNTS), *SECONDS]
    runs = [files.read_json(path, keys) for path in args.runs]
    table = pd.DataFrame([{name: run.get(name) for name in COLUMNS} for run in runs]).astype(
        dict.fromkeys(COUNTS, "Int64")
    )
    table["wall_minutes"] = [run["wall_seconds"] / 60 for run in runs]
    table["device_hours"] = [run["device_seconds"] / 3600 for run in runs]
    with cli.atomic(args.output) as part:
        table.to_csv(part, index=False, float_format="%.3g")


if __name__ == "__main__":
    cli.run(main)
