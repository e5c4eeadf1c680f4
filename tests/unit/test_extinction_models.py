"""Networks and baselines of the extinction study: monotone quantiles, coverage, closed forms."""

import numpy as np
import pytest
import torch

from skyloom.cli import BadInput
from skyloom.examples import Examples, Held
from skyloom.extinction import baselines
from skyloom.extinction.data import synthetic
from skyloom.extinction.models import deep, intervals, mlp, published, residual, task
from skyloom.extinction.simulate.laws import ratios

META = synthetic.examples({}, 32, 2).meta
ENTRY = {"width": 12, "depth": 2, "dropout": 0.2, "weight_decay": 0.0, "shape_weight": 1.0}
ENTRY |= {"passes": 0}
NETWORKS = [mlp, published, deep, residual]
NAMES = "lower95", "lower68", "prediction", "upper68", "upper95"


@pytest.mark.parametrize("module", NETWORKS, ids=lambda m: m.__name__.rpartition(".")[2])
def test_quantiles_rise_with_distance_and_do_not_cross(module):
    torch.manual_seed(0)
    network = module.make_task(ENTRY, META).eval()
    network.factors.copy_(torch.tensor([30.0, 0.4]))
    found = module.predict(network, {"input": 3 * torch.randn(5, 2, 32, 32)})
    values = torch.stack([found[name] for name in NAMES])
    assert values.shape == (5, 5, META["bins"]) and (values >= 0).all()
    assert (values.diff(dim=2) >= 0).all()
    assert (values.diff(dim=0) >= 0).all()


def test_factors_give_the_shares_of_validation_their_intervals():
    generator = torch.Generator().manual_seed(1)
    truth = 20 + torch.randn(400, 10, generator=generator)
    ends = torch.tensor([-0.3, -0.1, 0.0, 0.1, 0.3])[:, None]  # much too narrow
    predicted = (20 + ends).expand(400, 5, 10)
    by = intervals.factors(predicted, truth)
    # quantiles of |N(0, 1)| over the half widths
    assert by.tolist() == pytest.approx([1.0 / 0.1, 1.96 / 0.3], rel=0.05)
    wide = intervals.widened(predicted, by)
    for level, (low, high) in zip(intervals.LEVELS, intervals.ENDS, strict=True):
        inside = (truth >= wide[:, low]) & (truth <= wide[:, high])
        assert float(inside.float().mean()) == pytest.approx(level, abs=0.001)


def test_pinball_loss_is_least_at_the_quantile():
    truth = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    guesses = torch.linspace(-3, 3, 301)
    for q in intervals.QUANTILES:
        level = torch.tensor([[q]])
        losses = [float(task.pinball(g.expand(20_000, 1, 1), truth, level).mean()) for g in guesses]
        expected = float(torch.quantile(truth, q))
        assert float(guesses[int(np.argmin(losses))]) == pytest.approx(expected, abs=0.04)


def test_dropout_intervals_vary_and_leave_the_network_in_evaluation():
    network = mlp.make_task(ENTRY | {"passes": 16}, META).eval()
    torch.manual_seed(0)
    found = mlp.predict(network, {"input": torch.randn(3, 2, 32, 32)})
    assert (found["dropout_upper68"][:, -1] > found["dropout_lower68"][:, -1]).all()
    assert not any(module.training for module in network.modules())


# --- baselines ------------------------------------------------------------------------------------


def held(images: torch.Tensor, target: torch.Tensor) -> Held:
    return Held({"input": images, "target": target})


def linear_examples(n: int = 200) -> Examples:
    """A_V that is linear in the averaged pixels of the observed diagram."""
    generator = torch.Generator().manual_seed(3)
    parts = []
    for _ in range(3):
        images = torch.rand(n, 2, 32, 32, generator=generator)
        level = images[:, :1, :16].mean((2, 3))
        parts.append(held(images, level * torch.arange(1, 21)))
    return Examples(*parts, META)


def test_ridge_finds_a_linear_law_and_states_its_errors():
    examples = linear_examples()
    entry = {"module": "ridge", "examples": 200, "pixels": 4, "alpha": [1e-6, 1e3]}
    state = baselines.fit(entry, examples, 0)
    assert state["alpha"] == 1e-6
    batch = examples.test[np.arange(200)]
    found = baselines.predict(state, batch, META)
    torch.testing.assert_close(found["prediction"], batch["target"], atol=2e-3, rtol=1e-3)
    assert all((found[name].diff(dim=1) >= 0).all() for name in NAMES)


def test_ridge_without_a_finite_error_is_refused():
    examples = linear_examples(20)
    examples.train.tensors["target"][0] = torch.nan
    entry = {"module": "ridge", "examples": 20, "pixels": 4, "alpha": [1.0]}
    with pytest.raises(BadInput, match="ridge: the error on validation is not finite"):
        baselines.fit(entry, examples, 0)


def test_mean_profile_has_the_quantiles_of_the_training():
    examples = linear_examples()
    state = baselines.fit({"module": "mean", "examples": 200}, examples, 0)
    found = baselines.predict(state, examples.test[np.arange(3)], META)
    target = examples.train.tensors["target"]
    torch.testing.assert_close(found["prediction"][0], target.mean(0))
    torch.testing.assert_close(found["upper68"][0], torch.quantile(target, 0.84, 0))


def test_colour_excess_recovers_a_screen_of_dust():
    """All dust in the first bin: every star beyond has the same excess, whatever its distance."""
    rng = np.random.default_rng(0)
    number, screen = 4000, 4.0
    distance = rng.uniform(500, 10_000, number)
    k = rng.uniform(8, 12, number)
    j = k + 0.7 + 0.03 * rng.standard_normal(number)
    a_j, a_k = ratios("wang2019", ("J", "K"))
    colour, magnitude = j - k + (a_j - a_k) * screen, k + a_k * screen
    edges = np.linspace(7.5, 15.5, 65), np.linspace(-0.5, 6.0, 65)
    counts = np.histogram2d(magnitude, colour, edges)[0].astype(int)
    settings = {"faintest": 14.0, "bluest": 0.62, "parts": 24, "iterations": 14}
    grid = np.arange(101) * 100.0
    found = baselines.inverted(counts, np.stack([distance, j, k]), grid, settings, "wang2019")
    assert found.shape == (100,)
    assert np.median(found[20:]) == pytest.approx(screen, abs=0.25)
    # a profile that may only rise takes the scatter of its parts for a slope
    assert found[20:] == pytest.approx(screen, abs=0.6)


def test_field_without_red_stars_has_no_excess():
    settings = {"faintest": 14.0, "bluest": 0.62, "parts": 24, "iterations": 3}
    stars = np.ones((3, 50))
    empty = np.zeros((64, 64), int)
    assert not baselines.inverted(empty, stars, np.arange(11.0), settings, "wang2019").any()


def test_colour_excess_needs_the_diagram_of_2mass():
    examples = linear_examples(4)
    other = Examples(examples.train, examples.valid, examples.test, META | {"diagrams": ["gaia"]})
    entry = {"module": "colour_excess", "faintest": 14, "bluest": 0.6, "parts": 4, "iterations": 1}
    with pytest.raises(BadInput, match="diagrams gaia; expected 2mass among them"):
        baselines.fit(entry, other, 0)
