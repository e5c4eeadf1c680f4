"""All test examples of a set on one page: the observed maps and those that the network predicts
which validation chose, or the images that it puts into the wrong class.
"""

from pathlib import Path

import xarray as xr

from skyloom import cli, files
from skyloom.pages import scores, tiles, words
from skyloom.pages.document import document
from skyloom.predictions import rows_of


def main() -> None:
    parser = cli.parser(__doc__)
    help = '"tiles", "examples" of comparison; "models" of the set; "labels", "abouts", "sets"'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--set", required=True)
    parser.add_argument("--verdict", type=Path, required=True, help="verdict.json")
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc")
    help = "predictions.nc of each model, scores.nc next to it"
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help=help)
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="columns.yaml")
    parser.add_argument("--output", type=Path, required=True, help=".html")
    args = parser.parse_args()

    config, names = args.config, scores.names(args.config)
    paths = dict(zip(config["models"], args.predictions, strict=True))
    verdict = files.read_json(args.verdict, ["sets"])["sets"]
    model = next(part["model"] for part in verdict if part["set"] == args.set)
    path = paths[model or config["models"][0]]
    predictions = files.load_dataset(path, decode_cf=False)
    examples = files.load_dataset(path.with_name("scores.nc"), drop_variables="draws")
    patches = shown(args.patches)
    cli_rows = patches.sizes["example"]
    if cli_rows != predictions.sizes["example"]:
        raise cli.BadInput(
            f"{path}: {predictions.sizes['example']} examples, expected the {cli_rows} test "
            f"examples of {args.patches}"
        )
    by = tiles.orders(examples, config["tiles"], words.read(args.words))
    label = names.model(model).text
    body = tiles.page(patches, predictions, examples, by, label, config)
    title = f"Test {config['examples']}: {names.set(args.set)}, {label}"
    with cli.atomic(args.output) as part:
        part.write_text(document(title, body, tiles.STYLE, tiles.SCRIPT))
    print(f"{patches.sizes['example']} test examples of {label} in {args.output}")


def shown(path: Path) -> xr.Dataset:
    """The test rows with the target and, where it is no map, the image."""
    with files.open_dataset(path, decode_cf=False) as file:
        keep = {"target", "split"} | {str(name) for name in file.variables if file[name].ndim < 2}
        if file["target"].ndim < 3:
            keep.add(tiles.image_name(file))
        drop = [str(name) for name in file.variables if name not in keep]
    return rows_of(path, "test", drop)


if __name__ == "__main__":
    cli.run(main)
