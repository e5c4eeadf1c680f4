"""The sky of the study: signal-to-noise of CO, tiles of each split, held-out complexes."""

from pathlib import Path

import numpy as np

from skyloom import cli, files, plotting
from skyloom.co import figures


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="snr, line, size_deg"
    )
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--tiles", type=Path, required=True)
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    line = args.config["line"]
    co = f"co{line}"
    with files.open_dataset(args.maps, decode_cf=False) as maps:
        cli.require(maps.variables, (co, f"{co}_error"), args.maps, "variable")
        with np.errstate(divide="ignore", invalid="ignore"):
            snr = maps[co].values / maps[f"{co}_error"].values
        data_kind = maps.attrs["data_kind"]
    tiles = files.read_csv(args.tiles, ["split", "complex"], numbers=["glon", "glat"])
    figure = figures.selection(
        snr, tiles, args.config["snr"], f"CO {line[0]}-{line[1]}", args.config["size_deg"]
    )
    plotting.save(figure, args.output, data_kind)


if __name__ == "__main__":
    cli.run(main)
