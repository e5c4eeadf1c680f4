"""Maps of a few test tiles: dust, N(HI), CO, the chosen network, the best baseline.

Two more figures have the residuals of both, and the maps and residuals of all models. The tiles are
the middle ones of equal parts by mean CO, and the tile with the largest error of the network.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import cli, files, plotting
from skyloom.co import figures
from skyloom.patchset import flag_names

NEEDED = ("dust", "hi", "target", "error", "split", "complex", "bright_fraction")


def main() -> None:
    parser = cli.parser(__doc__)
    help = "tiles, bright_fraction, models: {name: look}, all: names of models, or null"
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--denoised", type=Path)
    help = "predictions.nc, one a model"
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    parser.add_argument(
        "--output-residuals", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    parser.add_argument(
        "--output-all", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    config = args.config
    with files.open_dataset(args.patches, decode_cf=False) as patches:
        cli.require(patches.variables, NEEDED, args.patches, "variable")
        codes = {name: value for value, name in flag_names(patches["split"]).items()}
        test = np.flatnonzero(patches["split"].values == codes["test"])
        patches = patches.isel(example=test).load()
    predictions = read(args.predictions, len(test))
    name = next(iter(predictions.values())).attrs["set"]
    models = [model for model in figures.featured(args.comparison, name) if model in predictions]

    first = predictions[models[0]]
    looks = plotting.model_looks(config["models"])
    rows, notes = chosen(patches, first["prediction"].values, looks[models[0]].label, config)
    denoised = None
    if args.denoised:
        with files.open_dataset(args.denoised, decode_cf=False) as file:
            denoised = file["target"].isel(example=test[rows]).values
    tiles = figures.Tiles(
        patches=patches.isel(example=rows),
        notes=notes,
        predictions={m: file["prediction"].values[rows] for m, file in predictions.items()},
        spread=first["spread"].values[rows] if "spread" in first else None,
        denoised=denoised,
    )
    kind = patches.attrs["data_kind"]
    plotting.save(figures.panels(tiles, looks, models), args.output, kind)
    residuals = figures.panels_residuals(tiles, looks, models)
    plotting.save(residuals, args.output_residuals, kind)
    shown = [m for m in predictions if not config["all"] or m in [*models, *config["all"]]]
    plotting.save(figures.panels_all(tiles, looks, shown), args.output_all, kind)


def read(paths: list[Path], count: int) -> dict[str, xr.Dataset]:
    """The first prediction of each model. Raises BadInput where a file is not of the `count` test
    tiles.
    """
    predictions = {}
    for path in paths:
        with files.open_dataset(path, decode_cf=False) as file:
            cli.require(file.variables, ["prediction", "tile"], path, "variable")
            if file.sizes["example"] != count:
                raise cli.BadInput(
                    f"{path}: {file.sizes['example']} examples, expected the {count} test tiles"
                )
            predictions.setdefault(file.attrs["model"], file.load())
    return predictions


def chosen(
    patches: xr.Dataset, prediction: np.ndarray, label: str, config: dict
) -> tuple[list[int], list[str]]:
    """Rows of the tiles to show, and a note on each; label : of the model of `prediction`."""
    bright = config["bright_fraction"]
    rows = figures.typical_rows(patches, config["tiles"], bright).tolist()
    worst, share = figures.worst_row(patches, prediction, bright)
    rows += [worst] * (worst not in rows)
    notes = [", bright" if patches.bright_fraction[row] >= bright else ", faint" for row in rows]
    share = f"{100 * share:.0f} % of its squared error on bright test tiles"
    notes[rows.index(worst)] += f": {figures.WORST} of {label} ({share})"
    return rows, notes


if __name__ == "__main__":
    cli.run(main)
