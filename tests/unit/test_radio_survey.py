"""The merged tables of a survey: what lies in several images is taken once."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from test_radio_read import CARDS

from skyloom.radio.products import survey

STEP = 0.02  # [deg] between the centres of two images


@pytest.fixture
def folders(tmp_path):
    """`folders(tables)`: products of images whose centres are `STEP` apart in declination."""

    def make(tables, verdicts=None):
        out = {}
        for k, (image, rows) in enumerate(tables.items()):
            folder = out[image] = tmp_path / image
            folder.mkdir()
            cards = fits.Header(CARDS | {"CRVAL2": CARDS["CRVAL2"] + k * STEP})
            fits.PrimaryHDU(np.zeros((40, 50), np.float32), cards).writeto(folder / "mask.fits")
            names = ("name", "ra", "dec", "size")
            table = Table(rows=rows or None, names=names, dtype=[str, float, float, float])
            table.write(folder / "sources.fits")
            found = (verdicts or {}).get(image, [])
            columns = ("name", "ra", "dec", "verdict")
            types = [str, float, float, str]
            Table(rows=found or None, names=columns, dtype=types).write(folder / "clusters.csv")
        return out

    return make


def test_source_in_two_images_is_that_of_the_nearer_centre(folders):
    ra, dec = CARDS["CRVAL1"], CARDS["CRVAL2"]
    near, far = dec + 0.3 * STEP, dec + 0.7 * STEP
    found = survey.sources(
        folders(
            {
                "a": [("one", ra, near, 20.0), ("two", ra, far, 20.0), ("edge", ra, dec, 20.0)],
                # the first a few arcsec away, and a neighbour of the second that is none of it
                "b": [("one b", ra, near + 5 / 3600, 20.0), ("two b", ra, far, 20.0)]
                + [("next", ra, far + 15 / 3600, 20.0)],
                "empty": [],
            }
        )
    )
    kept = {row["name"]: row["image"] for row in found}
    assert kept == {"one": "a", "edge": "a", "two b": "b", "next": "b"}
    assert set(found.colnames) == {"name", "ra", "dec", "size", "image"}


def test_survey_without_a_source_has_an_empty_table(folders):
    kept = folders({"a": [], "b": []})
    found = survey.sources(kept)
    assert len(found) == 0 and {"ra", "dec", "image"} <= set(found.colnames)
    assert len(survey.clusters(kept)) == 0


def test_cluster_has_the_verdict_of_an_image_that_observed_it(folders):
    ra, dec = CARDS["CRVAL1"], CARDS["CRVAL2"]
    verdicts = {
        "a": [("x", ra, dec, "unobserved"), ("y", ra, dec, "none")],
        "b": [("x", ra, dec, "emission"), ("y", ra, dec, "emission")],
    }
    found = survey.clusters(folders({"a": [], "b": []}, verdicts))
    kept = {row["name"]: (row["verdict"], row["image"]) for row in found}
    assert kept == {"x": ("emission", "b"), "y": ("none", "a")}
