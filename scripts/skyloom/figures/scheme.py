"""The scheme of a network, drawn from the description by `skyloom.networks.scheme.describe`."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from skyloom import plotting

COLOURS = {
    "image": "#DDDDDD",
    "convolution": "#56B4E9",
    "pooling": "#F5D58A",
    "dense": "#7FCBAE",
    "statistics": "#E6B3CF",
    "operation": "#EEEEEE",
    "output": "#E39A6B",
}
WIDTH, HEIGHT = 3.0, 0.62  # of a box
ROW, COLUMN = 1.0, 3.4  # distance of rows and of branches
INCHES_A_COLUMN, INCHES_A_ROW = 0.85, 0.62


def scheme(description: dict, label: str) -> Figure:
    """Layers from top to bottom with the shapes of their outputs and their parameters.

    A branch is a column of its own. `label` is the model's name in the title.
    """
    layers = description["layers"]
    at = places(layers)
    last_row = max(row for row, _ in at.values())
    last_column = max(column for _, column in at.values())
    size = (
        INCHES_A_COLUMN * COLUMN * (last_column + 1) + 0.6,
        INCHES_A_ROW * ROW * (last_row + 1) + 0.6,
    )
    with plotting.style():
        figure, ax = plt.subplots(figsize=size)
        for layer in layers:
            _box(ax, layer, at[layer["name"]])
            for name in layer["inputs"]:
                _arrow(ax, at[name], at[layer["name"]])
        ax.set_xlim(-WIDTH / 2 - 0.1, COLUMN * last_column + WIDTH / 2 + 0.1)
        ax.set_ylim(-ROW * last_row - HEIGHT - 0.1, HEIGHT / 2 + 0.1)
        ax.set_axis_off()
        ax.set_title(f"{label}: {description['trained']:,} trained parameters", loc="left")
    return figure


def places(layers: list[dict]) -> dict[str, tuple[int, int]]:
    """(row, column) of each layer by its name.

    The row is the longest way from the image. The first layer after another one stays in its
    column, the others branch off.
    """
    rows: dict[str, int] = {}
    columns: dict[str, int] = {}
    continued: set[str] = set()  # layers whose column goes on
    for layer in layers:
        name, inputs = layer["name"], layer["inputs"]
        rows[name] = 1 + max((rows[before] for before in inputs), default=-1)
        if len(inputs) == 1 and inputs[0] in continued:
            columns[name] = 1 + max(columns.values())
        else:
            columns[name] = min((columns[before] for before in inputs), default=0)
        if len(inputs) == 1:
            continued.add(inputs[0])
    return {name: (rows[name], columns[name]) for name in rows}


def _box(ax: Axes, layer: dict, place: tuple[int, int]) -> None:
    row, column = place
    x, y = COLUMN * column, -ROW * row
    box = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2),
        WIDTH,
        HEIGHT,
        boxstyle="round,pad=0.02,rounding_size=0.08",
        facecolor=COLOURS[layer["kind"]],
        edgecolor="0.3",
        linewidth=0.8,
    )
    ax.add_patch(box)
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, layer["shape"]))
    count = f" ({layer['parameters']:,} parameters)" if layer["parameters"] else ""
    centred = {"ha": "center", "va": "center"}
    ax.text(x, y + 0.12, layer["text"], fontsize=8, **centred)
    ax.text(x, y - 0.14, shape + count, fontsize=6.5, color="0.25", **centred)


def _arrow(ax: Axes, first: tuple[int, int], last: tuple[int, int]) -> None:
    """From the box `first` down in its column, and across in the gap above the box `last`."""
    x, y = COLUMN * last[1], -ROW * last[0]
    start, turn, end = -ROW * first[0] - HEIGHT / 2, y + ROW / 2, y + HEIGHT / 2 + 0.02
    line = {"color": "0.3", "linewidth": 0.9}
    ax.plot([COLUMN * first[1], COLUMN * first[1], x], [start, turn, turn], zorder=0, **line)
    arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, **line}
    ax.annotate("", xy=(x, end), xytext=(x, turn), arrowprops=arrow)
