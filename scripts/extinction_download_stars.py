"""Download the stars of each sightline from a TAP server, one table a field.

    python scripts/extinction_download_stars.py --folder stars/2mass --output fields.csv --config \\
        '{"survey": "2mass", "archive": "vizier", "l": [257, 303], "b": [-5, 5], "side_deg": 0.5}'

A second call goes on where the first one ended. A field without a good table is left out and
reported, with its reason in fields.csv; the others are finished. Its column `table` is the path of
a table from the folder of fields.csv.
"""

import os
from pathlib import Path

from skyloom import cli


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"survey", "archive", "side_deg", "l" and "b" of a region or "fields": [[l, b], ...];'
        ' optional: "spacing_deg" of a region, "service" (address), "brighter" (band: magnitude),'
        ' "jobs", "timeout_s"',
    )
    parser.add_argument("--folder", type=Path, required=True, help="of the tables")
    parser.add_argument("--output", type=Path, required=True, help="list of the fields, CSV")
    args = parser.parse_args()

    from dataclasses import replace

    import pandas as pd

    from skyloom.extinction.read import archive, tap
    from skyloom.scores.records import write_csv

    config, chosen = args.config, None
    for key, known in (("survey", archive.ARCHIVES), ("archive", None)):
        known = known or archive.ARCHIVES[config["survey"]]
        if config.get(key) not in known:
            raise cli.BadInput(f"{key} is {config.get(key)!r}; expected one of {', '.join(known)}")
        chosen = known[config[key]]
    if config.get("service"):
        chosen = replace(chosen, service=config["service"])
    if "fields" in config:
        fields = [
            archive.Field(lon % 360, lat, config["side_deg"]) for lon, lat in config["fields"]
        ]
    else:
        fields = archive.grid(
            config["l"], config["b"], config["side_deg"], config.get("spacing_deg")
        )
    rows = []
    for row in archive.download(
        config["survey"],
        chosen,
        fields,
        args.folder,
        config.get("brighter", {}),
        jobs=config.get("jobs", 4),
        patience=config.get("timeout_s", tap.PATIENCE),
    ):
        file = os.path.relpath(args.folder / f"{row['field']}.vot", args.output.parent)
        rows.append(row | {"table": "" if row["reason"] else file})
        print(f"{len(rows)} of {len(fields)}: {row['field']}, {row['stars']} stars", flush=True)
    good = sum(not row["reason"] for row in rows)
    if not good:
        raise cli.BadInput(f"{args.folder}: no field of {len(rows)}: {rows[0]['reason']}")
    with cli.atomic(args.output) as part:
        write_csv(pd.DataFrame(rows), part)
    print(f"{args.output}: {good} of {len(rows)} fields, {sum(row['stars'] for row in rows)} stars")


if __name__ == "__main__":
    cli.run(main)
