"""Simulated star tables: read as real ones are, and as many stars as the model has."""

import numpy as np
import pytest

from skyloom.extinction.read.catalogue import read_catalogue
from skyloom.extinction.simulate import population, write
from skyloom.extinction.simulate.survey import SURVEYS

AT, AREA = (284.0, 4.0), 0.05


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    stars = population.sightline(*AT, AREA, {"K": 16.0, "G": 19.0}, rng, 1, 40_000)
    return stars, write.catalogue(stars, np.full(len(stars), 1.5), "wang2019", AT, AREA, rng)


@pytest.mark.parametrize("survey", write.COLUMNS)
def test_written_tables_are_read_without_loss(tables, tmp_path, survey):
    table = tables[1][survey]
    path = tmp_path / "field.fits"
    write.write(table, path)
    found = read_catalogue(path, survey)
    assert found.data_kind == "simulated" and found.missing == ()
    assert len(found) == len(table)
    for band, (name, error) in write.COLUMNS[survey].bands.items():
        kept = np.isfinite(found.magnitudes[band])
        # 2MASS qualities below C are cut
        expected = np.isfinite(table[name]) & (
            table[error] <= (0.21714 if survey == "2mass" else 9)
        )
        np.testing.assert_array_equal(kept, expected)
        np.testing.assert_array_equal(found.magnitudes[band][kept], table[name][kept])


def test_qualities_are_those_of_the_errors(tables):
    table = tables[1]["2mass"]
    letters = np.array([q[2] for q in table["Qflg"]])
    error = np.asarray(table["e_Kmag"])
    assert set(letters) == {"A", "B", "C", "D", "U"}
    assert np.isnan(error[letters == "U"]).all() and np.isfinite(error[letters != "U"]).all()
    # signal over noise of 10 and 5
    assert (1.0857 / error[letters == "A"]).min() >= 9.99
    assert (1.0857 / error[letters == "C"]).min() >= 4.99
    assert (1.0857 / error[letters == "D"]).max() <= 5.01


def test_places_fill_the_square_evenly():
    rng = np.random.default_rng(0)
    longitude, latitude = write.places(40_000, (359.9, 60.0), 4.0, rng)
    assert latitude.min() > 59 and latitude.max() < 61
    turned = (longitude - 359.9 + 180) % 360 - 180
    assert abs(turned).max() <= 2.0 + 1e-9
    # fewer stars towards the pole, by the area of the bands: cos 60.5 over cos 59.5
    ratio = (latitude > 60).sum() / (latitude < 60).sum()
    expected = np.cos(np.radians(60.5)) / np.cos(np.radians(59.5))
    assert ratio == pytest.approx(expected, abs=4 / 100)


def test_detected_stars_are_those_above_the_limit(tables):
    stars, found = tables
    bright = stars.band("K") + 1.5 * 0.078 < SURVEYS["K"].limit - 1.5
    assert (found["2mass"]["Kmag"] < SURVEYS["K"].limit - 1.5).sum() == pytest.approx(
        bright.sum(), rel=0.03
    )
