"""docs/results: the numbers of a run as JSON, its pages in Markdown, and the table of the README.

Pages are written from the JSON alone, so that a test can compare them with it.
"""

import json
import math
from pathlib import Path
from textwrap import fill

from skyloom import files
from skyloom.cli import BadInput
from skyloom.pages.run import Run
from skyloom.pages.table import DIRECTIONS, number
from skyloom.pages.words import plain
from skyloom.scores.verdict import INTERVALS, decimals, sentence

COLUMNS = 100  # of a line of text; rows of tables are longer
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
KINDS = {"network": "", "baseline": " (baseline)", "reference": " (reference)", "bound": " (bound)"}
KINDS |= {"published": " (published)"}
HEADS = ("study", "score", "network, chosen on validation", "best baseline", "difference")
HEADS += ("published", "test data")


# --- the numbers ----------------------------------------------------------------------------------


def numbers(run: Run, study: str) -> dict:
    """What docs/results/<study>.json holds: the run, the verdict, the table of each set."""
    verdict = run.verdict(study)
    if verdict is None:
        raise BadInput(f"{run.folder}: no verdict on {study} in this run; expected a finished one")
    about = run.studies[study]
    folder = run.folder / study
    columns = files.read_csv(folder / "comparison_columns.csv", keep_default_na=False)
    table = files.read_csv(folder / "comparison.csv", keep_default_na=False, na_values=[""])
    seeds = sorted({t["seed"] for t in run.trainings if t["study"] == study})
    return {
        "study": study,
        "title": about["title"],
        "run": {"name": run.about["run"], "seeds": seeds} | run.facts(),
        "sets": about["sets"],
        "labels": about["labels"],
        "verdict": verdict,
        "columns": columns.to_dict("records"),
        "rows": json.loads(table.to_json(orient="records")),
        "figures": [f"{study}_{name}.png" for name in about["docs"]],
    }


# --- a page ---------------------------------------------------------------------------------------


def page(results: dict) -> str:
    """docs/results/<study>.md."""
    run = results["run"]
    facts = {key: value for key, value in run.items() if key not in ("name", "seeds", "versions")}
    facts["seeds"] = ", ".join(map(str, run["seeds"]))
    lines = [f"# Results: {results['title']}", ""]
    lines += [f"Written by `make results RUN=results/{run['name']}`; no number is typed.", ""]
    lines += ["| run | |", "|---|---|", *(f"| {key} | {value} |" for key, value in facts.items())]
    for part in results["verdict"]["sets"]:
        rows = [row for row in results["rows"] if row["set"] == part["set"]]
        lines += ["", f"## {results['sets'].get(part['set'], plain(part['set']))}", ""]
        lines += verdict_lines(part)
        lines += ["", *score_tables(part, rows, results)]
    lines += ["", INTERVALS]
    for name in results["figures"]:
        lines += ["", f"![{plain(Path(name).stem)}](../images/{name})"]
    return "\n".join(lines) + "\n"


def verdict_lines(part: dict) -> list[str]:
    if not part["clauses"]:
        return [fill(part["text"], COLUMNS)]
    points = [*map(sentence, part["clauses"]), *part["remarks"]]
    points = [fill(f"- {point}", COLUMNS, subsequent_indent="  ") for point in points]
    return [fill(f"**{part['label']}** ({part['about']}):", COLUMNS), "", *points]


def score_tables(part: dict, rows: list[dict], results: dict) -> list[str]:
    """The deciding scores, and below them the others that a model has."""
    deciding = [f"{clause['score']}_{clause['subset']}" for clause in part["clauses"]]
    names = {column["column"] for column in results["columns"]}
    scores = [c for c in results["columns"] if f"{c['column']}_lo" in names]
    scores = [c for c in scores if any(_is_number(row.get(c["column"])) for row in rows)]
    first = [c for c in scores if c["column"] in deciding]
    others = [c for c in scores if c["column"] not in deciding]
    lines = markdown(first, rows, results) if first else []
    return lines + ["", *markdown(others, rows, results)] * bool(others)


def markdown(scores: list[dict], rows: list[dict], results: dict) -> list[str]:
    """A table of these columns, a row a model that has one of them."""
    labels, stated = results["labels"], published_columns(results)
    heads = [_head(column) for column in scores]
    lines = [f"| model | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    keys = [column["column"] for column in scores]
    digits = [_decimals(rows, key) for key in keys]
    for row in rows:
        cells = [
            _score(row, key, count, stated.get(key, ""))
            for key, count in zip(keys, digits, strict=True)
        ]
        if any(cells):
            name = labels.get(row["model"], plain(row["model"])) + KINDS[row["kind"]]
            name += ", chosen" if row["chosen"] == "chosen" else ""
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def published_columns(results: dict) -> dict[str, str]:
    """First column of a score -> the column of its published values."""
    names = [column["column"] for column in results["columns"]]
    firsts = {}
    for name in names:
        score = name.removeprefix("published_")
        if name.startswith("published_"):
            firsts |= {next((n for n in names if n.startswith(f"{score}_")), ""): name}
    return firsts


def _head(column: dict) -> str:
    unit = f" [{column['unit']}]" if column["unit"] else ""
    return f"{column['meaning']}{unit} {DIRECTIONS.get(column['better'], '')}".strip()


def _decimals(rows: list[dict], key: str) -> int | None:
    ends = [(row.get(f"{key}_lo"), row.get(f"{key}_hi")) for row in rows]
    counts = sorted(
        count for lo, hi in ends if _is_number(lo) if (count := decimals(lo, hi)) is not None
    )
    return counts[len(counts) // 2] if counts else None


def _score(row: dict, key: str, digits: int | None, published: str) -> str:
    """`0.879 [0.866, 0.888]`, and behind it the value of the column `published`."""
    value, lo, hi = (row.get(f"{key}{end}") for end in ("", "_lo", "_hi"))
    text = number(value, digits) if _is_number(value) else ""
    if text and _is_number(lo):
        text += f" [{number(lo, digits)}, {number(hi, digits)}]"
    if published and _is_number(row.get(published)):
        text += f" (published {row[published]:.3g}, {row['published_on']})"
    return text.strip()


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# --- README ---------------------------------------------------------------------------------------


def readme_table(results: list[dict]) -> str:
    """A row a study and deciding score of its first set."""
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    for one in results:
        part = one["verdict"]["sets"][0]
        for clause in part["clauses"]:
            lines.append(f"| {' | '.join(readme_row(one, part, clause))} |")
    return "\n".join(lines)


def readme_row(results: dict, part: dict, clause: dict) -> list[str]:
    digits = decimals(clause["lo"] or math.nan, clause["hi"] or math.nan)
    ends = [clause["difference_lo"], clause["difference_hi"]]
    precision = decimals(*(end if _is_number(end) else math.nan for end in ends))
    value = number(clause["value"], digits)
    if _is_number(clause["lo"]):
        value += f" [{number(clause['lo'], digits)}, {number(clause['hi'], digits)}]"
    difference = f"{clause['result']}, {number(clause['difference'], precision)}"
    if all(map(_is_number, ends)):
        difference += f" [{', '.join(number(end, precision) for end in ends)}]"
    rival = f"{clause['rival_label']} {number(clause['rival_value'], digits)}"
    return [
        f"[{results['title']}](docs/results/{results['study']}.md)",
        f"{clause['label']} {DIRECTIONS[clause['better']]}",
        f"{part['label']} {value}",
        rival,
        difference,
        published(results, part, clause),
        part["about"].split("; ")[-1],
    ]


def published(results: dict, part: dict, clause: dict) -> str:
    """The published value of a network for this score, where the table has one."""
    key = f"published_{clause['score']}"
    for row in results["rows"]:
        network = row["set"] == part["set"] and row["kind"] in ("network", "published")
        if network and _is_number(row.get(key)):
            name = results["labels"].get(row["model"], plain(row["model"]))
            return f"{name} {row[key]:.3g} ({row['published_on']})"
    return ""


def with_table(readme: str, table: str) -> str:
    """The README with this table between its two marks."""
    if BEGIN not in readme or END not in readme:
        raise BadInput(f"README.md: {BEGIN} and {END} not found; expected the marks of its table")
    head, tail = readme.split(BEGIN, 1)[0], readme.split(END, 1)[1]
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"
