"""Models that differ from a base model in a key or two: the tables of ablations and sweeps."""

import pandas as pd

from skyloom import checkpoint
from skyloom.cli import BadInput
from skyloom.scores.comparison import best_networks, drop_unused, selection_scores
from skyloom.scores.records import ENDS, pool_seeds


def changes(entry: dict, base: dict) -> str:
    """The keys in which an entry differs from the base, as "key base -> entry".

    Empty for the base itself.
    """
    return "; ".join(
        f"{key.removeprefix('.')} {_plain(old)} -> {_plain(new)}"
        for key, old, new in checkpoint.differences(base, entry, "")
    )


def _plain(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def table(
    records: pd.DataFrame,
    validation: pd.DataFrame,
    entries: dict[str, dict],
    settings: dict,
    columns: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A row a model, in the order of `entries`.

    records : `records.read` with draws, of the split that is shown; validation : of validation.
    entries : model -> its section of the config.
    settings : `base`, the entry of the base; `subset` and `scores` that are shown (those that a
        model has); `chosen_by`.
    columns : more columns by `model` and `seed`, of which the means over seeds are shown.

    Columns: `model`, `changed`, `seeds`, `chosen` (best on validation in its set), `n` and
    `blocks`, the further columns, each score with `_lo` and `_hi` (68 %, seeds pooled) and
    `_seed_scatter` where a model has several seeds.
    """
    rows = records[(records.subset == settings["subset"]) & (records["of"] == "model")]
    rows = rows[rows["name"].isin(settings["scores"])]
    if missing := [model for model in entries if model not in set(rows.model)]:
        raise BadInput(
            f"--metrics: no score of {', '.join(missing)} on the subset {settings['subset']} among "
            f"{', '.join(settings['scores'])}"
        )
    best = {model for model, _ in best_networks(validation, settings["chosen_by"]).values()}
    pooled = pool_seeds(rows)
    lines = []
    for model, entry in entries.items():
        scores = pooled[pooled.model == model].set_index("name")
        first = scores.iloc[0]
        line = {"model": model, "changed": changes(entry, settings["base"])}
        line |= {"seeds": first.seeds, "chosen": "chosen" if model in best else ""}
        line |= {"n": first.n, "blocks": first.blocks}
        if columns is not None:
            means = columns[columns.model == model].drop(columns=["model", "seed"]).mean()
            line |= means.to_dict()
        for name in settings["scores"]:
            if name in scores.index:
                ends = (name, f"{name}_lo", f"{name}_hi")
                line |= dict(zip(ends, scores.loc[name, list(ENDS)], strict=True))
                line[f"{name}_seed_scatter"] = scores.loc[name, "seed_scatter"]
        lines.append(line)
    return drop_unused(pd.DataFrame(lines), settings["scores"])


def sentence(table: pd.DataFrame, validation: pd.DataFrame, chosen_by: str | list[str]) -> str:
    """The chosen model, and those whose score on validation lies within its 68 % interval."""
    name = next(iter(selection_scores(validation, chosen_by).values()))
    if name not in table or not (table.chosen == "chosen").any():
        return ""
    chosen = table[table.chosen == "chosen"].iloc[0]
    within = table[name].between(chosen[f"{name}_lo"], chosen[f"{name}_hi"])
    others = table[(table.chosen == "") & within]
    changed = f" ({chosen.changed})" if chosen.changed else ", the base,"
    text = f"{chosen.model}{changed} is best on validation: {name} {chosen[name]:.4g}."
    return text + (f" Within its interval: {', '.join(others.model)}." if len(others) else "")
