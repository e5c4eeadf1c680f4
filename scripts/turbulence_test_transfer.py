"""Predict the test split of another set than the one that a model was trained on, and score it.

Everything that was fitted stays as it was: weights, scale, the boundary between the classes, thresholds and spreads.
"""

import importlib
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from skyloom import checkpoint, cli, metrics
from skyloom.patchset import PatchSet
from skyloom.predictions import as_dataset, rows_of


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='{"entry": {...}, "evaluate": {...}}')
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc of the set that is tested on")
    parser.add_argument("--trained-on", type=Path, required=True, help="patches.nc of the model's own set")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True)
    args = parser.parse_args()

    entry, study = args.config["entry"], "turbulence"
    trained = checkpoint.load(args.checkpoint, {"study": study, "model": args.model, "entry": entry})
    data = importlib.import_module("skyloom.turbulence.data.examples")
    own = data.load([args.trained_on], entry)
    checkpoint.refuse_differences(args.checkpoint, trained["meta"], own.meta, "meta", "the training set")
    examples = data.load([args.patches], entry, trained["meta"])
    patches = rows_of(args.patches, "test")
    refuse_seen(args.patches, patches, PatchSet(args.trained_on))
    # a class means what it meant in training
    patches.attrs["classes"] = np.array(trained["meta"]["classes"])

    torch.manual_seed(args.seed)
    predictions = as_dataset(checkpoint.predict(trained, examples.test), patches)
    evaluation = importlib.import_module("skyloom.turbulence.evaluate")
    records, curves = evaluation.evaluate(patches, predictions, entry, args.config["evaluate"])
    about = {"study": study, "model": args.model, "kind": trained["kind"], "seed": args.seed}
    about |= {"set": args.patches.parent.name}
    data_kind = patches.attrs["data_kind"]
    curves.attrs |= about | {"data_kind": data_kind, "trained_on": entry["set"]}
    predictions.attrs |= about | {"data_kind": data_kind, "trained_on": entry["set"]}
    about |= {"data": data_kind, "trained_on": entry["set"], "n_test": patches.sizes["example"]}
    with cli.atomic(args.predictions) as part:
        predictions.to_netcdf(part)
    with cli.atomic(args.curves) as part:
        curves.to_netcdf(part)
    with cli.atomic(args.metrics) as part:
        metrics.write_json(about | {"metrics": records, "validation": []}, part)


def refuse_seen(path: Path, tested: xr.Dataset, own: PatchSet) -> None:
    """Refuse simulations that the model has learned from or was chosen by: one seed is one velocity field."""
    seen = own.coords["seed"][own.coords["split"] != 2]
    both = np.intersect1d(tested["seed"].values, seen)
    if len(both):
        raise cli.BadInput(
            f"{path}: {len(both)} seeds of its test split, {both[0]} first, are in training or validation of"
            f" {own.path}; expected other seeds, or the same seed and shares of both sets"
        )


if __name__ == "__main__":
    cli.run(main)
