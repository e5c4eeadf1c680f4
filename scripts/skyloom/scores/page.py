"""The tables of a study as self-contained HTML pages: the comparison, and scores by subset."""

from html import escape

import pandas as pd

from skyloom.scores.comparison import KINDS, SOURCE, column, label
from skyloom.scores.records import ENDS, OUTPUTS, pool_seeds

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; margin: 2rem auto; max-width: 78rem;
  padding: 0 1rem }
p.verdict { font-size: 17px; border-left: 4px solid #0072b2; padding-left: 1rem; max-width: 60rem }
div.table { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; border-top: 2px solid;
  border-bottom: 2px solid }
th { text-align: left; font-weight: 600; vertical-align: bottom; border-bottom: 1px solid }
th, td { padding: .3rem .8rem .3rem 0 }
td.number, th.number { text-align: right; white-space: nowrap }
tr.first td { border-top: 1px solid #bbb }
small { color: #555 } td.flag { color: #a0361b }
td.published, th.published { background: #f4f1e8; padding-left: .8rem }
"""
DIRECTIONS = {"higher": "\N{UPWARDS ARROW}", "lower": "\N{DOWNWARDS ARROW}"}
DIRECTIONS |= {"zero": "\N{RIGHTWARDS ARROW} 0", "one": "\N{RIGHTWARDS ARROW} 1"}
DIRECTIONS |= {"nominal": "\N{RIGHTWARDS ARROW} 0.683"}


def comparison(
    study: str,
    table: pd.DataFrame,
    verdict: dict,
    headline: list[dict],
    records: pd.DataFrame,
    settings: dict,
) -> str:
    """The headline table with its verdict. settings : `blocks`, the study's word for them."""
    scores = records.drop_duplicates("name").set_index("name")[["unit", "better"]]
    heads = [f"<th>{name}</th>" for name in ("set", "model", "kind", "flag", "on validation")]
    for item in headline:
        unit, better = scores.loc[item["name"]]
        heads.append(
            f'<th class="number">{escape(label(item))}{_unit(unit)} {DIRECTIONS[better]}<br>'
            f"<small>{escape(item['subset'])}</small></th>"
        )
    published = [name for name in table if name.startswith("published_") and name not in SOURCE]
    heads += [
        f'<th class="number published">{escape(name.replace("_", " "))}</th>' for name in published
    ]
    rows, group = [], None
    for _, row in table.iterrows():
        cells = [f"<td>{escape(row[name])}</td>" for name in ("set", "model", "kind")]
        cells += [f'<td class="flag">{escape(row.flag)}</td>', f"<td>{escape(row.chosen)}</td>"]
        cells += [f'<td class="number">{_score(row, column(item))}</td>' for item in headline]
        cells += [f'<td class="number published">{_number(row[name])}</td>' for name in published]
        first = " class=first" if (row["set"], row.kind) != group else ""
        rows.append(f"<tr{first}>{''.join(cells)}</tr>")
        group = row["set"], row.kind
    lines = "".join(
        f'<p class="verdict">{escape(line)}</p>' for line in verdict["text"].splitlines()
    )
    note = escape(_notes(table, headline, published, settings))
    return _page(f"{study}: models compared", f"{lines}{_table(heads, rows)}{_small(note)}")


def subsets(study: str, records: pd.DataFrame, names: list[str], settings: dict) -> str:
    """Scores subset by subset: a table a set and score.

    settings : `blocks`, and `mark`, `{"score", "text"}`: a subset in which that score is 0 is
    marked with a dagger, which stands for the text.
    """
    mark = settings.get("mark") or {"score": "", "text": ""}
    scores = pool_seeds(records[records["name"].isin([*names, mark["score"]])])
    parts = []
    for key, group in scores.groupby("set", sort=False):
        first = group.drop_duplicates("subset").set_index("subset")
        marks = group[group["name"] == mark["score"]].drop_duplicates("subset")
        marked = set(marks.subset[marks.value == 0])
        for name in names:
            table = by_subset(group, name)
            if table.empty:
                continue
            heads = ["<th>model</th>"]
            heads += [
                f'<th class="number">{escape(subset)}{" †" if subset in marked else ""}<br>'
                f"<small>n = {first.n[subset]}</small></th>"
                for subset in table
            ]
            rows = [
                f"<tr><td>{escape(model)}</td>{''.join(map(_interval, row))}</tr>"
                for model, row in zip(table.index, table.to_numpy(), strict=True)
            ]
            unit = _unit(group.unit[group["name"] == name].iloc[0])
            parts.append(f"<h2>{escape(key)}: {escape(name)}{unit}</h2>{_table(heads, rows)}")
    blocks, data = settings["blocks"], ", ".join(sorted(set(records.data)))
    note = "n: test examples" + (f"; † {mark['text']}" if "†" in "".join(parts) else "")
    note += f". Intervals are 68 %; from fewer than four {blocks} there is none. Data: {data}."
    return _page(f"{study}: scores by subset", "\n".join([*parts, _small(escape(note))]))


def by_subset(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    """One score of one set, cells (value, lo, hi): a row a model, then its references; a column a
    subset. scores : `records.pool_seeds`.
    """
    rows = scores[(scores["name"] == name) & (scores["of"] != "sample")]
    model = rows["of"].isin(OUTPUTS)
    rank = rows.kind.map(KINDS).where(model, len(KINDS))
    rows = rows.assign(row=rows.model.where(model, rows["of"]), rank=rank)
    means = rows.groupby(["rank", "row", "subset"], sort=False)[list(ENDS)].mean()
    cells = pd.Series(list(means.itertuples(index=False, name=None)), means.index, dtype=object)
    keys = dict.fromkeys(zip(rows["rank"], rows["row"], strict=True))
    order = sorted(keys, key=lambda key: key[0])
    columns = list(dict.fromkeys(rows.subset))
    return cells.unstack("subset").reindex(order)[columns].droplevel("rank")


# --- parts of a page ------------------------------------------------------------------------------


def _notes(table: pd.DataFrame, headline: list[dict], published: list[str], settings: dict) -> str:
    notes = [f"Intervals are 68 %, of a bootstrap over {settings['blocks']}"]
    if (table.seeds > 1).any():
        notes[0] += " and over training seeds; ± is the scatter over seeds"
    if "shown" in table:
        samples = ", ".join(dict.fromkeys(table.model[table["shown"] == "sample"]))
        names = dict.fromkeys(label(item) for item in headline if item.get("show") == "sample")
        notes.append(f"{', '.join(names)} of {samples}: of one sample, other scores of the mean")
    if published:
        sources = table[list(SOURCE)].dropna().drop_duplicates().to_numpy()
        text = "; ".join(sorted(": ".join(row) for row in sources if all(row)))
        notes.append(f"Published: {text}. They were measured on other data: compare with care")
    return ". ".join(notes) + "."


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{escape(title)}</h1>\n{body}</html>\n"
    )


def _table(heads: list[str], rows: list[str]) -> str:
    head, body = "".join(heads), "\n".join(rows)
    return (
        f'<div class="table"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody></table></div>"
    )


def _small(note: str) -> str:
    return f"<p><small>{note}</small></p>"


def _unit(unit: str) -> str:
    return f" [{escape(unit)}]" if unit else ""


def _score(row: pd.Series, key: str) -> str:
    if pd.isna(row[key]):
        return ""
    text = _number(row[key])
    if not pd.isna(row.get(f"{key}_seed_scatter")):
        text += f" ± {row[f'{key}_seed_scatter']:.2g}"
    if not pd.isna(row[f"{key}_lo"]):
        text += f"<br><small>[{_number(row[f'{key}_lo'])}, {_number(row[f'{key}_hi'])}]</small>"
    return text


def _interval(cell: tuple[float, float, float] | float) -> str:
    value, lo, hi = cell if isinstance(cell, tuple) else (float("nan"),) * 3
    ends = "" if pd.isna(lo) else f"<br><small>[{_number(lo)}, {_number(hi)}]</small>"
    return f'<td class="number">{_number(value)}{ends}</td>'


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
