"""The scheme of a network, drawn from a description of its layers, which the entry point makes from
a checkpoint.

Description: `model`, `module`, `trained` (parameters), `layers`, each with `name`, `kind` (a key of
`COLOURS`), `shape` of what it gives (without the batch), `parameters` and `of`, the names of the
layers that it is given.
"""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from skyloom import plotting
from skyloom.turbulence.figures.scores import said

COLOURS = {
    "image": "#DDDDDD",
    "convolution": "#56B4E9",
    "pooling": "#F5D58A",
    "dense": "#7FCBAE",
    "statistics": "#E6B3CF",
    "operation": "#EEEEEE",
    "answer": "#E39A6B",
}
WIDTH, HEIGHT, STEP, COLUMN = (
    3.0,
    0.62,
    1.0,
    3.4,
)  # of a box, from row to row, from branch to branch


def places(layers: list[dict]) -> dict[str, tuple[int, int]]:
    """(row, column) of each layer by its name: rows in the longest way from the image, columns a
    branch each.
    """
    row: dict[str, int] = {}
    column: dict[str, int] = {}
    children: dict[str, list[str]] = {}
    for layer in layers:
        of = layer["of"]
        row[layer["name"]] = 1 + max((row[name] for name in of), default=-1)
        if len(of) == 1:  # the first to follow goes straight on, the others branch off
            siblings = children.setdefault(of[0], [])
            siblings.append(layer["name"])
            column[layer["name"]] = (
                column[of[0]] if len(siblings) == 1 else max(column.values()) + 1
            )
        else:
            column[layer["name"]] = min((column[name] for name in of), default=0)
    return {name: (row[name], column[name]) for name in row}


def scheme(description: dict) -> Figure:
    """Layers from top to bottom, each with the shape that it gives and its parameters; a branch is
    a column.
    """
    layers = description["layers"]
    at = places(layers)
    rows, columns = (
        1 + max(row for row, _ in at.values()),
        1 + max(column for _, column in at.values()),
    )
    with plotting.style():
        figure, ax = plt.subplots(figsize=(0.85 * COLUMN * columns + 0.6, 0.62 * STEP * rows + 0.6))
        for layer in layers:
            row, column = at[layer["name"]]
            x, y = COLUMN * column, -STEP * row
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
            ax.text(x, y + 0.12, layer["text"], ha="center", va="center", fontsize=8)
            ax.text(
                x, y - 0.14, shape + count, ha="center", va="center", fontsize=6.5, color="0.25"
            )
            for name in layer["of"]:
                above, beside = at[name]
                start, end, turn = -STEP * above - HEIGHT / 2, y + HEIGHT / 2 + 0.02, y + STEP / 2
                # down in its own column, over in the gap above the layer that it goes to
                ax.plot(
                    [COLUMN * beside, COLUMN * beside, x],
                    [start, turn, turn],
                    color="0.3",
                    linewidth=0.9,
                    zorder=0,
                )
                arrow = {
                    "arrowstyle": "-|>",
                    "color": "0.3",
                    "linewidth": 0.9,
                    "shrinkA": 0,
                    "shrinkB": 0,
                }
                ax.annotate("", xy=(x, end), xytext=(x, turn), arrowprops=arrow)
        ax.set(xlim=(-WIDTH / 2 - 0.1, COLUMN * (columns - 1) + WIDTH / 2 + 0.1))
        ax.set(ylim=(-STEP * (rows - 1) - HEIGHT - 0.1, HEIGHT / 2 + 0.1))
        ax.set_axis_off()
        ax.set_title(
            f"{said(description['model'])}: {description['trained']:,} trained parameters",
            loc="left",
        )
    return figure
