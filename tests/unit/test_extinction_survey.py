"""Extinction laws, errors and completeness of surveys, and the random surveys of examples."""

import numpy as np
import pytest
import torch

from skyloom.cli import BadInput
from skyloom.extinction.simulate import draws, survey
from skyloom.extinction.simulate.laws import LAWS, ratios
from skyloom.extinction.simulate.population import Stars
from skyloom.extinction.simulate.stars import BANDS
from skyloom.extinction.simulate.survey import SURVEYS, Randomised


def examples(number, seed=0):
    return draws.seeds(seed, 0, torch.arange(number))


def same_stars(number, magnitude):
    magnitudes = np.full((len(BANDS), number), magnitude, np.float32)
    zero = np.zeros(number)
    return Stars(zero + 1000, magnitudes, zero.astype(np.int8), zero.astype(np.int8), 1.0)


# --- laws -----------------------------------------------------------------------------------------


def test_law_of_cardelli_is_that_of_its_formula():
    """CCM89, eqs. 2 and 3, at R_V = 3.1; the infrared numbers are those of their table 3."""
    waves = {"J": 1.25, "K": 2.2, "G": 0.62179, "BP": 0.51097, "RP": 0.77691, "i": 0.7545}
    for band, wave in waves.items():
        x = 1 / wave
        a, b = 0.574 * x**1.61, -0.527 * x**1.61
        if x > 1.1:
            y = x - 1.82
            a = 1 + 0.17699 * y - 0.50447 * y**2 - 0.02427 * y**3 + 0.72085 * y**4
            a += 0.01979 * y**5 - 0.77530 * y**6 + 0.32999 * y**7
            b = 1.41338 * y + 2.28305 * y**2 + 1.07233 * y**3 - 5.38434 * y**4
            b += -0.62251 * y**5 + 5.30260 * y**6 - 2.09002 * y**7
        assert LAWS["ccm1989"].ratios[band] == pytest.approx(a + b / 3.1, abs=2e-3)


def test_law_of_wang_and_chen_is_near_its_formula():
    """Their eqs. 9 and 10 for a wavelength; Gaia's wide bands differ from it."""
    for band, wave in {"J": 1.235, "H": 1.662, "K": 2.159}.items():
        assert LAWS["wang2019"].ratios[band] == pytest.approx(0.3722 * wave**-2.07, rel=0.035)
    for band, wave in {"g": 0.4866, "r": 0.6215, "i": 0.7545, "z": 0.8679, "y": 0.9633}.items():
        y = 1 / wave - 1.82
        powers = [1, 0.7499, -0.1086, -0.08909, 0.02905, 0.01069, 0.001707, -0.001002]
        expected = sum(c * y**n for n, c in enumerate(powers))
        assert LAWS["wang2019"].ratios[band] == pytest.approx(expected, rel=0.03)


def test_law_of_schlafly_is_that_of_the_table(realdata):
    path = realdata / "extinction" / "mwdust" / "SF11_table6.txt"
    table = {
        row[0]: float(row[3])
        for row in (line.split("\t") for line in path.read_text().splitlines())
        if len(row) > 5 and row[0] != "Bandpass"
    }
    names = {b: f"UKIRT {b}" for b in "JHK"} | {b: f"PS1 {b}" for b in "grizy"}
    for band, ratio in LAWS["sf2011"].ratios.items():
        assert ratio == pytest.approx(table[names[band]] / table["Landolt V"], rel=1e-9)


def test_colour_excess_hardly_depends_on_the_law_and_dimming_does():
    j, k = np.array([ratios(law, ["J", "K"]) for law in LAWS]).T
    assert (j - k).max() / (j - k).min() < 1.15
    assert k.max() / k.min() > 1.4


def test_unknown_laws_and_bands_are_refused():
    with pytest.raises(BadInput, match="law 'fitz'; expected one of wang2019, ccm1989, sf2011"):
        ratios("fitz", ["J"])
    with pytest.raises(BadInput, match=r"law sf2011: no band G, BP \(bands: J, H, K, g"):
        ratios("sf2011", ["G", "J", "BP"])
    with pytest.raises(BadInput, match="diagram glimpse; expected one or more of 2mass"):
        survey.bands_of(["2mass", "glimpse"])


# --- errors and completeness ----------------------------------------------------------------------


@pytest.mark.parametrize("name", SURVEYS)
def test_half_of_the_stars_at_the_limit_are_detected(name):
    band = SURVEYS[name]
    assert band.completeness(0.0) == 0.5
    number = 40_000
    law = ratios("wang2019", [name])[0]
    found = {}
    for offset in (-1.0, 0.0):
        # true magnitudes at the limit after 2 mag of extinction; errors move a star to either side
        stars = same_stars(number, band.limit + offset - 2 * law)
        rng = np.random.default_rng(0)
        measured, error = survey.observe(stars, np.full(number, 2.0), "wang2019", rng)[name]
        seen = np.isfinite(measured)
        assert np.array_equal(seen, np.isfinite(error))
        found[offset] = seen.mean()
    assert found[0.0] == pytest.approx(0.5, abs=0.01)
    assert found[-1.0] > 0.95


@pytest.mark.parametrize(
    ("band", "magnitude", "error"),
    [("J", 15.25, 0.045), ("J", 16.25, 0.093), ("K", 13.25, 0.036), ("K", 14.75, 0.106)]
    + [("H", 14.25, 0.042), ("H", 15.25, 0.085), ("BP", 17.4, 0.012), ("RP", 19.4, 0.052)]
    # 0.217 mag in one visit, the mean of 12
    + [("r", 21.8, 0.2171 / 12**0.5), ("i", 21.5, 0.2171 / 12**0.5)],
)
def test_errors_are_the_medians_of_the_catalogues(band, magnitude, error):
    """2MASS: medians of the real control field. Gaia: Brown et al. 2021, table 4. Pan-STARRS1: the
    depth of Chambers et al. 2016.
    """
    assert SURVEYS[band].sigma(magnitude) == pytest.approx(error, rel=0.12)


def test_measured_magnitudes_scatter_by_their_error():
    stars = same_stars(20_000, 13.5)
    measured, error = survey.observe(stars, np.zeros(20_000), "wang2019", np.random.default_rng(0))[
        "K"
    ]
    deviations = (measured - 13.5) / error
    deviations = deviations[np.isfinite(deviations)]
    assert deviations.std() == pytest.approx(1, abs=0.02) and abs(deviations.mean()) < 0.03


# --- random surveys -------------------------------------------------------------------------------


def test_nominal_survey_is_the_table():
    found = survey.conditions(examples(3), ("K", "J"))
    assert (found.count == 1).all() and (found.zero == 0).all() and found.most == 1
    assert torch.equal(found.limit, torch.tensor([[15.3, 16.7]] * 3))
    assert torch.equal(found.law, torch.tensor([[0.078, 0.243]] * 3))
    given = survey.conditions(examples(1), ("K", "J"), limits={"K": 14.6})
    assert torch.equal(given.limit, torch.tensor([[14.6, 16.7]]))


def test_random_surveys_fill_their_ranges():
    found = survey.conditions(examples(20_000), ("K", "J", "G"), randomised=Randomised())
    assert 0.75 <= found.count.min() < 0.76 and 1.24 < found.count.max() <= found.most == 1.25
    assert found.count.std().item() == pytest.approx(0.5 / 12**0.5, rel=0.02)
    brighter = torch.tensor([15.3, 16.7, 20.7]) - found.limit
    assert brighter.min() >= -1e-5 and brighter.max() <= 1.2 + 1e-5
    assert brighter.mean(0).numpy() == pytest.approx(0.6, abs=0.01)
    correlation = np.corrcoef(brighter.T)
    # 0.7 of the shift is common to the bands of a survey: 0.49 / (0.49 + 0.09)
    assert correlation[0, 1] == pytest.approx(0.845, abs=0.01)
    assert abs(correlation[0, 2]) < 0.03
    assert found.zero.std(0).numpy() == pytest.approx(0.03, rel=0.03)
    assert found.law[:, 0].min() >= 0.078 - 1e-6 and found.law[:, 0].max() <= 0.114 + 1e-6
    # one mixture for all bands
    share = (found.law[:, 0] - 0.078) / 0.036
    np.testing.assert_allclose(found.law[:, 1], 0.243 + share * 0.039, atol=1e-5)


def test_survey_of_an_example_does_not_depend_on_the_batch_or_on_other_bands():
    whole = survey.conditions(examples(10), ("K", "J"), randomised=Randomised())
    part = survey.conditions(examples(10)[4:6], ("BP", "K"), randomised=Randomised())
    for name in ("limit", "zero", "law"):
        assert torch.equal(getattr(whole, name)[4:6, 0], getattr(part, name)[:, 1])
    assert torch.equal(whole.count[4:6], part.count)
    other = survey.conditions(examples(10, seed=1), ("K", "J"), randomised=Randomised())
    assert not torch.equal(whole.count, other.count)


def test_poisson_numbers_have_the_moments_of_poisson():
    """Mean and variance are the mean, and the third moment too (Poisson)."""
    for mean in (25.0, 20_000.0):
        number = draws.poisson(examples(200_000), torch.full((200_000,), mean)).double()
        error = (mean / 200_000) ** 0.5
        assert abs(number.mean() - mean) < 4 * error
        assert number.var().item() == pytest.approx(mean, rel=0.02)
        skewness = ((number - mean) ** 3).mean().item() / mean**1.5
        assert skewness == pytest.approx(mean**-0.5, abs=0.03)


def test_uniform_and_normal_numbers_are_what_they_are_called():
    uniform = draws.uniform(examples(500), 3, 400)
    assert 0 < uniform.min() and uniform.max() < 1
    counts = torch.histc(uniform, 20, 0, 1)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 45  # chi-square of 19, p = 7e-4
    normal = draws.normal(examples(500), 3, 400)
    assert normal.std().item() == pytest.approx(1, abs=0.01)
    assert (normal**4).mean().item() == pytest.approx(3, abs=0.08)
    # neither neighbours nor streams are correlated
    for first, second in ((uniform[:, 1:], uniform[:, :-1]), (uniform[1:], uniform[:-1])):
        assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.01
    other = draws.uniform(examples(500), 4, 400)
    assert abs(np.corrcoef(uniform.flatten(), other.flatten())[0, 1]) < 0.01
