"""A figure of explanations: `saliency` of images, `bands` of waves, `controls` of several models,
`embedding`.
"""

from pathlib import Path

import xarray as xr

from skyloom import cli, plotting
from skyloom.turbulence import explain_figures

FIGURES = {
    "saliency": lambda found: explain_figures.saliency(found[0]),
    "bands": lambda found: explain_figures.bands(found[0]),
    "controls": explain_figures.controls,
    "embedding": lambda found: explain_figures.embedding(found[0]),
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
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    found = [xr.load_dataset(path) for path in args.explanations]
    if args.figure == "saliency" and "saliency" not in found[0]:
        raise cli.BadInput(
            f"{args.explanations[0]}: of a baseline, which has no gradients; expected a network's"
        )
    plotting.save(FIGURES[args.figure](found), args.output, found[0].attrs["data_kind"])


if __name__ == "__main__":
    cli.run(main)
