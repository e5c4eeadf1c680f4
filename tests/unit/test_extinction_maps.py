"""Statistics of artefacts on constructed skies, maps of a cube, and other maps beside it."""

import sys
import warnings
from types import ModuleType

import healpy
import numpy as np
import pytest
from astropy.table import Table
from scipy.ndimage import gaussian_filter, map_coordinates

from skyloom.cli import BadInput
from skyloom.extinction.products import cube, figures, maps, outside, published, statistics

LON, LAT = np.arange(257.25, 303, 0.5), np.arange(-4.75, 5, 0.5)
EDGES = np.arange(100.0, 10001, 100)
MIDDLE = EDGES - 50
BOUND = maps.Bound(0.1, 0.3, 1000)


def sky(density, lon=LON, lat=LAT, kind="simulated"):
    """A cube of a density (z, y, x) [mag/kpc], whose interval is 10 %."""
    total = np.cumsum(density, 0)[None] * 0.1 * np.array([0.9, 1, 1.1])[:, None, None, None]
    stacked = np.repeat(np.asarray(density, np.float32)[None], 3, 0)
    verdict = np.zeros((len(lat), len(lon)), int)
    grid = lon, lat, EDGES
    return cube.Cube("cube.fits", *grid, total.astype(np.float32), stacked, verdict,
                     "wang2019", kind)  # fmt: skip


def places():
    """Heliocentric x, y, z (z, y, x) [pc] of the middles of bins."""
    d, b, angle = np.meshgrid(MIDDLE, np.radians(LAT), np.radians(LON), indexing="ij")
    return d * np.cos(b) * np.cos(angle), d * np.cos(b) * np.sin(angle), d * np.sin(b)


@pytest.fixture(scope="module")
def isotropic():
    """A smooth lognormal field of a Gaussian correlation, 300 pc, without any disc."""
    rng = np.random.default_rng(0)
    voxel = 100.0
    box = gaussian_filter(rng.standard_normal((90, 120, 24)), 3.0, mode="wrap")
    box = np.exp(0.8 * box / box.std())
    x, y, z = places()
    where = [(x + 1000) / voxel, (y + 11000) / voxel, (z + 1200) / voxel]
    return map_coordinates(box, where, order=1, mode="wrap")


def ratio(density):
    radial, tangential = statistics.correlation_lengths(density, MIDDLE, LON, LAT)
    return radial / tangential


def test_isotropic_field_has_no_fingers_of_god(isotropic):
    radial, tangential = statistics.correlation_lengths(isotropic, MIDDLE, LON, LAT)
    assert radial / tangential == pytest.approx(1.0, abs=0.15)
    # of exp(g) with spread 0.8: where exp(0.64 r) - 1 is half of its value, r = 0.57 of a Gaussian
    # field smoothed by 300 pc, whose correlation is exp(-s^2 / (4 * 300^2))
    assert radial == pytest.approx(2 * 300 * np.sqrt(-np.log(0.57)), rel=0.25)


def test_radial_streaks_score_high():
    streaks = np.random.default_rng(1).lognormal(0, 0.5, (1, len(LAT), len(LON)))
    assert ratio(np.repeat(streaks, len(EDGES), 0)) > 30


def test_dust_drawn_out_along_sightlines_scores_higher(isotropic):
    drawn = gaussian_filter(isotropic, (8, 0, 0))
    assert ratio(drawn) > 2 * ratio(isotropic)


def test_fields_without_a_value_do_not_change_the_lengths_much(isotropic):
    holes = isotropic.copy()
    holes[:, np.random.default_rng(2).random((len(LAT), len(LON))) < 0.2] = np.nan
    assert ratio(holes) == pytest.approx(ratio(isotropic), rel=0.15)


def test_tiles_with_offsets_of_their_own_score_high(isotropic):
    true = np.cumsum(isotropic, 0) * 0.1
    assert statistics.tiling_index(true, true) == 1
    scale = 1 + 0.3 * np.random.default_rng(0).standard_normal(true.shape[1:])
    assert statistics.tiling_index(true * scale, true) > 2
    assert statistics.tiling_index(gaussian_filter(true, (0, 2, 2)), true) < 0.9
    # jumps of known size: neighbours differ by 1 and by 2
    board = np.indices((6, 6)).sum(0) % 2
    assert statistics.tiling_index(2.0 * board, 1.0 * board) == pytest.approx(2)
    holed = np.where(board[:, ::-1] > 0, np.nan, 1.0)
    assert np.isnan(statistics.tiling_index(holed, 1.0 * board))


def test_bands_of_latitude_score_high_and_noise_does_not():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((30, len(LAT), len(LON)))
    assert statistics.latitude_index(noise) == pytest.approx(1.0, abs=0.15)
    assert statistics.latitude_index(noise + rng.standard_normal((30, len(LAT), 1))) > 20
    assert statistics.latitude_index(noise + rng.standard_normal((30, 1, len(LON)))) < 0.1
    noise[rng.random(noise.shape) < 0.2] = np.nan
    assert statistics.latitude_index(noise) == pytest.approx(1.0, abs=0.2)


def test_coherence_is_the_correlation_of_the_construction():
    """Smoothed white noise of ln A_V: exp(-s^2 / (4 w^2)) at a separation of s fields."""
    field = gaussian_filter(np.random.default_rng(0).standard_normal((400, 300)), 3.0, mode="wrap")
    values, lon = np.exp(field / field.std()), np.arange(300) * 0.5
    for separation, lag in ((0.5, 1), (1.0, 2), (2.0, 4)):
        expected = np.exp(-(lag**2) / 36)
        assert statistics.coherence(values, lon, separation) == pytest.approx(expected, abs=0.03)
    assert np.isnan(statistics.coherence(values, lon, 0.3))
    assert np.isnan(statistics.coherence(values, lon, 400.0))


def test_table_lists_each_statistic_beside_the_truth(isotropic):
    truth = sky(isotropic)
    found = statistics.table(sky(gaussian_filter(isotropic, (6, 0, 0))), truth, BOUND)
    assert list(found.columns) == ["statistic", "separation", "cube", "truth", "unit", "ideal"]
    one = found.set_index("statistic").loc["fingers-of-God index"]
    assert one["cube"] > one["truth"]
    assert (found["statistic"] == "coherence").sum() == 4
    # the truth has no error, and its interval no width
    exact = statistics.table(truth, truth, BOUND).set_index("statistic").loc["reliable distance"]
    assert exact["cube"] == exact["truth"] == truth.distance[-1] / 1e3 and exact["unit"] == "kpc"


def test_slice_from_above_has_dust_where_it_is():
    """A blob in the plane at l = 285, 4 kpc; another 500 pc above the plane is left out."""
    x, y, z = places()
    angle = np.radians(285)
    plane = np.hypot(x - 4000 * np.cos(angle), y - 4000 * np.sin(angle))
    density = np.where((plane < 300) & (np.abs(z) < 400), 2.0, 0.1)
    above = np.hypot(x - 8000 * np.cos(angle), y - 8000 * np.sin(angle))
    density = np.where((above < 500) & (z > 300), 9.0, density)
    found = maps.face_on(sky(density))
    bright = found.density > 1
    assert found.at.y[bright].mean() == pytest.approx(4000 * np.sin(angle), abs=60)
    assert found.at.x[bright].mean() == pytest.approx(8500 - 4000 * np.cos(angle), abs=60)
    assert np.nanmax(found.density) == pytest.approx(2.0)
    # the area of the blob, and that of the sector
    assert bright.sum() * maps.PIXEL**2 == pytest.approx(np.pi * 300**2, rel=0.15)
    sector = np.radians(46) / 2 * 10000**2
    assert np.isfinite(found.density).sum() * maps.PIXEL**2 == pytest.approx(sector, rel=0.02)


def test_reach_ends_where_interval_or_error_leave_the_bound():
    density = np.ones((len(EDGES), 2, 3))
    found = sky(density, LON[:3], LAT[:2])
    # A_V of 0.1 mag a bin, half of the interval is 10 %: beyond 5 % + 0.1 mag at 2 mag
    stated = maps.reach_stated(found, maps.Bound(0.05, 0.1, 0))
    assert stated == pytest.approx(np.full((2, 3), 2000), abs=100)
    truth = density.copy()
    truth[30:, 0, 0] = 3.0
    truth = sky(truth, LON[:3], LAT[:2])
    found.extinction[:, :, 1, 1] = np.nan
    true = maps.reach_true(found, truth, maps.Bound(0.05, 0.1, 0))
    assert true[0, 1] == 10000 and true[0, 0] == pytest.approx(3100, abs=100)
    assert np.isnan(true[1, 1])
    # errors near the Sun are not judged; one that is large right behind gives no reach
    truth.extinction[:, :5, 1, 0] += 1
    truth.extinction[:, :15, 1, 2] += 1
    true = maps.reach_true(found, truth, maps.Bound(0.05, 0.1, 1000))
    assert true[1, 0] == 10000 and true[1, 2] == 0


def test_dust_map_of_the_user_is_averaged_in_fields(tmp_path):
    nside = 256
    lon, lat = healpy.pix2ang(nside, np.arange(healpy.nside2npix(nside)), lonlat=True)
    values = np.where(np.abs(lat) < 20, (lon - 250) / 10 + 1, 0)
    healpy.write_map(tmp_path / "dust.fits", values, coord="G", column_names=["EBV"],
                     column_units=["mag"], dtype=np.float32)  # fmt: skip
    stated = {"path": tmp_path / "dust.fits", "column": "EBV", "mag_per_unit": 3.1}
    found = outside.dust_map(stated, sky(np.ones((100, len(LAT), len(LON)))))
    np.testing.assert_allclose(found, np.broadcast_to(3.1 * ((LON - 250) / 10 + 1), found.shape),
                               rtol=0.02)  # fmt: skip
    for factor in (0, np.nan, "3.1"):
        with pytest.raises(BadInput, match="mag_per_unit is .*expected A_V"):
            outside.dust_map(stated | {"mag_per_unit": factor}, sky(np.ones((100, 2, 3))))


def test_regions_of_the_user_are_read_in_any_length(tmp_path):
    table = Table({"l": [285.0], "distance": [2.5]})
    table.write(tmp_path / "hii.csv")
    assert outside.regions(tmp_path / "hii.csv")[1] == [2500]
    table["distance"].unit = "deg"
    table.write(tmp_path / "bad.fits")
    with pytest.raises(BadInput, match="distance is in deg; expected a length"):
        outside.regions(tmp_path / "bad.fits")
    with pytest.raises(BadInput, match="column distance not found"):
        (tmp_path / "other.csv").write_text("l,b\n1,2\n")
        outside.regions(tmp_path / "other.csv")


def test_blank_cube_is_drawn_and_has_no_index():
    density = np.ones((100, 4, 5))
    blank, truth = (sky(density, LON[:5], LAT[:4]) for _ in range(2))
    blank.extinction[:], blank.density[:] = np.nan, np.nan
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        found = statistics.table(blank, truth, BOUND)
        for figure in (
            figures.sky(blank, None, "", False),
            figures.face(blank, None),
            figures.reach(blank, maps.reach_stated(blank, BOUND), None, "a bound"),
            figures.profile(blank, None),
        ):
            figure.draw_without_rendering()
            figures.plt.close(figure)
    assert found["cube"].isna().all()


def test_figures_are_drawn_with_blank_fields_and_without_a_truth(isotropic):
    found, truth = sky(isotropic), sky(isotropic)
    found.extinction[:, :, 3, 4] = np.nan
    found.density[:, :, 3, 4] = np.nan
    for figure in (
        figures.sky(found, truth.median[-1], "truth", True),
        figures.sky(found, None, "", False),
        figures.face(found, truth, (np.array([285.0]), np.array([2500.0]))),
        figures.face(found, None),
        figures.reach(found, maps.reach_stated(found, BOUND), None, "a bound"),
        figures.profile(found, truth),
        figures.profile(found, None),
    ):
        figure.draw_without_rendering()
        assert all(ax.get_xlabel() or ax.get_ylabel() or ax.get_title() for ax in figure.axes[:1])
        figures.plt.close(figure)


# --- published maps -------------------------------------------------------------------------------


class Query:
    """The interface of a query of dustmaps: E(B-V) of 0.1 mag/kpc where b > 0, else nothing."""

    options: dict = {}

    def __init__(self, map_fname=None, **options):
        Query.options = options | {"map_fname": map_fname}
        if map_fname.endswith("broken.h5"):
            raise KeyError("no object 'samples'")

    def __call__(self, coords, **mode):
        Query.options |= mode
        assert coords.frame.name == "galactic"
        return np.where(coords.b.deg > 0, 0.1 * coords.distance.kpc, np.nan).astype("f4")


@pytest.fixture
def installed(monkeypatch):
    """A stand-in for dustmaps."""
    for known in published.MAPS.values():
        module = ModuleType(known.module)
        setattr(module, known.query, Query)
        monkeypatch.setitem(sys.modules, known.module, module)


@pytest.mark.parametrize(
    "name, factor",
    [("bayestar19", 2.742), ("decaps", 3.1), ("edenhofer", 2.8), ("marshall", 1 / 0.078)],
)
def test_published_maps_are_in_mag_of_a_v_on_the_places_of_the_cube(
    installed, tmp_path, name, factor
):
    path = tmp_path / "map.h5"
    path.touch()
    found = sky(np.ones((100, 4, 3)), LON[:3], np.array([-0.75, -0.25, 0.25, 0.75]))
    values = published.extinction(name, {"path": path}, found)
    assert Query.options["map_fname"] == str(path)
    assert np.isnan(values[:, :2]).all()
    np.testing.assert_allclose(values[:, 2, 1], factor * 0.1 * EDGES / 1e3, rtol=1e-5)
    own = published.extinction(name, {"path": path, "mag_per_unit": 2.0}, found)
    np.testing.assert_allclose(own[:, 3, 0], 0.2 * EDGES / 1e3, rtol=1e-5)


def test_differences_from_a_map_are_those_of_the_construction(installed, tmp_path):
    (tmp_path / "map.h5").touch()
    rng = np.random.default_rng(0)
    density = np.broadcast_to(rng.lognormal(0, 0.3, (1, len(LAT), len(LON))), (100, 20, 92))
    found = sky(density)
    other = np.where(np.arange(20)[:, None] < 10, np.nan, found.median.astype(float) * 1.05 - 0.2)
    table = published.table(found, {"decaps": other})
    assert list(table["distance"]) == list(published.DISTANCES)
    assert (table["fields"] == 920).all() and (table["correlation"] > 0.999).all()
    row = table.iloc[-1]
    assert row["difference"] == pytest.approx(0.2 - 0.05 * row["a_v"], abs=0.02)
    # 5 % - 0.2 mag is within the interval of 10 %
    assert row["inside"] == 1 and table.iloc[0]["inside"] < 0.2
    none = published.table(found, {"decaps": np.full(found.median.shape, np.nan)})
    assert (none["fields"] == 0).all() and none["difference"].isna().all()


def test_maps_that_the_user_lacks_are_named(installed, tmp_path, monkeypatch):
    found = sky(np.ones((100, 2, 3)), LON[:3], LAT[:2])
    with pytest.raises(BadInput, match="maps: 'sfd'; expected one of bayestar19"):
        published.extinction("sfd", {"path": "x"}, found)
    with pytest.raises(BadInput, match=r"maps.decaps.path: .*none.h5: no such file"):
        published.extinction("decaps", {"path": tmp_path / "none.h5"}, found)
    for name in ("map.h5", "broken.h5"):
        (tmp_path / name).touch()
    with pytest.raises(BadInput, match="broken.h5: dustmaps cannot read it .KeyError"):
        published.extinction("decaps", {"path": tmp_path / "broken.h5"}, found)
    with pytest.raises(BadInput, match="mag_per_unit is nan"):
        stated = {"path": tmp_path / "map.h5", "mag_per_unit": np.nan}
        published.extinction("decaps", stated, found)
    monkeypatch.setitem(sys.modules, "dustmaps.decaps", None)
    with pytest.raises(BadInput, match="pip install 'dustmaps"):
        published.extinction("decaps", {"path": tmp_path / "map.h5"}, found)


def test_truth_on_another_grid_is_refused(tmp_path):
    from skyloom.extinction.products import profiles

    found = sky(np.ones((100, 2, 3)), LON[:3], LAT[:2])
    place = np.meshgrid(LON[:3], LAT[:2])
    values = np.ones((6, 100)) * EDGES
    attributes = {"law": "wang2019", "data_kind": "simulated"}

    def truth(lon, edges):
        content = profiles.dataset(values, edges, (lon, place[1].ravel()), attributes)
        profiles.write(content, tmp_path / "truth.nc")
        return profiles.read_profiles(tmp_path / "truth.nc", truth=True)

    same = cube.of_profiles(truth(place[0].ravel(), EDGES), found)
    assert same.extinction.shape == (1, 100, 2, 3)
    np.testing.assert_array_equal(same.median[:, 0, 0], EDGES)
    with pytest.raises(BadInput, match="truth.nc: 6 of 6 directions of cube.fits are not there"):
        cube.of_profiles(truth(place[0].ravel() + 20, EDGES), found)
    with pytest.raises(BadInput, match="distances to 5000 pc in 100 bins; expected those of"):
        cube.of_profiles(truth(place[0].ravel(), EDGES / 2), found)
