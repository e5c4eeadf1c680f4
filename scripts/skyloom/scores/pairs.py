"""Differences of two models on the same test examples, draw by draw.

Two models err on the same difficult examples, so that their difference is known better than either
of their scores: intervals that overlap decide nothing. Better, level or worse is decided here, for
every table and sentence of a study.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from skyloom.cli import BadInput
from skyloom.scores.bootstrap import INTERVAL_95, pooled
from skyloom.scores.records import LOSS

BETTER, LEVEL, WORSE = "better", "level", "worse"
# of a score: draws are float32, and an end of an interval that is smaller than this is 0
RESOLUTION = 1e-6
COLUMNS = ("network", "baseline", "seeds_network", "seeds_baseline", "score", "subset", "unit")
COLUMNS += ("better", "network_value", "baseline_value", "difference", "lo", "hi", "result")
COLUMNS += ("wins", "n", "blocks")


class Difference(NamedTuple):
    """First less second, with its 95 % interval over test blocks and training seeds.

    Of a score whose best value is one, zero or nominal it is the difference of the distances from
    there. `result` : BETTER, LEVEL or WORSE of the first; `wins` : share of draws in which the
    first is better, a tie counting half.
    """

    difference: float
    lo: float
    hi: float
    result: str
    wins: float


def difference(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], better: str
) -> Difference:
    """The paired difference of two models from the draws (1 + draws,) of their seeds.

    Every seed of the first is set against every seed of the second. The result is LEVEL where the
    interval holds 0 or there is none, and WORSE where only the second has a finite value.
    """
    sign = 1 if better == "higher" else -1
    ours, theirs = (
        [_scale(np.asarray(draws, np.float64), better) for draws in seeds]
        for seeds in (first, second)
    )
    with np.errstate(invalid="ignore"):
        each = [a - b for a in ours for b in theirs]
    value, rival = (float(np.mean([draws[0] for draws in seeds])) for seeds in (ours, theirs))
    zero = RESOLUTION * max(abs(value), abs(rival))
    lo, hi = (0.0 if abs(end) <= zero else end for end in pooled(each, INTERVAL_95)[1:])
    gains = sign * np.concatenate([draws[1:] for draws in each])
    gains = gains[np.isfinite(gains)]
    wins = float(np.mean((gains > 0) + (gains == 0) / 2)) if len(gains) else np.nan
    result = LEVEL
    if sign * lo > 0 and sign * hi > 0:
        result = BETTER
    elif sign * lo < 0 and sign * hi < 0 or np.isfinite(rival) and not np.isfinite(value):
        result = WORSE
    return Difference(value - rival, lo, hi, result, wins)


def _scale(draws: np.ndarray, better: str) -> np.ndarray:
    """A score as it is compared: itself, or its distance from the best value."""
    return draws if better in ("higher", "lower") else LOSS[better](draws)


def shown(records: pd.DataFrame, item: dict) -> pd.DataFrame:
    """The records of one model for a headline item, one a seed.

    item : `name`, `subset`, and `show: sample` where a model that draws realisations is represented
    by one of them and not by its mean, which is smooth by nature.
    """
    rows = records[(records["name"] == item["name"]) & (records["subset"] == item["subset"])]
    of = "model"
    if item.get("show") == "sample" and (records["of"] == "sample").any():
        of = "sample"
    return rows[rows["of"] == of]


def table(
    records: pd.DataFrame, headline: list[dict], networks: Sequence[str] | None = None
) -> pd.DataFrame:
    """A row a network, baseline and headline score that both have: COLUMNS.

    records : `records.read` with draws, of one set; networks : those compared, None for all.
    Raises BadInput where two models were not scored on the same draws.
    """
    models = {kind: {} for kind in ("network", "baseline")}
    for (kind, model), group in records.groupby(["kind", "model"], sort=False):
        if kind == "baseline" or networks is None or model in networks:
            models[kind][model] = group
    rows = []
    for network, ours in models["network"].items():
        for baseline, theirs in models["baseline"].items():
            for item in headline:
                first, second = shown(ours, item), shown(theirs, item)
                if len(first) and len(second):
                    names = {"network": network, "baseline": baseline}
                    rows.append(names | _row(first, second))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(first: pd.DataFrame, second: pd.DataFrame) -> dict:
    one, other = first.iloc[0], second.iloc[0]
    if len({*first.digest, *second.digest}) > 1 or len(one.draws) != len(other.draws):
        raise BadInput(
            f"scores.nc: {one['name']} ({one.subset}) of {one.model} and of {other.model} were "
            "not drawn from the same blocks; expected test examples of one set, scored by one "
            "config"
        )
    return {
        "seeds_network": len(first),
        "seeds_baseline": len(second),
        "score": one["name"],
        **{name: one[name] for name in ("subset", "unit", "better", "n", "blocks")},
        "network_value": first.value.mean(skipna=False),
        "baseline_value": second.value.mean(skipna=False),
        **difference(list(first.draws), list(second.draws), one.better)._asdict(),
    }
