"""Predict and score the test split of another set than the one that a model was trained on.

All that was fitted is kept: weights, normalisation, the meaning of the classes, thresholds and
spreads.
"""

import importlib
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from skyloom import checkpoint, cli
from skyloom.gpus import claim
from skyloom.patchset import SPLITS, PatchSet
from skyloom.predictions import as_dataset, rows_of
from skyloom.scores.records import write


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--study", required=True)
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
        "--trained-on",
        type=Path,
        nargs="+",
        required=True,
        help="the training set, patches.nc first",
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    args = parser.parse_args()
    claim(args.gpus)

    entry, study = args.config["entry"], args.study
    examples = importlib.import_module(f"skyloom.{study}.data.examples")
    training = examples.load(args.trained_on, entry)
    expected = {"study": study, "model": args.model, "entry": entry, "meta": training.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    target = examples.load([args.patches], entry, trained["meta"])
    patches = rows_of(args.patches, "test")
    refuse_seen(args.patches, patches, PatchSet(args.trained_on[0]), examples.SOURCE)
    patches.attrs |= {key: np.array(trained["meta"][key]) for key in examples.TRAINED_ATTRIBUTES}

    torch.manual_seed(args.seed)
    predictions = as_dataset(checkpoint.predict(trained, target.test), patches)
    evaluate = importlib.import_module(f"skyloom.{study}.evaluate").evaluate
    evaluation = evaluate(patches, predictions, entry, args.config["evaluate"])
    model = {"study": study, "model": args.model, "kind": trained["kind"], "seed": args.seed}
    model |= {"set": args.patches.parent.name, "trained_on": entry["set"]}
    write(args, model | {"data_kind": patches.attrs["data_kind"]}, predictions, evaluation)


def refuse_seen(path: Path, tested: xr.Dataset, training: PatchSet, source: str) -> None:
    """Refuse test examples of a source that the model was trained on or chosen by.

    source : coordinate that names the sky or simulation that an example comes from.
    """
    seen = training.coords[source][training.coords["split"] != SPLITS["test"]]
    both = np.intersect1d(tested[source].values, seen)
    if len(both):
        raise cli.BadInput(
            f"{path}: {len(both)} values of {source} of its test split, {both[0]} first, are in "
            f"training or validation of {training.path}; expected other ones, or the same split "
            "of both sets"
        )


if __name__ == "__main__":
    cli.run(main, gpus=True)
