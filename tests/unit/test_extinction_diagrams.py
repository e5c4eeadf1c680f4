"""Colour-magnitude diagrams on the fly: physics, statistics, seeds and both engines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pretended_gpu import pretended_gpu, reason

from skyloom.cli import BadInput
from skyloom.extinction.simulate import diagrams, draws, population, skies, survey
from skyloom.extinction.simulate.population import Stars
from skyloom.extinction.simulate.stars import BANDS
from skyloom.extinction.simulate.survey import DIAGRAMS, Randomised, conditions

BINS, STEP = 100, 100.0
ENGINES = "numba", "torch"


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    stars = population.sightline(284.0, 0.5, 0.03, {"K": 15.7}, rng, 8, 40_000)
    return diagrams.field(stars, ["2mass", "gaia", "2mass_gaia"], STEP)


def examples(number, seed=0, epoch=0):
    return draws.seeds(seed, epoch, torch.arange(number))


def single(distance, number=6400, **magnitudes):
    """A pool of equal stars at one distance [pc]."""
    values = [magnitudes.get(band, 12.0) for band in BANDS]
    array = np.repeat(np.float32(values)[:, None], number, 1)
    zero = np.zeros(number, np.int8)
    return Stars(np.full(number, distance, np.float32), array, zero, zero, 8.0)


def exact(pool, n, law="wang2019"):
    """Nominal conditions without limits."""
    given = conditions(examples(n), pool.bands, law)
    return replace(given, limit=given.limit + 15)


def centre(image, diagram):
    """Mean colour and magnitude of a diagram (y, x), from the middles of its pixels."""
    image = image.double()
    x, y = (
        low + (torch.arange(64) + 0.5) * (high - low) / 64 for low, high in (diagram.x, diagram.y)
    )
    return float((image.sum(0) * x).sum() / image.sum()), float(
        (image.sum(1) * y).sum() / image.sum()
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("law", ["wang2019", "ccm1989"])
@pytest.mark.parametrize(
    ("distance", "depth"), [(50, 0.5), (1000, 10), (1025, 10.25), (9999, 99.99), (13000, 100)]
)
def test_extinction_moves_stars_along_the_reddening_vector(engine, law, distance, depth):
    """0.1 mag in each bin of 100 pc up to the star, and none beyond the grid of 10 kpc."""
    kept = diagrams.field(single(distance, J=9.5, K=9.0), ["2mass"], STEP)
    n = 16
    profile = torch.full((n, BINS), 0.1)
    given = exact(kept, n, law)
    found = diagrams.counts(kept, profile, given, examples(n), engine)
    colour, magnitude = centre(found.sum((0, 1)), DIAGRAMS["2mass"])
    ratio = survey.ratios(law, ["J", "K"])
    # pixels are 0.10 and 0.125 mag wide, which the errors of 800 stars a diagram average partly
    assert colour == pytest.approx(0.5 + 0.1 * depth * (ratio[0] - ratio[1]), abs=0.03)
    assert magnitude == pytest.approx(9.0 + 0.1 * depth * ratio[1], abs=0.05)


@pytest.mark.parametrize("engine", ENGINES)
def test_reddening_vector_is_exact(engine):
    """Two laws of A_J and A_K that give the same vector give the same diagram, star for star."""
    kept = diagrams.field(single(5050.0, J=10.0, K=9.4), ["2mass"], STEP)
    given = exact(kept, 4)
    thin = diagrams.counts(kept, torch.full((4, BINS), 0.05), given, examples(4), engine)
    half = replace(given, law=given.law / 2)
    thick = diagrams.counts(kept, torch.full((4, BINS), 0.1), half, examples(4), engine)
    assert torch.equal(thin, thick)
    # dust behind the star changes nothing
    behind = torch.full((4, BINS), 0.05)
    behind[:, 51:] = 3.0
    assert torch.equal(thin, diagrams.counts(kept, behind, given, examples(4), engine))


def test_both_engines_draw_the_same_stars(pool):
    n = 12
    mean = torch.as_tensor(skies.mean_profile(284.0, 0.5, skies.Grid())).float()
    profile = skies.profiles(examples(n), mean)
    given = conditions(examples(n), pool.bands, randomised=Randomised())
    first, second = (diagrams.counts(pool, profile, given, examples(n), e) for e in ENGINES)
    assert first.shape == (n, 3, 64, 64) and first.dtype == second.dtype == torch.float32
    assert first.sum() > 3000
    # a star on the edge of a pixel may fall to either side by the rounding of float32
    assert (first - second).abs().sum() <= 1e-4 * first.sum()


@pytest.mark.skipif(reason() is not None, reason=str(reason()))
def test_on_a_gpu_the_host_never_waits_and_the_diagrams_are_those_of_a_cpu():
    def drawn(device):
        stars = single(3000.0, J=13.6, K=13.0)
        kept = diagrams.field(stars, ["2mass", "2mass_gaia"], STEP, device)
        mean = torch.ones(BINS).to(device)
        seeds = examples(4).to(device)
        before = dict(machine.waits)
        profile = skies.profiles(seeds, mean)
        given = conditions(seeds, kept.bands, randomised=Randomised())
        image = diagrams.counts(kept, profile, given, seeds)
        waits = {key: n for key, n in machine.waits.items() if n != before.get(key)}
        return image, waits

    with pretended_gpu() as machine:
        torch.use_deterministic_algorithms(True)
        image, waits = drawn("cuda")
        assert image.device.type == "cuda"
        assert waits == {} and not machine.unordered
        expected, _ = drawn("cpu")
        image = image.held
    assert expected.sum() > 1000
    assert (image - expected).abs().sum() <= 1e-3 * expected.sum()


def test_cumulative_profile_begins_with_zero_and_is_the_sum():
    profile = torch.rand(3, BINS, generator=torch.Generator().manual_seed(0))
    found = diagrams.cumulative(profile)
    expected = np.cumsum(profile.numpy().astype(float), 1)
    assert (found[:, 0] == 0).all()
    np.testing.assert_allclose(found[:, 1:], expected, rtol=1e-6)


def test_diagrams_are_those_of_their_seeds_in_any_batch(pool):
    n = 9
    profile = torch.rand(n, BINS, generator=torch.Generator().manual_seed(0)) * 0.1
    given = conditions(examples(n), pool.bands, randomised=Randomised())
    whole = diagrams.counts(pool, profile, given, examples(n))
    for a, b in ((0, 1), (1, 5), (5, 9)):
        seeds = examples(n)[a:b]
        some = conditions(seeds, pool.bands, randomised=Randomised())
        assert torch.equal(whole[a:b], diagrams.counts(pool, profile[a:b], some, seeds))
    for other in (examples(n, seed=1), examples(n, epoch=1)):
        assert not torch.equal(whole, diagrams.counts(pool, profile, given, other))


def test_channel_does_not_depend_on_the_channels_next_to_it():
    rng = np.random.default_rng(0)
    stars = population.sightline(284.0, 0.5, 0.02, {"K": 15.7}, rng, 8, 40_000)
    profile = torch.full((5, BINS), 0.03)
    found = []
    for names in (["2mass"], ["gaia", "2mass", "2mass_gaia"]):
        kept = diagrams.field(stars, names, STEP)
        given = conditions(examples(5), kept.bands, randomised=Randomised())
        image = diagrams.counts(kept, profile, given, examples(5))
        found.append(image[:, names.index("2mass")])
    assert torch.equal(*found)


def test_counts_of_pixels_scatter_as_poisson(pool):
    """Mean and variance of each bright pixel over examples of the same profile."""
    n = 1200
    profile = torch.full((n, BINS), 0.03)
    given = conditions(examples(n), pool.bands)
    found = diagrams.counts(pool, profile, given, examples(n))[:, 0].flatten(1).double()
    mean, variance = found.mean(0), found.var(0)
    bright = mean > 2
    assert bright.sum() > 50
    ratio = (variance / mean)[bright]
    # each ratio scatters by (2 / n + 1 / (n mean))^0.5, at most 0.05
    assert ratio.mean().item() == pytest.approx(1, abs=0.02)
    assert (ratio - 1).abs().max() < 0.25
    # pixels are independent, their sum is Poisson too
    total = found.sum(1)
    assert total.var().item() / total.mean().item() == pytest.approx(1, abs=0.15)


def test_mean_diagram_is_that_of_catalogues_drawn_star_by_star(pool):
    """`survey.observe` draws in numpy, with exact errors and completeness in place of tables."""
    rng = np.random.default_rng(5)
    richness = 40
    stars = population.sightline(284.0, 0.5, 0.03, {"K": 15.7}, rng, richness, 40_000)
    extinction = np.minimum(stars.distance / 100, 100) * 0.04
    measured = survey.observe(stars, extinction, "wang2019", rng)
    magnitudes = {band: values for band, (values, _) in measured.items()}
    n = 300
    given = conditions(examples(n), pool.bands)
    found = diagrams.counts(pool, torch.full((n, BINS), 0.04), given, examples(n)).mean(0)
    for k, name in enumerate(pool.diagrams):
        expected = diagrams.of_catalogue(magnitudes, DIAGRAMS[name]) / richness
        coarse = [v.reshape(8, 8, 8, 8).sum((1, 3)) for v in (found[k].numpy(), expected)]
        # both pools have Poisson noise: 8 and 40 fields
        error = np.sqrt(coarse[1] * (1 / 8 + 1 / richness) + 0.05)
        assert (np.abs(coarse[0] - coarse[1]) < 5 * error).all()
        assert coarse[0].sum() == pytest.approx(coarse[1].sum(), rel=0.03)


def test_completeness_is_half_at_the_limit():
    """Stars of one magnitude, detected in J, against the limit in K."""
    kept = diagrams.field(single(500.0, J=12.5, K=12.0), ["2mass"], STEP)
    n = 64
    none = torch.zeros(n, BINS)
    given = conditions(examples(n), kept.bands)
    whole = diagrams.counts(kept, none, given, examples(n)).sum()
    shares = []
    for offset in (-0.5, 0.0, 0.5):
        moved = given.limit.clone()
        moved[:, kept.bands.index("K")] = 12.0 - offset
        found = diagrams.counts(kept, none, replace(given, limit=moved), examples(n)).sum()
        shares.append(float(found / whole))
    # a logistic of width 0.25, blurred by an error of 0.025
    assert shares == pytest.approx([0.881, 0.5, 0.119], abs=0.01)


def test_randomised_counts_and_zero_points_are_those_of_the_survey():
    kept = diagrams.field(single(500.0, J=12.5, K=12.0), ["2mass"], STEP)
    n = 400
    given = conditions(examples(n), kept.bands, randomised=Randomised(limit=0.0, zero=0.0))
    found = diagrams.counts(kept, torch.zeros(n, BINS), given, examples(n)).sum((1, 2, 3))
    # 800 stars a field
    deviation = (found - 800 * given.count) / (800 * given.count) ** 0.5
    assert deviation.std().item() == pytest.approx(1, abs=0.12)
    shifted = replace(given, zero=torch.tensor([[0.0, 1.0]]).expand(n, 2))
    moved = diagrams.counts(kept, torch.zeros(n, BINS), shifted, examples(n)).sum((0, 1))
    assert kept.bands == ("K", "J")
    assert centre(moved, DIAGRAMS["2mass"])[0] == pytest.approx(1.5, abs=0.03)


def test_bare_diagram_is_the_mean_of_fields_without_extinction(pool):
    found = diagrams.bare(pool, BINS)
    given = conditions(examples(200, seed=3), pool.bands)
    drawn = diagrams.counts(pool, torch.zeros(200, BINS), given, examples(200, seed=3)).mean(0)
    for k in range(3):
        assert found[k].sum() == pytest.approx(drawn[k].sum().item(), rel=0.02)
    assert not torch.equal(found, found.round())


def test_network_input_has_observed_and_bare_of_each_diagram(pool):
    given = conditions(examples(2), pool.bands)
    observed = diagrams.counts(pool, torch.zeros(2, BINS), given, examples(2))
    bare = diagrams.bare(pool, BINS, 4)
    found = diagrams.network_input(observed, bare, torch.tensor([[True] * 3, [False, True, True]]))
    assert found.shape == (2, 6, 64, 64)
    np.testing.assert_allclose(found[:, 2], observed[:, 1].log1p() / 2, rtol=1e-6)
    np.testing.assert_allclose(found[1, 5], bare[2].log1p() / 2, rtol=1e-6)
    assert (found[1, :2] == 0).all() and found[0, :2].any()


def test_field_without_stars_is_refused():
    rng = np.random.default_rng(0)
    none = population.sightline(284.0, 89.0, 1e-9, {"K": 5.0}, rng, 1, 40_000)
    assert len(none) == 0
    with pytest.raises(BadInput, match="no star in a pool of 1 fields"):
        diagrams.field(none, ["2mass"], STEP)


def test_stars_of_a_catalogue_without_a_band_are_left_out():
    magnitudes = {"J": np.array([12.0, np.nan, 30.0]), "K": np.array([11.4, 11.0, 12.0])}
    image = diagrams.of_catalogue(magnitudes, DIAGRAMS["2mass"])
    assert image.sum() == 1
    # J - K = 0.6 of -0.5 to 6.0, K = 11.4 of 7.5 to 15.5
    assert image[int((11.4 - 7.5) * 8), int(1.1 * 64 / 6.5)] == 1
