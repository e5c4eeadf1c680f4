"""metrics.json and scores.nc of made-up models, written as evaluate_model writes them."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.stats import norm

from skyloom.scores.records import Evaluation, record, write

DRAWS = 400
BLOCKS = np.arange(20)
BETTER = {"rho_l_beam": "higher", "rmse_over_noise": "lower", "bias": "zero", "accuracy": "higher"}
BETTER |= {"log_loss": "lower", "mse": "lower", "balanced_accuracy": "higher"}


def normal_draws(value: float, width: float, key: int) -> np.ndarray:
    """A value and draws around it whose percentiles are those of a Gaussian of this width."""
    quantiles = norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS)
    return np.append(value, value + width * np.random.default_rng(key).permutation(quantiles))


def write_model(
    folder: Path,
    model: str,
    kind: str,
    scores: dict[str, float],
    *,
    seed: int = 1,
    name: str = "a",
    group: str = "",
    width: float = 0.01,
    scatter: float = 0.001,
    references: dict[str, dict[str, float]] | None = None,
    samples: dict[str, float] | None = None,
    validation: dict[str, float] | None = None,
    subset: str = "bright",
    blocks: np.ndarray = BLOCKS,
) -> Path:
    """Write one model's files; returns the path of metrics.json.

    scores : name -> value; the draws of all models share an error of `width`, to which each adds
    `scatter`. references : of -> scores; samples : scores of one sample; validation : scores there.
    """
    key = sum(map(ord, f"{model}{seed}"))

    def made(values: dict[str, float], of: str = "model", split: str = "test") -> list[dict]:
        out = []
        for score, value in values.items():
            draws = normal_draws(value, width, 0)
            draws[1:] += normal_draws(0, scatter, key)[1:]
            context = {"subset": subset, "of": of, "split": split}
            out.append(record(score, draws, BETTER[score], blocks, **context))
        return out

    records = made(scores)
    for of, values in (references or {}).items():
        records += made(values, of)
    records += made(samples or {}, "sample")
    rows = {"tile": ("example", blocks)}
    predictions = xr.Dataset({"prediction": ("example", np.zeros(len(blocks)))}, rows)
    examples = xr.Dataset({"rms": ("example", np.ones(len(blocks)))})
    target = folder / name / model / f"seed{seed}"
    target.mkdir(parents=True)
    paths = {part: target / f"{part}.nc" for part in ("predictions", "curves", "scores")}
    about = {"study": "toy", "model": model, "kind": kind, "seed": seed, "set": name}
    write(
        Namespace(**paths, metrics=target / "metrics.json"),
        about | {"data_kind": "simulated"},
        predictions,
        Evaluation(records, xr.Dataset(), examples, group),
        made(scores if validation is None else validation, split="valid"),
    )
    return target / "metrics.json"
