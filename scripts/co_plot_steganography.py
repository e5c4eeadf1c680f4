"""Rise of the cycle's error with noise on the generated CO, one line a CycleGAN.

The second panel has the same noise on the true CO.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from skyloom import cli, files, plotting
from skyloom.patchset import PatchSet

COLUMNS = ("amplitude", "score", "control")
LEAST_TOP = 2  # of the scale: a constant line must look constant


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        required=True,
        help=".../<model>/seed<k>/steganography.csv",
    )
    help = "models: {name: look}"
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc, for its data kind")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    tables = {}
    for path in args.scores:
        table = files.read_csv(path, numbers=COLUMNS)
        tables.setdefault(path.parent.parent.name, []).append(table)
    means = {
        model: pd.concat(seeds).groupby("amplitude", as_index=False).mean()
        for model, seeds in tables.items()
    }
    looks = plotting.model_looks(args.config["models"])
    plotting.save(figure(means, looks), args.output, PatchSet(args.patches).attrs["data_kind"])


def figure(scores: dict[str, pd.DataFrame], looks: dict[str, plotting.Look]) -> Figure:
    """Two panels on the same axes, a line a model: G(dust, HI), and the true CO."""
    panels = {"score": "from G(dust, HI)", "control": "from the true CO, without a hidden code"}
    with plotting.style():
        fig, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.8), sharex=True, sharey=True)
        for ax, (column, title) in zip(axes, panels.items(), strict=True):
            for model, table in scores.items():
                look = looks[model]
                line = look.line(marker=look.marker, markersize=4)
                ax.plot(table.amplitude, table[column], **line)
            ax.axhline(1, color="0.7", linewidth=0.6, zorder=0)
            ax.set(xscale="log", xlabel=r"noise on asinh CO [$\sigma$]", yscale="log")
            ax.set_title(title, loc="left")
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(min(0.9, low), max(LEAST_TOP, high))
        plotting.plain_decades(axes[0].yaxis)
        axes[0].set_ylabel("cycle error with noise / without")
        plotting.legend_above(fig, axes[0])
    return fig


if __name__ == "__main__":
    cli.run(main)
