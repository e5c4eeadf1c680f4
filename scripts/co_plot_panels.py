"""Maps of a few test tiles: dust, N(HI), CO, denoised CO, prediction and residual of each model."""

from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import cli, plotting
from skyloom.co import figures
from skyloom.patchset import flag_names


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"tiles": 4, "bright_fraction": 0.5}',
    )
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--denoised", type=Path)
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="predictions.nc, one a model"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    with xr.open_dataset(args.patches, decode_cf=False) as patches:
        figures.require(
            patches, ("dust", "hi", "target", "split", "complex", "bright_fraction"), args.patches
        )
        codes = {name: value for value, name in flag_names(patches["split"]).items()}
        test = np.flatnonzero(patches["split"].values == codes["test"])
        rows = figures.chosen_rows(
            patches.isel(example=test), args.config["tiles"], args.config["bright_fraction"]
        )
        tiles = patches.isel(example=test[rows]).load()
    denoised = None
    if args.denoised:
        with xr.open_dataset(args.denoised, decode_cf=False) as file:
            denoised = file["target"].isel(example=test[rows]).values
    predictions = {}
    for path in args.predictions:
        with xr.open_dataset(path, decode_cf=False) as file:
            figures.require(file, ("prediction", "tile"), path)
            if file.sizes["example"] != len(test):
                raise cli.BadInput(
                    f"{path}: {file.sizes['example']} examples, expected the {len(test)} test tiles"
                )
            predictions.setdefault(
                file.attrs["model"], file["prediction"].isel(example=rows).values
            )
    plotting.save(
        figures.panels(tiles, predictions, denoised), args.output, tiles.attrs["data_kind"]
    )


if __name__ == "__main__":
    cli.run(main)
