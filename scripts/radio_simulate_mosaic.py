"""Simulate a mosaic as a survey gives it, its truth, and a table of clusters.

The first half of the clusters lies on diffuse sources, the others anywhere.
"""

from pathlib import Path

from skyloom import cli
from skyloom.radio.simulate import maps
from skyloom.radio.simulate.mosaic import simulate, write


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"mosaic", "set"')
    parser.add_argument("--output", type=Path, required=True, help="FITS image [Jy/beam]")
    parser.add_argument("--output-truth", type=Path, required=True, help="FITS classes")
    parser.add_argument("--output-clusters", type=Path, required=True, help="ECSV table")
    args = parser.parse_args()

    for remark in maps.check(args.config["set"]["maps"]):
        print(remark)
    mosaic = args.config["mosaic"]
    found = simulate(args.config["set"], mosaic["pixels"], mosaic["seed"])
    paths = args.output, args.output_truth, args.output_clusters
    write(found, mosaic["clusters"], mosaic["seed"], *paths)
    print(f"{found.image.shape} pixels, {len(found.places)} diffuse sources")


if __name__ == "__main__":
    cli.run(main)
