"""Scores of a trained model on test images without a band of waves, phases or amplitudes.

For a stationary field a map of pixels means little, since all places are alike. Bands of waves show
which scales a prediction needs, and whether the simulation resolves them. Any checkpoint can be
tested, baselines too: only predictions are needed, and nothing is fitted.

An accuracy at chance has two causes: the classes cannot be separated, or all scores lie on one side
of the threshold. The area under the ROC, which has no threshold, separates the two.
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
from skyloom.turbulence.explain import fourier_bands

BATCH = 256
LEAST_PROBABILITY = 1e-6  # of either class, so that logits are finite
CONTROLS = ("unchanged", "periodic part", "phases only", "amplitudes only")


@dataclass(frozen=True)
class Images:
    """Test images `(n, y, x)`, inputs of a model, and facts about them.

    steep : (n,) bool
    simulation : (n,)
    standardised : whether images have mean 0 and deviation 1, restored after a perturbation
    periodic : whether images are whole maps
    cycles : cycles a box of one cycle an image
    """

    values: np.ndarray
    steep: np.ndarray
    simulation: np.ndarray
    standardised: bool
    periodic: bool
    cycles: float

    @property
    def highest(self) -> float:
        """The largest wave number of the pixels along an axis [cycles a box]."""
        return self.values.shape[-1] / 2 * self.cycles


def read(split, rows: np.ndarray, meta: dict) -> Images:
    """These rows of a split of the examples; `meta` is that of the set.

    Where each image has its own zoom, wave numbers are those at the mean zoom.
    """
    batch, attributes, zooms = split[rows], split.patches.attrs, split.patches.coords.get("zoom")
    values = batch["input"][:, 0].numpy().astype(np.float64)
    zoom = attributes.get("zoom", 1) if zooms is None else zooms[split.rows[rows]].mean()
    return Images(
        values=values,
        steep=batch["label"].numpy() > 0.5,
        simulation=split.patches.coords["simulation"][split.rows[rows]],
        standardised=meta["variant"] == "standardised",
        periodic=int(attributes["parts"]) == 1 and zooms is None and zoom == 1,
        cycles=float(zoom * attributes["box_pc"] / attributes["pixel_pc"] / values.shape[-1]),
    )


def spread_out(count: int, most: int) -> np.ndarray:
    """At most `most` of `count` rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def scorer(checkpoint: dict) -> Callable[[np.ndarray], np.ndarray]:
    """Images (n, y, x) -> (n,): logit of the steeper class, or the index less the boundary.

    A positive score is a steep image.
    """
    apply, meta = checkpoints.predictor(checkpoint), checkpoint["meta"]
    class_model = checkpoint["entry"]["learns"] == "class"

    def score(images: np.ndarray) -> np.ndarray:
        parts = []
        for part in np.array_split(images, -(-len(images) // BATCH)):
            tensor = torch.from_numpy(np.ascontiguousarray(part, np.float32))[:, None]
            with torch.no_grad():
                parts.append(apply({"input": tensor})["prediction"][:, 0].double().cpu().numpy())
        values = np.concatenate(parts)
        if class_model:
            return logit(np.clip(values, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
        return values - meta["boundary"]

    return score


def perturbed(score: Callable, images: Images, train: np.ndarray, settings: dict) -> xr.Dataset:
    """Accuracy, area under the ROC and mean |change of score| on perturbed test images.

    score : of `scorer`
    train : images (n, y, x) of the training split, whose mean amplitudes replace those of an image
    settings : `bands`, bands an octave; `seed` of random phases and bootstrap; `draws` of
        simulations

    Returns `accuracy`, `auc`, `change`, each with `_lo`, `_hi`, the 68 % interval by simulation, of
    each kind of perturbation: `..._occluded (band)`, without a band; `..._neutral (band)`, with the
    mean amplitudes of training images in it; `..._lowpass (cut)`; `..._control (control)`. Bands
    are `band_low`, `band_high`, cuts `cut` [cycles a box]. The attribute `chance` is the share of
    the more frequent class.
    """
    counts = bootstrap.multiplicities(images.simulation, settings["draws"], settings["seed"])
    before = score(images.values)

    def scored(kind: str, dim: str, versions: list[np.ndarray]) -> dict:
        """Variables of several perturbations along `dim`, standardised as the set is."""
        if images.standardised:
            versions = [standardised(values) for values in versions]
        rows = {"accuracy": [], "auc": [], "change": []}
        for values in versions:
            scores = score(values)
            right = ((scores > 0) == images.steep).astype(float)
            rows["accuracy"].append(bootstrap.mean(right, counts))
            rows["auc"].append(auc(scores, images.steep, counts))
            rows["change"].append(bootstrap.mean(np.abs(scores - before), counts))
        variables = {}
        for name, row in rows.items():
            ends = bootstrap.bracket(np.stack(row, -1), images.simulation)
            for end, values in zip(("", "_lo", "_hi"), ends, strict=True):
                variables[f"{name}_{kind}{end}"] = dim, values
        return variables

    values, periodic = images.values, images.periodic
    # the lowest wave of an image is one cycle, of a mirrored one half a cycle; the corners lie
    # above `highest`
    lowest = images.cycles * (1.0 if periodic else 0.5)
    edges = fourier_bands.band_edges(lowest, images.highest, settings["bands"])
    limits = np.stack([np.r_[0, edges[1:-1]], np.r_[edges[1:-1], np.inf]], 1)
    bands = limits / images.cycles  # [cycles an image]
    cuts = edges[1:] / images.cycles
    amplitude = fourier_bands.mean_amplitude(train, periodic)
    occluded = [fourier_bands.without_band(values, *band, periodic) for band in bands]
    neutral = [fourier_bands.neutral_band(values, amplitude, *band, periodic) for band in bands]
    lowpass = [fourier_bands.lowpassed(values, cut, periodic) for cut in cuts]
    variables = scored("occluded", "band", occluded) | scored("neutral", "band", neutral)
    variables |= scored("lowpass", "cut", lowpass)
    variables |= scored("control", "control", controls(images, train, settings["seed"]))
    units = {"units": "cycles a box"}
    coordinates = {
        "band_low": ("band", edges[:-1], units),
        "band_high": ("band", edges[1:], units),
        "cut": ("cut", edges[1:], units),
        "control": list(CONTROLS),
    }
    share = images.steep.mean()
    attributes = {
        "chance": float(max(share, 1 - share)),
        "images": len(before),
        "highest": float(images.highest),
    }
    return xr.Dataset(variables, coordinates, attributes)


def auc(scores: np.ndarray, steep: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC of each draw; NaN where most images have one score, at its limit.

    Scores are rounded for that, since a probability near 1 has steps of float32.
    """
    _, times = np.unique(scores.round(2), return_counts=True)
    if times.max() > len(scores) / 2:
        return np.full(len(counts), np.nan)
    return ranking.auc(scores, steep, counts)


def controls(images: Images, train: np.ndarray, seed: int) -> list[np.ndarray]:
    """The test images of each of `CONTROLS`; the second shows the effect of being periodic."""
    part = (lambda values: values) if images.periodic else fourier_bands.periodic_part
    periodic = part(images.values)
    amplitude = fourier_bands.mean_amplitude(part(train), periodic=True)
    return [
        images.values,
        periodic,
        fourier_bands.phases_only(periodic, amplitude),
        fourier_bands.amplitudes_only(periodic, seed),
    ]
