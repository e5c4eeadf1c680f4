"""Learning curves of one network on raw and on denoised CO: does less noise improve it?

In the original presentation the Res-UNet stopped improving on the raw map, which led to denoising.
Training scores are against the target of each network. Validation scores are always against the raw
map, so that their ends can be compared.

--config: {"targets": {"raw": "res_unet", "denoised": "res_unet_denoised"}, "models": {name: look}}
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from skyloom import cli, plotting
from skyloom.figures import history
from skyloom.pages import words
from skyloom.patchset import PatchSet


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="targets and models, JSON"
    )
    parser.add_argument(
        "--history", type=Path, nargs="+", required=True, help=".../<model>/seed<k>/history.csv"
    )
    parser.add_argument("--words", type=Path, nargs="+", required=True, help="columns.yaml")
    parser.add_argument("--patches", type=Path, required=True, help="patches.nc, for its data kind")
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    histories = history.by_model(args.history)
    missing = [model for model in args.config["targets"].values() if model not in histories]
    if missing:
        raise cli.BadInput(
            f"--history: no history of {', '.join(missing)} (histories: {', '.join(histories)})"
        )
    panels = {target: (model, histories[model]) for target, model in args.config["targets"].items()}
    looks = plotting.model_looks(args.config["models"])
    sheet = figure(panels, looks, words.read(args.words))
    plotting.save(sheet, args.output, PatchSet(args.patches).attrs["data_kind"])


def figure(
    panels: dict[str, tuple[str, list[pd.DataFrame]]],
    looks: dict[str, plotting.Look],
    score_words: words.Words,
) -> Figure:
    """A column a target, a row a score; scales are shared along a row."""
    names = history.scores(next(iter(panels.values()))[1][0])
    with plotting.style():
        fig, axes = plt.subplots(
            len(names),
            len(panels),
            figsize=(plotting.PAGE, 0.5 + 2.1 * len(names)),
            sharex=True,
            sharey="row",
            squeeze=False,
        )
        for column, (target, (model, tables)) in zip(axes.T, panels.items(), strict=True):
            column[0].set_title(f"{looks[model].label}: trained on {target} CO", loc="left")
            column[-1].set_xlabel("step")
            for ax, name in zip(column, names, strict=True):
                history.curves(ax, tables, name, looks[model])
        for ax, name in zip(axes[:, 0], names, strict=True):
            ax.set_ylabel(history.axis_label(name, score_words))
        title = "training: against the training target; validation: against raw CO"
        plotting.legend_above(fig, axes[0, 0], columns=3, title=title)
    return fig


if __name__ == "__main__":
    cli.run(main)
