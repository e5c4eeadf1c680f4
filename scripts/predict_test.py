"""Predict the test split with a trained model and measure the prediction; and its headline scores
on validation.

Models are chosen by what they score on validation, so that what the chosen one scores on test is
not the best of many. Nothing is learned here: weights, normalisation and thresholds come from the
checkpoint, and the metrics' settings from the config. A checkpoint of another study, model, config
or normalisation is refused.
"""

import importlib
from pathlib import Path

import torch

from skyloom import checkpoint, cli
from skyloom.predictions import as_dataset, rows_of, write

VALID_SAMPLES = (
    2  # on validation: coverage and the fair CRPS have the same expectation for any number
)


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
        "--data",
        type=Path,
        nargs="+",
        required=True,
        help="patches.nc, and denoised.nc where trained on",
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True)
    args = parser.parse_args()

    entry = args.config["entry"]
    examples = importlib.import_module(f"skyloom.{args.study}.data.examples").load(args.data, entry)
    expected = {"study": args.study, "model": args.model, "entry": entry, "meta": examples.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    patches, known = (rows_of(args.data[0], split) for split in ("test", "valid"))
    for split, rows, read in (("test", patches, examples.test), ("valid", known, examples.valid)):
        if len(read) != rows.sizes["example"]:
            expected = f"expected its {rows.sizes['example']} {split} rows"
            raise cli.BadInput(f"{args.data[0]}: {len(read)} {split} examples read, {expected}")

    torch.manual_seed(args.seed)  # of a stochastic model's realisations
    predictions = as_dataset(checkpoint.predict(trained, examples.test), patches)
    evaluation = importlib.import_module(f"skyloom.{args.study}.evaluate")
    records, curves = evaluation.evaluate(patches, predictions, entry, args.config["evaluate"])
    scored = evaluation.validation_rows(known)
    validation = []
    if len(scored):
        known = known.isel(example=scored)
        predicted = as_dataset(
            checkpoint.predict(with_few_samples(trained), examples.valid, scored), known
        )
        validation = evaluation.validate(known, predicted, args.config["evaluate"])
    about = {"study": args.study, "model": args.model, "kind": trained["kind"], "seed": args.seed}
    about |= {"set": entry.get("set", ""), "line": patches.attrs.get("line", "")}
    about |= {"data_kind": patches.attrs["data_kind"]}
    write(args, about, predictions, curves, records, validation)


def with_few_samples(trained: dict) -> dict:
    """The checkpoint, of a stochastic model with VALID_SAMPLES realisations, whose cost is a
    sample's times them.
    """
    entry = trained["entry"]
    return (
        trained | {"entry": entry | {"samples": min(entry["samples"], VALID_SAMPLES)}}
        if "samples" in entry
        else trained
    )


if __name__ == "__main__":
    cli.run(main)
