"""The verdict on a study: is the network that validation chose better than every baseline?

One clause a deciding score, by `pairs`: better than every baseline, worse than one, or level with
one. All pages of a run use the same parts and the same sentence.
"""

import math

import pandas as pd

from skyloom.scores import pairs
from skyloom.scores.bootstrap import INTERVAL_95, pooled
from skyloom.scores.comparison import column, label
from skyloom.scores.records import LOSS

INTERVALS = "Intervals: 68 % of scores, 95 % of paired differences; level where the latter holds 0."
DATA = {"simulated": "simulated", "user-simulation": "user-simulated", "survey": "real"}


def verdict(
    table: pd.DataFrame,
    records: pd.DataFrame,
    headline: list[dict],
    chosen: dict[str, tuple[str, float]],
    chosen_by: dict[str, str],
    settings: dict,
) -> dict:
    """The parts of the verdict of each set, and its text.

    table : `comparison.table`; records : `records.read` with draws; headline : as there, items with
        `compare_published` also say on which side of a published number a network lies.
    chosen, chosen_by : `comparison.best_networks` and `selection_scores`.
    settings : `labels` of models and references, `sets`, those of sets, `scene` and `examples`,
        the study's words for its data and its test examples ("sky", "tiles").

    Returns `study`, `text`, and `sets`: `set`, `group`, `data`, `model`, `label`, `seeds`,
    `networks` (their number), `chosen_by`, `validation` (the chosen one's score there), `about`
    (seeds and test data in words), `clauses`, `remarks`, `text`. A clause: `result`, `score`,
    `subset`, `label`, `unit`, `better`, `value`, `lo`, `hi`, `rival`, `rival_label`,
    `rival_value`, `difference`, `difference_lo`,
    `difference_hi`, `n`, `blocks`. A set without network or baseline has no `model` and no clause.
    """
    labels = Labels(settings.get("labels", {}))
    sets = []
    for name, rows in table.groupby("set", sort=False):
        scores = records[records["set"] == name]
        part = {"set": name, "group": rows.group.iloc[0] if "group" in rows else ""}
        part |= {"data": scores.data.iloc[0], "model": None, "clauses": [], "remarks": []}
        deciding = [item for item in headline if item.get("decides", True)]
        deciding = [item for item in deciding if rows[column(item)].notna().any()]
        network, value = chosen.get(name, (None, math.nan))
        kinds = set(rows.kind)
        if {"network", "baseline"} - kinds:
            absent = "baseline" if "network" in kinds else "network"
            part["text"] = f"No {absent} to compare."
        elif network is None:
            part["text"] = f"No network has a validation score ({chosen_by[name]}) to be chosen by."
        else:
            row = rows[(rows.model == network) & (rows.kind == "network")].iloc[0]
            part |= {"model": network, "label": labels[network], "seeds": int(row.seeds)}
            part |= {"networks": int((rows.kind == "network").sum())}
            part |= {"chosen_by": chosen_by[name], "validation": float(value)}
            part["clauses"] = _clauses(row, scores, deciding, labels)
            part["remarks"] = _remarks(rows, scores, deciding, labels)
            part["about"] = _about(part, settings)
            part["text"] = _sentences(part)
        sets.append(part)
    return {
        "study": records.study.iloc[0],
        "text": _text(sets, settings.get("sets", {})),
        "sets": sets,
    }


class Labels(dict):
    """Names of models for people; the name itself where there is none."""

    def __missing__(self, name: str) -> str:
        return name.replace("_", " ")


# --- parts ----------------------------------------------------------------------------------------


def _clauses(
    row: pd.Series, scores: pd.DataFrame, deciding: list[dict], labels: Labels
) -> list[dict]:
    """A clause a deciding score of the chosen network. row : its row of the comparison."""
    table = pairs.table(scores, deciding, [row.model])
    clauses = []
    for item in deciding:
        rows = table[(table.score == item["name"]) & (table.subset == item["subset"])]
        rows = rows[rows.baseline_value.notna()]
        if rows.empty:
            continue
        result = next(
            word for word in (pairs.WORSE, pairs.LEVEL, pairs.BETTER) if (rows.result == word).any()
        )
        rivals = rows[rows.result == result]
        rival = rivals.loc[rivals.baseline_value.map(LOSS[rivals.better.iloc[0]]).idxmin()]
        key = column(item)
        clause = {"result": result, "score": item["name"], "subset": item["subset"]}
        clause |= {"label": label(item), "unit": rival.unit, "better": rival.better}
        clause |= {"value": row[key], "lo": row[f"{key}_lo"], "hi": row[f"{key}_hi"]}
        clause |= {"rival": rival.baseline, "rival_label": labels[rival.baseline]}
        clause |= {"rival_value": rival.baseline_value, "difference": rival.difference}
        clause |= {"difference_lo": rival.lo, "difference_hi": rival.hi}
        clauses.append(clause | {"n": int(rival.n), "blocks": int(rival.blocks)})
    return clauses


def _remarks(
    rows: pd.DataFrame, scores: pd.DataFrame, deciding: list[dict], labels: Labels
) -> list[str]:
    """A sentence for each flag with its networks, and for each published number compared."""
    networks = rows[rows.kind == "network"]
    flags: dict[str, list[str]] = {}
    for _, row in networks.iterrows():
        for flag in filter(None, row.flag.split("; ")):
            flags.setdefault(flag, []).append(labels[row.model])
    remarks = [f"{', '.join(who)}: {flag}." for flag, who in flags.items()]
    for _, row in networks.iterrows():
        for item in deciding:
            number = row.get(f"published_{item['name']}", math.nan)
            if item.get("compare_published") and not pd.isna(number):
                remarks += _published(row, item, scores, labels)
    return remarks


def _published(row: pd.Series, item: dict, scores: pd.DataFrame, labels: Labels) -> list[str]:
    """On which side of the published number the network's 95 % interval lies; nothing without
    one.
    """
    values = pairs.shown(scores[scores.model == row.model], item)
    _, lo, hi = pooled(list(values.draws), INTERVAL_95)
    if not math.isfinite(lo):
        return []
    number = row[f"published_{item['name']}"]
    higher = values.better.iloc[0] == "higher"
    above, below = ("above", "below") if higher else ("worse than", "better than")
    word = above if lo > number else below if hi < number else "consistent with"
    text = f"{labels[row.model]}: {label(item)} is {word} the published {number:.3g}"
    return [f"{text} ({row.published_on})."]


# --- text -----------------------------------------------------------------------------------------


def _about(part: dict, settings: dict) -> str:
    """How the network was chosen, its seeds, and what it was tested on."""
    among = "the only network"
    if part["networks"] > 1:
        among = f"chosen on validation, best of {part['networks']} networks"
    seeds = "one seed" if part["seeds"] == 1 else f"{part['seeds']} seeds"
    data = DATA.get(part["data"], part["data"])
    text = f"{among}; {seeds}; {data} {settings.get('scene', 'data')}"
    if part["clauses"]:
        first = part["clauses"][0]
        subset = "" if first["subset"] == "all" else f"{first['subset'].replace('_', ' ')} "
        text += f", {first['n']} {subset}test {settings.get('examples', 'examples')}"
    return text


def _sentences(part: dict) -> str:
    """The sentence of a set, its remarks after it."""
    clauses = [sentence(clause) for clause in part["clauses"]]
    text = f"{part['label']} ({part['about']}): {'; '.join(clauses) or 'no score to compare'}."
    return " ".join([text, *part["remarks"]])


def sentence(clause: dict) -> str:
    """A clause in words: result, rival, score, values and their difference."""
    digits = decimals(clause["lo"], clause["hi"])
    value, rival = (number(clause[key], digits) for key in ("value", "rival_value"))
    interval = ""
    if math.isfinite(clause["lo"]):
        interval = f" [{number(clause['lo'], digits)}, {number(clause['hi'], digits)}]"
    name, score = clause["rival_label"], clause["label"]
    if clause["result"] == pairs.BETTER:
        text = f"better than every baseline in {score} ({value}{interval}; best baseline {name}"
        text += f" {rival}"
    elif clause["result"] == pairs.LEVEL:
        text = f"level with {name} in {score} ({value}{interval} against {rival}"
    else:
        text = f"worse than {name} in {score} ({value}{interval} against {rival}"
    return f"{text}, {_difference(clause)})"


def _difference(clause: dict) -> str:
    ends = clause["difference_lo"], clause["difference_hi"]
    digits = decimals(*ends)
    # an end that is not 0 is not shown as 0
    while digits is not None and any(end and not round(end, digits) for end in ends):
        digits += 1
    text = f"difference {number(clause['difference'], digits, '+')}"
    if not all(map(math.isfinite, ends)):
        return f"{text}, no interval from {clause['blocks']} blocks"
    return f"{text} [{number(ends[0], digits, '+')}, {number(ends[1], digits, '+')}]"


def _text(sets: list[dict], labels: dict[str, str]) -> str:
    """One line a set, equal ones together; the name of a set only where there are several."""
    lines: dict[str, list[str]] = {}
    for part in sets:
        lines.setdefault(part["text"], []).append(labels.get(part["set"], part["set"]))
    text = list(lines)
    if len(sets) > 1:
        text = [f"{', '.join(names)}: {line}" for line, names in lines.items()]
    return "\n".join([*text, *[INTERVALS] * any(part["clauses"] for part in sets)])


def decimals(lo: float, hi: float) -> int | None:
    """Decimals that give the half-width of an interval two significant digits, None without one."""
    half = (hi - lo) / 2
    if not math.isfinite(half) or half <= 0:
        return None
    return max(0, 1 - math.floor(math.log10(half)))


def number(value: float, digits: int | None, sign: str = "") -> str:
    """A number with this many decimals, or three significant digits."""
    return f"{value:{sign}.3g}" if digits is None else f"{value:{sign}.{digits}f}"
