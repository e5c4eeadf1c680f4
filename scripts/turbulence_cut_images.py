"""Cut the column maps of a set's families into images and assign their split."""

import contextlib
from pathlib import Path

import numpy as np

from skyloom import cli, files, patchset
from skyloom.patchset import SPLITS
from skyloom.turbulence.data.images import cut_images


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help="the set: families, field, parts and further settings",
    )
    parser.add_argument(
        "--columns", type=Path, nargs="+", required=True, help="columns.nc of each family in order"
    )
    parser.add_argument("--output", type=Path, required=True, help="patches.nc")
    args = parser.parse_args()

    names = args.config["families"]
    with contextlib.ExitStack() as stack:
        columns = [
            stack.enter_context(files.open_dataset(path, decode_cf=False)) for path in args.columns
        ]
        images = cut_images(dict(zip(names, columns, strict=True)), args.config)
    patchset.write(images, args.output)
    counts = np.bincount(images["split"].values, minlength=len(SPLITS))
    splits = ", ".join(f"{count} {name}" for count, name in zip(counts, SPLITS, strict=True))
    simulations, side = len(np.unique(images["simulation"])), images.sizes["x"]
    print(f"images of {simulations} simulations, {side} x {side} pixels: {splits}")


if __name__ == "__main__":
    cli.run(main)
