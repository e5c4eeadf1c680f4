"""Power, rho_l and C_l ratio against multipole of a set's models, beside the observed CO, dust,
bounds and published points; all models in all bands on a sheet of their own.
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
        help='{"subset": "bright", "models": {name: how it is drawn}}',
    )
    parser.add_argument(
        "--curves", type=Path, nargs="+", required=True, help="curves.nc of each model and seed"
    )
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv")
    parser.add_argument("--published", type=Path, required=True, help="config/co/published.yaml")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    parser.add_argument("--output-full", type=Path, required=True, help=".png, all models")
    args = parser.parse_args()

    published = yaml.safe_load(args.published.read_text())
    scores = score_figures.read(args.curves, args.config, args.comparison, published)
    kind = scores.first.attrs["data_kind"]
    plotting.save(score_figures.spectra(scores), args.output, kind)
    plotting.save(score_figures.spectra_full(scores), args.output_full, kind)


if __name__ == "__main__":
    cli.run(main)
