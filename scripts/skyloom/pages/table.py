"""One table for every page: columns with label, unit and direction, rows in groups, sortable."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import NamedTuple

from skyloom.pages.document import details
from skyloom.scores.verdict import decimals

DIRECTIONS = {"higher": "\N{UPWARDS ARROW}", "lower": "\N{DOWNWARDS ARROW}"}
DIRECTIONS |= {"zero": "\N{RIGHTWARDS ARROW} 0", "one": "\N{RIGHTWARDS ARROW} 1"}
DIRECTIONS |= {"nominal": "\N{RIGHTWARDS ARROW} 0.683", "nominal95": "\N{RIGHTWARDS ARROW} 0.95"}
ASCENDING = ("lower", "zero")  # their best value is the smallest
ZERO = 1e-6  # a number that is smaller is printed as 0
WIDEST = 7  # columns of one table, which then fits the pane of the report (944 px)


@dataclass(frozen=True)
class Column:
    """A column: `name` is its key in the rows, `below` a second line of its head."""

    name: str
    label: str
    unit: str = ""
    better: str = ""
    about: str = ""
    below: str = ""


class Score(NamedTuple):
    """A value with the ends of its interval, its scatter over seeds, and a note in small print.

    `best` prints it bold.
    """

    value: float
    lo: float = math.nan
    hi: float = math.nan
    scatter: float = math.nan
    best: bool = False
    note: str = ""


class Name(NamedTuple):
    """A text with a sentence about it, which is shown on hover, and marks behind it (HTML)."""

    text: str
    about: str = ""
    marks: str = ""


Cell = str | float | bool | Score | Name | None
Group = tuple[str, Sequence[dict[str, Cell]]]


def folded(
    columns: Sequence[Column],
    groups: Sequence[Group],
    first: int,
    more: str = "More columns",
    by: str = "column",
) -> str:
    """A table of the first column and the `first` next ones; those that are left are folded below.

    Each table has at most WIDEST columns; by : as in `table`.
    """
    head, rest = columns[0], columns[1 + first :]
    parts = [table(columns[: 1 + first], groups, by)]
    step = math.ceil(len(rest) / max(1, math.ceil(len(rest) / (WIDEST - 1))))
    tables = [
        table([head, *rest[start : start + step]], groups, by)
        for start in range(0, len(rest), step or 1)
    ]
    if tables:
        parts.append(details(f"{more} ({len(rest)})", "\n".join(tables)))
    return "\n".join(parts)


def table(columns: Sequence[Column], groups: Sequence[Group], by: str = "column") -> str:
    """HTML of a table. groups : (heading, rows); a group without a heading has no line of its own.

    by : whether the numbers of a `column`, a `group` in it, or a `cell` share their decimals.

    Columns without any value are left out, and rows that have a name only.
    """
    key = columns[0].name
    groups = [
        (
            heading,
            [r for r in group if any(not empty(r.get(c.name)) for c in columns if c.name != key)],
        )
        for heading, group in groups
    ]
    groups = [(heading, group) for heading, group in groups if group]
    rows = [row for _, group in groups for row in group]
    columns = [c for c in columns if any(not empty(row.get(c.name)) for row in rows)]
    numeric = {c.name: all(is_number(row.get(c.name)) for row in rows) for c in columns}
    head = "".join(_head(column, numeric[column.name]) for column in columns)
    bodies = []
    for heading, group in groups:
        lines = []
        if heading:
            cell = f'<th colspan="{len(columns)}" scope="rowgroup">{escape(heading)}</th>'
            lines.append(f'<tr class="group">{cell}</tr>')
        for row in group:
            alike = {"column": rows, "group": group, "cell": [row]}[by]
            cells = (
                _cell(
                    row.get(c.name), column_decimals(r.get(c.name) for r in alike), numeric[c.name]
                )
                for c in columns
            )
            lines.append(f"<tr>{''.join(cells)}</tr>")
        bodies.append("<tbody>\n" + "\n".join(lines) + "\n</tbody>")
    body = "\n".join(bodies)
    return f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n{body}\n</table></div>'


def legend(columns: Iterable[Column]) -> str:
    """The sentence about each column that has one."""
    items = {column.label: column.about for column in columns if column.about}
    lines = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in items.items())
    return f"<dl>{''.join(lines)}</dl>" if items else ""


# --- numbers --------------------------------------------------------------------------------------


def column_decimals(cells: Iterable[Cell]) -> int | None:
    """Decimals that the numbers of a column share, None for whole numbers.

    By the widths of the intervals where there are any, else three digits of the middle value.
    """
    scores = [cell if isinstance(cell, Score) else Score(cell) for cell in cells if is_number(cell)]
    values = [score.value for score in scores if not empty(score.value)]
    widths = [digits for s in scores if (digits := decimals(s.lo, s.hi)) is not None]
    if widths:
        return int(median(widths))
    sizes = [abs(value) for value in values if abs(value) >= ZERO and math.isfinite(value)]
    if not sizes or all(float(value).is_integer() for value in values):
        return None
    return min(4, max(0, 2 - math.floor(math.log10(median(sizes)))))


def number(value: float, digits: int | None) -> str:
    """A number with these decimals, 0 where it is smaller than ZERO, with a true minus sign."""
    if abs(value) < ZERO:
        return "0"
    if digits is None:
        text = f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
    else:
        # a number that is not 0 is not shown as 0
        text = f"{value:.{digits}f}" if round(value, digits) else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}")


def empty(cell: Cell) -> bool:
    if isinstance(cell, Score):
        return empty(cell.value) and not cell.note
    return cell is None or cell == "" or isinstance(cell, float) and math.isnan(cell)


def is_number(cell: Cell) -> bool:
    """Whether a cell is a number, or empty."""
    return isinstance(cell, Score) or not isinstance(cell, str | bool | Name)


# --- parts ----------------------------------------------------------------------------------------


def _head(column: Column, numeric: bool) -> str:
    unit = f" [{escape(column.unit)}]" if column.unit else ""
    arrow = f"&nbsp;{DIRECTIONS[column.better]}" if column.better else ""
    below = f"<small>{escape(column.below)}</small>" if column.below else ""
    first = "up" if column.better in ASCENDING or not numeric else "down"
    classes = "sorts number" if numeric else "sorts"
    return (
        f'<th class="{classes}" scope="col" tabindex="0" data-first="{first}" '
        f'title="{escape(column.about)}">{escape(column.label)}{unit}{arrow}{below}</th>'
    )


def _cell(cell: Cell, digits: int | None, numeric: bool) -> str:
    if isinstance(cell, Name):
        about = f' title="{escape(cell.about)}"' if cell.about else ""
        return f"<td{about}>{escape(cell.text)}{cell.marks}</td>"
    if isinstance(cell, bool):
        return f"<td>{'yes' if cell else 'no'}</td>"
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    if empty(cell):
        return '<td class="number" data-value=""></td>' if numeric else "<td></td>"
    score = cell if isinstance(cell, Score) else Score(cell)
    return f'<td class="number" data-value="{_sorted_by(score.value)}">{_score(score, digits)}</td>'


def _sorted_by(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.9g}"


def _score(score: Score, digits: int | None) -> str:
    if math.isnan(score.value):
        text = ""
    else:
        text = number(score.value, digits)
        text = f"<strong>{text}</strong>" if score.best else text
    if not math.isnan(score.scatter):
        text += f" ± {number(score.scatter, digits)}"
    if not math.isnan(score.lo):
        text += f"<small>[{number(score.lo, digits)}, {number(score.hi, digits)}]</small>"
    return text + (f"<small>{escape(score.note)}</small>" if score.note else "")
