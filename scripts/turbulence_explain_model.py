"""Which pixels, waves, phases and amplitudes a trained model answers by
(skyloom/turbulence/explain).

On test images: a diagnosis by which nothing is chosen.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import checkpoint, cli
from skyloom.turbulence.data import examples
from skyloom.turbulence.explain import gradients, treatments

KNOWN = ("simulation", "seed", "axis", "part", "target")  # of an image that is shown


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"entry": {...}, "explain": {...}, "draws", "grid"}',
    )
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

    tested = treatments.tested_of(
        data.test, treatments.spread_out(len(data.test), settings["tested"]), data.meta
    )
    train = data.train[treatments.spread_out(len(data.train), settings["tested"])]["input"][
        :, 0
    ].numpy()
    found = treatments.treated(
        treatments.scorer(trained), tested, train, settings | {"draws": args.config["draws"]}
    )
    if trained["kind"] == "network":
        rows = shown(
            patches.coords["target"][data.test.rows] > data.meta["boundary"], settings["images"]
        )
        found = found.merge(of_network(trained, data.test, rows, settings))
    about = {
        "model": args.model,
        "kind": trained["kind"],
        "learns": entry["learns"],
        "set": entry["set"],
    }
    found.attrs |= about | {"data_kind": patches.attrs["data_kind"]} | treatments.converged(grid)
    with cli.atomic(args.output) as part:
        found.to_netcdf(part)
    told = found.sel(control="phases only"), found.sel(control="amplitudes only")
    print(
        f"{args.model}: accuracy {float(found.accuracy_control[0]):.3f}; of phases alone"
        f" {float(told[0].accuracy_control):.3f}, of amplitudes alone "
        f"{float(told[1].accuracy_control):.3f}"
    )


def shown(steep: np.ndarray, count: int) -> np.ndarray:
    """Rows of the images to show, by a rule and not by their looks: spread evenly over each class,
    shallow first.
    """
    rows = np.argsort(steep, kind="stable")
    count = min(count, len(rows))
    return rows[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]


def of_network(trained: dict, split, rows: np.ndarray, settings: dict) -> xr.Dataset:
    """`gradients.explained` of the rows of a split, and what is known of them."""
    _, task = checkpoint.network(trained)
    images = split[rows]["input"][:, 0].numpy()
    found = gradients.explained(task, images, settings["steps"], settings["seed"])
    known = split.patches.coords
    return found.assign_coords(
        {name: ("shown", known[name][split.rows[rows]]) for name in KNOWN if name in known}
    )


if __name__ == "__main__":
    cli.run(main)
