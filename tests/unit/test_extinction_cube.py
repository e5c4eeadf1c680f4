"""The cube: profiles on their grid, FITS as astropy reads it, HEALPix, and the query."""

import subprocess
import sys
import time

import healpy
import numpy as np
import pytest
import xarray as xr
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from conftest import REPOSITORY

from skyloom.cli import BadInput
from skyloom.extinction.products import cube, profiles, query

ATTRIBUTES = {"law": "wang2019", "data_kind": "simulated", "model": "mlp", "digest": "abc"}
QUANTILES = 0.025, 0.16, 0.5, 0.84, 0.975
GRID = np.arange(100.0, 1001, 100)


def sightlines(lon=(283.0, 283.5, 284.0), lat=(-0.5, 0.0)):
    """Directions of a grid, in random order."""
    place = np.array([values.ravel() for values in np.meshgrid(lon, lat)])
    return place[:, np.random.default_rng(0).permutation(place.shape[1])]


def content(place, verdict=None, **more):
    """A_V = l b-dependent density times distance, so that each cell has its own value."""
    slope = 1 + (place[0] - 280) % 360 + 0.1 * (place[1] + 5)
    middle = slope[:, None] * GRID / 1e3
    width = np.array([-0.4, -0.2, 0, 0.2, 0.4])
    values = middle[:, None] * (1 + width[:, None])
    flags = np.zeros(place.shape[1], int) if verdict is None else verdict
    values[np.isin(flags, (2, 3))] = np.nan
    return profiles.dataset(values, GRID, place, ATTRIBUTES, QUANTILES, flags, **more)


def written(folder, dataset, name="predictions.nc"):
    path = folder / name
    profiles.write(dataset, path)
    return path


@pytest.fixture
def sky(tmp_path):
    place = sightlines()
    verdict = np.zeros(6, int)
    verdict[(place[0] == 283.5) & (place[1] == 0.0)] = 2
    verdict[(place[0] == 284.0) & (place[1] == -0.5)] = 1
    return cube.of_profiles(profiles.read_profiles(written(tmp_path, content(place, verdict))))


def test_sightlines_lie_at_their_places(sky):
    np.testing.assert_allclose(sky.longitude, [283, 283.5, 284])
    np.testing.assert_allclose(sky.latitude, [-0.5, 0])
    assert sky.extinction.shape == (3, 10, 2, 3) and sky.step == 100
    # slope 1 + 3 + 0.45 at l 283, b -0.5
    np.testing.assert_allclose(sky.median[:, 0, 0], 4.45 * GRID / 1e3, rtol=1e-6)
    np.testing.assert_allclose(sky.extinction[0, :, 0, 0], 0.8 * sky.median[:, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(sky.median_density[:, 0, 2], 5.45, rtol=1e-5)
    assert np.isnan(sky.extinction[:, :, 1, 1]).all() and np.isnan(sky.density[:, :, 1, 1]).all()
    assert sky.verdict.tolist() == [[0, 0, 1], [0, 2, 0]]


def test_fits_has_the_axes_that_astropy_reads(sky, tmp_path):
    cube.write_fits(sky, tmp_path / "cube.fits")
    with fits.open(tmp_path / "cube.fits") as hdus:
        hdus.verify("exception")
        header = hdus["A_V"].header
        wcs = WCS(header)
        for row, lat in enumerate(sky.latitude):
            for col, lon in enumerate(sky.longitude):
                place, distance = wcs.pixel_to_world(2 - col, row, 4)
                assert place.l.deg == pytest.approx(lon, abs=1e-9)
                assert place.b.deg == pytest.approx(lat, abs=1e-9)
                assert distance.to_value(u.pc) == pytest.approx(500)
                np.testing.assert_array_equal(
                    hdus["A_V_84"].data[4, row, 2 - col], sky.extinction[2, 4, row, col]
                )
        assert WCS(hdus["DENSITY"].header).wcs.crval[2] == 50  # middle of the first bin
        assert u.Unit(header["BUNIT"]) == u.mag
        assert u.Unit(hdus["DENSITY"].header["BUNIT"]) == u.mag / u.kpc
        assert header["SKYKIND"] == "simulated" and header["LAW"] == "wang2019"
        assert header["A_K_A_V"] == pytest.approx(0.078)
        assert "refused" in str(hdus[0].header["COMMENT"])


def test_cube_is_read_as_it_was_written(sky, tmp_path):
    cube.write_fits(sky, tmp_path / "cube.fits")
    found = cube.read_cube(tmp_path / "cube.fits")
    for name in ("longitude", "latitude", "distance", "extinction", "density", "verdict"):
        np.testing.assert_allclose(getattr(found, name), getattr(sky, name), err_msg=name)
    assert (found.law, found.model, found.digest) == ("wang2019", "mlp", "abc")


def test_region_across_zero_longitude_has_no_jump(tmp_path):
    place = sightlines((359.0, 359.5, 0.0, 0.5), (0.0, 0.5))
    sky = cube.of_profiles(profiles.read_profiles(written(tmp_path, content(place))))
    np.testing.assert_allclose(np.diff(sky.longitude), 0.5)
    cube.write_fits(sky, tmp_path / "cube.fits")
    found = query.extinction_at(
        cube.read_cube(tmp_path / "cube.fits"), [359.6, 0.1, 360.1] * u.deg, 0.1 * u.deg, 1 * u.kpc
    )
    # 1 + 79.5 or 80 + 0.5
    np.testing.assert_allclose(found.a_v.value, [81.0, 81.5, 81.5], rtol=1e-6)


def test_gaps_of_the_grid_are_missing_and_uneven_directions_are_refused(tmp_path):
    place = sightlines()
    some = place[:, ~((place[0] == 283.5) & (place[1] == 0))]
    sky = cube.of_profiles(profiles.read_profiles(written(tmp_path, content(some))))
    assert (sky.verdict == 3).sum() == 1 and np.isnan(sky.median[:, 1, 1]).all()
    place[0, 0] += 0.13
    with pytest.raises(BadInput, match="on no even grid"):
        cube.of_profiles(profiles.read_profiles(written(tmp_path, content(place))))
    twice = np.concatenate([some, some[:, :1]], 1)
    with pytest.raises(BadInput, match="one direction"):
        cube.of_profiles(profiles.read_profiles(written(tmp_path, content(twice))))


def test_healpix_pixels_have_the_field_around_their_centre(sky, tmp_path):
    cube.write_healpix(sky, tmp_path / "cube.nc")
    with xr.open_dataset(tmp_path / "cube.nc") as found:
        assert found.attrs["nside"] == 128 and found.attrs["ordering"] == "RING"
        assert found.attrs["law"] == "wang2019"
        lon, lat = healpy.pix2ang(128, found["pixel"].values, lonlat=True)
        # the area of the region over that of a pixel
        assert len(lon) == pytest.approx(1.5 * 1.0 / healpy.nside2pixarea(128, True), abs=3)
        there = query.extinction_at(sky, lon * u.deg, lat * u.deg, 1 * u.kpc)
        last = found["extinction"].sel(quantile=0.5, distance=1000.0)
        np.testing.assert_allclose(last, there.a_v.value, rtol=1e-6)
        assert found["extinction"].attrs["units"] == "mag"


def test_query_is_linear_between_the_edges_and_zero_at_the_sun(sky):
    d = np.array([0, 30, 100, 250, 999, 1000]) * u.pc
    found = query.extinction_at(sky, 283.1 * u.deg, -0.4 * u.deg, d)
    np.testing.assert_allclose(found.a_v.to_value(u.mag), 4.45 * d.to_value(u.kpc), rtol=1e-5)
    np.testing.assert_allclose(found.low, 0.8 * found.a_v)
    np.testing.assert_allclose(found.high, 1.2 * found.a_v)
    np.testing.assert_allclose(found.a_k, 0.078 * found.a_v)
    np.testing.assert_allclose(found.a_j, 0.243 * found.a_v)
    assert (found.verdict == "used").all()


def test_query_takes_coordinates_of_any_frame(sky):
    place = SkyCoord(283.5 * u.deg, -0.5 * u.deg, distance=0.8 * u.kpc, frame="galactic")
    for frame in (place, place.icrs):
        assert query.extinction_of(sky, frame).a_v.value == pytest.approx(0.8 * 4.95, rel=1e-5)
    with pytest.raises(BadInput, match="without a distance"):
        query.extinction_of(sky, SkyCoord(283.5 * u.deg, -0.5 * u.deg, frame="galactic"))


@pytest.mark.parametrize(
    "place, words",
    [
        ((200 * u.deg, 0 * u.deg, 0.5 * u.kpc), r"l 200 .* l 282.75 to 284.25 deg, b -0.75"),
        ((283 * u.deg, 0.3 * u.deg, 0.5 * u.kpc), "outside of"),
        ((283 * u.deg, 0 * u.deg, 1.1 * u.kpc), "0 to 1000 pc"),
        ((283 * u.deg, 0 * u.deg, -1 * u.pc), "outside of"),
        ((283 * u.deg, 0 * u.deg, np.nan * u.pc), "outside of"),
        ((283 * u.deg, np.nan * u.deg, 1 * u.pc), "outside of"),
        ((283 * u.deg, 0 * u.deg, 1 * u.s), "distance is 1.0 s; expected a length"),
        ((283, 0 * u.deg, 1 * u.pc), "longitude is 283; expected a.? angle"),
    ],
)
def test_place_outside_of_the_cube_is_refused(sky, place, words):
    with pytest.raises(BadInput, match=words):
        query.extinction_at(sky, *place)


def test_refused_field_has_no_value_and_says_why(sky):
    found = query.extinction_at(sky, 283.5 * u.deg, 0 * u.deg, 0.5 * u.kpc)
    assert np.isnan(found.a_v) and found.verdict == "refused"
    assert query.describe(found, sky) == "no value: the field was refused"


def test_density_may_be_stated(tmp_path):
    place = sightlines()
    values = np.broadcast_to(np.array(QUANTILES)[:, None], (6, 5, 10))
    sky = cube.of_profiles(
        profiles.read_profiles(written(tmp_path, content(place, density=values)))
    )
    np.testing.assert_allclose(sky.density[:, 0, 0, 0], (0.16, 0.5, 0.84), rtol=1e-6)


def changed(name, value):
    def change(dataset):
        dataset[name].values[...] = value(dataset[name].values)
        return dataset

    return change


BAD = {
    "variable verdict not found": lambda d: d.drop_vars("verdict"),
    "attribute law, data_kind not found": lambda d: d.drop_attrs(deep=False),
    "law is 'snow'; expected one of wang2019": lambda d: d.assign_attrs(law="snow"),
    "distance is in kpc; expected pc": lambda d: d.assign_coords(
        distance=("distance", GRID, {"units": "kpc"})
    ),
    "no far edges of bins": lambda d: d.assign_coords(
        distance=("distance", GRID - 50, {"units": "pc"})
    ),
    "quantiles 0.025, 0.2, 0.5": lambda d: d.assign_coords(
        quantile=("quantile", [0.025, 0.2, 0.5, 0.84, 0.975])
    ),
    "quantiles of extinction cross": changed("extinction", lambda v: v[:, ::-1].copy()),
    "used sightline 0 .* is negative or no number": changed("extinction", lambda v: v * np.nan),
    "sightline 0 .* is negative": changed("extinction", lambda v: -v[:, ::-1]),
    "verdict has other values; expected 0 used": changed("verdict", lambda v: v + 7),
    "l or b is no direction": changed("b", lambda v: v + 95),
}


@pytest.mark.parametrize("words", BAD)
def test_file_that_departs_from_the_contract_is_refused_by_name(tmp_path, words):
    dataset = content(sightlines())
    path = written(tmp_path, BAD[words](dataset.copy(deep=True)))
    with pytest.raises(BadInput, match=rf"predictions.nc: .*{words}"):
        profiles.read_profiles(path)


def test_other_fits_files_are_refused_as_cubes(sky, tmp_path):
    path = tmp_path / "cube.fits"
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(path)
    with pytest.raises(BadInput, match="extension A_V_16.* not found"):
        cube.read_cube(path)
    cube.write_fits(sky, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="cube.fits: .*cut short|not found"):
        cube.read_cube(path)
    path.write_bytes(whole)
    fits.setval(path, "BUNIT", value="kmag", extname="A_V")
    with pytest.raises(BadInput, match="A_V is in kmag; expected mag"):
        cube.read_cube(path)


def run(*arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_commands_write_a_cube_and_answer_from_it(tmp_path):
    predictions, path = written(tmp_path, content(sightlines())), tmp_path / "cube.fits"
    done = run("scripts/extinction_write_cube.py", "--predictions", predictions, "--output", path,
               "--output-healpix", tmp_path / "cube.nc")  # fmt: skip
    assert done.returncode == 0 and "6 fields: 6 used; A_V to 1 kpc" in done.stdout, done.stderr
    done = run("scripts/extinction_query.py", path, 283, -0.5, 0.5)
    assert done.stdout.startswith("A_V 2.225 [1.780, 2.670] mag (68 %), A_J 0.541, A_K 0.174 mag")
    done = run("scripts/extinction_query.py", path, 283, -0.5, "2000pc")
    assert done.returncode == 2 and done.stderr.startswith("error: l 283 deg")
    for text, unit, expected in (("500pc", u.kpc, 0.5), ("0.5", u.kpc, 0.5), ("-0.5", u.deg, None)):
        found = query.quantity(text, unit)
        assert found == (-0.5 * u.deg if expected is None else expected * u.kpc)
    with pytest.raises(BadInput, match="'near' is no number with a unit"):
        query.quantity("near", u.kpc)
    table = Table({"l": [283.0, 10.0], "b": [-0.5, 0.0], "distance": [500.0, 1.0]})
    table["distance"].unit = "pc"
    table.write(tmp_path / "stars.fits")
    done = run("scripts/extinction_query.py", path, "--table", tmp_path / "stars.fits",
               "--output", tmp_path / "filled.ecsv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    filled = Table.read(tmp_path / "filled.ecsv")
    assert filled["A_V"][0] == pytest.approx(2.225, rel=1e-5) and np.isnan(filled["A_V"][1])
    assert list(filled["verdict"]) == ["used", "outside"] and filled["A_V"].unit == u.mag


def test_cube_of_the_carina_arm_is_written_in_seconds(tmp_path):
    """1,840 sightlines of 100 bins; CPU time, which other work on the machine hardly stretches."""
    place = sightlines(np.arange(257.25, 303, 0.5), np.arange(-4.75, 5, 0.5))
    slope = np.linspace(1, 2, place.shape[1])[:, None, None]
    edges = np.arange(100.0, 10001, 100)
    values = slope * np.array([0.8, 1, 1.2])[:, None] * edges / 1e3
    verdict = np.zeros(place.shape[1], int)
    source = profiles.dataset(values, edges, place, ATTRIBUTES, (0.16, 0.5, 0.84), verdict)
    path = written(tmp_path, source)
    start = time.process_time()
    sky = cube.of_profiles(profiles.read_profiles(path))
    cube.write_fits(sky, tmp_path / "cube.fits")
    cube.write_healpix(sky, tmp_path / "cube.nc")
    assert time.process_time() - start < 4
    assert sky.median.shape == (100, 20, 92)
