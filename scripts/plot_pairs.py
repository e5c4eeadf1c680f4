"""Paired differences of networks to baselines: a panel a deciding score, a row a pair, a line at 0.

The network that validation chose comes first; the others follow while there is room.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skyloom import cli, files, plotting
from skyloom.pages.table import DIRECTIONS
from skyloom.scores import pairs
from skyloom.scores.comparison import label
from skyloom.scores.verdict import Labels

ROWS = 36  # pairs of a sheet
WIDTH, ROW, PANELS = 7.1, 0.19, 3  # inches, inches, panels beside one another
FARTHEST = 4  # times the largest difference of the first network: what lies beyond is an arrow
COLOURS = {pairs.BETTER: "#00603D", pairs.LEVEL: "0.35", pairs.WORSE: "#A0361B"}


def main() -> None:
    parser = cli.parser(__doc__)
    help = '"headline", and "labels" of models'
    parser.add_argument("--config", type=cli.json_argument, required=True, help=help)
    parser.add_argument("--table", type=Path, required=True, help="CSV of compare_pairs")
    parser.add_argument("--verdict", type=Path, required=True, help="verdict.json")
    parser.add_argument("--set", required=True)
    help = ".png; the .pdf is written next to it"
    parser.add_argument("--output", type=Path, required=True, help=help)
    args = parser.parse_args()

    sets = files.read_json(args.verdict, ["sets"])["sets"]
    part = next(part for part in sets if part["set"] == args.set)
    table = files.read_csv(args.table)
    networks = list(dict.fromkeys([part["model"], *table.network]))
    table = table[table.network.isin(networks[: max(1, ROWS // table.baseline.nunique())])]
    headline = [item for item in args.config["headline"] if item.get("decides", True)]
    labels = Labels(args.config["labels"])
    plotting.save(forest(table, headline, networks, labels), args.output, part["data"])
    print(f"{len(table)} differences of {table.network.nunique()} networks in {args.output}")


def forest(
    table: pd.DataFrame, headline: list[dict], networks: list[str], labels: dict[str, str]
) -> Figure:
    """A panel a headline item, a row a network and baseline, from the top in the order of
    `networks`.
    """
    items = [(item, rows_of(table, item)) for item in headline]
    items = [(item, rows) for item, rows in items if len(rows)]
    names = [name for name in networks if name in set(table.network)]
    order = [(n, b) for n in names for b in dict.fromkeys(table.baseline[table.network == n])]
    gaps = {name: k for k, name in enumerate(names)}
    place = {pair: k + 1.4 * (gaps[pair[0]] + 1) for k, pair in enumerate(order)}
    heads = {name: min(y for pair, y in place.items() if pair[0] == name) - 1 for name in names}
    columns = min(PANELS, len(items))
    lines = -(-len(items) // columns)
    height = 0.7 + ROW * (max(place.values()) + 1)
    with plotting.style():
        figure, axes = plt.subplots(
            lines, columns, figsize=(WIDTH, height * lines), sharey=True, squeeze=False
        )
        for ax in axes.flat[len(items) :]:
            ax.set_axis_off()
        for ax, (item, rows) in zip(axes.flat, items, strict=False):
            _panel(ax, item, rows, place, names[0])
        ticks = {**{heads[name]: f"{labels[name]} minus" for name in names}}
        ticks |= {y: labels[baseline] for (_, baseline), y in place.items()}
        for ax in axes[:, 0]:
            ax.set_yticks(list(ticks), list(ticks.values()))
            ax.set_ylim(max(place.values()) + 0.7, min(heads.values()) - 0.7)
            for text, y in zip(ax.get_yticklabels(), ticks, strict=True):
                text.set_fontweight("bold" if y in heads.values() else "normal")
        for ax in axes.flat:
            ax.tick_params(axis="y", length=0)
            ax.spines["left"].set_visible(False)
    return figure


def rows_of(table: pd.DataFrame, item: dict) -> pd.DataFrame:
    return table[(table.score == item["name"]) & (table.subset == item["subset"])]


def _panel(ax, item: dict, rows: pd.DataFrame, place: dict, first: str) -> None:
    """Differences of one score; a filled point is better or worse, an open one level.

    The axis is that of the network `first`; a difference far beyond is an arrow with its value.
    """
    ax.axvline(0, color="0.5", linewidth=0.8, zorder=1)
    reach = rows[["difference", "lo", "hi"]].abs().max(axis="columns")
    ours = rows.network == first
    limit = FARTHEST * reach[ours].max() if ours.any() else np.inf
    limit = min(limit if limit > 0 else np.inf, reach.max()) * 1.08
    for row in rows.itertuples():
        y, colour = place[row.network, row.baseline], COLOURS[row.result]
        fill = "white" if row.result == pairs.LEVEL else colour
        if abs(row.difference) > limit:
            side = np.sign(row.difference)
            marker, align = (">", "right") if side > 0 else ("<", "left")
            ax.plot(side * limit, y, marker, color=colour, markersize=4.5, clip_on=False)
            text = f"{row.difference:+.2g}".replace("-", "\N{MINUS SIGN}")
            ax.text(side * limit * 0.94, y, text, ha=align, va="center", fontsize=7, color=colour)
            continue
        if np.isfinite(row.lo):
            ends = np.clip([row.lo, row.hi], -limit, limit)
            ax.plot(ends, [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        ax.plot(row.difference, y, "o", color=colour, markerfacecolor=fill, markersize=4.5)
    if np.isfinite(limit):
        # zero is always shown: it is what an interval is read against
        low = min(0, *rows[["difference", "lo"]].min())
        high = max(0, *rows[["difference", "hi"]].max())
        ax.set_xlim(max(-limit, low * 1.1 - 0.05 * limit), min(limit, high * 1.1 + 0.05 * limit))
    one = rows.iloc[0]
    unit = f" [{one.unit}]" if isinstance(one.unit, str) else ""
    of = "difference" if one.better in ("higher", "lower") else "difference from the best value"
    side = "right" if one.better == "higher" else "left"
    ax.set_title(f"{label(item)} {DIRECTIONS[one.better]}", loc="left")
    ax.set_xlabel(f"{of}{unit}, {side} is better")


if __name__ == "__main__":
    cli.run(main)
