"""Measure the anchors on the three files of a sky and write them as a table (CSV).

The table lists the anchors of the model next to those of the survey.
"""

from pathlib import Path

import numpy as np

from skyloom import cli
from skyloom.co import read
from skyloom.co.evaluate import anchors


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--co-map", type=Path, required=True)
    parser.add_argument("--dust-map", type=Path, required=True)
    parser.add_argument("--hi-map", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="anchors.csv")
    args = parser.parse_args()

    co = read.read_co_type2(args.co_map, "co10")
    sky = {
        "I10": co["I10"],
        "E10": co["E10"],
        "dust": read.read_gnilc(args.dust_map)["I"],
        "hi": read.read_hi4pi(args.hi_map)["NHI"] / np.float32(1e20),
    }
    table = anchors.table(sky)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    with cli.atomic(args.output) as part:
        table.to_csv(part, index=False, float_format="%.6g")


if __name__ == "__main__":
    cli.run(main)
