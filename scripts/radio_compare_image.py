"""What models found in an image beside the mask of its diffuse emission that the config states."""

from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits

from skyloom import cli
from skyloom.radio.products import agreement
from skyloom.radio.read import read_image
from skyloom.radio.simulate.field import DIFFUSE, INVALID, NONE
from skyloom.scores.records import write_csv


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='"image", "truth", (model, seed)s'
    )
    parser.add_argument("--masks", type=Path, nargs="+", required=True, help="of these")
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    parser.add_argument("--output-truth", type=Path, required=True, help="classes, FITS")
    args = parser.parse_args()

    stated = args.config["image"]
    image = read_image(stated["path"], stated)
    true, excluded = agreement.truth(args.config["truth"], image)
    rows = []
    for (model, seed), path in zip(args.config["models"], args.masks, strict=True):
        found = fits.getdata(path) > 0
        scores = agreement.agreement(found, true, excluded, image.pixel)
        rows.append({"model": model, "seed": seed} | scores)
    with cli.atomic(args.output) as part:
        write_csv(pd.DataFrame(rows), part)
    classes = np.where(true, DIFFUSE, np.where(excluded, INVALID, NONE)).astype(np.uint8)
    with cli.atomic(args.output_truth) as part:
        fits.PrimaryHDU(classes, image.header()).writeto(part)


if __name__ == "__main__":
    cli.run(main)
