"""HTML pages that need no other file: one style, tables that sort by a click, CSVs inside."""

import base64
import mimetypes
from html import escape
from pathlib import Path

PAGE = """
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 60rem; padding: 1rem }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 1rem }
@media (max-width: 30rem) { body { padding: .6rem } }
@media print { body { max-width: none; font-size: 10pt } nav { display: none } }
"""
# what a part of a page needs that stands on another page
PARTS = """
h2 { font-size: 1.25rem; font-weight: 600; margin: 2rem 0 .5rem }
h3 { font-size: 1.05rem; font-weight: 600; margin: 1.2rem 0 .4rem }
a { color: #12449c } small, .small { font-size: .8rem; color: #5c5c5c }
p, li { max-width: 46rem } p { margin: .6rem 0 } strong { font-weight: 700 }
.table { overflow-x: auto; margin: .5rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  border-top: 2px solid; border-bottom: 2px solid }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: top }
thead th { vertical-align: bottom; border-bottom: 1px solid; font-weight: 600 }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; padding-left: 0 }
th.number, td.number { text-align: right } td.number { white-space: nowrap }
td small, th small { display: block; font-weight: 400 }
tr.group th { border-top: 1px solid #c9c9c9; font-weight: 400; font-style: italic; color: #5c5c5c }
tbody tr:hover td { background: #f2f5fa }
th.sorts { cursor: pointer } th.sorts:hover, th.sorts:focus { color: #12449c }
th[aria-sort=ascending]::after { content: " \\25B4" }
th[aria-sort=descending]::after { content: " \\25BE" }
details { margin: .6rem 0 } summary { cursor: pointer; color: #12449c }
dl { font-size: .8rem; color: #5c5c5c; max-width: 46rem; margin: .5rem 0 }
dt { float: left; clear: left; font-weight: 600; padding-right: .5rem } dd { margin: 0 }
.better { color: #00603d; font-weight: 600 } .worse { color: #a0361b; font-weight: 600 }
.level { font-weight: 600 } .flag { color: #a0361b }
ul.verdict { border-left: 4px solid #12449c; padding: .1rem 0 .1rem 2rem; margin: .5rem 0;
  list-style: disc }
img { max-width: 100%; height: auto }
@media (max-width: 30rem) {
  table { font-size: .85rem } th, td { padding: .2rem .3rem }
  th:last-child, td:last-child { padding-right: 0 }
}
@media print {
  .table { overflow: visible } figure, tr { break-inside: avoid }
  th:first-child, td:first-child { position: static }
  details::details-content { content-visibility: visible; display: block }
}
"""
# a click on the head of a column sorts the rows of each group, numbers first, empty cells last
SORT = """
for (const head of document.querySelectorAll("th.sorts")) {
  const sort = () => {
    const table = head.closest("table"), column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "descending" ||
      !head.hasAttribute("aria-sort") && head.dataset.first === "up" ? 1 : -1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter(row => !row.matches(".group"));
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return down * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
      });
      body.append(...rows);
    }
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
}
"""


def document(title: str, body: str, style: str = "", script: str = SORT) -> str:
    """A whole page. title : text; body : HTML, which `main_of` finds again."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title>'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    scripts = f"<script>{script}</script>" if script else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>{head}\n'
        f"<style>{PAGE}{PARTS}{style}</style></head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n<main>\n{body}\n</main>\n{scripts}</body></html>\n"
    )


def main_of(page: str) -> str:
    """The body of a page that `document` wrote."""
    return page.split("<main>\n", 1)[1].rsplit("\n</main>", 1)[0]


def first_table(page: str) -> str:
    """The first table of a page."""
    start = page.find('<div class="table">')
    return "" if start < 0 else page[start : page.index("</div>", start)] + "</div>"


def data_uri(content: bytes, name: str) -> str:
    """The content of a file as an address; `name` tells its type."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def download(path: Path) -> str:
    """A link that saves the file, which the page holds: it works wherever the page is."""
    uri = data_uri(path.read_bytes(), path.name)
    return f'<a download="{escape(path.name)}" href="{uri}">{escape(path.name)}</a>'


def details(summary: str, body: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n{body}\n</details>"


def small(html: str) -> str:
    return f'<p class="small">{html}</p>'


def paragraph(text: str) -> str:
    return f"<p>{escape(text.strip())}</p>\n"
