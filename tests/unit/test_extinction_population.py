"""The population model: densities against those of the Besançon model, counts against integrals."""

import numpy as np
import pytest
import yaml
from conftest import REPOSITORY
from scipy import integrate, stats

from skyloom.extinction.simulate import galaxy, population, survey
from skyloom.extinction.simulate.galaxy import POPULATIONS, density, place
from skyloom.extinction.simulate.stars import (
    BANDS,
    CLUMP,
    G_I,
    G_R,
    GIANT,
    content,
    contents,
    lifetime,
)

DRAWS = 40_000  # of each population, enough for counts within 2 %
K = BANDS.index("K")


def field(limits, seed=0, at=(284.0, 0.5), area=0.05, richness=1.0):
    rng = np.random.default_rng(seed)
    return population.sightline(*at, area, limits, rng, richness, DRAWS)


def test_densities_at_the_sun_are_those_of_the_header():
    sun = place(0.0, 0.0, 0.0)
    for item in POPULATIONS[:-2]:
        assert density(item, sun) == pytest.approx(item.density, rel=1e-9)
    # thin disc alone, of all ages: the sum of the header's row
    total = sum(density(item, sun) for item in POPULATIONS[:7])
    assert total == pytest.approx(0.039477, rel=1e-4)


def test_density_laws_fall_as_published():
    thick, halo, bulge = POPULATIONS[7:]
    # 800 pc of scale height above 400 pc, towards the pole
    high = density(thick, place(0.0, 90.0, np.array([1985.0, 2785.0])))
    assert high[1] / high[0] == pytest.approx(np.exp(-1), rel=1e-6)
    # the halo is flattened to 0.76: equal densities at 0.76 of the distance from the centre
    flat = galaxy.Place(np.array(6000.0), np.array(0.0), np.array(0.0))
    above = galaxy.Place(np.array(0.0), np.array(0.0), np.array(0.76 * 6000.0))
    assert density(halo, flat) == pytest.approx(density(halo, above))
    # the bar's near end is at positive longitude, 11 deg from the line to the centre
    near, far = (place(angle, 0.0, 7300.0) for angle in (2.0, -2.0))
    assert density(bulge, near) > density(bulge, far)
    assert density(bulge, place(20.0, 0.0, 8500.0)) == 0


def test_disc_is_warped_to_the_north_at_ninety_degrees_and_flares():
    z = np.linspace(-2500, 2500, 501)
    disc = POPULATIONS[5]
    profiles = []
    for sign in (1, -1):
        at = galaxy.Place(np.zeros_like(z), np.full_like(z, sign * 11000.0), z)
        profiles.append(density(disc, at))
    middle = [np.average(z, weights=p) for p in profiles]
    assert middle[0] == pytest.approx(0.09 * 2600, abs=15)
    assert middle[1] == pytest.approx(-0.09 * 2600, abs=15)


def test_local_counts_are_near_those_of_the_besancon_model():
    """Stars of M_V < 8 in the header, of the same M_K < 4.75 here; 0.0154, 1.03e-3, 7.94e-6."""
    numbers = []
    for item, part in zip(POPULATIONS, contents(DRAWS), strict=True):
        bright = part.magnitudes[K] < 4.75
        numbers.append(item.density * part.weight[bright].sum())
    for found, published in (
        (sum(numbers[:7]), 0.0154),
        (numbers[7], 1.03e-3),
        (numbers[8], 7.94e-6),
    ):
        assert 0.65 < found / published < 1.1


def test_lifetime_of_the_sun_is_ten_gyr():
    assert lifetime(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(10, rel=0.15)


def test_counts_agree_with_an_integral_along_the_sightline():
    """Stars brighter than K = 13.5: the integral of density and luminosity function over the cone.

    The integral has its own sums over magnitude, and its own steps in distance.
    """
    limit, area, at = 13.5, 0.5, (284.0, 0.5)
    steradian = area * (np.pi / 180) ** 2
    distance = np.geomspace(5, population.FARTHEST, 4000)
    expected = 0.0
    for item, part in zip(POPULATIONS, contents(DRAWS), strict=True):
        order = np.argsort(part.magnitudes[K])
        magnitude = part.magnitudes[K][order]
        sums = part.weight[order].cumsum()
        brighter = np.interp(limit - 5 * np.log10(distance / 10), magnitude, sums, left=0)
        values = density(item, place(*at, distance)) * brighter * distance**2 * steradian
        expected += integrate.trapezoid(values, distance)
    pool = field({"K": limit}, area=area, richness=20)
    assert len(pool) / 20 == pytest.approx(expected, rel=0.02)
    assert pool.band("K").max() < limit


def test_counts_of_fields_scatter_as_poisson():
    number = np.array([len(field({"K": 12.0}, seed, area=0.1)) for seed in range(120)])
    ratio = number.var(ddof=1) / number.mean()
    low, high = stats.chi2.ppf([1e-3, 1 - 1e-3], 119) / 119
    assert low < ratio < high


def test_field_is_that_of_its_generator_and_a_second_limit_adds_stars():
    one, again, other = (field({"K": 12.0}, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.magnitudes, again.magnitudes)
    assert len(one) != len(other)
    both = field({"K": 12.0, "G": 15.0}, richness=10)
    faint = both.band("K") >= 12
    assert faint.any() and (both.band("G")[faint] < 15).all()
    bright = len(field({"K": 12.0}, 3, richness=10))
    assert (~faint).sum() == pytest.approx(bright, abs=5 * np.sqrt(2 * bright))


def test_stars_are_in_random_order():
    """A block of neighbours is a sample of the field: distances are not correlated."""
    distance = field({"K": 14.0}, richness=4).distance.astype(float)
    near = np.corrcoef(distance[:-1], distance[1:])[0, 1]
    assert abs(near) < 4 / np.sqrt(len(distance))


def test_red_clump_is_where_gaia_found_it():
    """M_K = -1.61 +- 0.17 (Hawkins et al. 2017)."""
    old = contents(DRAWS)[6]
    clump = old.magnitudes[:, old.phase == CLUMP]
    weight = old.weight[old.phase == CLUMP]
    assert np.average(clump[K], weights=weight) == pytest.approx(-1.61, abs=0.02)
    giants = old.phase == GIANT
    colour = old.magnitudes[0] - old.magnitudes[K]
    # the branch is redder the brighter it is
    assert np.corrcoef(colour[giants], old.magnitudes[K][giants])[0, 1] < -0.8


def test_pan_starrs_colours_are_those_of_isochrones(realdata):
    """V, R and I of MIST by the colour terms of Tonry et al. 2012, table 6, which hold for g - r
    below some 1.0.
    """
    path = realdata / "extinction" / "mist" / "pop4.cmd"
    with path.open() as file:
        names = next(line for line in file if line.startswith("# EEP")).split()[1:]
    columns = dict(zip(names, np.loadtxt(path).T, strict=True))
    v, r, i = (columns[f"Bessell_{band}"] for band in "VRI")
    g, bp, rp = (columns[f"Gaia_{band}_EDR3"] for band in ("G", "BP", "RP"))
    g_r = (v - r - 0.144) / 0.605
    inside = (bp - rp > 0.5) & (bp - rp < 1.5)
    r, i = r + 0.138 + 0.131 * g_r, i + 0.367 + 0.149 * g_r
    # the relations of Gaia and the colours of isochrones differ by as much
    for table, other, allowed in ((G_R, r, 0.08), (G_I, i, 0.03)):
        found = np.interp(bp - rp, *table)[inside]
        np.testing.assert_allclose(found, (g - other)[inside], atol=allowed)


def test_pan_starrs_magnitudes_follow_the_relations_of_gaia():
    """SDSS by BP - RP: Gaia DR3 documentation, table 5.9."""
    for stars in contents(DRAWS):
        bands = dict(zip(BANDS, stars.magnitudes, strict=True))
        inside = (bands["BP"] - bands["RP"] > 0.5) & (bands["BP"] - bands["RP"] < 2.0)
        x = (bands["BP"] - bands["RP"])[inside]
        r = -0.09837 + 0.08592 * x + 0.1907 * x**2 - 0.1701 * x**3 + 0.02263 * x**4
        i = -0.293 + 0.6404 * x - 0.09609 * x**2 - 0.002104 * x**3
        np.testing.assert_allclose((bands["G"] - bands["r"])[inside], r, atol=0.03)
        np.testing.assert_allclose((bands["G"] - bands["i"])[inside], i, atol=0.03)


def test_bands_of_the_config_are_those_of_the_model_stars():
    schema = REPOSITORY / "workflow" / "schemas" / "extinction.schema.yaml"
    assert yaml.safe_load(schema.read_text())["groups"]["band"]["enum"] == list(BANDS)


def test_stars_of_a_field_reach_the_faint_end_of_each_survey():
    """Dust only dims a star: what a diagram can show is as bright without it."""
    config = yaml.safe_load((REPOSITORY / "config/extinction/demo.yaml").read_text())
    limits = config["fields"]["surveys"]["faintest"]
    for name in config["sets"]["channels"]["diagrams"]:
        shape = survey.DIAGRAMS[name]
        assert limits[shape.magnitude] >= shape.y[1]


@pytest.mark.parametrize(("name", "slopes"), [("pop4", (1.6, 3.0)), ("pop5", (0.5, 0.5))])
def test_evolved_stars_are_as_many_as_in_isochrones(realdata, name, slopes):
    """Numbers per living Msun of MIST v1.2 isochrones: clump, and giants of -2.5 < M_K < 0.

    Those on the giant branch are fewer by the compromise that the module states.
    """
    table = np.genfromtxt(realdata / "extinction" / "mist" / f"{name}.cmd")
    age, metals = 10 ** (table[0, 1] - 9), table[0, 7]
    table = table[table[:, 33] < 6]
    mass, k, phase = table[:, 2], table[:, 16], table[:, 33]
    weight = np.where(mass < 1, mass ** -slopes[0], mass ** -slopes[1]) * np.gradient(mass)
    weight /= (weight * mass).sum()
    ages = age - 0.05, age + 0.05
    item = galaxy.Population("one", ages, 1.0, 1.0, metals, 0.01, slopes)
    found = content(item, 200_000, np.random.default_rng(0))
    clump = found.weight[found.phase == CLUMP].sum()
    assert clump == pytest.approx(weight[phase == 3].sum(), rel=0.1)
    inside = (found.magnitudes[K] > -2.5) & (found.magnitudes[K] < 0)
    ratio = found.weight[inside].sum() / weight[(k > -2.5) & (k < 0)].sum()
    assert 0.7 < ratio < 1.05
