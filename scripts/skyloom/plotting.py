"""One style for every figure: colours that survive greyscale and colour blindness, the data kind on
the sheet.

Colours of lines: Okabe & Ito (2008), "Color universal design". `cividis` runs evenly in lightness
for every kind of colour vision; `RdBu_r` is diverging without red against green, always centred on
zero.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from skyloom.cli import atomic  # noqa: E402

MAP = "cividis"
DIVERGING = "RdBu_r"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24", "#6A3D9A")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
GREY = {"color": "0.75", "linewidth": 0.8, "zorder": 1}  # of a line that stands back
MAX_PIXELS = 1600  # of the longer side of a PNG, for the report

STYLE = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "image.cmap": MAP,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,  # text stays text in the PDF
}


def style():
    """Context manager: `with style(): figure, axes = plt.subplots(...)`."""
    return plt.rc_context(STYLE)


def line_styles(names: Iterable[str]) -> dict[str, dict]:
    """A colour and a dash pattern for each name, in the order given; a new pattern when the colours
    are used up.
    """
    names = list(dict.fromkeys(names))
    return {
        name: {"color": LINES[i % len(LINES)], "linestyle": DASHES[i // len(LINES) % len(DASHES)]}
        for i, name in enumerate(names)
    }


def band(ax, x: np.ndarray, bracket: Sequence[np.ndarray], look: dict, alpha: float = 0.15) -> None:
    """A line with the band of its interval, `bracket` being value, lower and upper end; grey lines
    have none.
    """
    value, lo, hi = bracket
    line = {
        key: look[key]
        for key in ("color", "linestyle", "linewidth", "zorder", "label")
        if key in look
    }
    ax.plot(x, value, **line)
    if alpha and look["color"] != GREY["color"]:
        ax.fill_between(
            x, lo, hi, color=look["color"], alpha=alpha, linewidth=0, zorder=look.get("zorder", 1)
        )


def legend_beside(figure: Figure, *axes) -> None:
    """One legend beside the axes, each label once."""
    entries = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(entries.values(), entries.keys(), loc="outside right upper")


def save(figure: Figure, path: str | Path, data_kind: str) -> None:
    """Write `path` (.png, at most 1600 pixels on its longer side) and its .pdf twin, with a note of
    the data kind.
    """
    path = Path(path)
    figure.text(
        0.995, 0.003, f"data: {data_kind}", ha="right", va="bottom", fontsize=7, color="0.4"
    )
    engine = figure.get_layout_engine()
    if engine is not None and "rect" in engine.get():  # constrained: the lowest strip is the note's
        strip = 0.16 / figure.get_figheight()
        engine.set(rect=(0, strip, 1, 1 - strip))
    dpi = min(200, int(MAX_PIXELS / max(figure.get_size_inches())))
    for target, options in ((path, {"dpi": dpi}), (path.with_suffix(".pdf"), {"dpi": 300})):
        with atomic(target) as part:
            figure.savefig(part, format=target.suffix[1:], **options)
    plt.close(figure)
