"""The headline table: all models of a study, their references, and published numbers."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from skyloom.cli import BadInput
from skyloom.scores.pairs import shown
from skyloom.scores.records import LOSS, OUTPUTS, pool_seeds

KINDS = {"network": 0, "baseline": 1}
SOURCE = ("published_on", "published_source")


# --- the network of a set, chosen on validation ---------------------------------------------------


def selection_scores(validation: pd.DataFrame, names: str | list[str]) -> dict[str, str]:
    """Set -> the score that its network is chosen by: the first of `names` that its validation has.

    Raises BadInput where no set has any of them.
    """
    names = [names] if isinstance(names, str) else names
    scores = {key: set(group["name"]) for key, group in validation.groupby("set", sort=False)}
    if scores and not any(set(names) & each for each in scores.values()):
        expected = ", ".join(sorted(validation["name"].unique()))
        raise BadInput(
            f"config: comparison.chosen_by: {', '.join(names)} is no score of validation; "
            f"expected one of {expected}"
        )
    return {
        key: next((name for name in names if name in each), names[0])
        for key, each in scores.items()
    }


def best_networks(validation: pd.DataFrame, names: str | list[str]) -> dict[str, tuple[str, float]]:
    """Set -> the network that scores best on validation, seeds averaged, and that score.

    validation : records of the validation split; names : as in `selection_scores`. The test split
    has no part in this. A set whose networks have no score is left out.
    """
    score = validation["set"].map(selection_scores(validation, names))
    rows = validation[(validation["name"] == score) & (validation["of"] == "model")]
    best = {}
    for key, group in rows[rows.kind == "network"].groupby("set", sort=False):
        means = group.groupby("model", sort=False)["value"].agg(
            lambda values: values.mean(skipna=False)
        )
        if means.notna().any():
            loss = means.map(LOSS[group.better.iloc[0]])
            best[key] = loss.idxmin(), means[loss.idxmin()]
    return best


# --- the table ------------------------------------------------------------------------------------


def headline_items(records: pd.DataFrame, headline: list[dict]) -> list[dict]:
    """The headline items that a model has.

    Raises BadInput where a deciding item that is not `optional` is missing from every model.
    """
    scores = set(records["name"])
    for item in headline:
        if item["name"] not in scores and item.get("decides", True) and not item.get("optional"):
            raise BadInput(
                f"config: headline {item['name']} is in no metrics.json; expected one of "
                f"{', '.join(sorted(scores))}"
            )
    return [item for item in headline if item["name"] in scores]


def table(
    records: pd.DataFrame,
    headline: list[dict],
    reference: str,
    published: Sequence[dict] = (),
    chosen: dict[str, tuple[str, float]] | None = None,
    reference_label: str = "",
) -> pd.DataFrame:
    """Set by set a row a model, then its references, then published numbers without a model.

    records : `records.read` with draws. Sets stand in the order of their first model and are never
        averaged: each has references of its own.
    headline : items `name`, `subset`; `label` is their name in flags; `decides: False` leaves them
        out of flags and verdict; `show: sample` is explained in `pairs.shown`, and the column
        `shown` then tells sample from model.
    reference : the `of` below which a network is flagged, in each deciding item that it has.
    published : `beside` (a model or reference, or a list of models), `metric`, `value`,
        `measured_on`, `source`, and `with` where it belongs to one `group`. Values get columns of
        their own, in the row of each model of `beside` that ran; where none ran, in a row of its
        own below the first set of that group.
    chosen : `best_networks`, marked in the column `chosen`.
    reference_label : name of the reference in flags.

    Columns: model, kind, flag, chosen, set, `group` where there is one, data, seeds, and per item
    the value, `_lo`, `_hi` (68 %, seeds pooled) and `_seed_scatter` where a model has several.
    """
    names = {item["name"] for item in headline}
    scores = pool_seeds(records[records["name"].isin(names)])
    parts = [
        _set_rows(
            group,
            headline,
            (reference, reference_label or reference),
            (chosen or {}).get(name, ("",))[0],
        )
        for name, group in scores.groupby("set", sort=False)
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows = drop_unused(rows, map(column, headline))
    if "shown" in rows and not (rows["shown"] == "sample").any():
        rows = rows.drop(columns="shown")
    for entry in published:
        if entry["metric"] in names:
            rows = _with_published(rows, entry)
    return rows


def column(item: dict) -> str:
    """The table's column of a headline item."""
    return f"{item['name']}_{item['subset']}"


def label(item: dict) -> str:
    """A headline item's name for people."""
    return item.get("label") or item["name"].replace("_", " ")


def cells(scores: pd.DataFrame, headline: list[dict]) -> dict[str, float]:
    """The headline columns of one model. scores : its rows of `pool_seeds`."""
    row = {}
    for item in headline:
        key, values = column(item), shown(scores, item)
        row |= {key: values.value.mean(), f"{key}_lo": values.lo.mean()}
        row |= {f"{key}_hi": values.hi.mean(), f"{key}_seed_scatter": values.seed_scatter.mean()}
    return row


def drop_unused(table: pd.DataFrame, scores: Iterable[str]) -> pd.DataFrame:
    """The table without scores that no row has, and without the scatter of seeds where each row has
    one seed.
    """
    unused = []
    for score in scores:
        if score in table and table[score].isna().all():
            unused += [score, f"{score}_lo", f"{score}_hi"]
        scatter = f"{score}_seed_scatter"
        if scatter in table and table[scatter].isna().all():
            unused.append(scatter)
    return table.drop(columns=unused)


def columns(table: pd.DataFrame, headline: list[dict], records: pd.DataFrame) -> pd.DataFrame:
    """What each column of the comparison means: `column`, `meaning`, `unit`, `better`."""
    meanings = {
        "model": "name of the model, reference or published model",
        "kind": "network, baseline, reference, bound or published",
        "flag": "scores in which a network is worse than the reference",
        "chosen": "the network of the set that validation chose",
        "set": "patch set that the model was trained and tested on",
        "group": "part of the study that the set belongs to",
        "data": "simulated, user-simulation or survey",
        "seeds": "number of training seeds",
        "shown": "model: all scores are of its prediction; sample: see the scores of one sample",
        "published_on": "data that the published value was measured on",
        "published_source": "source of the published value",
    }
    rows = {name: (text, "", "") for name, text in meanings.items()}
    kinds = records.drop_duplicates("name").set_index("name")[["unit", "better"]]
    for item in headline:
        unit, better = kinds.loc[item["name"]]
        key, text = column(item), f"{label(item)} ({item['subset']})"
        if item.get("show") == "sample":
            text += ", of one sample where the model draws samples"
        rows[key] = text, unit, better
        rows[f"{key}_lo"] = f"{text}: lower end of the 68 % interval", unit, ""
        rows[f"{key}_hi"] = f"{text}: upper end of the 68 % interval", unit, ""
        rows[f"{key}_seed_scatter"] = f"{text}: standard deviation over seeds", unit, ""
        rows[f"published_{item['name']}"] = f"{label(item)}: published value", unit, better
    return pd.DataFrame(
        [(name, *rows[name]) for name in table], columns=["column", "meaning", "unit", "better"]
    )


def _set_rows(
    scores: pd.DataFrame, headline: list[dict], named: tuple[str, str], chosen: str
) -> pd.DataFrame:
    """The rows of one set: networks, baselines, references. named : the reference and its label."""
    reference, reference_label = named
    first = scores.iloc[0]
    common = {key: first[key] for key in ("set", "group", "data") if key in scores}
    several = any(item.get("show") == "sample" for item in headline)
    models = scores[scores["of"].isin(OUTPUTS)].groupby(["kind", "model"], sort=False)
    rows = []
    for (kind, model), group in sorted(models, key=lambda pair: KINDS.get(pair[0][0], 2)):
        row = {"model": model, "kind": kind, "flag": "", "chosen": ""} | common
        row |= {"seeds": group.seeds.max()}
        if several:
            row["shown"] = "sample" if (group["of"] == "sample").any() else "model"
        row |= cells(group, headline)
        if kind == "network":
            rival = scores[(scores.model == model) & (scores["of"] == reference)]
            row["flag"] = _flags(row, rival, headline, reference_label)
            row["chosen"] = "chosen" if model == chosen else ""
        rows.append(row)
    for of, group in scores[~scores["of"].isin(OUTPUTS)].groupby("of", sort=False):
        kind = "reference" if of == reference else "bound"
        row = {"model": of, "kind": kind, "flag": "", "chosen": ""} | common
        row |= {"seeds": group.seeds.max()} | ({"shown": ""} if several else {})
        rows.append(row | cells(group.assign(of="model", seed_scatter=np.nan), headline))
    return pd.DataFrame(rows)


def _flags(row: dict, rival: pd.DataFrame, headline: list[dict], reference: str) -> str:
    """The deciding scores in which the reference is better, or that are NaN, in words.

    rival : the reference's scores on the test examples of this model.
    """
    flags = []
    for item in headline:
        values = rival[(rival["name"] == item["name"]) & (rival.subset == item["subset"])]
        if not item.get("decides", True) or not np.isfinite(values.value.mean()):
            continue
        better = values.better.iloc[0]
        # the comparison is false of a NaN, which is flagged
        if not LOSS[better](row[column(item)]) <= LOSS[better](values.value.mean()):
            word = "below" if better == "higher" else "worse than"
            flags.append(f"{label(item)} is {word} that of the {reference}")
    return "; ".join(flags)


# --- published numbers ----------------------------------------------------------------------------


def published_models(entry: dict) -> list[str]:
    """The models or references that a published value belongs to: one name or a list."""
    return [entry["beside"]] if isinstance(entry["beside"], str) else entry["beside"]


def _with_published(table: pd.DataFrame, entry: dict) -> pd.DataFrame:
    """The table with one published number."""
    names = published_models(entry)
    if not _of_group(table, entry).any():
        return table
    if not (table.model.isin(names) & _of_group(table, entry)).any():
        first = table[_of_group(table, entry)].iloc[0]
        last = table.index[table["set"] == first["set"]][-1]
        row = {"model": names[0], "kind": "published", "flag": "", "chosen": "", "seeds": 0}
        row |= {key: first[key] for key in ("set", "group") if key in table} | {"data": ""}
        row |= {"shown": ""} if "shown" in table else {}
        above, below = table.loc[:last], table.loc[last + 1 :]
        table = pd.concat([above, pd.DataFrame([row]), below], ignore_index=True)
    rows = table.index[table.model.isin(names) & _of_group(table, entry)]
    values = entry["value"], entry["measured_on"], entry["source"]
    for name, value in zip((f"published_{entry['metric']}", *SOURCE), values, strict=True):
        if name not in table:
            table[name] = np.nan if name not in SOURCE else ""
        table.loc[rows, name] = value
    return table


def _of_group(table: pd.DataFrame, entry: dict) -> pd.Series:
    if "with" not in entry:
        return table["model"].notna()
    if "group" not in table:
        return table["model"].isna()
    return table["group"] == entry["with"]
