"""Draw the validation and test diagrams of a set. Its training diagrams are a stream."""

import time
from pathlib import Path

import numpy as np

from skyloom import cli, patchset
from skyloom.extinction import check
from skyloom.extinction.data import pools
from skyloom.extinction.data.patches import patches


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the set")
    parser.add_argument("--stars", type=Path, required=True, help="stars.nc of its fields")
    parser.add_argument("--output", type=Path, required=True, help="patches.nc")
    args = parser.parse_args()

    begin = time.process_time()
    drawn = patches(args.config, pools.load(args.stars))
    patchset.write(drawn, args.output)
    number = np.bincount(drawn["verdict"].values, minlength=len(check.ORDER))
    found = ", ".join(f"{n} {name}" for n, name in zip(number, check.ORDER, strict=True))
    seconds = time.process_time() - begin
    print(f"{drawn.sizes['example']} sightlines ({found}): {seconds:.0f} core-seconds")


if __name__ == "__main__":
    cli.run(main)
