"""The sources and the verdicts on clusters of all images of a survey, each once.

Images whose search has failed are left out, and named in the log.
"""

from pathlib import Path

from skyloom import cli
from skyloom.files import read_json
from skyloom.radio.products import survey
from skyloom.radio.products.catalogue import regions
from skyloom.radio.products.write import csv


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--status", type=Path, nargs="+", required=True, help="image -> its error, JSON, by batch"
    )
    parser.add_argument("--kept", type=Path, nargs="+", required=True, help="folder of each image")
    parser.add_argument("--output", type=Path, required=True, help="sources, FITS")
    parser.add_argument("--output-regions", type=Path, required=True, help="DS9")
    parser.add_argument("--output-clusters", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    errors = {}
    for path in args.status:
        errors |= read_json(path)
    folders = {}
    for folder in args.kept:
        if error := errors[folder.name]:
            print(f"{folder.name} is left out: {error}")
        else:
            folders[folder.name] = folder
    if not folders:
        raise cli.BadInput(f"{args.status[0]}: the searches of all images have failed")
    found = survey.sources(folders)
    with cli.atomic(args.output) as part:
        found.write(part, format="fits")
    with cli.atomic(args.output_regions) as part:
        part.write_text(regions(found))
    csv(survey.clusters(folders), args.output_clusters)
    print(f"{len(found)} sources in {len(folders)} of {len(args.kept)} images")


if __name__ == "__main__":
    cli.run(main)
