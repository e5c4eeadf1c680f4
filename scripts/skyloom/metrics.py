"""Metric records, their block-bootstrap intervals, and the tables made of them: the same for every
study.

A record is `{"name", "of", "subset", "split", "value", "ci68": [lo, hi], "unit", "better", "n",
"blocks"}`. `of` says what was measured: "model", one "sample" of a stochastic model, or what stands
beside it for comparison (for CO "dust" and "ceiling"). `better` is "higher", "lower", "zero" (a
bias), "one" (a ratio) or "nominal" (the coverage of a 68 % interval).

Examples that share sky (or a simulation) are not independent: intervals come from resampling whole
blocks of them. A statistic is a function of the multiplicity of each example, so that all draws are
one matrix product.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from skyloom.cli import BadInput
from skyloom.forecasts import NOMINAL

ONE_SIGMA = (15.865, 84.135)  # percentiles
MIN_BLOCKS = 4  # three blocks can be drawn in 10 ways, two in 3: their percentiles say nothing
OWN = ("model", "sample")  # what a record can be `of` that is the model's own
RECORD = ("name", "of", "split", "subset", "value", "ci68", "unit", "better", "n", "blocks")
ABOUT = ("study", "model", "kind", "seed", "set", "data")  # of a model, beside its records
LOSS = {
    "higher": lambda v: -v,
    "lower": lambda v: v,
    "zero": abs,
    "one": lambda v: abs(math.log(v)) if v > 0 else math.inf,
    "nominal": lambda v: abs(v - NOMINAL),
}


# --- block bootstrap
# -------------------------------------------------------------------------------------------------


def multiplicities(blocks: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often each example counts in the sample itself (row 0: ones) and in each bootstrap draw
    of whole blocks.

    blocks : (n,) label of each example. Returns (1 + draws, n) float64.
    """
    labels, inverse = np.unique(blocks, return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), size=draws
    )
    return np.vstack([np.ones(len(blocks)), drawn[:, inverse]])


def summary(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value (row 0) and 68 % percentile interval (from the other rows) of a statistic of
    `multiplicities`.

    The interval is moved so that the median of the draws comes to lie on the value: a statistic
    that noise alone lowers (the overlap of two bands) is lower in every draw than in the sample,
    and its plain interval can miss the value.
    """
    value, drawn = values[0], np.asarray(values[1:], dtype=np.float64)
    known = np.isfinite(drawn).any(0) if len(drawn) else np.zeros(np.shape(value), bool)
    drawn = np.where(known, drawn, 0) if len(drawn) else np.zeros((1, *np.shape(value)))
    percentile = np.percentile if np.isfinite(drawn).all() else np.nanpercentile  # ten times slower
    lo, middle, hi = percentile(drawn, (ONE_SIGMA[0], 50, ONE_SIGMA[1]), axis=0)
    return (
        value,
        np.where(known, value + lo - middle, np.nan),
        np.where(known, value + hi - middle, np.nan),
    )


def bracket(values: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`summary`, its interval NaN where the examples come from fewer than MIN_BLOCKS blocks."""
    value, lo, hi = summary(values)
    if len(np.unique(blocks)) < MIN_BLOCKS:
        lo = hi = np.full(np.shape(value), np.nan)
    return value, lo, hi


def mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over examples for each draw. values : (n, ...); counts : `multiplicities`. Returns
    (draws, ...).
    """
    flat = counts @ values.reshape(len(values), -1) / counts.sum(1, keepdims=True)
    return flat.reshape(len(counts), *values.shape[1:])


def median(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Median over examples for each draw. values : (n, k); counts : `multiplicities`, or those
    times weights.

    Returns (draws, k): where half of the weight lies below and half above, between the two of an
    even count.
    """
    out = np.empty((len(counts), values.shape[1]))
    for k, column in enumerate(values.T):
        order = np.argsort(column)
        below = counts[:, order].cumsum(1)
        half = below[:, -1:] / 2
        # an even count has two middle examples: the first that reaches half and the first that
        # exceeds it
        middle = [
            column[order][np.argmax(reached, axis=1)] for reached in (below >= half, below > half)
        ]
        out[:, k] = np.mean(middle, axis=0)
    return out


def record(
    name: str,
    values: np.ndarray,
    better: str,
    blocks: np.ndarray,
    *,
    subset: str,
    of="model",
    unit="",
    split="test",
) -> dict:
    """A metric record from a statistic of `multiplicities`, (1 + draws,); no interval from fewer
    than MIN_BLOCKS.
    """
    value, lo, hi = (float(v) for v in bracket(np.asarray(values), blocks))
    entries = (
        name,
        of,
        split,
        subset,
        value,
        [lo, hi],
        unit,
        better,
        len(blocks),
        len(np.unique(blocks)),
    )
    return dict(zip(RECORD, entries, strict=True))


# --- files
# --------------------------------------------------------------------------------------------------


def write_json(content: dict, path: str | Path) -> None:
    """Strict JSON: NaN and infinities, which JSON does not know, become null."""
    Path(path).write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def _plain(item):
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    if isinstance(item, np.generic):
        item = item.item()
    return None if isinstance(item, float) and not math.isfinite(item) else item


def read(paths: Iterable[str | Path], split: str = "metrics") -> pd.DataFrame:
    """All records of several `metrics.json`, tidy: one row a model, seed and record; no row where
    none is.

    split : the list of records that is read, `metrics` of the test split or `validation`.
    """
    rows = []
    for path in paths:
        content = json.loads(Path(path).read_text())
        missing = [key for key in (*ABOUT, split) if key not in content]
        if missing:
            raise BadInput(
                f"{path}: keys {', '.join(missing)} not found; expected what predict_test writes"
            )
        about = {key: content[key] for key in ABOUT}
        about["line"] = content.get("line", "")
        for entry in content[split]:
            lo, hi = entry["ci68"]
            values = {"value": entry["value"], "lo": lo, "hi": hi}
            rows.append(
                about | {k: entry.get(k, "") for k in RECORD if k not in ("value", "ci68")} | values
            )
    if not rows and split == "metrics":
        raise BadInput("no metric records in " + ", ".join(map(str, paths)))
    columns = [
        *ABOUT,
        "line",
        *(key for key in RECORD if key not in ("value", "ci68")),
        "value",
        "lo",
        "hi",
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"value": float, "lo": float, "hi": float}).replace({"of": {"": "model"}})


# --- tables
# --------------------------------------------------------------------------------------------------


def judges(validation: pd.DataFrame, by: str | list[str]) -> dict[str, str]:
    """Set -> the metric that its network is chosen by: of several names, the first that its
    validation records have.
    """
    names = [by] if isinstance(by, str) else by
    known = {name: set(group["name"]) for name, group in validation.groupby("set", sort=False)}
    found = {
        name: next((metric for metric in names if metric in scores), names[0])
        for name, scores in known.items()
    }
    if known and not any(found[name] in scores for name, scores in known.items()):
        expected = ", ".join(sorted(validation["name"].unique()))
        raise BadInput(
            f"config: comparison.chosen_by: {', '.join(names)} is no score of validation; "
            f"expected one of {expected}"
        )
    return found


def choose(validation: pd.DataFrame, by: str | list[str]) -> dict[str, tuple[str, float]]:
    """Set -> the network that scores best on validation, seeds averaged, and that score; what test
    says has no part.

    validation : records of the validation split; by : as in `judges`. A set whose networks have no
        score is left out.
    """
    judge = validation["set"].map(judges(validation, by))
    found = validation[(validation["name"] == judge) & (validation["of"] == "model")]
    chosen = {}
    for name, group in found[found.kind == "network"].groupby("set", sort=False):
        mean = group.groupby("model", sort=False)["value"].agg(
            lambda values: values.mean(skipna=False)
        )
        if mean.notna().any():
            loss = mean.map(LOSS[group.better.iloc[0]])
            chosen[name] = loss.idxmin(), mean[loss.idxmin()]
    return chosen


def comparison(
    records: pd.DataFrame,
    headline: list[dict],
    reference: str,
    published: list[dict] = (),
    chosen: dict[str, tuple[str, float]] | None = None,
) -> pd.DataFrame:
    """The headline table: set by set a row a model, seeds as mean and scatter; then what stands
    beside the models.

    headline : `{"name", "subset"}`, with `"label"` where flag and verdict use another name,
        `"decides": False` where
    the verdict leaves it out, `"texture": True` where a model that draws realisations is shown by
    one of them (`of: sample`) and not by its mean, which is smooth by nature; the column `texture`
    names what was shown.
    reference : the `of` below which a network is flagged, in every deciding headline that has it,
        by its value on that
    network's own test examples. Intervals are the mean of the seeds' intervals, since the seeds
    share their test examples. Sets, in the order of their first model, are never averaged: each has
    references of its own.
    published : `{"beside", "metric", "value", "measured_on", "source"}`, with `"with"` where it
        belongs to one `line`;
    their values get columns of their own, in the row of the model `beside`, or of each model of the
    list `beside` that is here; where none is, in one more row below the first set of that line. Of
    a metric that no model has, none.
    chosen : `choose`; the column `chosen` marks these networks.
    """
    parts = [
        _set_rows(group, headline, reference) for _, group in records.groupby("set", sort=False)
    ]
    table = pd.concat(parts, ignore_index=True)
    marks = [
        "chosen" if kind == "network" and (chosen or {}).get(name, ("",))[0] == model else ""
        for name, kind, model in zip(table["set"], table.kind, table.model, strict=True)
    ]
    table.insert(3, "chosen", marks)
    for entry in published:
        if entry["metric"] in set(records["name"]):
            table = _beside(table, entry)
    return table


def _set_rows(records: pd.DataFrame, headline: list[dict], reference: str) -> pd.DataFrame:
    """The rows of one set: networks, baselines, what stands beside them."""
    about = {"set": records["set"].iloc[0], "line": records.line.iloc[0]}
    better = _better(records)
    beside = records[records["of"] == reference]
    order = {"network": 0, "baseline": 1}
    models = records[records["of"].isin(OWN)].groupby(["kind", "model"], sort=False)
    rows = []
    for (kind, model), group in sorted(models, key=lambda item: order.get(item[0][0], 2)):
        shown = "sample" if "sample" in group["of"].values else "model"
        row = (
            {"model": model, "kind": kind} | about | {"data": _joined(group.data), "texture": shown}
        )
        row |= _cells(group, headline, shown)
        rows.append(
            row | {"flag": _flags(row, beside[beside.model == model], headline, reference, better)}
        )
    for of, group in records[~records["of"].isin(OWN)].groupby("of", sort=False):
        row = {"model": of, "kind": "reference" if of == reference else "bound"} | about
        rows.append(
            row
            | {"data": _joined(group.data), "texture": "", "flag": ""}
            | _cells(group, headline, of, of)
        )
    table = pd.DataFrame(rows)
    table.insert(2, "flag", table.pop("flag"))
    return table


def verdict(
    table: pd.DataFrame,
    records: pd.DataFrame,
    headline: list[dict],
    chosen: dict[str, tuple[str, float]],
    by: str | dict[str, str],
) -> str:
    """A sentence a set: whether the network chosen on validation beats every baseline in every
    deciding headline.

    Sets that share their sentence are named together. Where a deciding number is published beside a
    network, it also says whether the network's interval lies above, around or below that. A
    headline decides in the sets whose models have it. chosen : `choose`; by : the metric, or
    `judges`.
    """
    lines: dict[str, list[str]] = {}  # what is said -> of which sets
    for name in dict.fromkeys(table["set"]):
        judge = by if isinstance(by, str) else by.get(name, "a score")
        rows, known = table[table["set"] == name], records[records["set"] == name]
        lines.setdefault(_set_verdict(rows, known, headline, chosen.get(name), judge), []).append(
            name
        )
    if table["set"].nunique() == 1:
        return next(iter(lines))
    return " ".join(f"{', '.join(names)}: {line}" for line, names in lines.items())


def _set_verdict(
    table: pd.DataFrame,
    records: pd.DataFrame,
    headline: list[dict],
    chosen: tuple[str, float] | None,
    by: str,
) -> str:
    deciding = [
        item for item in headline if item.get("decides", True) and table[column(item)].notna().any()
    ]
    deciding = deciding or [item for item in headline if item.get("decides", True)]
    names = " and ".join(f"{_label(item)} ({item['subset']})" for item in deciding)
    data = _joined(records.data)
    networks, baselines = table[table.kind == "network"], table[table.kind == "baseline"]
    if networks.empty or baselines.empty:
        lacking = "network" if networks.empty else "baseline"
        return (
            f"No {lacking} in this comparison, so that nothing can be said about {names}."
            f" Data: {data}."
        )
    if chosen is None:
        return (
            f"No network has {by} on validation to be chosen by, so that nothing is said about"
            f" {names}. Data: {data}."
        )
    model, score = chosen
    better = _better(records)
    row = networks[networks.model == model].iloc[0]
    duels = [_duel(row, baselines, item, better[item["name"]]) for item in deciding]
    among = f"best of {len(networks)} networks by {by} on validation ({score:.3g})"
    if len(networks) == 1:
        among = f"the only network ({by} on validation {score:.3g})"
    verb = "beats" if all(won for won, _ in duels) else "does not beat"
    line = f"{model}, {among}, {verb} every baseline in {names} on the test set."
    line += f" {', '.join(text for _, text in duels)}."
    for _, row in networks[networks.flag != ""].iterrows():
        line += f" {row.model}: {row.flag}."
    line += "".join(_beside_published(row, deciding, better) for _, row in networks.iterrows())
    return f"{line} Data: {data}."


def write_csv(table: pd.DataFrame, path: str | Path, comment: str = "") -> None:
    """CSV with six significant digits, after a first line `# comment`."""
    first = f"# {' '.join(comment.split())}\n" if comment else ""
    Path(path).write_text(first + table.to_csv(index=False, float_format="%.6g"))


def column(item: dict) -> str:
    """The comparison's column of a headline."""
    return f"{item['name']}_{item['subset']}"


def names_beside(entry: dict) -> list[str]:
    """The models or references that a published value stands beside: `beside` is one name or a list
    of them.
    """
    return [entry["beside"]] if isinstance(entry["beside"], str) else entry["beside"]


def _cells(group: pd.DataFrame, headline: list[dict], texture: str, of: str = "model") -> dict:
    """Columns of the headline; those marked `texture` of `texture`, the others of `of`."""
    cells = {"seeds": group.seed.nunique()}
    for item in headline:
        found = group[(group["name"] == item["name"]) & (group.subset == item["subset"])]
        found = found[found["of"] == (texture if item.get("texture") else of)]
        per_seed = found.groupby("seed")[["value", "lo", "hi"]].mean()
        key = column(item)
        cells |= {
            key: per_seed.value.mean(),
            f"{key}_lo": per_seed.lo.mean(),
            f"{key}_hi": per_seed.hi.mean(),
        }
        cells[f"{key}_seed_scatter"] = per_seed.value.std(ddof=1)  # NaN for one seed
    return cells


def _flags(
    row: dict, beside: pd.DataFrame, headline: list[dict], reference: str, better: dict
) -> str:
    """`rho_l below dust`: a network that the reference itself beats, or that has no value to
    compare.

    beside : the reference's records on the test examples of this model, whose set may be another
        than its neighbours'.
    """
    flags = []
    for item in headline if row["kind"] == "network" else ():
        known = beside[
            (beside["name"] == item["name"]) & (beside.subset == item["subset"])
        ].value.mean()
        if not item.get("decides", True) or np.isnan(known):
            continue
        loss = LOSS[better[item["name"]]]
        if not loss(row[column(item)]) <= loss(known):  # NaN is flagged
            word = "below" if better[item["name"]] == "higher" else "worse than"
            flags.append(f"{_label(item)} {word} {reference}")
    return "; ".join(flags)


def _duel(row: pd.Series, baselines: pd.DataFrame, item: dict, better: str) -> tuple[bool, str]:
    """Whether a network beats the best baseline in one headline, and the two numbers in words."""
    key = column(item)
    if baselines[key].isna().all():
        return False, f"{_label(item)} of no baseline is known"
    best = baselines.loc[baselines[key].map(LOSS[better]).idxmin()]
    won = bool(LOSS[better](row[key]) < LOSS[better](best[key]))
    text = f"{_label(item)} {_with_interval(row, key)}"
    text += f" against {_with_interval(best, key)} of {best.model}"
    if row[f"{key}_lo"] <= best[f"{key}_hi"] and best[f"{key}_lo"] <= row[f"{key}_hi"]:
        text += " (68 % intervals overlap)"
    return won, text + ("" if won else " (lost)")


def _beside_published(row: pd.Series, headline: list[dict], better: dict) -> str:
    """A sentence for each published number that the headline asks for (`beside_published`), where
    there is an interval.

    Only where both were measured on data of one kind: CO of a simulated sky is not set against the
    real one.
    """
    text = ""
    for item in headline:
        known, key = row.get(f"published_{item['name']}", np.nan), column(item)
        if not item.get("beside_published") or pd.isna(known) or pd.isna(row[f"{key}_lo"]):
            continue
        above, below = (
            ("above", "below")
            if better[item["name"]] == "higher"
            else ("worse than", "better than")
        )
        word = (
            above
            if row[f"{key}_lo"] > known
            else below
            if row[f"{key}_hi"] < known
            else "consistent with"
        )
        text += f" {row.model}: {_label(item)} {_with_interval(row, key)} is {word}"
        text += f" the published {known:.3g}"
        text += f" ({row.published_on})."
    return text


def _with_interval(row: pd.Series, key: str) -> str:
    if np.isnan(row[f"{key}_lo"]):
        return f"{row[key]:.3g}"
    return f"{row[key]:.3g} [{row[f'{key}_lo']:.3g}, {row[f'{key}_hi']:.3g}]"


def _beside(table: pd.DataFrame, entry: dict) -> pd.DataFrame:
    """The table with one published number in columns of its own, beside its models or in a row of
    its own.
    """
    names = names_beside(entry)
    same_line = table.line == entry["with"] if "with" in entry else table.line.notna()
    if not same_line.any():
        return table
    if not (table.model.isin(names) & same_line).any():
        of_line = table[same_line].iloc[0]
        last = table.index[table["set"] == of_line["set"]][-1]
        added = {
            "model": names[0],
            "kind": "published",
            "flag": "",
            "chosen": "",
            "seeds": 0,
            "texture": "",
        }
        added |= {"set": of_line["set"], "line": of_line.line}
        table = pd.concat(
            [table.loc[:last], pd.DataFrame([added]), table.loc[last + 1 :]], ignore_index=True
        )
        same_line = table.line == entry["with"] if "with" in entry else table.line.notna()
    row = table.index[table.model.isin(names) & same_line]
    cells = (f"published_{entry['metric']}", entry["value"]), ("published_on", entry["measured_on"])
    for name, value in (*cells, ("published_source", entry["source"])):
        if name not in table:
            table[name] = np.nan if isinstance(value, int | float) else ""
        table.loc[row, name] = value
    return table


def _better(records: pd.DataFrame) -> dict:
    return dict(zip(records["name"], records.better, strict=True))


def _label(item: dict) -> str:
    return item.get("label", item["name"])


def _joined(values: pd.Series) -> str:
    return ", ".join(sorted(set(map(str, values))))
