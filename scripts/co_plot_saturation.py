"""Learning curves of one network on raw and on denoised CO: does less noise improve it?

In the original presentation the Res-UNet stopped improving on the raw map, which led to denoising.
Training scores are against the target of each network. Validation scores are always against the raw
map, so that their ends can be compared.

--config: {"raw": "res_unet", "denoised": "res_unet_denoised"}
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from plot_history import TRAIN, VALID, read, scores
from skyloom import cli, plotting
from skyloom.patchset import PatchSet


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="models by their target, JSON"
    )
    parser.add_argument(
        "--history", type=Path, nargs="+", required=True, help=".../<model>/seed<k>/history.csv"
    )
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc, for its data kind")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    histories = {}
    for path in args.history:
        histories.setdefault(path.parent.parent.name, []).append(read(path))
    missing = [model for model in args.config.values() if model not in histories]
    if missing:
        raise cli.BadInput(
            f"--history: no history of {', '.join(missing)} (histories: {', '.join(histories)})"
        )
    panels = {target: (model, histories[model]) for target, model in args.config.items()}
    plotting.save(figure(panels), args.output, PatchSet(args.patches).attrs["data_kind"])


def figure(panels: dict[str, tuple[str, list[pd.DataFrame]]]) -> Figure:
    """A column a target, a row a score, a line a seed; scales are shared along a row.

    A circle marks the weights that are kept.
    """
    names = scores(next(iter(panels.values()))[1][0])
    with plotting.style():
        fig, axes = plt.subplots(
            len(names),
            len(panels),
            figsize=(7, 0.8 + 2.4 * len(names)),
            sharex=True,
            sharey="row",
            squeeze=False,
        )
        for column, (target, (model, tables)) in zip(axes.T, panels.items(), strict=True):
            column[0].set_title(f"{model.replace('_', ' ')}: trained on {target} CO", loc="left")
            column[-1].set_xlabel("step")
            for ax, name in zip(column, names, strict=True):
                for table in tables:
                    best = table[f"valid_{names[0]}"].idxmin()
                    ax.plot(
                        table.step,
                        table[f"train_{name}"],
                        color=TRAIN,
                        linestyle="--",
                        linewidth=1.2,
                    )
                    ax.plot(table.step, table[f"valid_{name}"], color=VALID, linewidth=1.4)
                    ax.plot(
                        table.step[best],
                        table[f"valid_{name}"][best],
                        "o",
                        color=VALID,
                        markerfacecolor="white",
                    )
        for ax, name in zip(axes[:, 0], names, strict=True):
            ax.set_ylabel(
                name.replace("rmse_over_noise", "RMSE / noise").replace(
                    "nll", "negative log likelihood"
                )
            )
        handles = [
            plt.Line2D(
                [],
                [],
                color=TRAIN,
                linestyle="--",
                label="training tiles, against the training target",
            ),
            plt.Line2D(
                [],
                [],
                color=VALID,
                marker="o",
                markerfacecolor="white",
                label="validation, against raw CO",
            ),
        ]
        fig.legend(handles=handles, loc="outside upper center", ncols=2)
    return fig


if __name__ == "__main__":
    cli.run(main)
