"""The population model against a real 2MASS field, l = 233, b = -19 deg, 3.9 deg2."""

import numpy as np
import pytest

from skyloom.extinction.read.catalogue import read_catalogue
from skyloom.extinction.simulate import population, survey

CENTRE, AREA, FOREGROUND, RICHNESS = (233.2, -19.37), 3.9, 0.07, 4
LIMITS = {"J": 16.95, "H": 16.35, "K": 15.75}  # of this field


@pytest.fixture(scope="module")
def both(realdata):
    """Magnitudes by band of the field and of the model."""
    path = realdata / "extinction" / "pnicer" / "CF_2mass.fits"
    rng = np.random.default_rng(0)
    depth = {band: limit + 1 for band, limit in LIMITS.items()}
    stars = population.sightline(*CENTRE, AREA, depth, rng, RICHNESS)
    extinction = np.full(len(stars), FOREGROUND)
    drawn = survey.observe(stars, extinction, "wang2019", rng, LIMITS)
    return read_catalogue(path, "2mass").magnitudes, {b: drawn[b][0] for b in "JHK"}


def test_counts_of_the_model_are_within_a_quarter(both):
    """The sketch of the study was within 24 % at K = 8 to 15, with a mean of 9 % too many."""
    counts = []
    for catalogue in both:
        inside = np.isfinite(catalogue["J"])
        counts.append(np.histogram(catalogue["K"][inside], np.arange(8.0, 16))[0])
    ratio = counts[1] / RICHNESS / counts[0]
    assert (ratio > 0.8).all() and (ratio < 1.27).all()
    assert 1.0 < ratio.mean() < 1.17


def test_colours_of_the_model_are_those_of_the_field(both):
    """Medians of J - K within 0.03, of H - K within 0.02, and the red side within 0.08 mag."""
    for low in np.arange(9.0, 14):
        medians, red, infrared = [], [], []
        for catalogue in both:
            colour = catalogue["J"] - catalogue["K"]
            inside = (catalogue["K"] >= low) & (catalogue["K"] < low + 1) & np.isfinite(colour)
            medians.append(np.median(colour[inside]))
            red.append(np.quantile(colour[inside], 0.84))
            infrared.append(np.nanmedian((catalogue["H"] - catalogue["K"])[inside]))
        # 141 stars at K = 9 to 10
        assert medians[1] == pytest.approx(medians[0], abs=0.03)
        assert red[1] == pytest.approx(red[0], abs=0.08)
        assert infrared[1] == pytest.approx(infrared[0], abs=0.02)
