"""rho_l and C_l ratio of each model with the true CO against multipole, with dust, ceiling, published points."""

from pathlib import Path

import xarray as xr
import yaml

from skyloom import cli, plotting
from skyloom.co import figures


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=cli.json_argument, required=True, help='{"subset": "bright"}')
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help="curves.nc of each model and seed")
    parser.add_argument("--published", type=Path, help="config/co/published.yaml")
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    subset = args.config["subset"]
    curves, kinds = {}, {}
    for path in args.curves:
        with xr.open_dataset(path) as file:
            figures.require(file, ("rho_l", "cl_ratio"), path)
            if subset not in file.subset.values:
                found = ", ".join(file.subset.values)
                raise cli.BadInput(f"{path}: subset {subset} not found (subsets: {found}); too few test tiles for it?")
            curves.setdefault(file.attrs["model"], []).append(file.load())
            kinds[file.attrs["model"]] = file.attrs["kind"]
    published = yaml.safe_load(args.published.read_text())["curves"] if args.published else None
    data_kind = next(iter(curves.values()))[0].attrs["data_kind"]
    plotting.save(figures.spectra(curves, kinds, subset, published), args.output, data_kind)


if __name__ == "__main__":
    cli.run(main)
