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
TRAIN, VALID = plotting.LINES[0], plotting.LINES[1]


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--history", type=Path, nargs="+", required=True, help=".../<model>/seed<k>/history.csv"
    )
    parser.add_argument(
        "--data-kind", required=True, help="patches.nc, or what its attribute data_kind says"
    )
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    histories = {}
    for path in args.history:
        histories.setdefault(path.parent.parent.name, []).append(read(path))
    plotting.save(figure(histories), args.output, data_kind(args.data_kind))


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


def figure(histories: dict[str, list[pd.DataFrame]]) -> Figure:
    """A panel a model: the score that chooses its weights against the step, one line a seed; the
    chosen step marked.
    """
    histories = {
        model: [t for t in tables if scores(t) and len(t)] for model, tables in histories.items()
    }
    histories = {
        model: tables for model, tables in histories.items() if tables
    }  # a baseline has no curve
    if not histories:
        raise cli.BadInput(
            "--history: no file has a column valid_<score>; expected the history of at least "
            "one network"
        )
    columns = min(COLUMNS, len(histories))
    rows = -(-len(histories) // columns)
    with plotting.style():
        fig, axes = plt.subplots(
            rows, columns, figsize=(1 + 3.2 * columns, 0.6 + 2.6 * rows), squeeze=False
        )
        for ax in axes.flat[len(histories) :]:
            ax.set_axis_off()
        for ax, (model, tables) in zip(axes.flat, histories.items(), strict=False):
            name = scores(tables[0])[0]
            for table in tables:
                ax.plot(
                    table.step, table[f"train_{name}"], color=TRAIN, linestyle="--", linewidth=1.2
                )
                ax.plot(table.step, table[f"valid_{name}"], color=VALID, linewidth=1.4)
                best = table[f"valid_{name}"].idxmin()
                ax.plot(
                    table.step[best],
                    table[f"valid_{name}"][best],
                    "o",
                    color=VALID,
                    markerfacecolor="white",
                )
            ax.set(title=model.replace("_", " "), xlabel="step", ylabel=name.replace("_", " "))
            values = np.concatenate(
                [t[f"{part}_{name}"] for t in tables for part in ("train", "valid")]
            )
            if values.min() > 0 and values.max() > 8 * values.min():
                ax.set_yscale("log")
        handles = [
            plt.Line2D([], [], color=TRAIN, linestyle="--", label="training examples"),
            plt.Line2D([], [], color=VALID, label="validation examples"),
            plt.Line2D(
                [],
                [],
                color=VALID,
                marker="o",
                markerfacecolor="white",
                linestyle="none",
                label="weights kept",
            ),
        ]
        fig.legend(
            handles=handles, loc="outside upper center", ncols=3, title="both in evaluation mode"
        )
    return fig


if __name__ == "__main__":
    cli.run(main)
