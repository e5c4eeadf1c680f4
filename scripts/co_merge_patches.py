"""Join the shards of a patch set and store the normalisation that its training split gives."""

import netCDF4
import numpy as np

from skyloom import patchset
from skyloom.cli import atomic, parser, run
from skyloom.co.data.examples import fit_normalisation


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--shards", nargs="+", required=True)
    arguments.add_argument("--output", required=True)
    args = arguments.parse_args()

    with atomic(args.output) as path:
        patchset.merge(args.shards, path)
        merged = patchset.PatchSet(path)
        train = merged.array("split") == 0
        fitted = {
            name: fit_normalisation(merged.array(name)[train]) for name in ("dust", "hi", "target")
        }
        with netCDF4.Dataset(path, "a") as file:
            for name, constants in fitted.items():
                file[name].setncatts(constants)
    print(f"{len(train)} patches, {np.count_nonzero(train)} of them in the training split")


if __name__ == "__main__":
    run(main)
