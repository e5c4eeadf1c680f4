"""index.html of a run, its verdicts, tables and figures below one another, and the first page of
the report.
"""

import io
import os
import textwrap
from html import escape
from pathlib import Path

from PIL import Image

from skyloom.pages import table as tables
from skyloom.pages.document import PARTS, data_uri, details, document, first_table, main_of
from skyloom.pages.run import Run
from skyloom.pages.scores import verdict_of
from skyloom.pages.table import Column
from skyloom.provenance import duration
from skyloom.scores.verdict import INTERVALS

INLINE = 300_000  # bytes of a page up to which the index holds it
THUMBNAIL = 520  # pixels
LINE = 5000  # characters of a line of the first page
SETS = 3  # of a study whose verdicts are on the first page
STYLE = """
nav { margin: 1rem 0 } nav a { margin-right: 1rem; white-space: nowrap }
figure { margin: 1.5rem 0 } figure img { max-width: min(100%, 56rem) }
figcaption { max-width: 46rem; font-size: .9rem } figcaption p { margin: .3rem 0 }
"""
# Snakemake's page centres its content, so that the top of a long one is out of reach, and has the
# graph of rules next to it
AROUND = """
.h-screen:has(.skyloom) { align-items: flex-start }
.flex:has(> .py-2 > .prose .skyloom) { flex-direction: column }
.prose:has(.skyloom) { max-width: 62rem }
"""
FRONT = """
.front-study { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start }
.front-study > div { flex: 1 1 24rem; min-width: 0 } .front-study > a { flex: 0 1 26rem }
"""


# --- index ----------------------------------------------------------------------------------------


def index(run: Run) -> str:
    """The whole page."""
    links = [f'<a href="#{name}">{escape(s["title"])}</a>' for name, s in run.studies.items()]
    links.append('<a href="#run">This run</a>')
    if run.report.exists():
        links.append(f'<a href="{run.report.name}">Interactive report</a>')
    parts = [f"<p>{escape(headline(run))}</p>", f"<nav>{''.join(links)}</nav>"]
    parts += [study(run, name) for name in run.studies]
    parts.append(f'<h2 id="run">This run</h2>\n{facts(run)}\n{jobs(run)}')
    return document(f"Skyloom: run {run.about['run']}", "\n".join(parts), STYLE)


def headline(run: Run) -> str:
    """What the run is, in one line."""
    text = f"{run.about['status'].capitalize()} {run.ended:%Y-%m-%d %H:%M} UTC, "
    text += f"size {run.about['size']}, commit {run.commit}."
    return f"{text} Data: {run.data}." if run.data else text


def study(run: Run, name: str) -> str:
    """The items of a study, section by section."""
    parts = [f'<h2 id="{name}">{escape(run.studies[name]["title"])}</h2>']
    if run.verdict(name) is None:
        parts.append("<p>This run has no verdict.</p>")
    section = ""
    for item in run.items(name):
        if item["section"] != section:
            section = item["section"]
            parts.append(f"<h3>{escape(words(section))}</h3>")
        parts.append(of_item(run, item))
    return "\n".join(parts)


def of_item(run: Run, item: dict) -> str:
    """An item with its caption: a figure, or a page that is held where it is small."""
    path = Path(item["file"])
    link = os.path.relpath(path, run.folder)
    title = words(item["result"]) + f": {item['of']}" * bool(item["of"])
    files = [f'<a href="{link}">{escape(path.name)}</a>']
    for twin in (path.with_suffix(ending) for ending in (".pdf", ".csv")):
        if twin != path and twin.exists():
            twin_link = os.path.relpath(twin, run.folder)
            files.append(f'<a href="{twin_link}">{escape(twin.name)}</a>')
    caption = f"<strong>{escape(title)}</strong> {item['caption']}<small>{' '.join(files)}</small>"
    key = link.replace("/", "-").rsplit(".", 1)[0]
    if path.suffix != ".html":
        image = f'<a href="{link}"><img src="{link}" alt="{escape(title)}" loading="lazy"></a>'
        return f'<figure id="{key}">{image}<figcaption>{caption}</figcaption></figure>'
    if path.stat().st_size > INLINE:
        return f'<p id="{key}">{caption}</p>'
    body = f"{main_of(path.read_text())}<div>{caption}</div>"
    if path.stem == "comparison":
        return f'<section id="{key}">{body}</section>'
    return f'<section id="{key}">{details(title, body)}</section>'


def words(label: str) -> str:
    """A label without its number, which sorts the report."""
    number, _, text = label.partition(" ")
    return text if number.isdigit() else label


def facts(run: Run) -> str:
    lines = (f"<dt>{escape(key)}</dt><dd>{escape(v)}</dd>" for key, v in run.facts().items())
    return f"<dl>{''.join(lines)}</dl>"


def jobs(run: Run) -> str:
    """Time and memory of the jobs of each rule that is measured."""
    columns = [Column("rule", "rule"), Column("jobs", "jobs")]
    columns += [Column("minutes", "time", "min"), Column("memory_mb", "memory", "MB")]
    rules = sorted(run.rules.items(), key=lambda pair: -pair[1]["seconds"])
    rows = [
        {"rule": name}
        | rule
        | {"minutes": rule["seconds"] / 60, "memory_mb": round(rule["memory_mb"])}
        for name, rule in rules
    ]
    return details(
        f"Time of the jobs ({duration(sum(r['seconds'] for _, r in rules))})",
        tables.table(columns, [("", rows)]),
    )


# --- the first page of the report -----------------------------------------------------------------


def front(run: Run) -> str:
    """Verdict, headline table and one figure of each study, and the facts of the run."""
    studies = [front_study(run, name) for name in run.studies]
    style = f"<style>{AROUND} .skyloom {{ {PARTS} {FRONT} }}</style>"
    body = "\n".join(studies)
    return (
        f'{style}\n<div class="skyloom">\n<p>{escape(headline(run))}</p>\n{body}\n'
        f"<h2>This run</h2>\n{facts(run)}\n</div>"
    )


def front_study(run: Run, name: str) -> str:
    title = f"<h2>{escape(run.studies[name]['title'])}</h2>"
    verdict = run.verdict(name)
    if verdict is None:
        return f"{title}\n<p>This run has no verdict.</p>"
    sets, labels = verdict["sets"], run.studies[name]["sets"]
    several = len(sets) > 1
    parts = [f"<p>{run.earlier(name)}</p>"] * bool(run.earlier(name))
    for part in sets[:SETS]:
        heading = f"<h3>{escape(labels.get(part['set'], part['set']))}</h3>" if several else ""
        parts.append(heading + verdict_of(part))
    if len(sets) > SETS:
        parts.append(f"<p>{len(sets) - SETS} more sets are in the comparison.</p>")
    page = run.folder / name / "comparison.html"
    parts.append(first_table(page.read_text()) if page.exists() else "")
    parts.append(f"<p><small>{INTERVALS}</small></p>")
    body = "\n".join(parts)
    return f'{title}\n<div class="front-study"><div>\n{body}\n</div>\n{thumbnail(run, name)}</div>'


def front_figure(run: Run, name: str) -> dict | None:
    """The figure of a study on the first page: the one that its config names, else the first."""
    figures = [item for item in run.items(name) if item["file"].endswith(".png")]
    stated = run.studies[name]["figure"]
    chosen = [item for item in figures if Path(item["file"]).stem == stated]
    return (chosen or figures or [None])[0]


def thumbnail(run: Run, name: str) -> str:
    """A small image, which leads to the figure in the report."""
    item = front_figure(run, name)
    if item is None:
        return ""
    file = io.BytesIO()
    with Image.open(item["file"]) as image:
        image = image.convert("RGB")
        image.thumbnail((THUMBNAIL, 2 * THUMBNAIL))
        image.save(file, "PNG", optimize=True)
    title = words(item["result"])
    # docutils refuses long lines; browsers leave the breaks out
    source = "\n".join(textwrap.wrap(data_uri(file.getvalue(), "figure.png"), LINE))
    return (
        f"<a href=\"javascript:app.showResultInfo('{item['file']}')\">"
        f'<img src="{source}" alt="{escape(title)}"><small>{escape(title)}</small></a>'
    )
