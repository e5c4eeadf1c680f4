"""Statistics of a product in the footprints of ground-based CMB surveys."""

from pathlib import Path

import healpy
import numpy as np

from skyloom import cli
from skyloom.co.products.footprints import table
from skyloom.co.products.write import read_product
from skyloom.patchset import PatchSet


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help="the footprints")
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc of co_prepare_maps")
    parser.add_argument("--product", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    lines, header = read_product(args.product)
    maps = PatchSet(args.maps)
    if header["NSIDE"] != maps.attrs["nside"]:
        raise cli.BadInput(
            f"{args.product}: NSIDE {header['NSIDE']}; expected {maps.attrs['nside']}, as in "
            f"{args.maps}"
        )
    names = [f"co{line}{suffix}" for line in lines for suffix in ("", "_null")]
    observed = {name: np.asarray(maps.array(name)) for name in names}
    statistics = table(lines, observed, args.config)
    statistics.insert(0, "product", header["PRODUCT"])
    statistics["data"] = header["SKYKIND"]
    with cli.atomic(args.output) as path:
        statistics.to_csv(path, index=False, float_format="%.4g")
    print(
        f"{len(args.config)} footprints at "
        f"{healpy.nside2resol(header['NSIDE'], arcmin=True):.1f} arcmin"
    )


if __name__ == "__main__":
    cli.run(main)
