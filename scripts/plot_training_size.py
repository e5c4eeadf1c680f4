"""Scores against the size of the training set, of models whose sets differ in nothing else."""

from pathlib import Path

import numpy as np

from skyloom import cli, plotting
from skyloom.figures.training_size import training_size as draw
from skyloom.patchset import SPLITS, PatchSet
from skyloom.scores import records, training_size


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='"lines": {model: its line}, "models": looks of lines, "items", "source", "label"',
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json, scores.nc beside each"
    )
    parser.add_argument(
        "--patches", type=Path, nargs="+", required=True, help="sets/<set>/patches.nc of their sets"
    )
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    config = args.config
    sizes = {}
    for path in args.patches:
        coords = PatchSet(path).coords
        train = coords["split"] == SPLITS["train"]
        source = coords[config["source"]][train] if config["source"] else np.flatnonzero(train)
        sizes[path.parent.name] = len(np.unique(source))
    test = records.read(args.metrics, draws=True)
    table = training_size.table(test, config["lines"], sizes, config["items"])
    print(table.to_string(index=False))
    looks = plotting.model_looks(config["models"])
    figure = draw(table, config["items"], config["label"], looks)
    plotting.save(figure, args.output, test.data.iloc[0])


if __name__ == "__main__":
    cli.run(main)
