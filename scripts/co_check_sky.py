"""Measure the anchors on a sky's three files, print model beside anchor and write them as a table (CSV)."""

from pathlib import Path

import healpy as hp
import numpy as np
from astropy.io import fits

from skyloom import cli
from skyloom.co import anchors


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--co-map", type=Path, required=True)
    parser.add_argument("--dust-map", type=Path, required=True)
    parser.add_argument("--hi-map", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="anchors.csv")
    arguments = parser.parse_args()

    sky = {
        "I10": column(arguments.co_map, "I10"),
        "E10": column(arguments.co_map, "E10"),
        "dust": column(arguments.dust_map, "I"),
        "hi": column(arguments.hi_map, "NHI") / np.float32(1e20),
    }
    table = anchors.table(sky)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    with cli.atomic(arguments.output) as part:
        table.to_csv(part, index=False, float_format="%.6g")


def column(path: Path, name: str) -> np.ndarray:
    """A column of a HEALPix file in RING order, NaN where it is masked."""
    with fits.open(path, memmap=True) as hdus:
        if name not in hdus[1].columns.names:
            raise cli.BadInput(f"{path}: column {name} not found (columns: {', '.join(hdus[1].columns.names)})")
        values = hdus[1].data[name].astype(np.float32)
        nested = hdus[1].header["ORDERING"].startswith("NEST")
    values[values < -1e30] = np.nan
    return hp.reorder(values, n2r=True) if nested else values


if __name__ == "__main__":
    cli.run(main)
