"""Compare the models of one study on its test set: every record, the headline table, and what it
says in one line.

That line speaks of the network that is best on validation, of each set: chosen on test, it would be
the best of many.

Networks and baselines stand in one table with their intervals; the published numbers stand beside
them in columns of their own, since they were measured on other data.
"""

from html import escape
from pathlib import Path

import pandas as pd
import yaml

from skyloom import cli, metrics, score_tables

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


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument(
        "--config",
        type=cli.json_argument,
        required=True,
        help='{"headline": [...], "reference": "dust", "chosen_by": ...}',
    )
    parser.add_argument("--metrics", type=Path, nargs="+", required=True)
    parser.add_argument("--published", type=Path, help="config/<study>/published.yaml")
    parser.add_argument("--output-metrics", type=Path, required=True)
    parser.add_argument("--output-comparison", type=Path, required=True)
    parser.add_argument("--output-html", type=Path, required=True)
    parser.add_argument("--output-bands", type=Path, required=True)
    parser.add_argument("--output-subsets", type=Path, required=True)
    args = parser.parse_args()

    records, validation = metrics.read(args.metrics), metrics.read(args.metrics, "validation")
    others = sorted(set(records.study) - {args.study})
    if others:
        raise cli.BadInput(
            f"--metrics: records of the study {', '.join(others)} found, expected only {args.study}"
        )
    headline = []
    for item in args.config["headline"]:
        if (records["name"] == item["name"]).any():
            headline.append(item)
        elif item.get("decides", True) and not item.get("where_known"):
            known = ", ".join(sorted(records["name"].unique()))
            raise cli.BadInput(
                f"config: headline {item['name']} is in no metrics.json; expected one of {known}"
            )
        else:
            print(f"no model has {item['name']}: its column is left out")
    published = yaml.safe_load(args.published.read_text())["scalars"] if args.published else []
    by = args.config["chosen_by"]
    chosen = metrics.choose(validation, by)
    table = metrics.comparison(
        records, headline, args.config.get("reference", ""), published, chosen
    )
    reference, profile = (
        args.config.get("reference", ""),
        args.config.get("bands", {"score": "", "ratio": ""}),
    )
    bands = score_tables.bands(records, profile["score"], profile["ratio"], reference, chosen)
    verdict = metrics.verdict(table, records, headline, chosen, metrics.judges(validation, by))
    verdict = f"{verdict} {score_tables.bands_in_words(bands, profile['score'], reference)}".strip()
    with cli.atomic(args.output_metrics) as part:
        metrics.write_csv(pd.concat([records, validation], ignore_index=True), part)
    with cli.atomic(args.output_comparison) as part:
        metrics.write_csv(table, part, verdict)
    with cli.atomic(args.output_html) as part:
        part.write_text(page(args.study, table, verdict, headline, records))
    with cli.atomic(args.output_bands) as part:
        metrics.write_csv(bands, part)
    with cli.atomic(args.output_subsets) as part:
        part.write_text(subset_page(args.study, records, args.config.get("by_subset", [])))


def page(
    study: str, table: pd.DataFrame, verdict: str, headline: list[dict], records: pd.DataFrame
) -> str:
    """The headline table as one self-contained HTML page."""
    units = dict(zip(records["name"], records.unit, strict=True))
    heads = [
        "<th>set</th>",
        "<th>model</th>",
        "<th>kind</th>",
        "<th>flag</th>",
        "<th>on validation</th>",
    ]
    for item in headline:
        unit = f" [{escape(units[item['name']])}]" if units[item["name"]] else ""
        heads.append(
            f'<th class="number">{escape(item["name"])}{unit}<br>'
            f"<small>{escape(item['subset'])}</small></th>"
        )
    published = [name for name in table if name.startswith("published_") and name not in SOURCE]
    heads += [
        f'<th class="number published">{escape(name.replace("_", " ", 1))}</th>'
        for name in published
    ]
    sources = (
        sorted({": ".join(row) for row in table[list(SOURCE)].dropna().values if all(row)})
        if published
        else []
    )
    rows, group = [], None
    for _, row in table.iterrows():
        cells = [f"<td>{escape(cell)}</td>" for cell in (row["set"], row.model, row.kind)]
        cells += [f'<td class="flag">{escape(row.flag)}</td>', f"<td>{escape(row.chosen)}</td>"]
        cells += [
            f'<td class="number">{_cell(row, metrics.column(item))}</td>' for item in headline
        ]
        cells += [f'<td class="number published">{_number(row[name])}</td>' for name in published]
        rows.append(
            f"<tr{' class=first' if (row['set'], row.kind) != group else ''}>{''.join(cells)}</tr>"
        )
        group = row["set"], row.kind
    stochastic = ", ".join(dict.fromkeys(table.model[table.texture == "sample"]))
    texture = ", ".join(dict.fromkeys(item["name"] for item in headline if item.get("texture")))
    note = (
        f"Texture ({texture}) of {stochastic} is that of one realisation; other scores are those "
        "of its mean. "
        if stochastic and texture
        else ""
    )
    note = escape(note) + (
        "Intervals are 68 %, a bootstrap over blocks of test examples that share data; ± is the "
        "scatter over seeds. "
        f"Published: {escape('; '.join(sources)) or 'none'}. They were measured on other data: "
        "compare with care."
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(study)}: models '
        "compared</title>"
        f"<style>{STYLE}</style><h1>{escape(study)}: models compared</h1><p "
        f'class="verdict">{escape(verdict)}</p>'
        f'<div class="table"><table><thead><tr>{"".join(heads)}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + f"\n</tbody></table></div><p><small>{note}</small></p></html>\n"
    )


def subset_page(study: str, records: pd.DataFrame, names: list[str]) -> str:
    """Scores subset by subset as one self-contained HTML page: a table a set and score."""
    parts = []
    for name, group in records.groupby("set", sort=False):
        counts = group.drop_duplicates("subset").set_index("subset").n
        share = (
            group[group["name"] == BRIGHT].drop_duplicates("subset").set_index("subset")["value"]
        )
        for score in names:
            table = score_tables.by_subset(group, score)
            if table.empty:
                continue
            unit = group.unit[group["name"] == score].iloc[0]
            heads = ["<th>model</th>"]
            for subset in table:
                mark = " †" if share.get(subset, 1) == 0 else ""
                heads.append(
                    f'<th class="number">{escape(subset)}{mark}<br><small>n = '
                    f"{counts[subset]}</small></th>"
                )
            rows = [
                f"<tr><td>{escape(model)}</td>" + "".join(_interval(cell) for cell in row) + "</tr>"
                for model, row in zip(table.index, table.to_numpy(), strict=True)
            ]
            parts.append(
                f"<h2>{escape(name)}: {escape(score)}{f' [{escape(unit)}]' if unit else ''}</h2>"
                f'<div class="table"><table><thead><tr>{"".join(heads)}</tr></thead>\n<tbody>\n'
                + "\n".join(rows)
                + "\n</tbody></table></div>"
            )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(study)}: scores by '
        "subset</title>"
        f"<style>{STYLE}</style><h1>{escape(study)}: scores by subset</h1>\n"
        + "\n".join(parts)
        + f"<p><small>n: test examples{NO_BRIGHT if (records['name'] == BRIGHT).any() else ''}."
        " Intervals are 68 %; from fewer than four blocks of sky, or simulations, there is none."
        " Seeds are averaged. Data: "
        f"{escape(', '.join(sorted(set(records.data))))}.</small></p></html>\n"
    )


def _interval(cell: tuple[float, float, float] | float) -> str:
    value, low, high = cell if isinstance(cell, tuple) else (float("nan"),) * 3
    text = _number(value) + (
        "" if pd.isna(low) else f"<br><small>[{_number(low)}, {_number(high)}]</small>"
    )
    return f'<td class="number">{text}</td>'


NO_BRIGHT = "; † contains no bright tiles"
BRIGHT = "bright_share"  # of a subset's examples, where a study has faint and bright ones
SOURCE = ("published_on", "published_source")


def _cell(row: pd.Series, key: str) -> str:
    if pd.isna(row[key]):
        return ""
    text = _number(row[key])
    if not pd.isna(row[f"{key}_seed_scatter"]):
        text += f" ± {row[f'{key}_seed_scatter']:.2g}"
    if not pd.isna(row[f"{key}_lo"]):
        text += f"<br><small>[{_number(row[f'{key}_lo'])}, {_number(row[f'{key}_hi'])}]</small>"
    return text


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


if __name__ == "__main__":
    cli.run(main)
