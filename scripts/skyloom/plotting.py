"""One style for every figure: sheets of a journal's width, one look a model, the data kind in the
corner.

Colour maps: `cividis` runs evenly in lightness for every kind of colour vision; `RdBu_r` is
diverging without red against green and always centred on zero. Colours of networks differ in normal
vision, deuteranopia and greyscale. Baselines have dashes and markers as well, each its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.colors import LogNorm, to_hex, to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Circle  # noqa: E402
from matplotlib.patheffects import withStroke  # noqa: E402
from matplotlib.transforms import Bbox  # noqa: E402

from skyloom.cli import atomic  # noqa: E402

PAGE, COLUMN = 7.1, 3.4  # width of a sheet [inch]: two columns of a journal, one
MAP = "cividis"
DIVERGING = "RdBu_r"
MASKED = "#EADBB5"  # sky without a value
HALO = [withStroke(linewidth=1.5, foreground="0.15")]
MAX_PIXELS = 1600  # of the longer side of a PNG, for the report

STYLE = {
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.04,
    "figure.dpi": 100,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 3.2,  # long enough for a dash pattern
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "image.cmap": MAP,
    "image.interpolation": "nearest",
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # text stays text in the PDF
}


def style():
    """Context manager: `with style(): figure, axes = plt.subplots(...)`."""
    return plt.rc_context(STYLE)


# --- looks ----------------------------------------------------------------------------------------

SOLID = "-"
# marker -> dash of the line: figures printed in grey need both
MARKS = {
    **dict.fromkeys("oD^s", SOLID),
    "v": (0, (4, 1.5)),
    "P": (0, (1.2, 1.2)),
    "X": (0, (5, 1.5, 1.2, 1.5)),
    "d": (0, (8, 2)),
    "p": (0, (5, 1.2, 1.2, 1.2, 1.2, 1.2)),
    "h": (0, (2.5, 1)),
    "<": (0, (8, 1.5, 2.5, 1.5)),
    ">": (0, (3, 3)),
    "*": (0, (1.2, 2.8)),
    "8": (0, (8, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2, 1.2)),
    "H": (0, (1.2, 1.2, 1.2, 4)),
}
# colour and marker of the models whose entry has none, in the order of the entries
NETWORKS = (("#12449C", "o"), ("#C8400A", "D"), ("#17A589", "^"), ("#EFB118", "s"))
BASELINES = (
    ("#5B7F1C", "v"),
    ("#8347AD", "P"),
    ("#7A4A1E", "X"),
    ("#CC6FA6", "d"),
    ("#8C1D4F", "p"),
    ("#A08A3C", "h"),
    ("#14633A", "<"),
    ("#9D92D8", ">"),
    ("#1F7A8C", "*"),
    ("#A65E4E", "8"),
)
# Tol (2021), "light": of what is no model, such as splits, scores, classes
LIGHT = ("#77AADD", "#EE8866", "#AAAA00", "#FFAABB", "#99DDFF", "#EEDD88", "#BBCC33")
LIGHT_MARKERS = "os^DvPX"


@dataclass(frozen=True)
class Look:
    """How one thing is drawn in all figures."""

    label: str
    colour: str
    marker: str = "o"
    dash: str | tuple = SOLID
    width: float = 1.5  # points

    def line(self, **more) -> dict:
        """Arguments of `ax.plot` for a line; `marker` is left to the caller."""
        look = {"color": self.colour, "linestyle": self.dash, "linewidth": self.width}
        return look | {"label": self.label} | more

    def points(self, **more) -> dict:
        """Arguments of `ax.plot` or `ax.errorbar` for points without a line."""
        look = {"color": self.colour, "marker": self.marker, "linestyle": "none"}
        return look | {"markersize": 5, "label": self.label} | more


OBSERVED = Look("observed", "black", "s", SOLID, 1.8)
SPLITS = {
    "train": Look("training", LIGHT[0], "o"),
    "valid": Look("validation", LIGHT[2], "^"),
    "test": Look("test", LIGHT[1], "s"),
}


def model_looks(models: dict[str, dict]) -> dict[str, Look]:
    """The look of each model of a figure; no two have the same colour and dash.

    models : name -> its `kind` (network, baseline), and `label`, `colour`, `marker` or None. The
        marker fixes the dash. A later model with the colour and dash of an earlier one, such as a
        variant, gets another marker and dash, if possible those of no entry, or a lighter colour
        where all are taken.
    """
    stated = {entry.get("marker") for entry in models.values()}
    dashed = sorted((m for m in MARKS if MARKS[m] != SOLID), key=lambda m: m in stated)
    spare = {"network": cycle(NETWORKS), "baseline": cycle(BASELINES)}
    looks = {}
    for name, entry in models.items():
        colour, marker = next(spare[entry["kind"]])
        colour, marker = entry.get("colour") or colour, entry.get("marker") or marker
        taken = {(look.colour, look.dash) for look in looks.values()}
        colour, marker = next(
            (hue, mark)
            for hue, mark in _variants(colour, [marker, *dashed])
            if (hue, MARKS[mark]) not in taken
        )
        width = 1.5 if entry["kind"] == "network" else 1.2
        looks[name] = Look(entry.get("label") or name, colour, marker, MARKS[marker], width)
    return looks


def _variants(colour: str, markers: list[str]) -> Iterable[tuple[str, str]]:
    """A colour with each marker, then lighter colours."""
    for step in count():
        lighter = to_hex(1 - (1 - np.array(to_rgb(colour))) * 0.7**step)
        for marker in markers:
            yield lighter, marker


def light_looks(names: Iterable[str]) -> dict[str, Look]:
    """Looks of what is no model, in the order given: classes, scores, regions of the sky."""
    pairs = zip(names, cycle(LIGHT), cycle(LIGHT_MARKERS), strict=False)
    return {name: Look(name, colour, marker) for name, colour, marker in pairs}


# --- parts of figures -----------------------------------------------------------------------------


def band(ax, x: np.ndarray, bracket: Sequence[np.ndarray], look: dict, alpha: float = 0.15) -> None:
    """A line with the band of its interval.

    bracket : value, lower and upper end; look : arguments of `ax.plot`; alpha : 0 for no band.
    """
    value, lo, hi = bracket
    ax.plot(x, value, **look)
    if alpha:
        fill = {"color": look["color"], "alpha": alpha, "linewidth": 0}
        ax.fill_between(x, lo, hi, zorder=look.get("zorder", 1), **fill)


def arms(bracket: np.ndarray) -> np.ndarray:
    """(2, n) lengths of error bars from (3, n): value, lower and upper end; 0 without an
    interval.
    """
    value, lo, hi = np.asarray(bracket, np.float64)
    return np.nan_to_num(np.maximum([value - lo, hi - value], 0))


def degrees(angle: float, signed: bool = False) -> str:
    """`42°`, `+5°`, with a true minus sign; 0 has no sign."""
    text = f"{angle:{'+' if signed and angle else ''}g}\N{DEGREE SIGN}"
    return text.replace("-", "\N{MINUS SIGN}")


def plain_numbers(axis, ticks: Sequence[float]) -> None:
    """Ticks at these values, written out, and no others: of a logarithmic axis within one or two
    decades.
    """
    labels = [f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
    axis.set_ticks(ticks, labels)
    axis.set_ticks([], minor=True)


def plain_decades(axis) -> None:
    """Ticks at 1, 2, 3, 5 times powers of ten on a logarithmic axis, as many as stay legible."""
    low, high = sorted(axis.get_view_interval())
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    steps = (1, 2, 3, 5) if high / low < 30 else (1, 3) if high / low < 300 else (1,)
    ticks = sorted(float(f"{step * power:.0e}") for step in steps for power in powers)
    plain_numbers(axis, [tick for tick in ticks if low <= tick <= high])


def beam_circle(ax, place: tuple[float, float], fwhm_arcmin: float, colour="white", label=False):
    """The beam's FWHM as a circle; `place` is its centre in the axes' degrees."""
    radius = fwhm_arcmin / 120
    ax.add_patch(Circle(place, radius, fill=False, color=colour, linewidth=0.9))
    if label:
        halo = HALO if colour == "white" else None
        text = {"color": colour, "va": "center", "fontsize": 7, "path_effects": halo}
        # longitude grows to the left: the text stands on the right of the circle
        side = np.sign(np.subtract(*ax.get_xlim()))
        where = (place[0] - side * 1.5 * radius, place[1])
        ax.text(*where, f"{fwhm_arcmin:.0f}\N{PRIME}", ha="left", **text)


def scale_bar(
    ax, place: tuple[float, float], length: float, text: str, colour: str = "white"
) -> None:
    """A bar with `text` above; `place`, its centre, and `length` are in the axes' own unit."""
    x, y = place
    halo = HALO if colour == "white" else None
    ends = [x - length / 2, x + length / 2]
    edge = [withStroke(linewidth=2.7, foreground="0.15")] if halo else None  # wider than the bar
    ax.plot(ends, [y, y], color=colour, linewidth=1.5, path_effects=edge, solid_capstyle="butt")
    look = {"color": colour, "ha": "center", "va": "bottom", "fontsize": 7, "path_effects": halo}
    ax.annotate(text, (x, y), (0, 1.5), textcoords="offset points", **look)


def axes_at(figure: Figure, x: float, top: float, width: float, height: float):
    """Axes by the place of their upper left corner and their size [inch]."""
    across, down = figure.get_size_inches()
    return figure.add_axes((x / across, 1 - (top + height) / down, width / across, height / down))


def colour_bar(figure: Figure, image, label: str | None = None, bins: int = 4, **where):
    """A colour bar with its unit; `where` as for `figure.colorbar`: `ax`, or `cax`."""
    bar = figure.colorbar(image, **where)
    if label:
        bar.set_label(label)
    bar.ax.tick_params(labelsize=7, length=2, pad=1.5)
    if isinstance(image.norm, LogNorm):
        plain_decades(bar.long_axis)
    else:
        bar.locator = matplotlib.ticker.MaxNLocator(bins, steps=[1, 2, 5, 10])
        bar.update_ticks()
    bar.outline.set_visible(False)
    return bar


SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))  # right first


def label_points(
    ax, labels: Sequence[tuple[float, float, str]], obstacles: Sequence[tuple] = ()
) -> None:
    """Text beside each point (x, y, text) where it covers no point, no other text, no obstacle.

    obstacles : pairs of points, the ends of lines along the axes. Of eight places around a point
    the one that covers least is taken, in the order of `labels`.
    """
    ax.figure.canvas.draw()
    frame = ax.get_window_extent()
    taken = [_box(ax, [(x, y), (x, y)], 5) for x, y, _ in labels]
    taken += [_box(ax, ends, 1.5) for ends in obstacles]
    for x, y, text in labels:
        notes = []
        for dx, dy in SIDES:
            align = {"ha": ("center", "left", "right")[dx], "va": ("center", "bottom", "top")[dy]}
            far = 6 if 0 in (dx, dy) else 4
            note = ax.annotate(text, (x, y), (far * dx, far * dy), "data", "offset points", **align)
            box = note.get_window_extent()
            outside = box.width * box.height - _shared_area(box, frame)
            covered = sum(_shared_area(box, other) for other in taken) + 10 * outside
            notes.append((covered, note, box))
        best = min(notes, key=lambda item: item[0])
        taken.append(best[2])
        for item in notes:
            if item is not best:
                item[1].remove()


def _box(ax, ends: Sequence, margin: float) -> Bbox:
    """The box around two points of the data with a margin [points], on the canvas."""
    return Bbox(ax.transData.transform(ends)).padded(margin * ax.figure.dpi / 72)


def _shared_area(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return both.width * both.height if both else 0.0


def legend_above(figure: Figure, *axes, columns: int = 4, **more) -> None:
    """One legend above the axes, each label once, in as many columns as the sheet has room for."""
    where = {"loc": "outside upper left", "alignment": "left"}
    legend = figure.legend(**_entries(axes), ncols=columns, **where, **more)
    if columns > 1 and legend.get_window_extent().width > figure.bbox.width:
        legend.remove()
        legend_above(figure, *axes, columns=columns - 1, **more)


def _entries(axes) -> dict:
    entries = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return {"handles": list(entries.values()), "labels": list(entries)}


def save(figure: Figure, path: str | Path, data_kind: str | None) -> None:
    """Write `path` (.png, at most 1600 pixels on its longer side) and its .pdf twin, with a note of
    the data kind; None: nothing that is drawn was measured.
    """
    path = Path(path)
    if data_kind:
        note = {"ha": "right", "va": "bottom", "fontsize": 7, "color": "0.4"}
        figure.text(0.995, 0.003, f"data: {data_kind}", **note)
    engine = figure.get_layout_engine()
    if engine is not None and "rect" in engine.get():  # constrained: the lowest strip is the note's
        strip = 0.16 / figure.get_figheight() if data_kind else 0
        engine.set(rect=(0, strip, 1, 1 - strip))
        figure.draw_without_rendering()  # one pass leaves long titles across the edge
    dpi = min(200, int(MAX_PIXELS / max(figure.get_size_inches())))
    for target, options in ((path, {"dpi": dpi}), (path.with_suffix(".pdf"), {"dpi": 300})):
        with atomic(target) as part:
            figure.savefig(part, format=target.suffix[1:], **options)
    plt.close(figure)
