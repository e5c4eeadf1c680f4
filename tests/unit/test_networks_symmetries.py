"""The symmetries of a square against numpy's turns and flips."""

import itertools

import numpy as np
import pytest
import torch

from skyloom.networks import symmetries

IMAGE = np.arange(9.0).reshape(3, 3)
X = torch.tensor(IMAGE)[None, None]
ELEMENTS = range(symmetries.ORDER)


def key(image):
    return np.ascontiguousarray(image).tobytes()


def by_numpy(image, element):
    image = image[:, ::-1] if element & 1 else image
    image = image[::-1] if element & 2 else image
    return image.T if element & 4 else image


@pytest.mark.parametrize("element", ELEMENTS)
def test_element_flips_x_then_y_and_then_swaps_the_axes(element):
    expected = by_numpy(IMAGE, element)
    np.testing.assert_array_equal(symmetries.turned(X, element)[0, 0], expected)
    own = symmetries.apply({"x": X}, torch.tensor([element]))["x"]
    np.testing.assert_array_equal(own[0, 0], expected)


def test_elements_are_the_turns_and_mirror_images_of_a_square():
    expected = [np.rot90(side, k) for side in (IMAGE, IMAGE[:, ::-1]) for k in range(4)]
    images = {key(symmetries.turned(X, element)[0, 0].numpy()) for element in ELEMENTS}
    assert images == {key(image) for image in expected} and len(images) == 8


def test_elements_form_the_group_of_the_square():
    """Closed, each with an inverse; four of the seven non-trivial ones commute with all others."""
    element_of = {key(by_numpy(IMAGE, element)): element for element in ELEMENTS}
    product = {
        (a, b): element_of[key(by_numpy(by_numpy(IMAGE, a), b))]
        for a, b in itertools.product(ELEMENTS, ELEMENTS)
    }
    for a, b in itertools.product(ELEMENTS, ELEMENTS):
        image = symmetries.turned(symmetries.turned(X, a), b)
        assert torch.equal(image, symmetries.turned(X, product[a, b]))
    for element in ELEMENTS:
        assert product[element, symmetries.inverse(element)] == 0
        assert product[symmetries.inverse(element), element] == 0
    centre = [a for a in ELEMENTS if all(product[a, b] == product[b, a] for b in ELEMENTS)]
    assert centre == [0, 3]  # nothing, and the half turn


def test_views_are_all_eight_and_begin_with_the_quarter_turns():
    views = [view[0, 0].numpy() for view in symmetries.views(X)]
    for quarter in range(4):
        np.testing.assert_array_equal(views[quarter], np.rot90(IMAGE, quarter))
    assert len({key(view) for view in views}) == 8


def test_all_planes_of_an_example_turn_alike_and_vectors_pass():
    torch.manual_seed(0)
    elements = symmetries.draw(200)
    x = torch.randn(1, 2, 5, 5).expand(200, 2, 5, 5)
    batch = symmetries.apply({"x": x, "y": 3 * x[:, :1], "weight": torch.arange(200)}, elements)
    assert torch.equal(batch["y"], 3 * batch["x"][:, :1])
    assert torch.equal(batch["weight"], torch.arange(200))
    for row, element in enumerate(elements.tolist()):
        assert torch.equal(batch["x"][row], symmetries.turned(x[row], element))


def test_draws_are_even_over_the_elements():
    torch.manual_seed(0)
    counts = torch.bincount(symmetries.draw(80_000), minlength=8)
    # of 10,000 each the deviation is 94
    assert counts.min() > 10_000 - 400 and counts.max() < 10_000 + 400 and len(counts) == 8
