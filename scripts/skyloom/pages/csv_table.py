"""The page of any CSV of the report, by its entry of `tables` in columns.yaml.

The entry has, each of them optional:

- `groups`: columns whose values head the groups of rows;
- `first`: columns that are shown; the others are folded;
- `hide`: columns that are left out;
- `intervals`: column -> the two columns with the ends of its interval, where they are not named
  `<column>_lo` and `<column>_hi`;
- `columns`: words for columns that mean something else in this table;
- `plain`: columns whose values are names of the code, shown without underscores;
- `source`: column with the sources of values, which are listed below the table;
- `numbers`: `cell` where the numbers of a column have different scales.

A column `chosen` marks the models that validation chose.
"""

import math
from html import escape

import pandas as pd

from skyloom.pages import table as tables
from skyloom.pages.document import small
from skyloom.pages.scores import CHOSEN, STAR, Names
from skyloom.pages.table import Cell, Name, Score
from skyloom.pages.words import Words

MODELS = ("model", "network", "baseline", "of")
SETS = ("set", "trained_on", "tested_on")
SCORES = ("score", "name")
ENDS = ("lo", "hi", "seed_scatter")


def csv_table(frame: pd.DataFrame, name: str, names: Names, words: Words) -> str:
    """HTML of the table `name`."""
    entry = words.tables.get(name, {})
    heads, hidden = entry.get("groups", []), {*entry.get("hide", []), entry.get("source")}
    intervals = interval_columns(frame, entry.get("intervals", {}))
    hidden |= {*heads} | {end for ends in intervals.values() for end in ends.values()}
    frame = frame.assign(**{c: frame[c].str.replace("_", " ") for c in entry.get("plain", [])})
    starred = {"model", "chosen"} <= {*frame}
    own = Words(words.columns | entry.get("columns", {}), words.subsets)
    shown = [c for c in frame if c not in hidden | ({"chosen"} if starred else set())]
    first = [c for c in entry.get("first", ()) if c in shown] or shown[: tables.WIDEST]
    columns = [own.column(c) for c in [*first, *(c for c in shown if c not in first)]]
    groups: dict[str, list[dict]] = {}
    for row in frame.to_dict("records"):
        heading = ", ".join(filter(None, (_heading(row, h, names, words) for h in heads)))
        cells = {
            c.name: cell(row, c.name, intervals.get(c.name, {}), names, words) for c in columns
        }
        if starred and row["chosen"] == "chosen":
            cells["model"] = names.model(row["model"], STAR)
        groups.setdefault(heading, []).append(cells)
    by = entry.get("numbers", "group" if heads else "column")
    parts = [tables.folded(columns, list(groups.items()), len(first) - 1, by=by)]
    parts.append(small(escape(" ".join(_notes(frame, entry, intervals, starred)))))
    return "\n".join([*parts, tables.legend(columns)])


def _notes(frame: pd.DataFrame, entry: dict, intervals: dict, starred: bool) -> list[str]:
    notes = ["Small print: the interval."] * any("lo" in ends for ends in intervals.values())
    if starred and (frame.chosen == "chosen").any():
        notes.append(f"{CHOSEN}: chosen on validation.")
    if "source" in entry:
        sources = frame[entry["source"]].dropna().unique()
        notes += [f"Source: {', '.join(sources)}."] * bool(len(sources))
    return notes


def interval_columns(
    frame: pd.DataFrame, stated: dict[str, list[str]]
) -> dict[str, dict[str, str]]:
    """Column -> the names of the columns with `lo`, `hi`, `seed_scatter`, those that exist."""
    found = {}
    for name in frame:
        ends = {end: f"{name}_{end}" for end in ENDS} | dict(
            zip(ENDS, stated.get(name, []), strict=False)
        )
        found[name] = {end: column for end, column in ends.items() if column in frame}
    return {name: ends for name, ends in found.items() if ends}


def cell(row: dict, name: str, ends: dict[str, str], names: Names, words: Words) -> Cell:
    """A cell: models, sets, scores and subsets in words, numbers with their interval."""
    value = row[name]
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str):
        return _words(value, name, names, words)
    if ends:
        return Score(value, **{_FIELDS[end]: float(row[column]) for end, column in ends.items()})
    return value


def _words(value: str, name: str, names: Names, words: Words) -> str | Name:
    if name in MODELS:
        return names.model(value)
    if name in SETS:
        return names.set(value)
    if name == "subset":
        return words.subset(value)
    return words.column(value).label if name in SCORES else value


_FIELDS = {"lo": "lo", "hi": "hi", "seed_scatter": "scatter"}


def _heading(row: dict, name: str, names: Names, words: Words) -> str:
    """The value of a column that heads a group, in words."""
    value = cell(row, name, {}, names, words)
    if isinstance(value, Name):
        return value.text
    if name == "score":
        unit = f" [{row['unit']}]" if isinstance(row.get("unit"), str) else ""
        return f"{value}{unit} {tables.DIRECTIONS.get(row.get('better'), '')}".strip()
    if name == "subset" and value == "all" or value is None:
        return ""
    return str(value) if isinstance(value, str) else f"{words.column(name).label} = {value:g}"
