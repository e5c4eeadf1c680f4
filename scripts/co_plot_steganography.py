"""Rise of the cycle's error with noise on the generated CO, one line a CycleGAN.

The second panel has the same noise on the true CO.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from skyloom import cli, plotting
from skyloom.patchset import PatchSet

COLUMNS = ("amplitude", "score", "control")
# the scale is linear below a rise of one per cent and logarithmic above, where a hidden code lies
LINEAR = 0.01


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        required=True,
        help=".../<model>/seed<k>/steganography.csv",
    )
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc, for its data kind")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    tables = {}
    for path in args.scores:
        table = pd.read_csv(path)
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise cli.BadInput(
                f"{path}: columns {', '.join(missing)} not found (columns: {', '.join(table)})"
            )
        tables.setdefault(path.parent.parent.name, []).append(table)
    means = {
        model: pd.concat(seeds).groupby("amplitude", as_index=False).mean()
        for model, seeds in tables.items()
    }
    plotting.save(figure(means), args.output, PatchSet(args.patches).attrs["data_kind"])


def figure(scores: dict[str, pd.DataFrame]) -> Figure:
    """Two panels on the same axes, a line a model: G(dust, HI), and the true CO."""
    styles = plotting.line_styles(scores)
    panels = {"score": "from G(dust, HI)", "control": "from the true CO, without a hidden code"}
    with plotting.style():
        fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharex=True, sharey=True)
        for ax, (column, title) in zip(axes, panels.items(), strict=True):
            for model, table in scores.items():
                style = styles[model] | {"marker": ".", "label": model.replace("_", " ")}
                ax.plot(table.amplitude, table[column] - 1, **style)
            ax.axhline(0, color="0.7", linewidth=0.6, zorder=0)
            ax.set(xscale="log", xlabel="noise on CO [standard deviations of its asinh]")
            ax.set_yscale("symlog", linthresh=LINEAR)
            # a constant line must look constant
            ax.set_ylim(min(-LINEAR, ax.get_ylim()[0]), max(1, ax.get_ylim()[1]))
            ax.set_title(title, loc="left")
            ax.yaxis.set_major_formatter("{x:g}")
        axes[0].set_ylabel(
            "rise of the error of the reconstructed (dust, HI),\nwith noise / without, less 1"
        )
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return fig


if __name__ == "__main__":
    cli.run(main)
