"""Predict A_V along the sightlines of a region with a trained model: quantiles by distance.

A sightline whose star counts the check has refused is left blank.
"""

import time
from pathlib import Path

import numpy as np
import torch

from skyloom import checkpoint, cli, files
from skyloom.extinction.data.region import predicted
from skyloom.extinction.products import profiles
from skyloom.extinction.verdicts import VERDICTS


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='"entry"')
    parser.add_argument("--region", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="profiles, netCDF")
    args = parser.parse_args()

    expected = {"study": "extinction", "entry": args.config["entry"]}
    trained = checkpoint.load(args.checkpoint, expected)
    region = files.load_dataset(args.region, decode_cf=False)
    torch.manual_seed(0)
    begin = time.process_time()
    try:
        found = predicted(trained, region)
    except cli.BadInput as error:
        raise cli.BadInput(f"{args.region}: {error}") from None
    seconds = time.process_time() - begin
    profiles.write(found, args.output)
    number = np.bincount(found["verdict"].values, minlength=len(VERDICTS))
    words = ", ".join(f"{n} {word}" for n, word in zip(number, VERDICTS, strict=True) if n)
    print(f"{found.sizes['sightline']} sightlines ({words}): {seconds:.1f} core-seconds")


if __name__ == "__main__":
    cli.run(main)
