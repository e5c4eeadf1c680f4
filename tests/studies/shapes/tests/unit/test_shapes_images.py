"""Images of the study: areas of objects, noise, coverage, and splits that share nothing."""

import numpy as np
import pytest

from skyloom.shapes.data.examples import Images
from skyloom.shapes.data.images import CLASSES, HALF_WIDTH, RADIUS, draw, patches, pixels_of

SETTINGS = {"pixels": 32, "density": 3.0, "noise": 0.5, "valid": 5, "test": 6, "seed": 0}
AREAS = {  # of an object of radius r [pixel]
    "disc": lambda r: np.pi * r**2,
    "ring": lambda r: 4 * np.pi * r * HALF_WIDTH,
    "bar": lambda r: 4 * r * HALF_WIDTH,
}


@pytest.mark.parametrize("kind", CLASSES[1:])
def test_object_covers_the_area_of_its_shape(kind):
    y, x = np.mgrid[-20:20:0.05, -20:20:0.05]
    inside = pixels_of(CLASSES.index(kind), y, x, radius=5.0, angle=0.4)
    assert inside.sum() * 0.05**2 == pytest.approx(AREAS[kind](5.0), rel=0.01)


def test_coverage_is_that_of_a_boolean_model_and_the_rest_is_noise():
    """1 - exp(-density * mean area) (Matheron 1975); objects beyond the edge are missing."""
    image, target = draw(SETTINGS | {"pixels": 600}, np.random.default_rng(0))
    area = np.mean([AREAS[kind](np.mean(RADIUS)) for kind in CLASSES[1:]])
    area += np.pi * np.var(np.linspace(*RADIUS, 1000)) / 3  # of discs, E[r^2] - E[r]^2
    assert (target > 0).mean() == pytest.approx(1 - np.exp(-3e-3 * area), rel=0.05)
    assert image[target == 0].std() == pytest.approx(0.5, rel=0.01)


def test_no_two_images_of_training_validation_and_test_are_equal():
    fixed = patches(SETTINGS)
    stream = Images(SETTINGS, 8)
    drawn = [stream.draw(epoch, np.arange(8))["input"][:, 0].numpy() for epoch in range(3)]
    images = np.concatenate([fixed["image"].values, *drawn])
    assert len(np.unique(images[:, 0, 0])) == len(images) == 5 + 6 + 3 * 8
    assert fixed["split"].values.tolist() == [1] * 5 + [2] * 6
