"""rho_l and C_l ratio of a set's models with the observed CO, against multipole.

The figure also has the dust map, the noise ceiling and published points.
"""

from pathlib import Path

import yaml

from skyloom import cli, plotting
from skyloom.co import score_figures


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"subset": "bright", "highlight": ["res_unet"] or null}',
    )
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, help="curves.nc of each model and seed"
    )
    parser.add_argument("--published", type=Path, help="config/co/published.yaml")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    scores = score_figures.read(args.curves, args.config)
    published = yaml.safe_load(args.published.read_text())["curves"] if args.published else None
    plotting.save(
        score_figures.spectra(scores, published), args.output, scores.first.attrs["data_kind"]
    )


if __name__ == "__main__":
    cli.run(main)
