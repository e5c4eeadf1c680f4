"""The table of ablations: a row a model and seed, the keys in which it departs from the base, and
what that did.

Columns: `changed`; `steps`, `examples_seen` of its training; `rho_l_beam`, `cl_ratio_beam`,
`rmse_over_noise` on bright test tiles as in the comparison; then the failures of adversarial
models, `rho_dust`, `std_ratio`, `cl_ratio_last`, `checkerboard` (skyloom/co/ablations.py), and
`steganography`, the rise of the cycle's error with noise (skyloom/co/steganography.py),
`steganography_control`.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from skyloom import cli, variants
from skyloom.co import ablations
from skyloom.patchset import SPLITS, PatchSet

METRICS = ("rho_l_beam", "cl_ratio_beam", "rmse_over_noise")
SUBSET = "bright"


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"base", "entries" by name, "score_at", "evaluate"',
    )
    parser.add_argument(
        "--patches",
        type=Path,
        nargs="+",
        required=True,
        help="sets/<set>/patches.nc of all the sets",
    )
    parser.add_argument(
        "--tests",
        type=Path,
        nargs="+",
        required=True,
        help="test/<model>/seed<k>/metrics.json, predictions.nc beside",
    )
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, help="models/<model>/seed<k>/run.json"
    )
    parser.add_argument(
        "--steganography",
        type=Path,
        nargs="*",
        default=[],
        help="<model>/seed<k>/steganography.csv",
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    args = parser.parse_args()

    entries, base = args.config["entries"], args.config["base"]
    sets = {path.parent.name: PatchSet(path) for path in args.patches}
    runs = {
        (run["model"], run["seed"]): run
        for run in (json.loads(path.read_text()) for path in args.runs)
    }
    hidden = {path.parent: pd.read_csv(path) for path in args.steganography}
    rows = []
    for path in args.tests:
        test = json.loads(path.read_text())
        entry = entries[test["model"]]
        row = {
            "model": test["model"],
            "seed": test["seed"],
            "changed": variants.changes(entry, entries[base]),
        }
        row |= {
            name: runs[test["model"], test["seed"]][name] for name in ("steps", "examples_seen")
        }
        row |= ablations.headline(test["metrics"], METRICS, SUBSET)
        row |= failures(
            path.with_name("predictions.nc"), sets[entry["set"]], args.config["evaluate"]
        )
        row |= (
            steganography(hidden[path.parent], args.config["score_at"])
            if path.parent in hidden
            else {}
        )
        rows.append(row)
    with cli.atomic(args.output) as part:
        pd.DataFrame(rows).to_csv(part, index=False, float_format="%.5g")


def failures(path: Path, patches: PatchSet, settings: dict) -> dict[str, float]:
    """The failures of one model on its bright test tiles outside the held-out complexes."""
    with xr.open_dataset(path, decode_cf=False) as file:
        bright = (file["complex"].values == 0) & (
            file.bright_fraction.values >= patches.attrs["bright_fraction"]
        )
        prediction, tiles = file.prediction.values[bright], file.tile.values[bright]
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
    return ablations.failures(
        maps | {"prediction": prediction}, weight.astype(np.float64), pixel, beam, settings
    )


def steganography(table: pd.DataFrame, amplitude: float) -> dict[str, float]:
    """Score and control at one amplitude."""
    row = table[np.isclose(table.amplitude, amplitude)]
    if len(row) != 1:
        found = ", ".join(f"{a:g}" for a in table.amplitude)
        raise cli.BadInput(
            f"config: steganography.score_at is {amplitude:g}; expected one of the "
            f"amplitudes {found}"
        )
    return {"steganography": row.score.item(), "steganography_control": row.control.item()}


if __name__ == "__main__":
    cli.run(main)
