"""Test images in a plane, by histograms of oriented gradients and by a network's features.

The features are those before the head.
"""

from pathlib import Path

import numpy as np
import torch
import xarray as xr

from skyloom import checkpoint, cli
from skyloom.networks.devices import to_device
from skyloom.turbulence import baselines
from skyloom.turbulence.data import examples
from skyloom.turbulence.explain import embedding
from skyloom.turbulence.explain.perturbations import spread_out

BATCH = 256
HISTOGRAMS = {"hog": "HOG by place", "pooled_hog": "HOG pooled over cells"}


def main() -> None:
    parser = cli.parser(__doc__)
    help = '{"entry": {...}, "embedding": {...}, "seed"}'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--model", required=True, help="the network")
    help = "patches.nc of the network's set"
    parser.add_argument("--patches", type=Path, required=True, help=help)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    entry, settings, seed = args.config["entry"], args.config["embedding"], args.config["seed"]
    data = examples.load([args.patches], entry)
    expected = {"study": "turbulence", "model": args.model, "entry": entry, "meta": data.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    rows = spread_out(len(data.test), settings["images"])
    batch, patches = data.test[rows], data.test.patches
    steep = batch["label"].numpy() > 0.5
    facts = {name: patches.coords[name][data.test.rows[rows]] for name in ("simulation", "target")}

    histogram = {key: settings[key] for key in ("cells", "pixels", "orientations")}
    histogram["symmetries"] = False
    features = {
        title: baselines.compute(histogram | {"module": module}, batch)
        for module, title in HISTOGRAMS.items()
    }
    features[args.model] = last_layer(trained, batch)
    planes = [embedding.plane(values, settings["perplexity"], seed) for values in features.values()]
    simulation = facts["simulation"]
    agreement = [embedding.agreement(values, steep, simulation) for values in features.values()]
    # of neighbours that are drawn without regard to the image
    chance = steep.mean() ** 2 + (1 - steep.mean()) ** 2
    about = {"neighbours": embedding.NEIGHBOURS, "chance": float(chance)}
    variables = {
        "place": (("features", "example", "axis"), np.array(planes, np.float32)),
        "agreement": ("features", agreement, about),
    }
    coordinates = {"features": list(features)}
    coordinates |= {name: ("example", values) for name, values in facts.items()}
    attributes = {"data_kind": patches.attrs["data_kind"], "set": entry["set"]}
    with cli.atomic(args.output) as part:
        xr.Dataset(variables, coordinates, attributes).to_netcdf(part)
    pairs = zip(features, agreement, strict=True)
    shares = ", ".join(f"{share:.2f} by {name}" for name, share in pairs)
    print(f"nearest neighbours of other simulations that have an image's class: {shares}")


@torch.no_grad()
def last_layer(trained: dict, batch: dict) -> np.ndarray:
    """Inputs of the head, (n, feature)."""
    network, task = checkpoint.network(trained)
    device = next(task.parameters()).device
    parts = [{"input": to_device(part, device)} for part in batch["input"].split(BATCH)]
    return torch.cat([network.features(task, part).double().cpu() for part in parts]).numpy()


if __name__ == "__main__":
    cli.run(main)
