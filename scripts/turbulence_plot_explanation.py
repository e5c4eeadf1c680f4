"""A figure of explanations: `saliency`, `bands` of waves, `controls` of models, `embedding`."""

from pathlib import Path

import xarray as xr

from skyloom import cli, plotting
from skyloom.turbulence import explain_figures

FIGURES = {
    "saliency": lambda datasets: explain_figures.saliency(datasets[0]),
    "bands": lambda datasets: explain_figures.bands(datasets[0]),
    "controls": explain_figures.controls,
    "embedding": lambda datasets: explain_figures.embedding(datasets[0]),
}


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True)
    parser.add_argument(
        "--explanations",
        type=Path,
        nargs="+",
        required=True,
        help="explain/*.nc; `controls`: several",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    explanations = [xr.load_dataset(path) for path in args.explanations]
    if args.figure == "saliency" and "saliency" not in explanations[0]:
        raise cli.BadInput(
            f"{args.explanations[0]}: explanation of a baseline, which has no gradients; expected "
            "that of a network"
        )
    plotting.save(
        FIGURES[args.figure](explanations), args.output, explanations[0].attrs["data_kind"]
    )


if __name__ == "__main__":
    cli.run(main)
