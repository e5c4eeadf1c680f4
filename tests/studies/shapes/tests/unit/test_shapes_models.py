"""Models and scores of the study, against scikit-learn and in closed form."""

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score, log_loss

from skyloom.cli import BadInput
from skyloom.examples import Examples, Held
from skyloom.predictions import as_dataset
from skyloom.shapes import baselines, evaluate
from skyloom.shapes.data.examples import Images, batch
from skyloom.shapes.data.images import CLASSES, patches
from skyloom.shapes.models import unet

SETTINGS = {"pixels": 32, "density": 3.0, "noise": 0.2, "valid": 4, "test": 12, "seed": 3}
BOOTSTRAP = {"draws": 200, "seed": 0}
META = {"classes": list(CLASSES), "pixels": 32}


@pytest.fixture(scope="module")
def test_images():
    drawn = patches(SETTINGS)
    return drawn.isel(example=drawn["split"].values == 2)


def test_iou_and_log_loss_are_those_of_scikit_learn(test_images):
    logits = np.random.default_rng(0).standard_normal((12, 4, 32, 32))
    target = test_images["target"].values
    logits += 3 * (target[:, None] == np.arange(4)[:, None, None])
    probability = torch.from_numpy(logits).softmax(1).numpy()
    scored = evaluate.evaluate(
        test_images, as_dataset({"prediction": probability}, test_images), {}, BOOTSTRAP
    )
    values = {(r["name"], r["subset"]): r["value"] for r in scored.records}
    iou = jaccard_score(target.ravel(), probability.argmax(1).ravel(), average=None)
    assert [values["iou", name] for name in CLASSES] == pytest.approx(list(iou))
    assert values["iou", "all"] == pytest.approx(iou.mean())
    rows = np.moveaxis(probability, 1, -1).reshape(-1, 4)
    assert values["log_loss", "all"] == pytest.approx(log_loss(target.ravel(), rows))


def test_pixels_drawn_from_their_probabilities_are_reliable(test_images):
    rng = np.random.default_rng(1)
    probability = rng.dirichlet(np.full(4, 0.5), (12, 32, 32))
    drawn = (rng.random((12, 32, 32, 1)) > probability.cumsum(-1)).sum(-1)
    truth = test_images.assign(target=test_images["target"].copy(data=drawn.astype(np.int8)))
    predictions = as_dataset({"prediction": np.moveaxis(probability, -1, 1)}, truth)
    curves = evaluate.evaluate(truth, predictions, {}, BOOTSTRAP).curves
    np.testing.assert_allclose(curves["reliability"], curves["stated"], atol=0.04)


def test_filter_responds_most_where_its_object_is():
    bank = baselines.filters()
    assert torch.allclose(bank.square().sum((1, 2, 3)), torch.ones(len(bank)))
    response = torch.nn.functional.conv2d(bank, bank)[:, :, 0, 0]  # object, filter
    assert (response.argmax(1) == torch.arange(len(bank))).all()


def test_baseline_beats_the_most_frequent_class_on_new_images():
    stream, other = Images(SETTINGS, 16), Images(SETTINGS, 16)
    other.seed = 1
    examples = Examples(stream, Held({}), Held({}), META)
    state = baselines.fit({"images": 16}, examples, seed=0)
    new = other.draw(0, np.arange(8))
    probability = baselines.predict(state, new, META)["prediction"]
    assert torch.allclose(probability.sum(1), torch.ones(8, 32, 32, dtype=probability.dtype))
    accuracy = (probability.argmax(1) == new["label"]).double().mean()
    assert accuracy > (new["label"] == 0).double().mean() + 0.02


def test_sample_without_a_class_is_refused():
    empty = Images(SETTINGS | {"density": 1e-6}, 2)
    with pytest.raises(BadInput, match="2 images have pixels of 1 class.*expected all of none"):
        baselines.fit({"images": 2}, Examples(empty, Held({}), Held({}), META), seed=0)


def test_unet_predicts_a_probability_of_each_class_in_each_pixel(test_images):
    task = unet.make_task({"width": 4, "depth": 2}, META)
    images = batch(test_images["image"].values, test_images["target"].values)
    probability = unet.predict(task.eval(), images)["prediction"]
    assert probability.shape == (12, 4, 32, 32)
    assert torch.allclose(probability.sum(1), torch.ones(12, 32, 32))
