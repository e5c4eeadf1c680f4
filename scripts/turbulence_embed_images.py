"""Test images in a plane, by their histograms of oriented gradients and by what a network's head is
given.
"""

from pathlib import Path

import numpy as np
import torch
import xarray as xr

from skyloom import checkpoint, cli
from skyloom.turbulence import baselines
from skyloom.turbulence.data import examples
from skyloom.turbulence.explain import embedding
from skyloom.turbulence.explain.treatments import spread_out

BATCH = 256
HISTOGRAMS = {"hog": "HOG by place", "pooled_hog": "HOG pooled over cells"}


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"entry": {...}, "embedding": {...}, "seed"}',
    )
    parser.add_argument("--model", required=True, help="the network")
    parser.add_argument(
        "--patches", type=Path, required=True, help="patches.nc of the network's set"
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    entry, settings, seed = args.config["entry"], args.config["embedding"], args.config["seed"]
    data = examples.load([args.patches], entry)
    expected = {"study": "turbulence", "model": args.model, "entry": entry, "meta": data.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    chosen = spread_out(len(data.test), settings["images"])
    batch = data.test[chosen]
    steep = batch["label"].numpy() > 0.5
    known = {
        name: data.test.patches.coords[name][data.test.rows[chosen]]
        for name in ("simulation", "target")
    }

    cells = {key: settings[key] for key in ("cells", "pixels", "orientations")} | {
        "symmetries": False
    }
    features = {
        title: baselines.compute(cells | {"module": module}, batch)
        for module, title in HISTOGRAMS.items()
    }
    features[args.model] = last_layer(trained, batch)
    planes = [embedding.plane(values, settings["perplexity"], seed) for values in features.values()]
    agreement = [
        embedding.agreement(values, steep, known["simulation"]) for values in features.values()
    ]
    found = xr.Dataset(
        {
            "place": (("features", "example", "axis"), np.array(planes, np.float32)),
            "agreement": ("features", agreement, {"neighbours": embedding.NEIGHBOURS}),
        },
        coords={
            "features": list(features),
            **{name: ("example", values) for name, values in known.items()},
        },
        attrs={"data_kind": data.test.patches.attrs["data_kind"], "set": entry["set"]},
    )
    with cli.atomic(args.output) as part:
        found.to_netcdf(part)
    shares = ", ".join(
        f"{share:.2f} by {name}" for name, share in zip(features, agreement, strict=True)
    )
    print(f"nearest neighbours of other simulations that have an image's class: {shares}")


@torch.no_grad()
def last_layer(trained: dict, batch: dict) -> np.ndarray:
    """What the head is given of each image, (n, feature)."""
    network, task = checkpoint.network(trained)
    device = next(task.parameters()).device
    parts = batch["input"].split(BATCH)
    return torch.cat(
        [network.features(task, {"input": part.to(device)}).double().cpu() for part in parts]
    ).numpy()


if __name__ == "__main__":
    cli.run(main)
