"""Failures of adversarial models on bright test tiles: R/failures.csv, a row a model and seed.

Columns: `rho_dust`, `std_ratio`, `cl_ratio_last`, `checkerboard` (skyloom/co/evaluate/failures.py),
and of a CycleGAN `steganography`, the rise of the cycle's error with noise
(skyloom/co/steganography.py), and `steganography_control`. They are added to the table of variants.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skyloom import cli, files
from skyloom.co.evaluate.failures import failures
from skyloom.patchset import SPLITS, PatchSet
from skyloom.scores import records


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='"score_at", "evaluate"'
    )
    parser.add_argument(
        "--patches", type=Path, nargs="+", required=True, help="sets/<set>/patches.nc of all sets"
    )
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="predictions.nc of each model"
    )
    parser.add_argument(
        "--steganography",
        type=Path,
        nargs="*",
        default=[],
        help="steganography.csv of each CycleGAN, in the folder of its predictions",
    )
    parser.add_argument("--output", type=Path, required=True, help=".csv")
    args = parser.parse_args()

    sets = {path.parent.name: PatchSet(path) for path in args.patches}
    amplitudes = {path.parent: files.read_csv(path) for path in args.steganography}
    rows = []
    for path in args.predictions:
        row = of_model(path, sets, args.config["evaluate"])
        if path.parent in amplitudes:
            row |= steganography(amplitudes[path.parent], args.config["score_at"])
        rows.append(row)
    with cli.atomic(args.output) as part:
        records.write_csv(pd.DataFrame(rows), part)


def of_model(path: Path, sets: dict[str, PatchSet], settings: dict) -> dict:
    """The failures of one model on its bright test tiles outside the held-out complexes."""
    with files.open_dataset(path, decode_cf=False) as file:
        patches = sets[file.attrs["set"]]
        bright = (file["complex"].values == 0) & (
            file.bright_fraction.values >= patches.attrs["bright_fraction"]
        )
        prediction, tiles = file.prediction.values[bright], file.tile.values[bright]
        model = {"model": file.attrs["model"], "seed": int(file.attrs["seed"])}
    rows = np.flatnonzero(patches.array("split") == SPLITS["test"])
    rows = rows[bright] if len(rows) == len(bright) else rows[:0]
    if not len(rows) or (patches.array("tile")[rows] != tiles).any():
        raise cli.BadInput(
            f"{path}: its bright tiles are not those of {patches.path}, or there are none"
        )
    maps = {name: patches.array(name)[rows] for name in ("target", "dust")}
    weight = np.where(
        np.isfinite(maps["target"]) & np.isfinite(maps["dust"]), patches.array("weight")[rows], 0
    )
    pixel, beam = patches.attrs["pixel_arcmin"], patches.attrs["beam_arcmin"]
    maps["prediction"] = prediction
    return model | failures(maps, weight.astype(np.float64), pixel, beam, settings)


def steganography(table: pd.DataFrame, amplitude: float) -> dict[str, float]:
    """Score and control at one amplitude."""
    row = table[np.isclose(table.amplitude, amplitude)]
    if len(row) != 1:
        amplitudes = ", ".join(f"{a:g}" for a in table.amplitude)
        raise cli.BadInput(
            f"config: steganography.score_at is {amplitude:g}; expected one of the "
            f"amplitudes {amplitudes}"
        )
    return {"steganography": row.score.item(), "steganography_control": row.control.item()}


if __name__ == "__main__":
    cli.run(main)
