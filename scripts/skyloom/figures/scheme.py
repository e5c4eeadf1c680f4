"""The scheme of a network, drawn from the description by `skyloom.networks.scheme.describe`."""

import textwrap

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from skyloom import plotting

COLOURS = {
    "image": "#DDDDDD",
    "convolution": "#99DDFF",
    "pooling": "#EEDD88",
    "dense": "#BBCC33",
    "statistics": "#FFAABB",
    "operation": "#F2F2F2",
    "output": "#EE8866",
}
FOLDED = 9  # layers from which a chain of them is drawn in two columns
# inches
# lines of text in a box -> distance of rows, where there is room
ROWS = {2: 0.46, 3: 0.54, 4: 0.66}
TALLEST = 8.6  # all rows
HEAD, MARGIN = 0.26, 0.04  # title, edge
GUTTER, LANE = 0.24, 0.08  # between columns, of each line that passes boxes
LETTER, LINE = 0.062, 0.122  # mean width of a letter, distance of lines
TALL = 0.74  # height of a box, in rows
LINES = {"color": "0.3", "linewidth": 0.9, "zorder": 0, "clip_on": False}


def scheme(description: dict, label: str) -> Figure:
    """Layers from top to bottom with the shapes of their outputs and, in brackets, the number of
    their parameters.

    A branch is a column of its own. A deep chain of layers goes on in a second column. `label` is
    the model's name in the title.
    """
    layers = description["layers"]
    at = folded(places(layers), layers)
    skips = skipping(at, layers)
    rows, columns = (1 + max(place[k] for place in at.values()) for k in range(2))
    width = plotting.COLUMN if columns == 1 else plotting.PAGE
    # inches of a column, which is one unit wide: a box, and the lines that pass it on its right
    across = (width - 2 * MARGIN) / columns
    box = 1 - (GUTTER + LANE * len(skips)) / across
    texts = {layer["name"]: _lines(layer, box * across) for layer in layers}
    down = min(ROWS[max(map(len, texts.values()))], TALLEST / rows)
    with plotting.style():
        figure = plt.figure(figsize=(width, HEAD + rows * down + 2 * MARGIN), layout="none")
        ax = plotting.axes_at(figure, MARGIN, HEAD, width - 2 * MARGIN, rows * down)
        for layer in layers:
            place = at[layer["name"]]
            _box(ax, layer["kind"], texts[layer["name"]], place, box, (across, down))
            for pair in [(at[name], place) for name in layer["inputs"]]:
                if pair in skips:
                    _skip(ax, *pair, box, LANE * (1 + skips.index(pair)) / across)
                else:
                    _arrow(ax, *pair)
        ax.set(xlim=(-box / 2 - 0.01, columns - box / 2 - 0.01), ylim=(rows - 0.5, -0.5))
        ax.set_axis_off()
        title = f"{label}: {description['trained']:,} trained parameters (brackets: of a layer)"
        ax.set_title(title, loc="left", pad=6)
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


def folded(at: dict[str, tuple[int, int]], layers: list[dict]) -> dict[str, tuple[int, int]]:
    """A deep chain of layers in two columns."""
    if len(at) < FOLDED or any(len(layer["inputs"]) > 1 for layer in layers):
        return at
    half = -(-len(at) // 2)
    return {name: (row % half, row // half) for name, (row, _) in at.items()}


def skipping(at: dict[str, tuple[int, int]], layers: list[dict]) -> list[tuple]:
    """Places of two layers of a column, one an input of the other, with layers between them; the
    nearest first.
    """
    pairs = [(at[name], at[layer["name"]]) for layer in layers for name in layer["inputs"]]
    filled = {*at.values()}
    passed = [
        (first, last)
        for first, last in pairs
        if first[1] == last[1] and filled & {(row, last[1]) for row in range(first[0] + 1, last[0])}
    ]
    return sorted(passed, key=lambda pair: pair[1][0] - pair[0][0])


def _lines(layer: dict, inches: float) -> list[str]:
    """The text of a layer that has a box of this width: its name, shape and parameters."""
    size = " \N{MULTIPLICATION SIGN} ".join(map(str, layer["shape"]))
    if layer["parameters"]:
        size += f" ({layer['parameters']:,})"
    return [*textwrap.wrap(layer["text"], int(inches / LETTER)), size]


def _box(
    ax: Axes, kind: str, lines: list[str], place: tuple[int, int], width: float, inches: tuple
) -> None:
    """inches : of one unit along both axes."""
    row, column = place
    shape = FancyBboxPatch(
        (column - width / 2, row - TALL / 2),
        width,
        TALL,
        boxstyle=f"round,pad=0,rounding_size={0.06 / inches[0]}",
        facecolor=COLOURS[kind],
        edgecolor="0.3",
        linewidth=0.8,
        mutation_aspect=inches[0] / inches[1],
    )
    ax.add_patch(shape)
    for k, line in enumerate(lines):
        y = row + (k - (len(lines) - 1) / 2) * LINE / inches[1]
        last = {"fontsize": 7, "color": "0.25"} if k == len(lines) - 1 else {}
        ax.text(column, y, line, ha="center", va="center", **last)


def _arrow(ax: Axes, first: tuple[int, int], last: tuple[int, int]) -> None:
    """From the box `first` down in its column, and across in the gap above the box `last`; into the
    next column by the gap between the two.
    """
    (y, x), start, end = first, first[0] + TALL / 2, last[0] - TALL / 2
    path = [(x, start), (x, last[0] - 0.5), (last[1], last[0] - 0.5)]
    if last[0] <= y:
        between = last[1] - 0.5
        path[1:1] = [(x, y + 0.5), (between, y + 0.5), (between, last[0] - 0.5)]
        del path[4]
    ax.plot(*zip(*path, strict=True), **LINES)
    _head(ax, (last[1], end), path[-1])


def _skip(ax: Axes, first: tuple, last: tuple, width: float, far: float) -> None:
    """Past the boxes between two of one column, on their right."""
    side, beyond = first[1] + width / 2, first[1] + width / 2 + far
    ax.plot([side, beyond, beyond], [first[0], first[0], last[0]], **LINES)
    _head(ax, (side, last[0]), (beyond, last[0]))


def _head(ax: Axes, point: tuple[float, float], start: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "color": "0.3", "linewidth": 0.9}
    ax.annotate("", xy=point, xytext=start, arrowprops=style, annotation_clip=False)
