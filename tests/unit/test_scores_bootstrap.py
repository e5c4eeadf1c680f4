"""Block bootstrap against known distributions."""

import numpy as np
import pytest

from skyloom.scores import bootstrap


def gaussian_experiments(n_experiments: int, n_blocks: int, members: int):
    """Unit-variance block effects shared by `members` examples with small scatter of their own;
    true mean 0.
    """
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(n_blocks), members)
    for _ in range(n_experiments):
        yield blocks, rng.standard_normal(n_blocks)[blocks] + 0.2 * rng.standard_normal(len(blocks))


def coverage(by_block: bool) -> float:
    hits = []
    for k, (blocks, values) in enumerate(gaussian_experiments(400, 40, 4)):
        units = blocks if by_block else np.arange(len(values))
        counts = bootstrap.multiplicities(units, 200, seed=k)
        _, lo, hi = bootstrap.summary(bootstrap.mean(values, counts))
        hits.append(lo <= 0 <= hi)
    return np.mean(hits)


def test_block_interval_covers_the_mean_of_correlated_gaussians_in_two_of_three_cases():
    # 0.683 by definition; 400 experiments scatter by 0.023, and 40 blocks with 200 draws cost about
    # 0.01
    assert coverage(by_block=True) == pytest.approx(0.683, abs=0.07)


def test_interval_by_single_examples_would_be_far_too_narrow():
    assert coverage(by_block=False) < 0.45  # half the width: 0.38 for four equal members


def test_mean_and_median_of_a_draw_equal_numpy_on_the_drawn_examples():
    rng = np.random.default_rng(2)
    for n in (7, 8):
        values, blocks = rng.standard_normal((n, 3)), rng.integers(0, 4, n)
        counts = bootstrap.multiplicities(blocks, 30, seed=3)
        means, medians = bootstrap.mean(values, counts), bootstrap.median(values, counts)
        for drawn, mean, median in zip(counts, means, medians, strict=True):
            sample = np.repeat(values, drawn.astype(int), axis=0)
            if len(sample):
                np.testing.assert_allclose(mean, sample.mean(0), rtol=1e-12)
                np.testing.assert_allclose(median, np.median(sample, axis=0), rtol=1e-12)


def test_draws_follow_the_seed_and_keep_blocks_whole():
    blocks = np.array([5, 5, 9, 9, 9, 2])
    counts = bootstrap.multiplicities(blocks, 50, seed=4)
    assert (counts == bootstrap.multiplicities(blocks, 50, seed=4)).all()
    assert (counts != bootstrap.multiplicities(blocks, 50, seed=5)).any()
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 2:5] == counts[:, 2:3]).all()
    assert (counts[0] == 1).all()


def test_wider_percentiles_are_those_of_a_gaussian():
    draws = np.append(3.0, 3 + 2 * np.random.default_rng(5).standard_normal(20_000))
    _, lo, hi = bootstrap.summary(draws, bootstrap.INTERVAL_95)
    # 1.96 sigma; a percentile of 20,000 draws is good to 0.02 sigma
    assert [lo, hi] == pytest.approx([3 - 3.92, 3 + 3.92], abs=0.12)


# --- several training seeds -----------------------------------------------------------------------


def seeds(values, width=0.01, draws=400):
    rng = np.random.default_rng(6)
    return [np.append(v, v + width * rng.standard_normal(draws)) for v in values]


def test_pooled_interval_of_one_seed_is_that_of_the_seed():
    (only,) = seeds([0.8])
    expected = [float(number) for number in bootstrap.summary(only)]
    assert bootstrap.pooled([only]) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[0.80, 0.84], [0.80, 0.84, 0.90], [0.80, 0.801, 0.802]])
def test_pooled_interval_holds_the_value_of_each_of_three_seeds(values):
    value, lo, hi = bootstrap.pooled(seeds(values))
    assert value == pytest.approx(np.mean(values))
    assert lo <= min(values) and max(values) <= hi


def test_pooled_95_percent_interval_holds_the_value_of_each_of_ten_seeds():
    values = np.linspace(0.7, 0.9, 10)
    _, lo, hi = bootstrap.pooled(seeds(values), bootstrap.INTERVAL_95)
    assert lo <= values.min() and values.max() <= hi


def test_pooled_interval_of_many_seeds_has_the_variance_of_blocks_and_of_seeds():
    values = 0.8 + 0.03 * np.random.default_rng(7).standard_normal(1000)
    _, lo, hi = bootstrap.pooled(seeds(values, width=0.04))
    # half a width of one sigma: 0.05 = (0.03^2 + 0.04^2)^0.5; 1000 seeds know theirs to 2 %
    assert (hi - lo) / 2 == pytest.approx(0.05, rel=0.05)


def test_seed_without_an_interval_leaves_the_pool_without_one():
    good, bad = seeds([0.8, 0.9])
    bad[1:] = np.nan
    value, lo, hi = bootstrap.pooled([good, bad])
    assert value == pytest.approx(0.85) and np.isnan([lo, hi]).all()
