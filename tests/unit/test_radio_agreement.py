"""What was found in an image beside a stated truth: by hand, and the real halo of Abell 2744."""

import math

import numpy as np
import pytest
from astropy.io import fits
from test_radio_read import REAL, WITH_REAL, image, write

from skyloom.cli import BadInput
from skyloom.radio.products.agreement import agreement, component, truth
from skyloom.radio.read import read_image
from skyloom.radio.simulate.field import ARTEFACT, DIFFUSE, GALAXY


def blob() -> np.ndarray:
    """Noise with two sources, 40 times as bright."""
    values = image((60, 80))
    values[20:30, 30:42] += 4e-3
    values[45:50, 60:70] += 4e-3
    return values


def test_scores_are_those_counted_by_hand():
    true, excluded, found = np.zeros((3, 10, 10), bool)
    true[2:6, 2:6] = True  # 16 pixels
    excluded[2, :] = True  # 4 of them
    found[2:6, 4:8] = True  # 16, half of them true, 4 of them excluded
    scores = agreement(found, true, excluded, 6.0)
    assert scores["iou"] == pytest.approx(6 / 18) and scores["iou_all"] == pytest.approx(8 / 24)
    assert scores["recall"] == pytest.approx(6 / 12)
    assert scores["precision"] == pytest.approx(6 / 12)
    assert scores["excluded"] == pytest.approx(4 / 10)
    assert scores["area"] == pytest.approx(12 * 36 / 3600)
    assert math.isnan(agreement(found & False, true, excluded & False, 6.0)["excluded"])


def test_component_is_the_source_around_the_place_alone(tmp_path):
    found = read_image(write(tmp_path / "a.fits", blob()))
    place = found.wcs.pixel_to_world(35, 25)
    inside = component(found, 5.0, (place.ra.deg, place.dec.deg))
    assert inside[21:29, 31:41].all() and not inside[43:].any() and not inside[:, :20].any()


def test_place_without_emission_or_outside_is_refused(tmp_path):
    found = read_image(write(tmp_path / "a.fits", blob()))
    empty = found.wcs.pixel_to_world(5, 5)
    with pytest.raises(BadInput, match=r"a\.fits: truth\.at, .* is not above the level; expected"):
        component(found, 5.0, (empty.ra.deg, empty.dec.deg))
    with pytest.raises(BadInput, match=r"truth\.at, 151 40 deg, is outside of the image"):
        component(found, 5.0, (151, 40))


def test_masks_and_classes_are_read_on_the_pixels_of_the_image(tmp_path):
    found = read_image(write(tmp_path / "a.fits", blob()))
    shape = found.data.shape
    mask, use = np.zeros(shape), np.ones(shape)
    mask[10:20, 10:20], use[15:] = 1, 0
    for name, values in (("mask", mask), ("use", use[None, None])):
        fits.PrimaryHDU(values).writeto(tmp_path / f"{name}.fits")
    stated = {"mask": str(tmp_path / "mask.fits"), "excluded": str(tmp_path / "use.fits")}
    true, excluded = truth(stated, found)
    assert true.sum() == 100 and (true & excluded).sum() == 50
    classes = np.zeros(shape, np.uint8)
    classes[0, :3] = DIFFUSE, GALAXY, ARTEFACT
    fits.PrimaryHDU(classes).writeto(tmp_path / "classes.fits")
    true, excluded = truth({"classes": str(tmp_path / "classes.fits")}, found)
    assert true.sum() == 1 and excluded.sum() == 2


def test_mask_of_another_shape_or_without_emission_is_refused(tmp_path):
    found = read_image(write(tmp_path / "a.fits", blob()))
    fits.PrimaryHDU(np.ones((5, 5))).writeto(tmp_path / "small.fits")
    with pytest.raises(BadInput, match=r"small\.fits: the mask has \(5, 5\) pixels; expected \(60"):
        truth({"mask": str(tmp_path / "small.fits")}, found)
    fits.PrimaryHDU(np.zeros((60, 80))).writeto(tmp_path / "none.fits")
    with pytest.raises(BadInput, match=r"none\.fits: no pixel of the truth is left"):
        truth({"mask": str(tmp_path / "none.fits")}, found)


@WITH_REAL
def test_halo_of_abell_2744_has_its_known_area_and_flux():
    folder = f"{REAL}/radio"
    halo = read_image(f"{folder}/a2744_jvla_1500mhz.fits")
    stated = {"level": 3, "at": [3.58346, -30.38828]}
    stated["excluded"] = f"{folder}/a2744_jvla_contaminant_mask.fits"
    true, excluded = truth(stated, halo)
    # 26.6 arcmin2 and 45.4 mJy, 41.4 mJy of it not excluded, measured with other code
    assert true.sum() * halo.pixel**2 / 3600 == pytest.approx(26.6, rel=0.02)
    values = np.asarray(halo.data)
    assert values[true].sum() / halo.beam_area * 1e3 == pytest.approx(45.4, rel=0.01)
    kept = true & ~excluded
    assert values[kept].sum() / halo.beam_area * 1e3 == pytest.approx(41.4, rel=0.01)
    assert excluded.sum() == 7098
