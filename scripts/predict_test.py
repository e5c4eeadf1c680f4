"""Predict the test split with a trained model and measure the prediction.

Nothing is learned here: weights, normalisation and thresholds come from the checkpoint, and the metrics' settings from
the config. A checkpoint of another study, model, config or normalisation is refused.
"""

import importlib
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from skyloom import cli, metrics
from skyloom.patchset import flag_names

BATCH = 64
COPIED = ("tile", "glon", "glat", "split", "complex", "bright_fraction")  # coordinates of an example, where it has them


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='{"entry": {...}, "evaluate": {...}}')
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="patches.nc, and denoised.nc where trained on"
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True)
    args = parser.parse_args()

    entry = args.config["entry"]
    checkpoint = load_checkpoint(args.checkpoint, {"study": args.study, "model": args.model, "entry": entry})
    examples = importlib.import_module(f"skyloom.{args.study}.data.examples").load(args.data, entry)
    refuse_differences(args.checkpoint, checkpoint["meta"], examples.meta, "meta", "the training set")
    patches = test_rows(args.data[0])
    if len(examples.test) != patches.sizes["example"]:
        found = len(examples.test)
        raise cli.BadInput(
            f"{args.data[0]}: {found} test examples read, expected its {patches.sizes['example']} test rows"
        )

    predicted = predict(args.study, checkpoint, examples.test)
    predictions = as_dataset(predicted, patches)
    evaluate = importlib.import_module(f"skyloom.{args.study}.evaluate").evaluate
    records, curves = evaluate(patches, predictions, entry, args.config["evaluate"])
    about = {"study": args.study, "model": args.model, "kind": checkpoint["kind"], "seed": args.seed}
    data_kind = patches.attrs["data_kind"]
    curves.attrs |= about | {"data_kind": data_kind}
    predictions.attrs |= about | {"data_kind": data_kind}
    about |= {"set": entry.get("set", ""), "data": data_kind, "n_test": patches.sizes["example"]}
    with cli.atomic(args.predictions) as part:
        predictions.to_netcdf(part)
    with cli.atomic(args.curves) as part:
        curves.to_netcdf(part)
    with cli.atomic(args.metrics) as part:
        metrics.write_json(about | {"metrics": records}, part)


def load_checkpoint(path: Path, expected: dict) -> dict:
    """The checkpoint at `path`, refused where its study, model or entry is not the config's."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise cli.BadInput(f"{path}: not a checkpoint that train_model wrote ({str(error).splitlines()[0]})") from None
    for key, wanted in expected.items():
        if key not in checkpoint:
            raise cli.BadInput(f"{path}: key {key} not found; expected a checkpoint that train_model wrote")
        refuse_differences(path, checkpoint[key], wanted, key, "the config")
    return checkpoint


def refuse_differences(path: Path, found, wanted, where: str, source: str) -> None:
    """Refuse a checkpoint that was made from another config, or from a set with another normalisation."""
    for key, old, new in differences(found, wanted, where):
        raise cli.BadInput(f"{path}: {key} is {old!r}, expected {new!r} from {source}; train the model anew")


def differences(found, wanted, where: str):
    """(key path, found, wanted) of each value in which two nested settings differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from differences(found.get(key, "nothing"), wanted.get(key, "nothing"), f"{where}.{key}")
    elif isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        if list(found) != list(wanted):
            yield where, list(found), list(wanted)
    elif found != wanted:
        yield where, found, wanted


def test_rows(path: Path) -> xr.Dataset:
    """The test rows of a patch set, in the file's order."""
    with xr.open_dataset(path, decode_cf=False) as patches:
        test = next(value for value, name in flag_names(patches["split"]).items() if name == "test")
        rows = np.flatnonzero(patches["split"].values == test)
        if not len(rows):
            raise cli.BadInput(
                f"{path}: split has no test example among {patches.sizes['example']}; expected at least one"
            )
        return patches.isel(example=rows).load()


@torch.no_grad()
def predict(study: str, checkpoint: dict, examples) -> dict[str, np.ndarray]:
    """The model's maps in physical units, (example, y, x) each; a network on the GPU where there is one."""
    if checkpoint["kind"] == "network":
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = importlib.import_module(f"skyloom.{study}.models.{checkpoint['module']}")
        task = network.make_task(checkpoint["entry"], checkpoint["meta"])
        task.load_state_dict(checkpoint["state"])
        task.to(device).eval()

        def apply(batch):
            return network.predict(task, {name: values.to(device) for name, values in batch.items()})
    else:
        baselines = importlib.import_module(f"skyloom.{study}.baselines")

        def apply(batch):
            return baselines.predict(checkpoint["state"], batch, checkpoint["meta"])

    parts = [apply(examples[index]) for index in np.array_split(np.arange(len(examples)), -(-len(examples) // BATCH))]
    return {name: torch.cat([part[name] for part in parts]).float().cpu().numpy() for name in parts[0]}


def as_dataset(predicted: dict[str, np.ndarray], patches: xr.Dataset) -> xr.Dataset:
    """Predictions beside the coordinates of their examples, in the target's unit."""
    shape = patches["target"].shape
    units = {"units": patches["target"].attrs.get("units", "")}
    maps = {}
    for name, values in predicted.items():
        if values.size != np.prod(shape):
            raise cli.BadInput(f"model: {name} has the shape {values.shape}, expected {shape} (example, y, x)")
        maps[name] = (patches["target"].dims, values.reshape(shape), units)  # networks keep a channel axis of one
    return xr.Dataset(maps, {name: patches[name] for name in COPIED if name in patches})


if __name__ == "__main__":
    cli.run(main)
