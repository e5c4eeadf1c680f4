"""Records of scores, and the files that hold them: metrics.json and scores.nc.

A record is `{"name", "of", "split", "subset", "value", "ci68": [lo, hi], "unit", "better", "n",
"blocks"}`. `of` is what was scored: "model", one "sample" of a stochastic model, or a reference of
the same test examples (for CO "dust" and "ceiling"). `better` is "higher", "lower", "zero" (a
bias), "one" (a ratio), "nominal" or "nominal95" (the coverage of a 68 % or a 95 % interval).

In memory a record also has its bootstrap `draws` and the `digest` of their blocks. They are written
to scores.nc: models of one set share blocks and draws, so that any statistic of two of them can be
compared draw by draw.
"""

import hashlib
import json
import math
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from skyloom import cli, files
from skyloom.cli import BadInput
from skyloom.scores.bootstrap import MIN_BLOCKS, bracket, pooled
from skyloom.scores.forecasts import NOMINAL, NOMINAL95

# values of `of` that a model itself produces
OUTPUTS = ("model", "sample")
RECORD = ("name", "of", "split", "subset", "value", "ci68", "unit", "better", "n", "blocks")
MODEL = ("study", "model", "kind", "seed", "set", "data")
KEY = ("split", "name", "of", "subset")
ENDS = ("value", "lo", "hi")
# distance of a score from its best value, the lower the better
LOSS = {
    "higher": np.negative,
    "lower": np.asarray,
    "zero": np.abs,
    "one": lambda v: np.abs(_log(np.asarray(v, np.float64))),
    "nominal": lambda v: np.abs(np.asarray(v) - NOMINAL),
    "nominal95": lambda v: np.abs(np.asarray(v) - NOMINAL95),
}


class Evaluation(NamedTuple):
    """What a study's `evaluate` returns.

    records : as above; curves : functions of scale or distance; examples : scores (example) of
    single test examples; group : the part of the study that the set belongs to (for CO its line),
    where published numbers belong to one.
    """

    records: list[dict]
    curves: xr.Dataset
    examples: xr.Dataset
    group: str = ""


def record(
    name: str,
    values: np.ndarray,
    better: str,
    blocks: np.ndarray,
    *,
    subset: str,
    of: str = "model",
    unit: str = "",
    split: str = "test",
) -> dict:
    """The record of a statistic of `bootstrap.multiplicities`, (1 + draws,).

    blocks : (n,) of the scored examples; fewer than MIN_BLOCKS give a value without an interval.
    """
    values = np.asarray(values, np.float64)
    value, lo, hi = (float(v) for v in bracket(values, blocks))
    labels, inverse = np.unique(blocks, return_inverse=True)
    draws = values.astype(np.float32)
    if len(labels) < MIN_BLOCKS:
        draws[1:] = np.nan
    entries = (name, of, split, subset, value, [lo, hi], unit, better, len(blocks), len(labels))
    return dict(zip(RECORD, entries, strict=True)) | {"draws": draws, "digest": _digest(inverse)}


def _log(values: np.ndarray) -> np.ndarray:
    """Natural logarithm; -inf of what is not positive."""
    return np.log(values, out=np.full_like(values, -np.inf), where=values > 0)


def _digest(inverse: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(inverse, "<i8").tobytes()).hexdigest()[:16]


# --- writing --------------------------------------------------------------------------------------


def write(
    paths: Namespace,
    model: dict,
    predictions: xr.Dataset,
    evaluation: Evaluation,
    validation: Sequence[dict] = (),
) -> None:
    """Write the four files of one model and set.

    paths : `predictions`, `curves`, `scores` and `metrics`.
    model : MODEL with `data_kind` in place of `data`, and more that belongs into each file.
    """
    model = model | ({"group": evaluation.group} if evaluation.group else {})
    scores = scores_dataset([*evaluation.records, *validation], evaluation.examples, predictions)
    datasets = {"predictions": predictions, "curves": evaluation.curves, "scores": scores}
    for name, dataset in datasets.items():
        dataset.attrs |= model
        with cli.atomic(getattr(paths, name)) as part:
            dataset.to_netcdf(part)
    content = {key: value for key, value in model.items() if key != "data_kind"}
    content |= {"data": model["data_kind"], "n_test": predictions.sizes["example"]}
    for name, records in (("metrics", evaluation.records), ("validation", validation)):
        content[name] = [{key: entry[key] for key in RECORD} for entry in records]
    with cli.atomic(paths.metrics) as part:
        write_json(content, part)


def scores_dataset(
    records: Sequence[dict], examples: xr.Dataset, predictions: xr.Dataset
) -> xr.Dataset:
    """`draws (record, draw)` with the KEY and block digest of each record; `examples` with the
    coordinates of the test rows.
    """
    keys = {name: ("record", [entry[name] for entry in records]) for name in (*KEY, "digest")}
    draws = ("record", "draw"), np.array([entry["draws"] for entry in records], np.float32)
    rows = {name: c.variable for name, c in predictions.coords.items() if c.dims == ("example",)}
    return examples.assign_coords(rows).assign(draws=draws).assign_coords(keys)


def write_json(content: dict, path: str | Path) -> None:
    """Strict JSON: NaN and infinities, which JSON does not have, become null."""
    Path(path).write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def _plain(item):
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    if isinstance(item, np.generic):
        item = item.item()
    return None if isinstance(item, float) and not math.isfinite(item) else item


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """CSV with six significant digits."""
    table.to_csv(path, index=False, float_format="%.6g")


# --- reading --------------------------------------------------------------------------------------


def read(paths: Iterable[str | Path], split: str = "metrics", draws: bool = False) -> pd.DataFrame:
    """All records of several metrics.json, one row each, tidy.

    split : the list that is read, `metrics` of the test split or `validation`.
    draws : read the scores.nc beside each, for the columns `draws` and `digest`.
    A column `group` exists only where a study has groups.
    """
    rows = []
    for path in map(Path, paths):
        content = files.read_json(path, (*MODEL, split))
        model = {key: content[key] for key in (*MODEL, "group") if key in content}
        drawn = _read_draws(path.with_name("scores.nc"), content[split]) if draws else None
        for k, entry in enumerate(content[split]):
            lo, hi = entry["ci68"]
            row = model | {key: entry[key] for key in RECORD if key not in ("value", "ci68")}
            row |= {"value": entry["value"], "lo": lo, "hi": hi}
            rows.append(row | (drawn[k] if draws else {}))
    if not rows and split == "metrics":
        raise BadInput("no metric records in " + ", ".join(map(str, paths)))
    names = (*MODEL, *(key for key in RECORD if key not in ("value", "ci68")), *ENDS)
    table = pd.DataFrame(rows, columns=None if rows else list(names))
    return table.astype(dict.fromkeys(ENDS, float))


def _read_draws(path: Path, records: list[dict]) -> list[dict]:
    """`draws` and `digest` of each of these records of metrics.json."""
    with files.open_dataset(path) as file:
        rows = zip(*(file[name].values for name in KEY), strict=True)
        place = {row: k for k, row in enumerate(rows)}
        draws, digest = file["draws"].values, file["digest"].values
    keys = [tuple(entry[name] for name in KEY) for entry in records]
    missing = [key for key in keys if key not in place]
    if missing:
        raise BadInput(f"{path}: draws of {' '.join(missing[0])} not found; evaluate it again")
    return [{"draws": draws[place[key]], "digest": digest[place[key]]} for key in keys]


def pool_seeds(records: pd.DataFrame) -> pd.DataFrame:
    """A row a model and score: the mean over seeds, and the interval of their pooled draws.

    records : `read` with draws. Adds `seeds`, `seed_scatter` (NaN of one seed). The interval of one
    seed is that of its record. What is no model's output (`of` a reference) is the same for every
    seed: its interval is their mean.
    """
    keys = [key for key in ("set", "group", "kind", "model", *KEY) if key in records]
    common = ["study", "data", "unit", "better", "n", "blocks"]
    rows = []
    for key, group in records.groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True))
        first = group.iloc[0]
        row |= {name: first[name] for name in common}
        row |= {"seeds": group.seed.nunique(), "seed_scatter": group.value.std(ddof=1)}
        ends = group[list(ENDS)].mean(skipna=False)
        if len(group) > 1 and row["of"] in OUTPUTS:
            ends = pooled(list(group.draws))
        rows.append(row | dict(zip(ENDS, ends, strict=True)))
    return pd.DataFrame(rows, columns=[*keys, *common, "seeds", "seed_scatter", *ENDS])
