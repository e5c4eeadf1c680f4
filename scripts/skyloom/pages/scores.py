"""Pages of scores: the models of a study compared, and their scores by subset of the test data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from skyloom.pages import table as tables
from skyloom.pages.document import small
from skyloom.pages.table import Column, Group, Name, Score
from skyloom.pages.words import Words, plain
from skyloom.scores import pairs
from skyloom.scores.comparison import KINDS, SOURCE, column, label
from skyloom.scores.records import LOSS, OUTPUTS, pool_seeds
from skyloom.scores.verdict import sentence

HEADINGS = {
    "network": "Networks",
    "baseline": "Baselines without a network",
    "reference": "Reference and bounds",
    "bound": "Reference and bounds",
    "published": "Published, not part of this run",
}
CHOSEN = "\N{BLACK STAR}"
STAR = f'&nbsp;<span title="chosen on validation">{CHOSEN}</span>'
INTERVAL_NOTE = "Small print: 68 % interval of a bootstrap over {blocks}"


@dataclass(frozen=True)
class Names:
    """Names of models, references and sets for people, and sentences about models."""

    labels: dict[str, str]
    abouts: dict[str, str]
    sets: dict[str, str]

    def model(self, name: str, marks: str = "") -> Name:
        return Name(self.labels.get(name, plain(name)), self.abouts.get(name, ""), marks)

    def set(self, name: str) -> str:
        return self.sets.get(name, plain(name))


def names(config: dict) -> Names:
    """The names in the config of a script: `labels`, `abouts`, `sets`."""
    return Names(config["labels"], config["abouts"], config["sets"])


# --- comparison -----------------------------------------------------------------------------------


def comparison(
    table: pd.DataFrame,
    verdict: dict,
    headline: list[dict],
    records: pd.DataFrame,
    names: Names,
    words: Words,
    settings: dict,
) -> str:
    """The verdict and the table of each set: deciding scores first, the others folded.

    table : `scores.comparison.table`; verdict : `scores.verdict.verdict`; records : with draws;
    settings : section `comparison`. Bold is the best score of a column among the models of a set,
    with those that are level with it.
    """
    columns = [Column("model", "model"), *headline_columns(headline, records, words)]
    deciding = sum(item.get("decides", True) for item in headline)
    order = sorted(range(len(headline)), key=lambda k: not headline[k].get("decides", True))
    columns = [columns[0], *(columns[1 + k] for k in order)]
    parts, flags = [], Flags()
    for part in verdict["sets"]:
        rows = table[table["set"] == part["set"]]
        best = best_models(records[records["set"] == part["set"]], headline)
        groups = comparison_groups(rows, headline, names, best, flags)
        if len(verdict["sets"]) > 1:
            parts.append(f"<h2>{escape(names.set(part['set']))}</h2>")
        parts.append(verdict_of(part))
        parts.append(tables.folded(columns, groups, deciding, "More scores"))
    notes = [*flags.notes(), _notes(table, headline, names, settings)]
    return "\n".join([*parts, *notes, tables.legend(columns)])


def verdict_of(part: dict) -> str:
    """The verdict on one set as a list: its network, a line a score, remarks."""
    if not part["clauses"]:
        return f"<p>{escape(part['text'])}</p>"
    lines = []
    for clause in part["clauses"]:
        word = clause["result"]
        text = escape(sentence(clause).removeprefix(word))
        lines.append(f'<li><span class="{word}">{word.capitalize()}</span>{text}.</li>')
    lines += [f"<li>{escape(remark)}</li>" for remark in part["remarks"]]
    head = f"<p><strong>{escape(part['label'])}</strong> ({escape(part['about'])})</p>"
    return f'{head}\n<ul class="verdict">{"".join(lines)}</ul>'


def headline_columns(headline: list[dict], records: pd.DataFrame, words: Words) -> list[Column]:
    """A column a headline item, with unit and direction of its records."""
    scores = records.drop_duplicates("name").set_index("name")
    columns = []
    for item in headline:
        unit, better = scores.loc[item["name"], ["unit", "better"]]
        below = "" if item["subset"] == "all" else words.subset(item["subset"])
        about = words.column(item["name"]).about
        columns.append(Column(column(item), label(item), unit, better, about, below))
    return columns


def comparison_groups(
    rows: pd.DataFrame,
    headline: list[dict],
    names: Names,
    best: dict[str, set[str]],
    flags: "Flags",
) -> list[Group]:
    """The rows of one set by kind, each a cell a column. best : `best_models`."""
    groups: dict[str, list[dict]] = {}
    for _, row in rows.iterrows():
        marks = ""
        if row.chosen:
            marks += STAR
        if row.flag:
            marks += flags.mark(row.flag)
        cells = {"model": names.model(row.model, marks)}
        for item in headline:
            key = column(item)
            bold = row.model in best.get(key, ()) and row.kind in KINDS
            note = published_note(row, item, headline)
            cells[key] = score_cell(row, key)._replace(best=bold, note=note)
        groups.setdefault(HEADINGS[row.kind], []).append(cells)
    return list(groups.items())


def score_cell(row: pd.Series, key: str) -> Score:
    """The cell of a score column: its value, `_lo`, `_hi`, `_seed_scatter`."""
    ends = (row.get(f"{key}{end}", math.nan) for end in ("", "_lo", "_hi", "_seed_scatter"))
    return Score(*map(float, ends))


def published_note(row: pd.Series, item: dict, headline: list[dict]) -> str:
    """The published value of a score, with the data that it was measured on.

    It stands in the first column of its score.
    """
    value = row.get(f"published_{item['name']}", math.nan)
    first = next(other for other in headline if other["name"] == item["name"])
    if item is not first or pd.isna(value):
        return ""
    return f"published {value:.3g} ({row.published_on})"


def best_models(records: pd.DataFrame, headline: list[dict]) -> dict[str, set[str]]:
    """Column -> the model of one set with the best score, and those that are level with it."""
    best = {}
    models = records[records["of"].isin(OUTPUTS)].groupby("model", sort=False)
    for item in headline:
        rows = {model: pairs.shown(group, item) for model, group in models}
        rows = {model: shown for model, shown in rows.items() if shown.value.notna().any()}
        if not rows:
            continue
        better = next(iter(rows.values())).better.iloc[0]
        first = min(rows, key=lambda model: float(LOSS[better](rows[model].value.mean())))
        draws = {model: list(shown.draws) for model, shown in rows.items()}
        best[column(item)] = {
            model
            for model in rows
            if model == first
            or pairs.difference(draws[first], draws[model], better).result == pairs.LEVEL
        }
    return best


class Flags(dict):
    """Marks of flags, a letter each, and their sentences."""

    def mark(self, flag: str) -> str:
        letter = self.setdefault(flag, chr(ord("a") + len(self)))
        return f'<sup class="flag" title="{escape(flag)}">{letter}</sup>'

    def notes(self) -> list[str]:
        lines = (f'<sup class="flag">{k}</sup> {escape(flag)}' for flag, k in self.items())
        return [small("; ".join(lines) + ".")] if self else []


def _notes(table: pd.DataFrame, headline: list[dict], names: Names, settings: dict) -> str:
    notes = [INTERVAL_NOTE.format(blocks=settings["blocks"])]
    if (table.seeds > 1).any():
        notes[0] += " and over training seeds; ± is the scatter over seeds"
    notes.append("Bold: the best of a column, and those level with it by the paired 95 % interval")
    if (table.chosen != "").any():
        notes.append(f"{CHOSEN}: the network that validation chose")
    if "shown" in table and (table["shown"] == "sample").any():
        samples = dict.fromkeys(table.model[table["shown"] == "sample"])
        labels = dict.fromkeys(label(item) for item in headline if item.get("show") == "sample")
        who = ", ".join(names.model(name).text for name in samples)
        notes.append(f"{', '.join(labels)} of {who}: of one sample, other scores of the mean")
    if "published_on" in table:
        sources = table[list(SOURCE)].dropna().drop_duplicates().to_numpy()
        text = "; ".join(sorted(": ".join(row) for row in sources if all(row)))
        notes.append(f"Published: {text}. These values were measured on other data")
    return small(escape(". ".join(notes) + "."))


# --- scores by subset -----------------------------------------------------------------------------


def subsets(
    records: pd.DataFrame, scores: Sequence[str], names: Names, words: Words, settings: dict
) -> str:
    """A table a set and score: a row a model, then its references, a column a subset.

    records : with draws. settings : section `comparison`, of which `mark` names a score: a subset
        in which it is 0 is marked with a dagger.
    """
    mark = settings.get("mark") or {"score": "", "text": ""}
    pooled = pool_seeds(records[records["name"].isin([*scores, mark["score"]])])
    labels = {item["name"]: label(item) for item in reversed(settings["headline"])}
    parts = []
    for key, group in pooled.groupby("set", sort=False):
        marks = group[group["name"] == mark["score"]].drop_duplicates("subset")
        marked = set(marks.subset[marks.value == 0])
        for name in scores:
            rows = group[(group["name"] == name) & (group["of"] != "sample")]
            if rows.subset.nunique() < 2:
                continue
            first = rows.drop_duplicates("subset").set_index("subset")
            columns = [Column("model", "model")]
            for alike in equal_subsets(rows):
                text = ", ".join(words.subset(s) + " †" * (s in marked) for s in alike)
                columns.append(Column(alike[0], text, below=f"n = {first.n[alike[0]]}"))
            title = f"{names.set(key)}: {labels.get(name, words.column(name).label)}"
            title += f" [{first.unit.iloc[0]}]" if first.unit.iloc[0] else ""
            title += f" {tables.DIRECTIONS[first.better.iloc[0]]}"
            parts.append(f"<h2>{escape(title)}</h2>")
            parts += wide(columns, subset_groups(rows, names))
    note = "n: test examples. " + INTERVAL_NOTE.format(blocks=settings["blocks"])
    note += f"; fewer than four {settings['blocks']} give none."
    note += f" † {mark['text']}." if "†" in "".join(parts) else ""
    return "\n".join([*parts, small(escape(note))])


def equal_subsets(rows: pd.DataFrame) -> list[list[str]]:
    """The subsets of a score, those with the same examples and values together."""
    alike: dict[tuple, list[str]] = {}
    for subset, group in rows.groupby("subset", sort=False):
        alike.setdefault((group.n.iloc[0], *group.value), []).append(subset)
    return list(alike.values())


def wide(columns: Sequence[Column], groups: Sequence[Group]) -> list[str]:
    """As many tables as all columns need, the first column in each."""
    head, rest = columns[0], columns[1:]
    count = math.ceil(len(rest) / (tables.WIDEST - 1))
    parts = [list(part) for part in np.array_split(np.array(rest, object), count)]
    return [tables.table([head, *part], groups) for part in parts]


def subset_groups(rows: pd.DataFrame, names: Names) -> list[Group]:
    """Models by kind, then references. rows : `pool_seeds` of one set and score."""
    groups: dict[str, dict[str, dict]] = {}
    for row in rows.itertuples():
        model = row.of in OUTPUTS
        key = row.model if model else row.of
        heading = HEADINGS[row.kind if model else "reference"]
        cells = groups.setdefault(heading, {}).setdefault(key, {"model": names.model(key)})
        cells.setdefault(row.subset, Score(row.value, row.lo, row.hi))
    order = sorted(groups, key=list(dict.fromkeys(HEADINGS.values())).index)
    return [(heading, list(groups[heading].values())) for heading in order]
