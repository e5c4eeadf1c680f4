"""Predict the test split of another set than the one that a model was trained on, and score it.

Everything that was fitted stays as it was: weights, scale, the boundary between the classes,
thresholds and spreads.
"""

from pathlib import Path

import numpy as np
import torch
import xarray as xr

from skyloom import checkpoint, cli
from skyloom.patchset import SPLITS, PatchSet
from skyloom.predictions import as_dataset, rows_of, write
from skyloom.turbulence.data import examples
from skyloom.turbulence.evaluate import evaluate


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"entry": {...}, "evaluate": {...}}',
    )
    parser.add_argument(
        "--patches", type=Path, required=True, help="patches.nc of the set that is tested on"
    )
    parser.add_argument(
        "--trained-on", type=Path, required=True, help="patches.nc of the model's own set"
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True)
    args = parser.parse_args()

    entry, study = args.config["entry"], "turbulence"
    own = examples.load([args.trained_on], entry)
    expected = {"study": study, "model": args.model, "entry": entry, "meta": own.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    other = examples.load([args.patches], entry, trained["meta"])
    patches = rows_of(args.patches, "test", drop=["image"])
    refuse_seen(args.patches, patches, PatchSet(args.trained_on))
    # a class means what it meant in training
    patches.attrs["classes"] = np.array(trained["meta"]["classes"])

    torch.manual_seed(args.seed)
    predictions = as_dataset(checkpoint.predict(trained, other.test), patches)
    records, curves = evaluate(patches, predictions, entry, args.config["evaluate"])
    about = {"study": study, "model": args.model, "kind": trained["kind"], "seed": args.seed}
    about |= {
        "set": args.patches.parent.name,
        "trained_on": entry["set"],
        "data_kind": patches.attrs["data_kind"],
    }
    write(args, about, predictions, curves, records)


def refuse_seen(path: Path, tested: xr.Dataset, own: PatchSet) -> None:
    """Refuse simulations that the model has learned from or was chosen by: one seed is one velocity
    field.
    """
    seen = own.coords["seed"][own.coords["split"] != SPLITS["test"]]
    both = np.intersect1d(tested["seed"].values, seen)
    if len(both):
        raise cli.BadInput(
            f"{path}: {len(both)} seeds of its test split, {both[0]} first, are in training or "
            "validation of"
            f" {own.path}; expected other seeds, or the same seed and shares of both sets"
        )


if __name__ == "__main__":
    cli.run(main)
