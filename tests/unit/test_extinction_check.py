"""The check of a field before inference: limits from its counts, and counts against mock fields."""

import numpy as np
import pytest
import torch

from skyloom.extinction import check
from skyloom.extinction.read.catalogue import read_catalogue
from skyloom.extinction.simulate import diagrams, draws, population, skies, survey
from skyloom.extinction.simulate.survey import DIAGRAMS, Randomised, conditions

GRID = skies.Grid()
AT, AREA = (284.0, 0.5), 0.1
LIMITS = {"J": 16.7, "K": 15.3}
TRAINED = {"J": (15.5, 16.7), "K": (14.1, 15.3)}


@pytest.fixture(scope="module")
def stars():
    depth = {"K": 17.0, "J": 18.4}
    return population.sightline(*AT, 1.5 * AREA, depth, np.random.default_rng(0), 2, 60_000)


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(1)
    drawn = population.sightline(*AT, AREA, {"K": 16.2}, rng, 8, 60_000)
    return diagrams.field(drawn, ["2mass"], GRID.step)


def profiles(number, seed=0):
    mean = torch.as_tensor(skies.mean_profile(*AT, GRID)).float()
    return skies.profiles(draws.seeds(seed, 0, torch.arange(number)), mean)


def fields(pool, number, seed, randomised=survey.NOTHING, **options):
    examples = draws.seeds(seed, 0, torch.arange(number))
    given = conditions(examples, pool.bands, randomised=randomised, **options)
    found = diagrams.counts(pool, profiles(number, seed), given, examples)
    return found[:, 0].numpy()


@pytest.fixture(scope="module")
def ranges(pool):
    counts = Randomised(limit=0.0)
    return check.reference(fields(pool, 600, 1, counts), "2mass")


@pytest.mark.parametrize("brighter", [0.0, 0.7, 1.3])
def test_limits_of_extinguished_fields_are_found(stars, brighter):
    """Within 0.25 mag for nine of ten random profiles, whatever the extinction."""
    rng = np.random.default_rng(0)
    limits = {band: limit - brighter for band, limit in LIMITS.items()}
    errors = []
    for profile in profiles(20).numpy():
        places = np.arange(GRID.bins + 1) * GRID.step
        extinction = np.interp(stars.distance, places, np.append(0, profile.cumsum()))
        measured = survey.observe(stars, extinction, "wang2019", rng, limits)
        found = [check.measured_limit(measured[band][0]) for band in limits]
        errors.append(np.subtract(found, list(limits.values())))
    assert (np.abs(errors) < check.LIMIT_ERROR).mean(0).min() >= 0.9
    assert np.abs(np.median(errors, 0)).max() < 0.2


def test_limits_of_a_real_field_are_found(realdata):
    path = realdata / "extinction" / "pnicer" / "CF_2mass.fits"
    found = read_catalogue(path, "2mass").magnitudes
    limits = [check.measured_limit(found[band]) for band in "JHK"]
    assert limits == pytest.approx([16.95, 16.35, 15.75], abs=0.05)


def test_sharp_limit_of_a_power_law_is_found():
    """Counts 10^(0.3 m) up to m = 15 have half of their bin there."""
    rng = np.random.default_rng(0)
    magnitudes = 15 + np.log10(rng.uniform(1e-3, 1, 20_000)) / 0.3
    assert check.measured_limit(magnitudes) == pytest.approx(15.0, abs=0.1)
    assert np.isnan(check.measured_limit(magnitudes[:150]))


def test_fields_as_the_training_has_them_are_used(pool, ranges):
    verdicts = [check.check_counts(i, ranges, "2mass").verdict for i in fields(pool, 200, 7)]
    assert verdicts.count(check.USED) > 180 and check.REFUSED not in verdicts


def test_field_of_ten_times_the_modelled_stars_is_refused_and_of_a_few_too(pool, ranges):
    images = fields(pool, 50, 7)
    many = [check.check_counts(10 * i, ranges, "2mass") for i in images]
    refused = [v.verdict == check.REFUSED for v in many]
    # fields behind 30 mag of dust have so few stars that ten times of them are possible
    assert np.mean(refused) > 0.85 and check.USED not in [v.verdict for v in many]
    assert many[0].reasons[0].startswith("stars: ") and "mock fields have" in many[0].reasons[0]
    none = check.check_counts(np.zeros((64, 64)), ranges, "2mass")
    assert none == check.Verdict(check.REFUSED, ("0 stars; expected 100 at least",))


def test_colours_bluer_than_stars_flag_fields(pool, ranges):
    """A zero point of J - K that is 0.5 mag off is seen where the foreground has little dust."""
    images = np.roll(fields(pool, 50, 7), -5, 2)
    verdicts = [check.check_counts(image, ranges, "2mass") for image in images]
    blue = [any(r.startswith("J-K of the bluest tenth") for r in v.reasons) for v in verdicts]
    assert np.mean(blue) > 0.6
    assert check.REFUSED not in [v.verdict for v in verdicts]


def test_limits_outside_of_the_training_flag_or_refuse_a_field():
    used = check.check_limits({"J": 16.9, "K": 14.0}, TRAINED)
    assert used == check.Verdict(check.USED, ())
    flagged = check.check_limits({"J": 16.0, "K": 13.6}, TRAINED)
    assert flagged.verdict == check.FLAGGED
    assert flagged.reasons == ("limit in K: 13.60; the training has 14.10 to 15.30",)
    refused = check.check_limits({"J": 16.0, "K": 16.2}, TRAINED)
    assert refused.verdict == check.REFUSED
    unknown = check.check_limits({"J": np.nan, "K": 15.0}, TRAINED)
    assert unknown.verdict == check.FLAGGED
    both = check.together(used, refused, unknown)
    assert both.verdict == check.REFUSED and len(both.reasons) == 2


def test_statistics_count_the_stars_of_slices():
    image = np.zeros((1, 64, 64))
    image[0, 40, 10], image[0, 41, 20] = 9, 1
    names, values = check.statistics(image, "2mass")
    shape = DIAGRAMS["2mass"]
    low = shape.y[0] + 40 * (shape.y[1] - shape.y[0]) / 64
    assert np.expm1(values[0, names.index(f"stars at K {low:.2f}")]) == pytest.approx(10)
    assert np.expm1(values[0, 0]) == pytest.approx(10)
    assert values[0, 1] == 0
