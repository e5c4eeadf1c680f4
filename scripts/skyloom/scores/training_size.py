"""The table of scores against the size of the training set."""

import pandas as pd

from skyloom.cli import BadInput
from skyloom.scores.pairs import shown
from skyloom.scores.records import ENDS, pool_seeds


def table(
    records: pd.DataFrame, lines: dict[str, str], sizes: dict[str, int], items: list[dict]
) -> pd.DataFrame:
    """A row a model: `line`, `score`, `size` of its training set, `value`, `lo`, `hi`.

    records : `records.read` with draws; lines : model -> the line of the figure that it is a point
    of; sizes : set -> number of training sources; items : headline items, of which a model's first
    is shown.
    """
    scores = pool_seeds(records[records["name"].isin([item["name"] for item in items])])
    rows = []
    for model in dict.fromkeys(records.model):
        group = scores[scores.model == model]
        present = [shown(group, item) for item in items if len(shown(group, item))]
        if not present:
            names = ", ".join(item["name"] for item in items)
            raise BadInput(f"--metrics: no score of {model} among {names}")
        score = present[0].iloc[0]
        row = {"line": lines[model], "model": model, "score": score["name"]}
        row |= {"size": sizes[score["set"]], **{end: score[end] for end in ENDS}}
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["line", "size"], ignore_index=True)
