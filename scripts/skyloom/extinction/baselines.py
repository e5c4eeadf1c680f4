"""A_V(d) without a network: the mean profile, a ridge regression, an inversion of colour excess.

| `module` | what it is | keys |
|---|---|---|
| `mean` | the mean profile of the training, with its quantiles | `examples` |
| `ridge` | ridge regression on averaged diagrams | `examples`, `pixels`, `alpha` |
| `colour_excess` | colour excess of red stars, in the manner of Marshall et al. 2006 | below |

The intervals of the last two are quantiles of their errors on validation at each distance.
"""

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor
from torch.nn.functional import avg_pool2d

from skyloom.cli import BadInput
from skyloom.examples import Batch, Examples, read
from skyloom.extinction.models.intervals import QUANTILES, named
from skyloom.extinction.simulate.laws import ratios
from skyloom.extinction.simulate.survey import DIAGRAMS, LARGEST_ERROR, SURVEYS

CHUNK = 256  # examples that are read at a time


def fit(entry: dict, examples: Examples, seed: int) -> dict:
    """The fitted state: tensors and plain Python.

    Raises BadInput for a colour excess of another diagram than 2MASS.
    """
    return {"module": entry["module"]} | FITS[entry["module"]](entry, examples)


def predict(state: dict, batch: Batch, meta: dict) -> dict[str, Tensor]:
    """`prediction` and the ends of both intervals (n, bin) [mag], monotone in distance."""
    if state["module"] == "mean":
        quantiles = state["quantiles"].expand(len(batch["input"]), -1, -1)
        return named(quantiles)
    middle = METHODS[state["module"]](state, batch, meta)
    quantiles = (middle[:, None] + state["errors"]).clamp(min=0)
    return named(quantiles.cummax(2).values)


def batches(split, length: int):
    """The first `length` examples of a split or a stream, in parts."""
    for part in np.array_split(np.arange(length), -(-length // CHUNK)):
        yield read(split, 0, part)


def error_quantiles(state: dict, examples: Examples) -> Tensor:
    """Quantiles (quantile, bin) of truth less prediction on validation; that of 0.5 is 0.

    A prediction is not moved, so that its error is the method's.
    """
    method = METHODS[state["module"]]
    rows = [
        batch["target"] - method(state, batch, examples.meta)
        for batch in batches(examples.valid, len(examples.valid))
    ]
    found = torch.quantile(torch.cat(rows), torch.tensor(QUANTILES), 0)
    ends = torch.tensor(QUANTILES)[:, None] - 0.5
    # an interval contains its prediction
    return torch.where(ends < 0, found.clamp(max=0), torch.where(ends > 0, found.clamp(min=0), 0.0))


# --- mean profile ---------------------------------------------------------------------------------


def fit_mean(entry: dict, examples: Examples) -> dict:
    targets = [batch["target"] for batch in batches(examples.train, entry["examples"])]
    targets = torch.cat(targets)
    quantiles = torch.quantile(targets, torch.tensor(QUANTILES), 0)
    quantiles[QUANTILES.index(0.5)] = targets.mean(0)
    return {"quantiles": quantiles.sort(0).values}


# --- ridge regression -----------------------------------------------------------------------------


def features(images: Tensor, pixels: int) -> Tensor:
    """Averaged diagrams of so many pixels along a side, and a constant (n, feature) float64."""
    pooled = avg_pool2d(images, images.shape[-1] // pixels).flatten(1).double()
    return torch.cat([pooled, torch.ones(len(pooled), 1, dtype=torch.float64)], 1)


def fit_ridge(entry: dict, examples: Examples) -> dict:
    """Normal equations, part by part; validation chooses the strength."""
    gram = moment = 0
    for batch in batches(examples.train, entry["examples"]):
        x = features(batch["input"], entry["pixels"])
        gram, moment = gram + x.T @ x, moment + x.T @ batch["target"].double()
    rows = [
        (features(batch["input"], entry["pixels"]), batch["target"])
        for batch in batches(examples.valid, len(examples.valid))
    ]
    x, target = (torch.cat(part) for part in zip(*rows, strict=True))
    best, least = {}, np.inf
    penalty = torch.eye(len(gram), dtype=torch.float64)
    penalty[-1, -1] = 0  # of the constant
    for alpha in entry["alpha"]:
        weights = torch.linalg.solve(gram + alpha * penalty, moment)
        loss = float((x @ weights - target).square().mean())
        if loss < least:
            best, least = {"weights": weights.float(), "alpha": alpha}, loss
    if not best:
        raise BadInput("baseline ridge: the error on validation is not finite for any alpha")
    state = {"module": "ridge", "pixels": entry["pixels"]} | best
    return state | {"errors": error_quantiles(state, examples)}


def ridge(state: dict, batch: Batch, meta: dict) -> Tensor:
    found = features(batch["input"], state["pixels"]) @ state["weights"].double()
    return found.clamp(min=0).cummax(1).values.float()


# --- colour excess --------------------------------------------------------------------------------

DIAGRAM = "2mass"


def fit_colour_excess(entry: dict, examples: Examples) -> dict:
    if DIAGRAM not in examples.meta["diagrams"]:
        found = ", ".join(examples.meta["diagrams"])
        raise BadInput(f"baseline colour_excess: diagrams {found}; expected {DIAGRAM} among them")
    keys = "faintest", "bluest", "parts", "iterations"
    state = {"module": "colour_excess"} | {key: entry[key] for key in keys}
    return state | {"errors": error_quantiles(state, examples)}


def colour_excess(state: dict, batch: Batch, meta: dict) -> Tensor:
    """A_V (n, bin) of each example by itself."""
    channel = 2 * meta["diagrams"].index(DIAGRAM)
    counts = torch.expm1(2 * batch["input"][:, channel]).round().numpy().astype(int)
    edges = np.arange(meta["bins"] + 1) * meta["step"]
    stars = batch["stars"].double().numpy()
    rows = [inverted(c, s, edges, state, meta["law"]) for c, s in zip(counts, stars, strict=True)]
    return torch.from_numpy(np.stack(rows)).float()


def inverted(
    counts: np.ndarray, stars: np.ndarray, edges: np.ndarray, state: dict, law: str
) -> np.ndarray:
    """A_V (bin,) [mag] up to the far edges of the bins of one field.

    Observed stars in the order of their colour are compared with model stars in the order of their
    distance, part by part (Marshall et al. 2006, A&A 453, 635, section 3). The colour excess of a
    part gives A_V at its median distance. The model's selection depends on A_V, so that the
    comparison is repeated. Simplified: no chi-square, one fixed selection by magnitude and colour.

    counts (y, x) : stars in the pixels of the diagram; stars (3, star) : distance [pc], J, K
    edges (bin + 1,) : [pc]; state : `faintest` K and `bluest` J - K of the stars that are used
    """
    observed = observed_colours(counts, state)
    a_j, a_k = ratios(law, ("J", "K"))
    distance, j, k = stars
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, len(distance)))
    profile = np.zeros(len(edges))
    for _ in range(state["iterations"]):
        extinction = np.interp(distance, edges, profile)
        seen_j, seen_k = j + a_j * extinction, k + a_k * extinction
        errors = (SURVEYS["J"].sigma(seen_j), SURVEYS["K"].sigma(seen_k))
        colour = seen_j - seen_k + errors[0] * noise[0] - errors[1] * noise[1]
        used = (seen_k < state["faintest"]) & (colour > state["bluest"])
        used &= errors[0] < LARGEST_ERROR
        parts = min(state["parts"], used.sum() // 20, len(observed) // 20)
        if parts < 2:
            break
        order = np.argsort(distance[used])
        near, bare = distance[used][order], (j - k)[used][order]
        middle = [np.median(part) for part in np.array_split(near, parts)]
        excess = [
            seen.mean() - model.mean()
            for seen, model in zip(
                np.array_split(observed, parts), np.array_split(bare, parts), strict=True
            )
        ]
        rising = isotonic_regression(np.clip(excess, 0, None) / (a_j - a_k)).x
        found = np.interp(edges, np.append(0, middle), np.append(0, rising))
        profile = (profile + found) / 2  # the whole step overshoots
    return profile[1:]


def observed_colours(counts: np.ndarray, state: dict) -> np.ndarray:
    """Colours (star,) of the stars in use, sorted; the stars of a pixel are spread over it."""
    shape = DIAGRAMS[DIAGRAM]
    pixels = counts.shape[-1]
    dx, dy = (shape.x[1] - shape.x[0]) / pixels, (shape.y[1] - shape.y[0]) / pixels
    magnitude = shape.y[0] + (np.arange(pixels) + 0.5) * dy
    column = counts[magnitude < state["faintest"]].sum(0)
    first = np.repeat(np.cumsum(column) - column, column)
    within = (np.arange(column.sum()) - first + 0.5) / np.repeat(column, column)
    colour = shape.x[0] + (np.repeat(np.arange(pixels), column) + within) * dx
    return colour[colour > state["bluest"]]


FITS = {"mean": fit_mean, "ridge": fit_ridge, "colour_excess": fit_colour_excess}
METHODS = {"ridge": ridge, "colour_excess": colour_excess}
