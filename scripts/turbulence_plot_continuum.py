"""Share of images classified as steep against the true index, on a set of continuous indices."""

from pathlib import Path

import xarray as xr

from skyloom import cli, plotting
from skyloom.turbulence.figures import index


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, help="curves.nc of each model and seed"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    curves: dict[str, list[xr.Dataset]] = {}
    for path in args.curves:
        with xr.open_dataset(path) as file:
            if "predicted_class" not in file:
                raise cli.BadInput(
                    f"{path}: predicted_class not found (variables: {', '.join(file)}); expected "
                    "a curves.nc"
                )
            curves.setdefault(file.attrs["model"], []).append(file.sel(subset="all").load())
    kind = next(iter(curves.values()))[0].attrs["data_kind"]
    plotting.save(index.continuum(curves), args.output, kind)


if __name__ == "__main__":
    cli.run(main)
