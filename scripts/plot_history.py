"""Loss curves of every network of a study: training and validation score, both in evaluation mode.

The history's columns are `step`, `epoch`, `train_<score>`, `valid_<score>` (the first score chooses
the weights) and the training losses `loss_<name>`, which dropout and augmentation make incomparable
with the scores; they are left out.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyloom import cli, plotting

COLUMNS = 3
SCORES = {
    "rmse_over_noise": "RMSE / noise",
    "nll": "negative log likelihood",
    "cross_entropy": "cross entropy",
    "squared_error": "mean squared error",
    "flow": "error of the flow",
    "l1": "mean absolute error",
}
TRAIN = plotting.SPLITS["train"].line(label="training", linestyle="--", marker=".", markersize=4)
VALID = plotting.SPLITS["valid"].line(label="validation", marker=".", markersize=4)
KEPT = plotting.SPLITS["valid"].points(
    label="weights kept", marker="o", markerfacecolor="white", markersize=6
)


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="models: {name: look}"
    )
    parser.add_argument(
        "--history", type=Path, nargs="+", required=True, help=".../<model>/seed<k>/history.csv"
    )
    parser.add_argument(
        "--data-kind", required=True, help="patches.nc, or what its attribute data_kind says"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help=".png; the .pdf is written next to it"
    )
    args = parser.parse_args()

    histories = {}
    for path in args.history:
        histories.setdefault(path.parent.parent.name, []).append(read(path))
    looks = plotting.model_looks(args.config["models"])
    plotting.save(figure(histories, looks), args.output, data_kind(args.data_kind))


def read(path: Path) -> pd.DataFrame:
    """A history; BadInput where it lacks the steps, or a validation score without its training
    twin.
    """
    table = pd.read_csv(path)
    if "step" not in table:
        raise cli.BadInput(
            f"{path}: column step not found (columns: {', '.join(table)}); expected a "
            "training history"
        )
    lonely = [name for name in scores(table) if f"train_{name}" not in table]
    if lonely:
        raise cli.BadInput(f"{path}: column train_{lonely[0]} not found beside valid_{lonely[0]}")
    return table


def scores(table: pd.DataFrame) -> list[str]:
    """Names of the scores, the one that chooses the weights first."""
    return [name.removeprefix("valid_") for name in table if name.startswith("valid_")]


def data_kind(text: str) -> str:
    """The data kind itself, or read from a patch set."""
    if not text.endswith(".nc"):
        return text
    import xarray as xr

    with xr.open_dataset(text, decode_cf=False) as file:
        return file.attrs["data_kind"]


def figure(histories: dict[str, list[pd.DataFrame]], looks: dict[str, plotting.Look]) -> Figure:
    """A panel a model: the score that chooses its weights against the step, one line a seed; the
    chosen step marked.
    """
    # a baseline has no curve
    histories = {
        model: curves
        for model, tables in histories.items()
        if (curves := [table for table in tables if scores(table) and len(table)])
    }
    if not histories:
        raise cli.BadInput(
            "--history: no file has a column valid_<score>; expected the history of at least "
            "one network"
        )
    columns = min(COLUMNS, len(histories))
    rows = -(-len(histories) // columns)
    width = plotting.COLUMN if columns == 1 else plotting.PAGE
    with plotting.style():
        size = (width, 0.6 + 2.2 * rows)
        fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        for ax in axes.flat[len(histories) :]:
            ax.set_axis_off()
        for ax, (model, tables) in zip(axes.flat, histories.items(), strict=False):
            name = scores(tables[0])[0]
            for table in tables:
                best = table[f"valid_{name}"].idxmin()
                ax.plot(table.step, table[f"train_{name}"], **TRAIN)
                ax.plot(table.step, table[f"valid_{name}"], **VALID)
                ax.plot(table.step[best], table[f"valid_{name}"][best], **KEPT)
            ax.set(title=looks[model].label, xlabel="step", ylabel=SCORES.get(name, name))
            parts = [t[f"{part}_{name}"] for t in tables for part in ("train", "valid")]
            values = np.concatenate(parts)
            if values.min() > 0 and values.max() > 8 * values.min():
                ax.set_yscale("log")
        plotting.legend_above(fig, axes[0, 0], columns=3, title="lower is better")
    return fig


if __name__ == "__main__":
    cli.run(main)
