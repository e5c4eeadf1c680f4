"""The radio simulator: counts against the published ones, beams, CLEAN, noise, labels."""

import numpy as np
import pytest
from scipy import fft

from skyloom.radio.data import noise, patches
from skyloom.radio.simulate import components, counts, field, instrument
from skyloom.radio.simulate.field import ARTEFACT, DIFFUSE, GALAXY, INVALID, NONE

SETTINGS = {
    "pixels": 64,
    "beams": [6, 20],
    "beam_pixels": [3, 6],
    "diffuse": 2.0,
    "galaxies": 2.0,
    "bright": 0.4,
    "peak": [1, 1000],
    "noise_ujy": [60, 150],
    "mask_sigma": 1.0,
    "borders": 0.5,
    "bank": 0,
    "seed": 3,
    "confusers": True,
    "maps": [],
    "map_share": 0.5,
    "peak_share": 1.0,
    "redshift": [0.1, 0.4],
    "spectral_index": 1.3,
    "train": 4,
    "valid": 2,
    "test": 3,
}


def drawn(number: int = 0, **changes) -> field.Field:
    return field.draw(SETTINGS | changes, np.random.default_rng(number))


def test_counts_are_those_of_mandal_and_of_the_draws():
    """Numbers above a flux by integration of eq. 13, as read off by others: 896 above 0.5 mJy."""
    flux, number = counts.above()
    above = np.interp([0.5, 1, 10, 100, 1000], flux, number)
    np.testing.assert_allclose(above, [896, 336, 42, 8.3, 0.73], rtol=0.02)
    found = counts.draw(5.0, np.random.default_rng(0))
    for limit, expected in ((0.2, 3220), (1, 336), (10, 42)):
        n = (found > limit).sum()
        assert abs(n - 5 * expected) < 5 * np.sqrt(5 * expected)


@pytest.mark.parametrize(("declination", "widest"), [(60, 1.02), (45, 1.02), (0, 1.5)])
def test_beam_has_the_wanted_size_and_is_wider_at_low_declination(declination, widest):
    """LoTSS: 6 arcsec, and 9 below a declination of 10 deg; first sidelobe of some 4 %."""
    seen = instrument.response(256, 6.0, 4.0, declination, 0.0)
    assert 0.999 * 4 <= seen.beam <= widest * 4
    psf = fft.irfft2(seen.dirty, s=(256, 256))
    assert psf[0, 0] == pytest.approx(1, abs=1e-5)
    assert -0.15 < psf.min() < -0.02
    assert abs(instrument.response(256, 20.0, 4.4, declination, 0.0).beam - 4.4) < 0.01


def test_noise_has_the_deviation_of_one_and_points_their_flux():
    seen = instrument.response(256, 6.0, 4.0, 50.0, 0.0)
    sky = np.zeros((128, 128), np.float32)
    sky[64, 64] = 50
    images = [instrument.observe(sky, seen, np.random.default_rng(k)) for k in range(30)]
    assert np.std([i[:30] for i in images]) == pytest.approx(1, abs=0.05)
    assert np.mean([i[64, 64] for i in images]) == pytest.approx(50, abs=1)


def test_faint_emission_keeps_the_dirty_beam_and_bright_one_is_cleaned():
    """The wings of the dirty beam, whose area is larger, raise what was not cleaned."""
    seen = instrument.response(256, 6.0, 4.0, 50.0, 0.0)
    y, x = np.mgrid[:128, :128] - 64
    shape = np.exp(-0.5 * (x**2 + y**2) / 15**2).astype(np.float32)
    excess = []
    for peak in (1.0, 100.0):
        sky = peak / seen.area * shape
        images = [instrument.observe(sky, seen, np.random.default_rng(k)) for k in range(40)]
        model = instrument.smooth(sky, seen)
        inner = np.hypot(x, y) < 10
        excess.append((np.mean(images, 0) - model)[inner].mean() / peak)
    assert excess[0] > 0.5 and abs(excess[1]) < 0.02


@pytest.mark.parametrize("name", ["halo", "bridge", "filament", "fr1", "fr2", "tail", "remnant"])
def test_shapes_have_the_peak_one_and_lie_within_the_image(name):
    rng = np.random.default_rng(0)
    for _ in range(20):
        box = getattr(components, name)(*rng.uniform(-10, 110, 2), 30.0, 100, rng)
        if box is not None:
            height, width = box.values.shape
            assert box.values.max() == pytest.approx(1) and box.values.min() >= 0
            assert 0 <= box.y and box.y + height <= 100 and 0 <= box.x and box.x + width <= 100


SHAPES = ["halo", "bridge", "filament", "fr1", "fr2", "tail", "wide_tail", "double_double"]
SHAPES += ["remnant", "spiral", "relic"]


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_fade_before_their_box_ends(name):
    """A box that ends in emission is a straight edge on the sky: here none of a peak of 1000 times
    the noise is above 0.3 times the noise.
    """
    rng = np.random.default_rng(0)
    for _ in range(20):
        angle = [rng.uniform(0, 2 * np.pi)] if name == "relic" else []
        values = getattr(components, name)(500, 500, 30.0, 1000, rng, *angle).values
        edges = (values[0], values[-1], values[:, 0], values[:, -1])
        assert max(edge.max() for edge in edges) < 3e-4


def test_labels_follow_the_brightness_without_noise():
    diffuse = np.array([[0.5, 2.0, 2.0, 0.0, 0.0]])
    galaxies = np.array([[0.0, 0.0, 3.0, 1.5, 0.0]])
    artefacts = np.array([[0.0, 5.0, 0.0, 0.0, -2.5]])
    expected = [[NONE, DIFFUSE, GALAXY, GALAXY, ARTEFACT]]
    assert field.labels(diffuse, galaxies, artefacts, 1.0).tolist() == expected
    expected = [[NONE, ARTEFACT, NONE, NONE, ARTEFACT]]
    assert field.labels(diffuse, galaxies, artefacts, 3.5).tolist() == expected


def test_field_depends_on_its_generator_alone_and_marks_what_is_unobserved():
    one, again, other = drawn(1), drawn(1), drawn(2)
    np.testing.assert_array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image)
    for k in range(12):
        found = drawn(k)
        np.testing.assert_array_equal(np.isnan(found.image), found.label == INVALID)
        true = (found.diffuse > 1) & (found.label == DIFFUSE)
        assert (true == (found.label == DIFFUSE)).all()


def test_noise_of_a_field_is_that_of_its_image_and_not_of_the_receivers_alone():
    """Faint points and sidelobes raise it, and the mask is in its units."""
    ratios = []
    for k in range(12):
        found = drawn(k, noise_ujy=[100, 100])
        again = noise.levels(found.image, found.beam)
        np.testing.assert_array_equal(found.levels.grid, again.grid)
        ratios.append(found.levels.grid[1].mean() / 100e-6)
    assert 1 < np.median(ratios) < 3 and min(ratios) > 0.9


def test_sets_share_their_test_fields_and_differ_in_training():
    full, bare = (patches.shard(SETTINGS | {"confusers": c}, 0, 1) for c in (True, False))
    test = full["split"].values == 2
    np.testing.assert_array_equal(full["image"].values[test], bare["image"].values[test])
    assert not np.array_equal(full["image"].values[~test], bare["image"].values[~test])
    assert not (bare["target"].values[~test] == GALAXY).any()
    assert len(np.unique(full["realisation"])) == full.sizes["example"]


def test_shards_are_the_set():
    whole = patches.shard(SETTINGS, 0, 1)
    parts = [patches.shard(SETTINGS, k, 2) for k in range(2)]
    found = {int(r): i for p in parts for r, i in zip(p.realisation, p.image.values, strict=True)}
    for number, image in zip(whole.realisation.values, whole.image.values, strict=True):
        np.testing.assert_array_equal(found[int(number)], image)
