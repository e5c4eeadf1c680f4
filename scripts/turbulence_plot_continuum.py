"""Share of images classified as steep against the true index, on a set of continuous indices."""

from pathlib import Path

import xarray as xr

from skyloom import cli, files, plotting
from skyloom.turbulence.figures import index


def main() -> None:
    parser = cli.parser(__doc__)
    help = '"models": {name: how it is drawn}, "sets": {name: label}'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    help = "curves.nc of each model and seed"
    parser.add_argument("--curves", type=Path, nargs="+", required=True, help=help)
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    curves: dict[str, list[xr.Dataset]] = {}
    for path in args.curves:
        with files.open_dataset(path) as file:
            cli.require(file.variables, ["predicted_class"], path, "variable")
            curves.setdefault(file.attrs["model"], []).append(file.sel(subset="all").load())
    kind = next(iter(curves.values()))[0].attrs["data_kind"]
    looks = plotting.model_looks(args.config["models"])
    plotting.save(index.continuum(curves, looks, args.config["sets"]), args.output, kind)


if __name__ == "__main__":
    cli.run(main)
