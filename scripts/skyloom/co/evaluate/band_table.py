"""rho_l and C_l ratio in each band within the beam: of models, dust map and noise ceiling."""

import pandas as pd

from skyloom.scores import pairs
from skyloom.scores.comparison import KINDS
from skyloom.scores.records import ENDS, OUTPUTS, pool_seeds

COLUMNS = ("set", "l", "model", "kind", "chosen", "above_reference", "above_baselines")


def table(
    records: pd.DataFrame, score: str, ratio: str, reference: str, chosen: dict
) -> pd.DataFrame:
    """A row a set, band and model, then its references.

    records : `records.read` with draws, in which `<score>_<l>` and `<ratio>_<l>` are those of band
        l; chosen : `comparison.best_networks`, marked in the column `chosen`.

    Columns `<score>`, `<ratio>` and `<ratio>_sample`, of one realisation, with their 68 % interval
    `_lo`, `_hi`, and `<score>_minus_<reference>`, with its 95 % interval. Of networks
    `above_reference` and `above_baselines` are "yes" where the paired difference to the reference,
    and to every baseline of the set, lies above 0 with its 95 % interval.
    """
    bands = records["name"].str.extract(r"^(?P<score>.+)_(?P<l>\d+)$").astype({"l": float})
    bands = records.join(bands)
    bands = bands[bands.score.isin((score, ratio))]
    parts = [
        _band(group, ell, score, ratio, reference, chosen.get(name, ("",))[0])
        for (name, ell), group in bands.groupby(["set", "l"], sort=False)
    ]
    return pd.concat(parts, ignore_index=True)


def _band(
    records: pd.DataFrame, ell: float, score: str, ratio: str, reference: str, chosen: str
) -> pd.DataFrame:
    """The rows of one set and band."""
    scores = pool_seeds(records)
    names = {score: f"{score}_{ell:.0f}", ratio: f"{ratio}_{ell:.0f}"}
    first = {"set": records["set"].iloc[0], "l": ell}
    models = scores[scores["of"].isin(OUTPUTS)].groupby(["kind", "model"], sort=False)
    baselines = dict.fromkeys(records.model[records.kind == "baseline"])
    rows = []

    def draws(model: str, of: str = "model") -> list:
        rows = records[(records.model == model) & (records["name"] == names[score])]
        return list(rows[rows["of"] == of].draws)

    for (kind, model), group in sorted(models, key=lambda pair: KINDS.get(pair[0][0], 2)):
        row = first | {"model": model, "kind": kind, "chosen": "", "above_reference": ""}
        row |= {"above_baselines": ""}
        gain = pairs.difference(draws(model), draws(model, reference), "higher")
        if kind == "network":
            rivals = [pairs.difference(draws(model), draws(name), "higher") for name in baselines]
            row["chosen"] = "chosen" if model == chosen else ""
            row["above_reference"] = _yes(gain.result == pairs.BETTER)
            row["above_baselines"] = _yes(all(rival.result == pairs.BETTER for rival in rivals))
        row |= _ends(group, names[score], "model", score)
        key = f"{score}_minus_{reference}"
        row |= {key: gain.difference, f"{key}_lo": gain.lo, f"{key}_hi": gain.hi}
        row |= _ends(group, names[ratio], "model", ratio)
        rows.append(row | _ends(group, names[ratio], "sample", f"{ratio}_sample"))
    for of, group in scores[~scores["of"].isin(OUTPUTS)].groupby("of", sort=False):
        row = first | {"model": of, "kind": "reference" if of == reference else "bound"}
        row |= {"chosen": "", "above_reference": "", "above_baselines": ""}
        row |= _ends(group, names[score], of, score) | _ends(group, names[ratio], of, ratio)
        rows.append(row)
    return pd.DataFrame(rows)


def _ends(scores: pd.DataFrame, name: str, of: str, column: str) -> dict[str, float]:
    """Value and interval of one score; of a reference it is the same for every model."""
    rows = scores[(scores["name"] == name) & (scores["of"] == of)]
    if rows.empty:
        return {}
    ends = (column, f"{column}_lo", f"{column}_hi")
    return dict(zip(ends, rows[list(ENDS)].mean(), strict=True))


def _yes(condition: bool) -> str:
    return "yes" if condition else "no"


def sentences(table: pd.DataFrame, score: str, reference: str) -> list[str]:
    """A sentence a chosen network: the bands in which it exceeds the reference and every
    baseline.
    """
    lines = []
    for (name, model), rows in table[table.chosen != ""].groupby(["set", "model"], sort=False):
        parts = []
        for column, rival in (
            ("above_reference", f"the {reference} map"),
            ("above_baselines", "every baseline"),
        ):
            bands = ", ".join(f"{ell:.0f}" for ell in rows.l[rows[column] == "yes"])
            place = f"at l = {bands}" if bands else "in no band"
            parts.append(f"exceeds that of {rival} {place}")
        lines.append(f"{name}: {score} of {model} {' and '.join(parts)}.")
    return lines
