"""Scores against the number of training simulations, of models whose sets differ in
nothing else.
"""

from pathlib import Path

import numpy as np

from skyloom import cli, metrics, plotting
from skyloom.patchset import SPLITS, PatchSet
from skyloom.turbulence.figures import training_size


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='{"groups": {model: its line}}'
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="+", required=True, help="metrics.json of each model and seed"
    )
    parser.add_argument(
        "--patches", type=Path, nargs="+", required=True, help="sets/<set>/patches.nc of their sets"
    )
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    simulations = {}
    for path in args.patches:
        known = PatchSet(path).coords
        simulations[path.parent.name] = len(
            np.unique(known["simulation"][known["split"] == SPLITS["train"]])
        )
    records = metrics.read(args.metrics)
    table = training_size.table(records, args.config["groups"], simulations)
    print(table.to_string(index=False))
    plotting.save(training_size.training_size(table), args.output, records.data.iloc[0])


if __name__ == "__main__":
    cli.run(main)
