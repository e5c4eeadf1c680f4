"""Predict the test split with a trained model and score it, and score it on validation.

Models are chosen by their validation scores, so that the test score of the chosen one is not the
best of many. Nothing is trained here: weights, normalisation and thresholds come from the
checkpoint, and the settings of the scores from the config. A checkpoint of another study, model,
config or normalisation is refused.
"""

import importlib
from pathlib import Path

import torch

from skyloom import checkpoint, cli
from skyloom.gpus import claim
from skyloom.predictions import as_dataset, rows_of
from skyloom.scores.records import write

# on validation: coverage and the fair CRPS have the same expectation for any number
VALID_SAMPLES = 2


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
        "--data", type=Path, nargs="+", required=True, help="the training set, patches.nc first"
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--curves", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--gpus", type=int, default=0, help="GPUs of the job")
    args = parser.parse_args()
    claim(args.gpus)

    entry, settings = args.config["entry"], args.config["evaluate"]
    examples = importlib.import_module(f"skyloom.{args.study}.data.examples").load(args.data, entry)
    expected = {"study": args.study, "model": args.model, "entry": entry, "meta": examples.meta}
    trained = checkpoint.load(args.checkpoint, expected)
    test, valid = (rows_of(args.data[0], split) for split in ("test", "valid"))
    for name, rows, split in (("test", test, examples.test), ("valid", valid, examples.valid)):
        if len(split) != rows.sizes["example"]:
            raise cli.BadInput(
                f"{args.data[0]}: {len(split)} {name} examples read, expected its "
                f"{rows.sizes['example']} {name} rows"
            )

    # a stochastic model's realisations
    torch.manual_seed(args.seed)
    predictions = as_dataset(checkpoint.predict(trained, examples.test), test)
    study = importlib.import_module(f"skyloom.{args.study}.evaluate")
    evaluation = study.evaluate(test, predictions, entry, settings)
    validation = []
    scored = study.validation_rows(valid)
    if len(scored):
        valid = valid.isel(example=scored)
        predicted = checkpoint.predict(with_few_samples(trained), examples.valid, scored)
        validation = study.validate(valid, as_dataset(predicted, valid), settings)
    model = {"study": args.study, "model": args.model, "kind": trained["kind"], "seed": args.seed}
    model |= {"set": entry.get("set", ""), "data_kind": test.attrs["data_kind"]}
    write(args, model, predictions, evaluation, validation)


def with_few_samples(trained: dict) -> dict:
    """The checkpoint of a stochastic model with VALID_SAMPLES realisations, which cost a sample's
    time each.
    """
    entry = trained["entry"]
    if "samples" not in entry:
        return trained
    return trained | {"entry": entry | {"samples": min(entry["samples"], VALID_SAMPLES)}}


if __name__ == "__main__":
    cli.run(main, gpus=True)
