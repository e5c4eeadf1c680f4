"""Baselines on Gaussian random fields of two spectral slopes, whose class is known and whose
statistics are simple.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import skops.io
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from skyloom.cli import BadInput
from skyloom.turbulence import baselines

SIDE, VIEWS = 24, 4
BOUNDARY = 3.0
KEYS = {
    "deviation": {},
    "slope": {"low": 2, "high": None},
    "power": {"low": 1, "high": None},
    "moments": {},
    "gradients": {"cells": 3, "orientations": 4, "symmetries": False},
    "structure": {},
    "scattering": {"scales": 2, "angles": 2, "symmetries": False},
    "joined": {"low": 1, "high": None, "scales": 2, "angles": 2, "symmetries": False},
    "hog": {"pixels": 8, "orientations": 4, "symmetries": False},
    "pooled_hog": {"pixels": None, "cells": 6, "orientations": 4},
}
GRIDS = {
    "C": [0.1, 1.0, 10.0],
    "gamma": [0.1, 1.0],
    "epsilon": [0.05],
    "alpha": [0.1, 10.0, 1000.0],
}


def fields(index: np.ndarray, seed: int, amplitude: float | None = None) -> np.ndarray:
    """Parts of periodic Gaussian fields of power k**-index, standardised, or louder for a steeper
    index.
    """
    random = np.random.default_rng(seed)
    side = 2 * SIDE
    wave = np.hypot(np.fft.fftfreq(side, 1 / side)[:, None], np.fft.rfftfreq(side, 1 / side))
    wave[0, 0] = np.inf
    modes = np.fft.rfft2(random.normal(size=(len(index), side, side))) * wave ** (
        -index[:, None, None] / 2
    )
    images = np.fft.irfft2(modes, s=(side, side))[:, :SIDE, :SIDE]
    images -= images.mean((1, 2), keepdims=True)
    images /= images.std((1, 2), keepdims=True)
    if amplitude is None:
        return images
    return (
        images
        * np.exp(amplitude * (index - BOUNDARY) + 0.02 * random.normal(size=len(index)))[
            :, None, None
        ]
    )


class Split:
    """A split of examples as `skyloom.turbulence.data.examples` gives it."""

    def __init__(self, images, index):
        self.images, self.index = images.astype(np.float32), np.asarray(index, np.float32)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, rows):
        index = torch.from_numpy(self.index[rows])
        images = torch.from_numpy(self.images[rows])[:, None]
        family = torch.zeros(len(index), dtype=torch.int64)
        return {
            "input": images,
            "index": index,
            "label": (index > BOUNDARY).float(),
            "family": family,
        }


def examples_of(index_of, amplitude=None, counts=(20, 12, 16)):
    splits = []
    for number, count in enumerate(counts):
        index = np.repeat(index_of(count, number), VIEWS)
        splits.append(Split(fields(index, number, amplitude), index))
    meta = {"pixels": SIDE, "classes": [2.5, 3.5], "boundary": BOUNDARY, "variant": "standardised"}
    return SimpleNamespace(train=splits[0], valid=splits[1], test=splits[2], meta=meta)


@pytest.fixture(scope="module")
def classes():
    return examples_of(lambda count, seed: np.resize([2.5, 3.5], count))


@pytest.fixture(scope="module")
def continuous():
    return examples_of(
        lambda count, seed: np.random.default_rng(100 + seed).uniform(2, 4, count),
        counts=(40, 24, 36),
    )


def entry_of(module, learner, **changes):
    learns = baselines.LEARNERS[learner].learns
    return {
        "module": module,
        "learner": learner,
        "learns": learns,
        **KEYS[module],
        **GRIDS,
        **changes,
    }


def predicted(examples, state, split="test"):
    part = getattr(examples, split)
    found = baselines.predict(state, part[np.arange(len(part))], examples.meta)
    assert all(
        values.shape == (len(part), 1) and values.dtype == torch.float32
        for values in found.values()
    )
    return {name: values[:, 0].numpy() for name, values in found.items()}


def accuracy(examples, module, learner, **changes):
    state = baselines.fit(entry_of(module, learner, **changes), examples, seed=0)
    return np.mean(
        (predicted(examples, state)["prediction"] > 0.5) == (examples.test.index > BOUNDARY)
    )


@pytest.mark.parametrize(
    ("module", "learner"),
    [
        ("slope", "logistic"),
        ("power", "lda"),
        ("gradients", "svm"),
        ("structure", "lda"),
        ("scattering", "lda"),
        ("joined", "lda"),
        ("pooled_hog", "svm"),
    ],
)
def test_statistics_that_know_the_spectrum_tell_two_slopes_apart(classes, module, learner):
    # indices apart by 1 are more than five times the scatter of the slope of 24 pixels
    assert accuracy(classes, module, learner) > 0.9


@pytest.mark.parametrize("learner", ["logistic", "lda", "svm"])
def test_deviation_is_at_chance_on_standardised_images_and_decides_where_amplitude_grows_with_index(
    classes, learner
):
    found = predicted(classes, baselines.fit(entry_of("deviation", learner), classes, seed=0))[
        "prediction"
    ]
    assert np.ptp(found) == 0  # every image gets one probability, and ties count half:
    assert roc_auc_score(classes.test.index > BOUNDARY, found) == 0.5
    loud = examples_of(lambda count, seed: np.resize([2.5, 3.5], count), amplitude=0.3)
    assert accuracy(loud, "deviation", learner) == 1.0


def test_moments_are_at_chance_on_gaussian_fields_and_hog_by_place_says_little(classes):
    # a Gaussian field has no skewness of its own; chance within three deviations of 16 fields, not
    # of 64 views
    assert abs(accuracy(classes, "moments", "lda") - 0.5) < 3 * 0.5 / 16**0.5
    assert accuracy(classes, "hog", "svm") < accuracy(classes, "gradients", "svm")


def test_scattering_and_ridge_find_the_index_and_its_spread_covers(continuous):
    state = baselines.fit(entry_of("scattering", "ridge"), continuous, seed=0)
    found = predicted(continuous, state)
    off = found["prediction"] - continuous.test.index
    assert np.mean(off**2) < 0.1 * np.var(continuous.test.index)
    assert np.ptp(found["spread"]) == 0
    seen = predicted(continuous, state, "valid")
    inside = np.abs(seen["prediction"] - continuous.valid.index) <= seen["spread"]
    # by construction, on validation
    assert inside.mean() == pytest.approx(0.6827, abs=1 / len(inside))
    # on test: 144 views of 24 fields; five binomial deviations, were the views of one field
    # independent
    assert np.mean(np.abs(off) <= found["spread"]) == pytest.approx(
        0.6827, abs=5 * (0.68 * 0.32 / 144) ** 0.5
    )


def test_support_vectors_regress_the_index_too(continuous):
    found = predicted(continuous, baselines.fit(entry_of("power", "svr"), continuous, seed=0))
    assert np.mean((found["prediction"] - continuous.test.index) ** 2) < 0.2 * np.var(
        continuous.test.index
    )


def test_hyper_parameters_are_chosen_on_validation_and_test_has_no_part(classes):
    entry = entry_of("gradients", "svm")
    state = baselines.fit(entry, classes, seed=0)
    assert state["chosen"].keys() == {"C", "gamma"}
    scrambled = Split(classes.test.images, np.random.default_rng(0).permutation(classes.test.index))
    again = baselines.fit(entry, SimpleNamespace(**vars(classes) | {"test": scrambled}), seed=1)
    without = baselines.fit(entry, SimpleNamespace(**vars(classes) | {"test": None}), seed=1)
    for other in (again, without):
        assert other["chosen"] == state["chosen"] and other["threshold"] == state["threshold"]
        np.testing.assert_array_equal(
            predicted(classes, other)["prediction"], predicted(classes, state)["prediction"]
        )


def test_chosen_alpha_is_the_one_with_the_least_error_on_validation(continuous):
    errors = {}
    for alpha in GRIDS["alpha"]:
        state = baselines.fit(entry_of("scattering", "ridge", alpha=[alpha]), continuous, seed=0)
        errors[alpha] = np.mean(
            (predicted(continuous, state, "valid")["prediction"] - continuous.valid.index) ** 2
        )
    chosen = baselines.fit(entry_of("scattering", "ridge"), continuous, seed=0)["chosen"]
    assert chosen == {"alpha": min(errors, key=errors.get)}


def test_platt_scaling_turns_scores_into_the_shares_that_they_state(classes):
    """Scores of two unit Gaussians that are a distance d apart have the log odds d (x - d / 2)."""
    random = np.random.default_rng(0)
    index = np.resize([2.5, 3.5], 4000)
    distance = 1.5
    score = 0.1 * (random.normal(size=4000) + distance * (index > BOUNDARY))
    # images of which only the deviation differs: its logarithm is the score
    pattern = fields(np.array([3.0]), 0)[0, :8, :8]
    split = Split(pattern * np.exp(score)[:, None, None], index)
    entry = entry_of("deviation", "lda")
    state = baselines.fit(
        entry, SimpleNamespace(train=split, valid=split, meta=classes.meta), seed=0
    )
    ramp = np.linspace(-1, 2.5, 8)
    batch = Split(pattern * np.exp(0.1 * ramp)[:, None, None], np.full(8, 3.5))[np.arange(8)]
    found = baselines.predict(state, batch, classes.meta)["prediction"][:, 0].numpy()
    expected = 1 / (1 + np.exp(-distance * (ramp - distance / 2)))
    # 4000 draws fix slope and offset of a logistic curve to some 4 %: 0.02 in the probability;
    # twice that
    np.testing.assert_allclose(found, expected, atol=0.04)
    called = (
        baselines.predict(state, split[np.arange(4000)], classes.meta)["prediction"][:, 0].numpy()
        > 0.5
    )
    right = np.mean(called == (index > BOUNDARY))
    assert right == pytest.approx(norm.cdf(distance / 2), abs=4 * (0.77 * 0.23 / 4000) ** 0.5)


def test_balanced_is_the_prediction_moved_by_one_threshold(classes):
    state = baselines.fit(entry_of("moments", "lda"), classes, seed=0)
    found = predicted(classes, state)
    odds = {name: np.log(values.astype(float) / (1 - values)) for name, values in found.items()}
    np.testing.assert_allclose(odds["prediction"] - odds["balanced"], state["threshold"], atol=1e-4)
    seen, steep = predicted(classes, state, "valid"), classes.valid.index > BOUNDARY
    of = {
        name: np.mean([np.mean((values > 0.5)[steep == side] == side) for side in (False, True)])
        for name, values in seen.items()
    }
    assert of["balanced"] >= of["prediction"]


@pytest.mark.parametrize("learner", list(baselines.LEARNERS))
def test_state_survives_a_weights_only_checkpoint_and_predicts_the_same(
    classes, continuous, tmp_path, learner
):
    examples = classes if baselines.LEARNERS[learner].learns == "class" else continuous
    state = baselines.fit(entry_of("power", learner), examples, seed=1)
    torch.save(state, tmp_path / "best.ckpt")
    loaded = torch.load(tmp_path / "best.ckpt", weights_only=True)
    first, second = predicted(examples, state), predicted(examples, loaded)
    assert first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )
    # what a checkpoint may unpack beside scikit-learn's own is named, and no more than is needed
    untrusted = skops.io.get_untrusted_types(data=state["skops"].numpy().tobytes())
    assert set(untrusted) <= set(baselines.TRUSTED)


def test_twelve_cells_can_be_read_as_cells_of_twelve_pixels_or_as_twelve_by_twelve():
    images = fields(np.full(2, 3.0), 0)
    # 38 pixels
    batch = {
        "input": torch.from_numpy(np.pad(images, ((0, 0), (0, 14), (0, 14)), mode="wrap"))[:, None]
    }
    hog = {"orientations": 8, "symmetries": False}
    of_pixels = baselines.compute({"module": "hog", "pixels": 12, **hog}, batch)
    of_number = baselines.compute({"module": "hog", "cells": 12, **hog}, batch)
    assert of_pixels.shape == (2, 3 * 3 * 8)  # three cells of 12 in 38 pixels
    assert of_number.shape == (2, 12 * 12 * 8)  # cells of 3 pixels in the middle 36


@pytest.mark.parametrize("module", ["gradients", "scattering", "joined", "hog"])
def test_statistics_averaged_over_symmetries_are_those_of_the_turned_and_of_the_mirrored_image(
    classes, module
):
    batch = classes.test[np.arange(3)]
    entry = {"module": module, **KEYS[module], "symmetries": True}
    upright = baselines.compute(entry, batch)
    for turned in (
        batch["input"].rot90(1, (-2, -1)),
        batch["input"].flip(-1),
        batch["input"].transpose(-2, -1),
    ):
        np.testing.assert_allclose(
            baselines.compute(entry, {"input": turned}), upright, rtol=1e-4, atol=1e-5
        )
    alone = baselines.compute(
        entry | {"symmetries": False}, {"input": batch["input"].rot90(1, (-2, -1))}
    )
    assert np.abs(alone - upright).max() > 0.01


def test_structure_functions_of_the_turned_and_of_the_mirrored_image_are_the_same(classes):
    batch = classes.test[np.arange(3)]
    upright = baselines.compute({"module": "structure"}, batch)
    for turned in (
        batch["input"].rot90(1, (-2, -1)),
        batch["input"].flip(-1),
        batch["input"].transpose(-2, -1),
    ):
        np.testing.assert_allclose(
            baselines.compute({"module": "structure"}, {"input": turned}), upright, rtol=1e-9
        )


def test_rings_beyond_high_have_no_part_in_the_power_features(classes):
    batch = classes.test[np.arange(4)]
    every = baselines.compute({"module": "power", "low": 1, "high": None}, batch)
    some = baselines.compute({"module": "power", "low": 2, "high": 5}, batch)
    assert every.shape == (4, SIDE // 2 - 1)
    np.testing.assert_array_equal(some, every[:, 1:5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"module": "fourier"}, "'fourier' is unknown; expected one of deviation, slope"),
        (
            {"learner": "ridge"},
            "learner 'ridge' does not learn 'class'; expected one of logistic, lda, svm",
        ),
        (
            {"module": "hog", "pixels": 4, "cells": 4, "orientations": 8},
            "pixels 4 and cells 4; expected one of the two",
        ),
        (
            {"module": "hog", "pixels": 40, "orientations": 8},
            "pixels is 40; expected 1 to the images' 24 pixels",
        ),
        (
            {"module": "gradients", "cells": 40, "orientations": 8},
            "cells is 40; expected 1 to the images' 24 pixels",
        ),
        ({"low": 11, "high": None}, "leave 1 rings of the 11 of 24 pixels; expected two at least"),
    ],
)
def test_entry_of_which_nothing_can_be_made_is_refused_with_its_key(classes, changes, message):
    with pytest.raises(BadInput, match=message):
        baselines.fit(entry_of("power", "lda") | {"symmetries": False} | changes, classes, seed=0)


def test_training_of_one_class_is_refused(classes):
    one = Split(classes.train.images, np.full(len(classes.train), 2.5))
    with pytest.raises(BadInput, match="80 examples of one class found, expected two"):
        baselines.fit(
            entry_of("power", "lda"), SimpleNamespace(train=one, valid=classes.valid), seed=0
        )
