"""Tables of records beside the headline's: a score band by band of scale, and scores subset by
subset.

Seeds are averaged as in `metrics.comparison`: the mean of their values and of their intervals,
since they share their test examples.
"""

import pandas as pd

from skyloom.metrics import OWN

ENDS = ("value", "lo", "hi")
KINDS = ("bound", "reference")  # what stands beside the models, as in `metrics.comparison`
BANDS = ("set", "l", "model", "kind", "chosen", "above_reference", "above_baselines")


def bands(
    records: pd.DataFrame, score: str, ratio: str, reference: str, chosen: dict
) -> pd.DataFrame:
    """A row a set, band and model, and what stands beside the models: is a network above the
    reference and baselines?

    records : `metrics.read`, in which `<score>_<l>`, `<score>_minus_<reference>_<l>`, paired draw
        by draw, and
    `<ratio>_<l>` are the records of band l. chosen : `metrics.choose`. Columns `<score>`,
    `<score>_minus_<reference>`, `<ratio>` and `<ratio>_sample`, of one realisation, with `_lo` and
    `_hi`. Of networks `above_reference` is "yes" where the interval of the difference lies above 0,
    and `above_baselines` where the interval lies above that of every baseline of the set.
    """
    difference = f"{score}_minus_{reference}"
    found = records["name"].str.extract(r"^(?P<score>.+)_(?P<l>\d+)$").join(records)
    found = found[found.score.isin((score, difference, ratio))]
    rows = []
    for (name, ell), group in found.groupby(["set", found.l.astype(float)], sort=False):
        own = group["of"].isin(OWN)
        known = [
            ("model", "sample", *key, part)
            for key, part in group[own].groupby(["model", "kind"], sort=False)
        ]
        known += [
            (of, "", of, KINDS[of == reference], part)
            for of, part in group[~own].groupby("of", sort=False)
        ]
        for of, sample, model, kind, part in known:
            mark = "chosen" if kind == "network" and chosen.get(name, ("",))[0] == model else ""
            row = {"set": name, "l": ell, "model": model, "kind": kind, "chosen": mark}
            row |= {"above_reference": "", "above_baselines": ""}
            for column in (score, difference, ratio):
                row |= _mean_of(part, column, of)
            rows.append(row | (_mean_of(part, ratio, sample, f"{ratio}_sample") if sample else {}))
    table = pd.DataFrame(rows).reindex(
        columns=[*BANDS, *dict.fromkeys(key for row in rows for key in row if key not in BANDS)]
    )
    networks, baselines = table.kind == "network", table[table.kind == "baseline"]
    for k in table.index[networks]:
        row = table.loc[k]
        rivals = baselines[(baselines["set"] == row["set"]) & (baselines.l == row.l)]
        table.loc[k, "above_reference"] = "yes" if row[f"{difference}_lo"] > 0 else "no"
        table.loc[k, "above_baselines"] = (
            "yes" if (row[f"{score}_lo"] > rivals[f"{score}_hi"]).all() else "no"
        )
    return table


def bands_in_words(table: pd.DataFrame, score: str, reference: str) -> str:
    """Of each chosen network the bands in which it lies above the reference and above every
    baseline.
    """
    lines = []
    for (name, model), rows in table[table.chosen != ""].groupby(["set", "model"], sort=False):
        parts = []
        for column, rival in (
            ("above_reference", f"the {reference} map"),
            ("above_baselines", "every baseline"),
        ):
            above = [f"{ell:.0f}" for ell in rows.l[rows[column] == "yes"]]
            parts.append(
                f"above {rival} at "
                f"{'every one' if len(above) == len(rows) else ', '.join(above) or 'none'}"
            )
        bands_of = ", ".join(f"{ell:.0f}" for ell in rows.l)
        lines.append(
            f"{name}: {model} has a {score} {' and '.join(parts)} of l = {bands_of} (68 % "
            "intervals)."
        )
    return " ".join(lines)


def by_subset(records: pd.DataFrame, name: str) -> pd.DataFrame:
    """One score of one set, cells (value, lo, hi): a row a model, then what stands beside them; a
    column a subset.
    """
    found = records[(records["name"] == name) & (records["of"] != "sample")]
    label = found.model.where(found["of"] == "model", found["of"])
    order = {"network": 0, "baseline": 1}
    rank = found.kind.map(order).where(found["of"] == "model", 2)
    mean = (
        found.assign(row=label, rank=rank)
        .groupby(["rank", "row", "subset"], sort=False)[list(ENDS)]
        .mean()
    )
    cells = pd.Series(
        list(mean.itertuples(index=False, name=None)), mean.index, dtype=object
    ).unstack("subset")
    subsets, rows = (
        list(dict.fromkeys(found.subset)),
        list(dict.fromkeys(zip(rank, label, strict=True))),
    )
    return cells.reindex(sorted(rows, key=lambda row: row[0]))[subsets].droplevel("rank")


def _mean_of(records: pd.DataFrame, score: str, of: str, column: str = "") -> dict[str, float]:
    """Value and interval of one score, the mean over seeds and over those beside whom a reference
    stands.
    """
    mean = records[(records.score == score) & (records["of"] == of)][list(ENDS)].mean()
    return dict(
        zip([column or score, f"{column or score}_lo", f"{column or score}_hi"], mean, strict=True)
    )
