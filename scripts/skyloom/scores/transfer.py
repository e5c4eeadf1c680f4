"""Scores of models on other sets than the one that they were trained on."""

import pandas as pd

from skyloom.cli import BadInput
from skyloom.scores.comparison import cells, column, drop_unused
from skyloom.scores.records import pool_seeds


def table(records: pd.DataFrame, trained_on: dict[str, str], headline: list[dict]) -> pd.DataFrame:
    """A row a model and set: the model's training set first, then the others.

    records : `records.read` with draws; trained_on : model -> the set that it was trained on.
    Columns: `model`, `kind`, `trained_on`, `tested_on`, `data`, `seeds`, `n`, `blocks`, and the
    headline's as in the comparison.
    """
    if unknown := sorted(set(records.model) - trained_on.keys()):
        raise BadInput(
            f"--metrics: models {', '.join(unknown)} found, expected {', '.join(trained_on)}"
        )
    names = {item["name"] for item in headline}
    scores = pool_seeds(records[records["name"].isin(names)])
    rows = []
    for (model, name), group in scores.groupby(["model", "set"], sort=False):
        row = {"model": model, "kind": group.kind.iloc[0], "trained_on": trained_on[model]}
        row |= {"tested_on": name, "data": group.data.iloc[0], "seeds": group.seeds.max()}
        row |= {"n": group.n.max(), "blocks": group.blocks.max()}
        rows.append(row | cells(group, headline))
    transfers = pd.DataFrame(rows)
    order = transfers.assign(
        rank=transfers.model.map({model: k for k, model in enumerate(trained_on)}),
        other=transfers.trained_on != transfers.tested_on,
    ).sort_values(["rank", "other"], kind="stable")
    return drop_unused(transfers.loc[order.index].reset_index(drop=True), map(column, headline))


def sentences(table: pd.DataFrame, item: dict) -> list[str]:
    """A sentence a model: the sets on which a score is above chance, and those where it is not.

    item : of the headline, with `chance`, the value of guessing. Above chance is a 68 % interval
    that lies above it.
    """
    key = column(item)
    if key not in table:
        return []
    tested = table[(table.trained_on != table.tested_on) & table[key].notna()]
    lines = []
    for model, rows in tested.groupby("model", sort=False):
        values = rows.tested_on + rows[key].map(" ({:.2f})".format)
        above = rows[f"{key}_lo"] > item["chance"]
        parts = [
            f"{words} on {', '.join(values[side])}"
            for words, side in (("above chance", above), ("at chance", ~above))
            if side.any()
        ]
        lines.append(f"{model}, trained on {rows.trained_on.iloc[0]}: {'; '.join(parts)}.")
    return lines
