"""Join the shards of a patch set and store the normalisation of its training split."""

from pathlib import Path

import netCDF4
import numpy as np

from skyloom import cli, patchset
from skyloom.co.data.examples import fit_normalisation


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--shards", type=Path, nargs="+", required=True, help="of co_cut_patches, in order"
    )
    parser.add_argument("--output", type=Path, required=True, help="patches.nc")
    args = parser.parse_args()

    with cli.atomic(args.output) as path:
        patchset.merge(args.shards, path)
        merged = patchset.PatchSet(path)
        train = merged.array("split") == 0
        normalisation = {
            name: fit_normalisation(merged.array(name)[train]) for name in ("dust", "hi", "target")
        }
        with netCDF4.Dataset(path, "a") as file:
            for name, constants in normalisation.items():
                file[name].setncatts(constants)
    print(f"{len(train)} patches, {np.count_nonzero(train)} of them in the training split")


if __name__ == "__main__":
    cli.run(main)
