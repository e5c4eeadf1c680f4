"""Dependence of a model's predictions on pixels, waves, phases and amplitudes.

The images are test images. It is a diagnosis: nothing is chosen by it (skyloom/turbulence/explain).
"""

from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import checkpoint, cli
from skyloom.turbulence.data import examples
from skyloom.turbulence.explain import gradients, perturbations
from skyloom.turbulence.explain.perturbations import spread_out
from skyloom.turbulence.physics import converged

COORDINATES = ("simulation", "seed", "axis", "part", "target")  # of an image in the figures


def main() -> None:
    parser = cli.parser(__doc__)
    help = '{"entry": {...}, "explain": {...}, "draws", "grid"}'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--model", required=True)
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc of the model's set")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    entry, settings = args.config["entry"], args.config["explain"]
    data = examples.load([args.patches], entry)
    expected = {"study": "turbulence", "model": args.model, "entry": entry, "meta": data.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    patches = data.test.patches
    grid = args.config["grid"] or round(patches.attrs["box_pc"] / patches.attrs["pixel_pc"])

    rows = spread_out(len(data.test), settings["tested"])
    images = perturbations.read(data.test, rows, data.meta)
    rows = spread_out(len(data.train), settings["tested"])
    train = data.train[rows]["input"][:, 0].numpy()
    score = perturbations.scorer(trained)
    draws = {"draws": args.config["draws"]}
    explanation = perturbations.perturbed(score, images, train, settings | draws)
    if trained["kind"] == "network":
        steep = patches.coords["target"][data.test.rows] > data.meta["boundary"]
        rows = illustrated(steep, settings["images"])
        explanation = explanation.merge(attributions(trained, data.test, rows, settings))
    explanation.attrs |= {
        "model": args.model,
        "kind": trained["kind"],
        "learns": entry["learns"],
        "set": entry["set"],
        "data_kind": patches.attrs["data_kind"],
        **{f"converged_{name}": wave for name, wave in converged(grid).items()},
    }
    with cli.atomic(args.output) as part:
        explanation.to_netcdf(part)
    accuracy = explanation.accuracy_control
    phases, amplitudes = accuracy.sel(control=["phases only", "amplitudes only"]).values
    print(
        f"{args.model}: accuracy {float(accuracy[0]):.3f}; of phases alone {phases:.3f}, of"
        f" amplitudes alone {amplitudes:.3f}"
    )


def illustrated(steep: np.ndarray, count: int) -> np.ndarray:
    """Rows of the images in the figures, evenly spread over each class, shallow first."""
    rows = np.argsort(steep, kind="stable")
    count = min(count, len(rows))
    return rows[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]


def attributions(trained: dict, split, rows: np.ndarray, settings: dict) -> xr.Dataset:
    """`gradients.explained` of the rows of a split, with their coordinates."""
    _, task = checkpoint.network(trained)
    images = split[rows]["input"][:, 0].numpy()
    maps = gradients.explained(task, images, settings["steps"], settings["seed"])
    coords = split.patches.coords
    coordinates = {name: coords[name][split.rows[rows]] for name in COORDINATES if name in coords}
    return maps.assign_coords({name: ("shown", values) for name, values in coordinates.items()})


if __name__ == "__main__":
    cli.run(main)
