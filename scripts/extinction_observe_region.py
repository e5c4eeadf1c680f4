"""Draw the diagrams of a region on a coherent mock sky, with the true profiles and verdicts."""

import time
from pathlib import Path

import numpy as np

from skyloom import cli
from skyloom.extinction import check
from skyloom.extinction.data.region import observed
from skyloom.extinction.products import profiles


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='"region", "fields", "set"'
    )
    parser.add_argument("--output", type=Path, required=True, help="region, netCDF")
    args = parser.parse_args()

    begin = time.process_time()
    drawn = observed(*(args.config[name] for name in ("region", "fields", "set")))
    profiles.write(drawn, args.output)
    number = np.bincount(drawn["verdict"].values, minlength=len(check.ORDER))
    found = ", ".join(f"{n} {name}" for n, name in zip(number, check.ORDER, strict=True))
    seconds = time.process_time() - begin
    print(f"{drawn.sizes['sightline']} sightlines ({found}): {seconds:.0f} core-seconds")


if __name__ == "__main__":
    cli.run(main)
