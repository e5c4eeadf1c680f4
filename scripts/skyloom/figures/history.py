"""Score of the training and the validation split against the step, from history.csv.

The history's columns are `step`, `epoch`, `train_<score>`, `valid_<score>` (the first score chooses
the weights) and the training losses `loss_<name>`, which dropout and augmentation make incomparable
with the scores; they are left out.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyloom import files, plotting
from skyloom.cli import BadInput
from skyloom.pages.words import Words
from skyloom.plotting import Look

COLUMNS = 3
ROW = 2.3  # height of a row of panels [inch]
FACTOR = 8  # largest over smallest value above which the axis is logarithmic


def by_model(paths: list[Path]) -> dict[str, list[pd.DataFrame]]:
    """Model -> the histories of its seeds, read from .../<model>/seed<k>/history.csv."""
    histories: dict[str, list[pd.DataFrame]] = {}
    for path in paths:
        histories.setdefault(path.parent.parent.name, []).append(read(path))
    return histories


def read(path: Path) -> pd.DataFrame:
    """A history; BadInput where it lacks the steps, or a validation score its twin of training."""
    table = files.read_csv(path, ["step"])
    missing = [name for name in scores(table) if f"train_{name}" not in table]
    if missing:
        raise BadInput(f"{path}: column train_{missing[0]} not found next to valid_{missing[0]}")
    return table


def scores(table: pd.DataFrame) -> list[str]:
    """Names of the scores, the one that chooses the weights first."""
    return [name.removeprefix("valid_") for name in table if name.startswith("valid_")]


def figure(
    histories: dict[str, list[pd.DataFrame]],
    looks: dict[str, Look],
    words: Words,
) -> Figure:
    """A panel a model that has scores: a line a seed and split, the best step marked.

    looks : by model; words : labels and units of the scores.
    """
    histories = {
        model: [t for t in tables if scores(t) and len(t)] for model, tables in histories.items()
    }
    # a baseline has no curve
    histories = {model: tables for model, tables in histories.items() if tables}
    if not histories:
        raise BadInput(
            "--history: no file has a column valid_<score>; expected the history of at least "
            "one network"
        )
    columns = min(COLUMNS, len(histories))
    rows = -(-len(histories) // columns)
    width = plotting.PAGE if columns > 1 else plotting.COLUMN
    with plotting.style():
        sheet, axes = plt.subplots(rows, columns, figsize=(width, ROW * rows), squeeze=False)
        for ax in axes.flat[len(histories) :]:
            ax.set_axis_off()
        for ax, (model, tables) in zip(axes.flat, histories.items(), strict=False):
            _panel(ax, tables, looks[model], words)
        axes.flat[0].legend(loc="best")
    return sheet


def _panel(ax, tables: list[pd.DataFrame], look: Look, words: Words) -> None:
    name = scores(tables[0])[0]
    curves(ax, tables, name, look)
    ax.set_title(look.label, loc="left")
    ax.set_xlabel("step")
    ax.set_ylabel(axis_label(name, words))
    values = np.concatenate([t[f"{part}_{name}"] for t in tables for part in ("train", "valid")])
    if values.min() > 0 and values.max() > FACTOR * values.min():
        ax.set_yscale("log")
    _epochs(ax, tables[0])


def curves(ax, tables: list[pd.DataFrame], name: str, look: Look) -> None:
    """Both splits of a score, a line a seed. The star is the step whose weights are kept."""
    train, valid, kept = (
        {"color": look.colour, "linestyle": "--", "linewidth": 1.0, "marker": ".", "alpha": 0.6},
        {"color": look.colour, "linestyle": "-", "linewidth": 1.4, "marker": look.marker},
        {"color": look.colour, "linestyle": "none", "marker": "*", "markersize": 9},
    )
    for k, table in enumerate(tables):
        labels = ("training", "validation", "weights kept") if k == 0 else (None,) * 3
        best = table[f"valid_{scores(table)[0]}"].idxmin()
        ax.plot(table.step, table[f"train_{name}"], label=labels[0], markersize=4, **train)
        ax.plot(table.step, table[f"valid_{name}"], label=labels[1], markersize=3, **valid)
        ax.plot(table.step[best], table[f"valid_{name}"][best], label=labels[2], **kept)


def axis_label(name: str, words: Words) -> str:
    column = words.column(name)
    unit = f" [{column.unit}]" if column.unit else ""
    return f"{column.label}{unit}\nlower is better"


def _epochs(ax, table: pd.DataFrame) -> None:
    """Epochs on the upper axis, where the history counts them."""
    if "epoch" not in table or not table.epoch.max() > 0:
        return
    steps = table.step.iloc[-1] / table.epoch.iloc[-1]
    upper = ax.secondary_xaxis("top", functions=(lambda s: s / steps, lambda e: e * steps))
    upper.set_xlabel("epoch")
