"""What is left of a model's answer when its test images lose a band of waves, their phases or their
amplitudes.

Any checkpoint will do, baselines too: nothing is asked but predictions, and nothing is fitted anew.
An accuracy that falls to chance can mean two things, that what told the classes apart is gone, or
that all images are called alike. The area under the ROC, which knows no threshold, tells these from
one another and stands beside each accuracy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from scipy.special import logit

from skyloom import checkpoint as checkpoints
from skyloom.scores import bootstrap, ranking
from skyloom.turbulence.data.images import standardised
from skyloom.turbulence.explain import waves

BATCH = 256
SURE = 1e-6  # from 0 and 1: the closest that a probability counts
CONTROLS = ("unchanged", "periodic part", "phases only", "amplitudes only")


@dataclass(frozen=True)
class Tested:
    """Test images `(n, y, x)` as a model sees them, and what is known of each.

    `steep (n,)` bool; `simulation (n,)`; `standardised`: whether every image has mean 0 and
    deviation 1, which is then restored after each treatment; `periodic`: whether images are whole
    maps; `cycles`: cycles a box of one an image.
    """

    images: np.ndarray
    steep: np.ndarray
    simulation: np.ndarray
    standardised: bool
    periodic: bool
    cycles: float

    @property
    def highest(self) -> float:
        """The largest wave number along an axis that the pixels carry [cycles a box]."""
        return self.images.shape[-1] / 2 * self.cycles


def tested_of(split, rows: np.ndarray, meta: dict) -> Tested:
    """These rows of a split of the examples, whose `meta` says how images are made.

    Where each image has a zoom of its own, wave numbers are those at the mean zoom.
    """
    batch, about, drawn = split[rows], split.patches.attrs, split.patches.coords.get("zoom")
    images = batch["input"][:, 0].numpy().astype(np.float64)
    zoom = about.get("zoom", 1) if drawn is None else drawn[split.rows[rows]].mean()
    return Tested(
        images=images,
        steep=batch["label"].numpy() > 0.5,
        simulation=split.patches.coords["simulation"][split.rows[rows]],
        standardised=meta["variant"] == "standardised",
        periodic=int(about["parts"]) == 1 and drawn is None and zoom == 1,
        cycles=float(zoom * about["box_pc"] / about["pixel_pc"] / images.shape[-1]),
    )


def spread_out(count: int, most: int) -> np.ndarray:
    """At most so many of `count` rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def scorer(checkpoint: dict) -> Callable[[np.ndarray], np.ndarray]:
    """Images (n, y, x) -> (n,): logit of the steeper class, or the index less the boundary;
    positive is steep.
    """
    apply, meta = checkpoints.predictor(checkpoint), checkpoint["meta"]
    of_class = checkpoint["entry"]["learns"] == "class"

    def score(images: np.ndarray) -> np.ndarray:
        parts = []
        for part in np.array_split(images, -(-len(images) // BATCH)):
            tensor = torch.from_numpy(np.ascontiguousarray(part, np.float32))[:, None]
            with torch.no_grad():
                parts.append(apply({"input": tensor})["prediction"][:, 0].double().cpu().numpy())
        found = np.concatenate(parts)
        return logit(np.clip(found, SURE, 1 - SURE)) if of_class else found - meta["boundary"]

    return score


def treated(score: Callable, tested: Tested, train: np.ndarray, settings: dict) -> xr.Dataset:
    """Accuracy, area under the ROC and mean |change of score| on treated test images.

    Parameters ----------
    score : of `scorer`
    train : images (n, y, x) of the training split, whose mean amplitudes stand in for an image's
        own
    settings : `bands`, bands an octave; `seed` of the random phases and of the bootstrap; `draws`
        of simulations

    Returns ------- `accuracy`, `auc`, `change`, each with `_lo`, `_hi`, the 68 % interval by
    simulation, and of each kind of treatment: `..._occluded (band)`, without a band, and
    `..._neutral (band)`, with the mean amplitudes of training images in it, with `band_low`,
    `band_high`; `..._lowpass (cut)` with `cut` [cycles a box]; `..._control (control)`. Attribute
    `chance`, the share of the commoner class.
    """
    counts = bootstrap.multiplicities(tested.simulation, settings["draws"], settings["seed"])
    before = score(tested.images)

    def scored(kind: str, dim: str, many: list[np.ndarray]) -> dict:
        """Variables of several treatments along `dim`; images stay as the set has them."""
        scores = [score(standardised(images) if tested.standardised else images) for images in many]
        rows = {
            "accuracy": [
                bootstrap.mean(((s > 0) == tested.steep).astype(float), counts) for s in scores
            ],
            "auc": [auc(s, tested.steep, counts) for s in scores],
            "change": [bootstrap.mean(np.abs(s - before), counts) for s in scores],
        }
        return {
            f"{name}_{kind}{end}": (dim, values)
            for name, row in rows.items()
            for end, values in zip(
                ("", "_lo", "_hi"),
                bootstrap.bracket(np.stack(row, -1), tested.simulation),
                strict=True,
            )
        }

    # the lowest wave of an image is one cycle, of a mirrored one half a cycle; the corners lie
    # above `highest`
    lowest = tested.cycles * (1.0 if tested.periodic else 0.5)
    edges = waves.band_edges(lowest, tested.highest, settings["bands"])
    bands = (
        np.stack([np.r_[0, edges[1:-1]], np.r_[edges[1:-1], np.inf]], 1) / tested.cycles
    )  # [cycles an image]
    amplitude = waves.mean_amplitude(train, tested.periodic)
    occluded = [waves.without_band(tested.images, *band, tested.periodic) for band in bands]
    neutral = [
        waves.neutral_band(tested.images, amplitude, *band, tested.periodic) for band in bands
    ]
    cut = [
        waves.lowpassed(tested.images, edge / tested.cycles, tested.periodic) for edge in edges[1:]
    ]
    out = (
        scored("occluded", "band", occluded)
        | scored("neutral", "band", neutral)
        | scored("lowpass", "cut", cut)
    )
    out |= scored("control", "control", controls(tested, train, settings["seed"]))
    units = {"units": "cycles a box"}
    ends = {"band_low": ("band", edges[:-1], units), "band_high": ("band", edges[1:], units)}
    share = tested.steep.mean()
    return xr.Dataset(
        out,
        coords={**ends, "cut": ("cut", edges[1:], units), "control": list(CONTROLS)},
        attrs={
            "chance": float(max(share, 1 - share)),
            "images": len(before),
            "highest": float(tested.highest),
        },
    )


def auc(scores: np.ndarray, steep: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC of each draw; NaN where one score is that of most images: a probability at
    its limit.

    Rounded, since a probability near 1 is known in steps of float32.
    """
    found, times = np.unique(scores.round(2), return_counts=True)
    if times.max() > len(scores) / 2:
        return np.full(len(counts), np.nan)
    return ranking.auc(scores, steep, counts)


def controls(tested: Tested, train: np.ndarray, seed: int) -> list[np.ndarray]:
    """The test images of each of `CONTROLS`; the second shows what being made periodic does by
    itself.
    """
    part = (lambda images: images) if tested.periodic else waves.periodic_part
    periodic = part(tested.images)
    amplitude = waves.mean_amplitude(part(train), periodic=True)
    return [
        tested.images,
        periodic,
        waves.phases_only(periodic, amplitude),
        waves.amplitudes_only(periodic, seed),
    ]


def converged(grid: int) -> dict[str, float]:
    """Wave numbers up to which the solver's column density has the right phases and amplitudes
    [cycles a box].

    Against the analytic early-time density the correlation by band falls below 0.9 at grid / 8, the
    amplitude below 0.9 at grid / 16 (second-order scheme, 64^3 and 128^3).
    """
    return {"converged_phase": grid / 8, "converged_amplitude": grid / 16}
