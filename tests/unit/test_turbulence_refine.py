"""The mimic of refinement by density: mass, nesting, the rule of which block is refined, and limits
that are known.
"""

import numpy as np
import pytest

from skyloom.cli import BadInput
from skyloom.turbulence.project.refine import average, coarsenings, mimic
from skyloom.turbulence.read.simulation import Cube

N = 16


def cloud(seed=0, width=0.5):
    return np.exp(width * np.random.default_rng(seed).standard_normal((N, N, N)))


def blob():
    """Density 1 everywhere but for one cell of 100 at (z, y, x) = (5, 9, 2)."""
    density = np.ones((N, N, N))
    density[5, 9, 2] = 100.0
    return density


@pytest.mark.parametrize("expand", [0, 1])
def test_mass_and_momentum_of_every_block_of_the_coarsest_level_are_kept(expand):
    density, velocity = cloud(), np.random.default_rng(1).standard_normal((3, N, N, N))
    coarse, _ = mimic(Cube(density, velocity), [2.5, 1.5, 1.2], expand)

    def in_blocks(field):
        return field.reshape(2, 8, 2, 8, 2, 8).sum(axis=(1, 3, 5))

    np.testing.assert_allclose(in_blocks(coarse.density), in_blocks(density), rtol=1e-13)
    for one, other in zip(coarse.velocity, velocity, strict=True):
        np.testing.assert_allclose(
            in_blocks(coarse.density * one), in_blocks(density * other), atol=1e-11
        )


def test_without_thresholds_or_above_them_nothing_changes():
    cube = Cube(cloud())
    for thresholds in ([], [1e-9, 1e-9]):
        same, share = mimic(cube, thresholds)
        np.testing.assert_array_equal(same.density, cube.density)
        assert share[0] == 1


def test_below_all_thresholds_the_box_is_its_coarsest_blocks():
    density = cloud()
    coarse, share = mimic(Cube(density), [1e9] * 4)
    np.testing.assert_allclose(coarse.density, density.mean(), rtol=1e-13)
    assert share.tolist() == [0, 0, 0, 0, 1]


def test_only_the_blocks_around_a_dense_cell_stay_fine():
    """Mean of its block of 2: 13.1, of 4: 2.49, of 8: 1.17 in units of the box's."""
    coarsening = coarsenings(blob(), [5.0, 2.0, 1.5], expand=0)
    expected = np.full((N, N, N), 3)
    expected[0:8, 8:16, 0:8] = 2  # refined because a block inside it is
    expected[4:8, 8:12, 0:4] = 1
    expected[4:6, 8:10, 2:4] = 0
    np.testing.assert_array_equal(coarsening, expected)


def test_refined_region_is_widened_across_the_periodic_edge():
    density = np.ones((N, N, N))
    density[0, 0, 0] = 100.0
    fine = coarsenings(density, [5.0], expand=1) == 0
    assert fine.sum() == 6**3  # a block of 2 and its neighbours
    assert fine[-2:, -2:, -2:].all() and fine[:4, :4, :4].all() and not fine[4:-2].any()


@pytest.mark.parametrize("expand", [0, 1, 2])
def test_coarse_cells_are_whole_aligned_blocks(expand):
    """The pattern is an octree: within a block of 2^k that holds a cell coarsened k times all cells
    are.
    """
    coarsening = coarsenings(cloud(2), [1.6, 1.2, 1.05], expand)
    for k in (1, 2, 3):
        blocks = coarsening.reshape(N >> k, 1 << k, N >> k, 1 << k, N >> k, 1 << k)
        low, high = blocks.min(axis=(1, 3, 5)), blocks.max(axis=(1, 3, 5))
        assert ((high < k) | (low >= k)).all()


@pytest.mark.parametrize("width", [0.3, 1.0])
def test_widening_by_one_block_leaves_no_jump_of_two_levels(width):
    """RAMSES' rule for neighbouring grids."""
    coarsening = coarsenings(cloud(3, width), [2.0, 1.2, 1.05], expand=1)
    for axis in range(3):
        assert np.abs(coarsening - np.roll(coarsening, 1, axis)).max() <= 1


def test_averaging_twice_is_averaging_once():
    density = cloud(4)
    coarsening = coarsenings(density, [1.5, 1.1])
    once = average(density, coarsening)
    np.testing.assert_allclose(average(once, coarsening), once, rtol=1e-14)


def test_variance_left_by_white_noise_in_blocks_is_that_of_the_mean_of_eight():
    """The central limit's 1/8 of each coarsening, to the 3 % that 4096 and 512 samples allow (2
    sigma: 6 %).
    """
    noise = 1 + 0.01 * np.random.default_rng(5).standard_normal((32, 32, 32))
    coarse, _ = mimic(Cube(noise), [10.0])
    assert coarse.density.var() == pytest.approx(noise.var() / 8, rel=0.06)


def test_empty_blocks_stay_empty_and_at_rest():
    density = np.zeros((N, N, N))
    density[0, 0, 0] = 1.0
    coarse, _ = mimic(Cube(density, np.ones((3, N, N, N))), [1e9], expand=0)
    assert np.isfinite(coarse.velocity).all() and coarse.velocity[:, 8, 8, 8].tolist() == [0, 0, 0]


def test_grid_that_does_not_divide_and_settings_that_cannot_be_are_refused():
    with pytest.raises(BadInput, match="expected a cube of a multiple of 8"):
        coarsenings(np.ones((12, 12, 12)), [1.0, 1.0, 1.0])
    for thresholds, expand in (([0.0], 1), ([1.0], -1)):
        with pytest.raises(BadInput, match="expected thresholds above 0 and expand from 0"):
            coarsenings(np.ones((N, N, N)), thresholds, expand)
