"""Tiles that give the whole mosaic, sources with their flux, verdicts; scores by hand."""

import numpy as np
import pytest
import torch
import xarray as xr
from astropy.io import fits
from astropy.table import Table
from scipy.ndimage import label
from test_radio_read import image, write

from skyloom.examples import Examples, Held
from skyloom.radio import baselines
from skyloom.radio.data import noise
from skyloom.radio.evaluate import called, image_sums, records
from skyloom.radio.models import transunet, unet
from skyloom.radio.models.task import best_threshold, magnified
from skyloom.radio.products import catalogue, tiles
from skyloom.radio.read import read_image
from skyloom.radio.simulate.field import CLASSES, DIFFUSE, GALAXY, INVALID

META = {"pixels": 64, "classes": list(CLASSES), "invalid": INVALID, "mask_sigma": 1.0}
META |= {"beams": [6.0, 20.0]}
ENTRY = {"width": 4, "depth": 3, "layers": 1, "heads": 2, "class_weights": [1, 1, 1, 1]}
ENTRY |= {"dice": 1.0, "confused": 0.1, "weight_decay": 0.0}
ENTRY |= {"noise_jitter": [1, 1], "beam_jitter": [1, 1]}


def trained(module):
    """A network with random weights and statistics, whose output varies."""
    torch.manual_seed(0)
    task = module.make_task(ENTRY, META)
    task.train()
    for _ in range(3):
        task(torch.randn(4, 2, 64, 64))
    with torch.no_grad():
        task.net.head.weight *= 30
    return task.eval()


def sky(shape=(150, 210)) -> np.ndarray:
    values = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    values[40:60, 50:90] += 10
    values[:20, :30] = np.nan
    return values


def test_magnified_beam_is_wider_and_what_lies_beyond_is_unobserved():
    y, x = np.mgrid[:64, :64] - 31.5
    point = torch.tensor(np.exp(-0.5 * (y**2 + x**2) / 3**2), dtype=torch.float32)
    label = torch.full((3, 1, 64, 64), float(DIFFUSE))
    label[:, :, :, 60:] = INVALID
    seen = (label != INVALID).float()
    batch = {"input": torch.cat([point.expand_as(seen) * seen, seen], 1), "label": label}
    batch["diffuse"] = point.expand_as(seen)
    factor = torch.tensor([1.0, 1.5, 0.8])[:, None, None, None]
    found = magnified(batch, factor, INVALID)
    for name, values in batch.items():
        torch.testing.assert_close(found[name][0], values[0], atol=1e-5, rtol=0)
    for k, width in enumerate((3, 4.5, 2.4)):
        image = found["diffuse"][k, 0].double().numpy()
        # a bilinear cut widens a little
        assert np.sqrt((image * y**2).sum() / image.sum()) == pytest.approx(width, rel=0.03)
    observed = found["input"][:, 1:]
    assert ((found["label"] == INVALID) == (observed == 0)).all()
    assert (observed[1] == 0).sum() == 0  # the border lies beyond
    # of 64 pixels 51 remain, of which 4 * 0.8 were unobserved
    assert observed[2, 0, 32].sum() == pytest.approx(48, abs=1)


@pytest.mark.parametrize("core", [32, 64, 320])
def test_tiles_give_the_classes_of_the_whole_mosaic(core):
    task, values = trained(unet), sky()
    levels = noise.levels(values, 4.0)
    halo = unet.halo_pixels(ENTRY)
    plan = tiles.plan(values.shape, 64, halo, core)
    found, other, _ = tiles.classify(values, levels, plan, task.probability)
    whole = tiles.plan(values.shape, 64, halo, 512)
    expected, classes, _ = tiles.classify(values, levels, whole, task.probability)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    assert np.nanstd(expected) > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)
    near = np.abs(np.nan_to_num(found) - 0.5) < 1e-5
    assert (other[~near] == classes[~near]).mean() > 0.999


def test_smaller_halo_would_change_them():
    """The halo is not larger than it must be by more than the coarsest pixels."""
    task, values = trained(unet), sky()
    levels = noise.levels(values, 4.0)
    plans = [tiles.plan(values.shape, 64, halo, 64) for halo in (8, unet.halo_pixels(ENTRY))]
    found = [tiles.classify(values, levels, plan, task.probability)[0] for plan in plans]
    assert np.nanmax(np.abs(found[0] - found[1])) > 1e-4


def test_batch_size_changes_nothing(monkeypatch):
    task, values = trained(unet), sky()
    levels = noise.levels(values, 4.0)
    plan = tiles.plan(values.shape, 64, unet.halo_pixels(ENTRY), 64)
    found = []
    for pixels in (1, 2**22):
        monkeypatch.setattr(tiles, "BATCH_PIXELS", pixels)
        found.append(tiles.classify(values, levels, plan, task.probability)[0])
    np.testing.assert_allclose(*found, atol=1e-5)


def test_blended_tiles_cover_the_mosaic_with_weights_of_one():
    plan = tiles.plan((150, 210), 64, None)
    weight = np.zeros(plan.shape)
    for tile in sum(plan.rows(), []):
        target, part = tiles._overlap(tile, plan.shape, 0)
        weight[target] += tiles._window(plan.side)[part]
    np.testing.assert_allclose(weight, 1, atol=1e-5)
    task, values = trained(transunet), sky()
    found, *_ = tiles.classify(values, noise.levels(values, 4.0), plan, task.probability)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))


@pytest.mark.parametrize("module", [unet, transunet])
def test_views_of_a_tile_are_averaged_where_they_lie(module):
    """The mean over all symmetries turns with the image, and the spread is that of the views."""
    task, image_ = trained(module), torch.randn(1, 2, 64, 64)
    with torch.no_grad():
        apply = tiles.of_views(task.probability, 8)
        found, turned = apply(image_), apply(image_.mT.flip(-1))
        single = tiles.of_views(task.probability, 1)(image_)
    torch.testing.assert_close(turned, found.mT.flip(-1), atol=1e-5, rtol=1e-4)
    assert found.shape[1] == len(CLASSES) + 1 and single.shape[1] == len(CLASSES)
    torch.testing.assert_close(found[:, : len(CLASSES)].sum(1), torch.ones(1, 64, 64))
    values = sky()
    halo = unet.halo_pixels(ENTRY) if module is unet else None
    plan = tiles.plan(values.shape, 64, halo, 64)
    with torch.no_grad():
        classes = tiles.classify(values, noise.levels(values, 4.0), plan, apply)
    assert classes.spread.shape == values.shape and np.nanmax(classes.spread) > 0
    np.testing.assert_array_equal(np.isnan(classes.spread), np.isnan(values))


def test_plan_counts_the_tiles_of_a_survey_mosaic():
    """15,402 pixels at a core of 320: 49 x 49 tiles."""
    plan = tiles.plan((15402, 15402), 128, 96)
    assert plan.number == 49**2 and "2401 tiles of 512" in plan.describe(1.0)
    net = unet.UNet(2, 4, 32, 4).eval()
    assert tiles.operations(net) * 256**2 == pytest.approx(24.07e9, rel=0.01)


def test_noise_and_background_are_those_of_the_image():
    rng = np.random.default_rng(0)
    values = 5 + 2 * rng.standard_normal((400, 300)).astype(np.float32)
    values[:, 150:] += 3  # another background to the right
    values[100:110, 100:110] = 1e3
    found = noise.levels(values, 2.0)
    background, deviation = found.on(slice(0, 400), slice(0, 300))
    assert np.median(background[:, :60]) == pytest.approx(5, abs=0.1)
    assert np.median(background[:, -60:]) == pytest.approx(8, abs=0.1)
    assert np.median(deviation) == pytest.approx(2, rel=0.05)
    part = found.on(slice(50, 90), slice(20, 70))
    np.testing.assert_allclose(part[0], background[50:90, 20:70], rtol=1e-6)
    assert noise.levels(np.full((50, 50), np.nan), 4.0) is None


def test_levels_of_every_third_pixel_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(0, 1, (100, 90)).astype(np.float32)
    given = np.abs(values) + 1
    for found in (noise.levels(values, 1.0), noise.levels(values, 1.0, given)):
        whole = found.on(slice(0, 100), slice(0, 90))
        part = found.on(slice(0, 100, 3), slice(0, 90, 3))
        for a, b in zip(part, whole, strict=True):
            np.testing.assert_allclose(a, b[::3, ::3], rtol=1e-6)


# --- sources and clusters


@pytest.fixture
def source(tmp_path):
    """An image with one source of 1 mJy/beam over 20 x 30 pixels, and perfect probabilities."""
    data = image((200, 200))
    data[100:120, 60:90] += 1e-3
    path = write(tmp_path / "a.fits", data, CRPIX1=100.5, CRPIX2=100.5)
    found = read_image(path)
    probability = np.zeros(data.shape, np.float32)
    probability[100:120, 60:90] = 0.9
    return found, noise.levels(found.data, found.beam_pixels), probability


def test_source_has_its_flux_place_and_area(source):
    found, levels, probability = source
    other = np.zeros(probability.shape, np.uint8)
    (row,) = catalogue.sources(found, levels, probability, other, 0.5)
    expected = 1e-3 * 600 / found.beam_area
    assert row["flux"] == pytest.approx(1e3 * expected, rel=0.02)
    assert row["flux_error"] == pytest.approx(1e3 * 1e-4 * np.sqrt(600 / found.beam_area), rel=0.1)
    assert (row["y"], row["x"]) == pytest.approx((109.5, 74.5), abs=0.5)
    assert row["area"] == pytest.approx(600 * 1.5**2 / 3600)
    other[95:100, 60:90] = 2  # a galaxy next to it, in a ring of eight pixels
    other[100:120, 60:90] = 2  # what the source would be else
    (near,) = catalogue.sources(found, levels, probability, other, 0.5)
    assert near["confusers"] == pytest.approx(150 / (36 * 46 - 600), rel=0.01)
    assert row["confusers"] == 0 and row["probability"] == pytest.approx(0.9)
    text = catalogue.regions(catalogue.sources(found, levels, probability, other, 0.5))
    assert text.splitlines()[2] == "fk5" and text.count("circle(") == 1


def test_small_islands_are_no_sources(source):
    found, levels, probability = source
    other = np.zeros(probability.shape, np.uint8)
    probability[:] = 0
    probability[10:13, 10:13] = 0.9
    assert len(catalogue.sources(found, levels, probability, other, 0.5)) == 0


def test_cluster_has_emission_in_its_aperture_or_the_reason_why_not(source):
    found, levels, probability = source
    places = found.wcs.pixel_to_world([75, 150, 75], [110, 40, 500])
    table = Table({"name": ["on", "off", "far"], "ra": places.ra.deg, "dec": places.dec.deg})
    other = np.zeros(probability.shape, np.uint8)
    rows = catalogue.verdicts(table, found, levels, probability, other, 0.5, 0.5)
    assert list(rows["verdict"]) == ["emission", "none", "outside"]
    assert "less than 2 beams" in rows["reason"][1]


@pytest.mark.parametrize("strip", [1, 3, 7, 100])
def test_islands_of_strips_are_those_of_the_whole_image(strip, monkeypatch):
    """Against scipy's labels of the whole; 40 % of the pixels give islands that wind."""
    monkeypatch.setattr(catalogue, "STRIP", strip)
    values = np.random.default_rng(0).random((60, 45)).astype(np.float32)
    values[values < 0.02] = np.nan
    numbers, count = label(values > 0.6, np.ones((3, 3)))
    expected = {
        tuple(np.flatnonzero(numbers == k)) for k in range(1, count + 1) if (numbers == k).sum() > 4
    }
    found = set()
    for box, inside in catalogue.islands(values, 0.6, 5):
        whole = np.zeros(values.shape, bool)
        whole[box] = inside
        found.add(tuple(np.flatnonzero(whole)))
    assert found == expected and len(found) > 3
    assert not list(catalogue.islands(values, 2.0, 1))


def test_clusters_of_other_images_are_left_out(tmp_path):
    found = read_image(write(tmp_path / "a.fits"))
    table = Table({"name": ["in", "off", "behind"], "ra": [150.0, 151.0, 330.0]})
    table["dec"] = [40.0, 40.0, -40.0]
    assert list(catalogue.within(table, found)["name"]) == ["in"]
    empty = catalogue.within(table[1:], found)
    probability = np.zeros(found.data.shape, np.float32)
    levels = noise.levels(found.data, found.beam_pixels)
    verdicts = catalogue.verdicts(empty, found, levels, probability, probability, 0.5, 5.0)
    assert len(verdicts) == 0 and verdicts.colnames == ["name", "verdict", "reason"]


# --- scores


def test_scores_of_a_field_by_hand():
    """Four of eight diffuse pixels are found, and two of a galaxy's are called diffuse."""
    target = np.zeros((1, 8, 8), np.uint8)
    target[0, 0] = DIFFUSE
    target[0, 2, :4] = 2
    target[0, 7] = INVALID
    probability = np.zeros((1, 4, 8, 8), np.float32)
    probability[:, 0] = 1
    for place in (np.s_[0, :, 0, :4], np.s_[0, :, 2, :2], np.s_[0, :, 7, :]):
        probability[place] = np.array([0.2, 0.8, 0, 0])[:, None]
    patches = xr.Dataset(
        {
            "target": (("example", "y", "x"), target, {"flag_meanings": " ".join(CLASSES)}),
            "diffuse": (("example", "y", "x"), 5.0 * (target == DIFFUSE)),
        },
        {"beam_pixels": ("example", [1.2]), "realisation": ("example", [0])},
    )
    patches["target"].attrs["flag_values"] = np.arange(4)
    predicted = xr.Dataset(
        {
            "prediction": (("example", "class", "y", "x"), probability),
            "threshold": ("example", [0.5]),
        }
    )
    sums = {name: v[None].sum(1) for name, v in image_sums(patches, predicted).items()}
    found = {(r["name"], r["subset"]): r["value"] for r in records(sums, np.zeros(1))}
    assert found["iou", "all"] == pytest.approx(4 / 10)
    assert found["recall", "all"] == pytest.approx(4 / 8)
    assert found["recall", "snr_3_30"] == pytest.approx(4 / 8)
    assert found["precision", "all"] == pytest.approx(4 / 6)
    assert found["called_diffuse", "galaxy"] == pytest.approx(2 / 4)
    assert found["completeness", "all"] == 1 and found["purity", "all"] == pytest.approx(1 / 2)
    assert found["auc", "all"] == pytest.approx((4 * (46 + 1) + 4 * 23) / (8 * 48))


def test_class_is_diffuse_above_the_threshold_and_else_the_best_other_one():
    probability = np.array([[0.1, 0.4, 0.5, 0.0], [0.5, 0.45, 0.05, 0.0]])[:, :, None, None]
    assert called(probability, np.array([0.3, 0.46])).ravel().tolist() == [DIFFUSE, 0]


def test_threshold_has_the_largest_overlap():
    """And few galaxies above it, where there is such a one."""
    counts = torch.zeros(1, 3, 10)
    counts[0, 0, :5], counts[0, 1, 6:] = 100, 10
    assert best_threshold(counts, 0.1) == pytest.approx(0.5)
    counts[0, 2, 7] = 10
    counts[0, 0, 7] = 10
    assert best_threshold(counts, 0.1) == pytest.approx(0.8)
    counts[0, 2, 9] = 10
    assert best_threshold(counts, 0.1) == pytest.approx(0.95)
    assert best_threshold(counts, 1.0) == pytest.approx(0.5)


def test_threshold_and_islands_are_chosen_for_each_beam():
    """Galaxies look like diffuse emission at the narrow beam, and do not at the wide one."""
    task = unet.make_task(ENTRY, META)
    label = torch.zeros(2, 1, 64, 64)
    label[:, :, :8], label[:, :, 8:16] = DIFFUSE, GALAXY
    probability = torch.zeros(2, len(CLASSES), 64, 64)
    probability[:, DIFFUSE, :8], probability[0, DIFFUSE, 8:16] = 0.8, 0.6
    task.probability = lambda image: probability
    beams = torch.tensor([7.0, 19.0])
    task.calibrate([{"input": torch.zeros(2, 2, 64, 64), "label": label, "beam_arcsec": beams}])
    assert 0.6 < task.threshold(7.0) < 0.8 and task.threshold(45.0) < 0.6
    assert task.threshold(np.array([21.0, 5.0])).tolist() == task.thresholds.flip(0).tolist()

    image = np.zeros((2, 1, 64, 64), np.float32)
    image[0, 0, 20:40, 20:40], image[1, 0, 20:40, 20:40] = 20, 1
    seen = torch.from_numpy(np.arcsinh(image / noise.SOFTENING))
    seen += 0.1 * torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))
    held = Held(
        {
            "input": torch.cat([seen, torch.ones_like(seen)], 1),
            "label": torch.from_numpy((image > 0) * DIFFUSE).float(),
            "beam": torch.tensor([2.0, 2.0]),
            "beam_arcsec": beams,
        }
    )
    entry = {"module": "threshold", "images": 2, "scales": [1], "levels": [4, 40], "islands": [1]}
    chosen = baselines.fit(entry, Examples(held, held, held, META), 0)["chosen"]
    assert [one["level"] for one in chosen] == [40, 4]


def test_threshold_allows_for_the_error_of_the_share_of_galaxies():
    """Of 10 pixels of galaxies in each of two images, those of one are called diffuse: a share of
    0.5, with an error of sqrt(2 * 5^2) / 20 = 0.35.
    """
    counts = torch.zeros(2, 3, 10)
    counts[:, 1, 6:] = 10
    counts[0, 2, 7], counts[1, 2, 2] = 10, 10
    assert best_threshold(counts, 0.86) == pytest.approx(0.3)
    assert best_threshold(counts, 0.84) == pytest.approx(0.8)


@pytest.mark.parametrize("module", ["threshold", "wavelets"])
def test_baseline_finds_a_wide_source_and_no_noise(module):
    values = np.random.default_rng(0).normal(0, 1, (1, 1, 96, 96)).astype(np.float32)
    values[0, 0, 30:60, 30:60] += 3
    seen = np.arcsinh(values / noise.SOFTENING)
    batch = {"input": torch.from_numpy(np.concatenate([seen, np.ones_like(seen)], 1))}
    batch |= {"beam": torch.tensor([4.0]), "beam_arcsec": torch.tensor([18.0])}
    chosen = {"scale": 2.0, "level": 4.0, "island": 3.0}
    # that of the other beam would find nothing
    state = {"module": module, "chosen": [chosen | {"level": 1e6}, chosen]}
    found = baselines.predict(state, batch, META)["prediction"][0, DIFFUSE].numpy() > 0.5
    assert found[33:57, 33:57].mean() > 0.95
    assert found[:20].mean() == 0 and found[-25:].mean() == 0


def test_probability_file_has_the_grid_of_the_image(source, tmp_path):
    from skyloom.radio.products import write as files

    found, levels, probability = source
    probability[:5] = np.nan
    other = np.zeros(probability.shape, np.uint8)
    table = catalogue.sources(found, levels, probability, other, 0.5)
    trained, nothing = {"model": "unet", "digest": "abc"}, catalogue.no_clusters()
    files.products(tmp_path, found, trained, probability, 0.1 * probability, 0.5, table, nothing)
    assert {path.name for path in tmp_path.iterdir()} == {*files.FILES, "a.fits"}
    with fits.open(tmp_path / "probability.fits") as file:
        np.testing.assert_allclose(file[1].data, probability, atol=1e-3)
        assert file[1].header["THRESH"] == 0.5 and file[1].name == "PROBABILITY"
        np.testing.assert_allclose(file["SPREAD"].data, 0.1 * probability, atol=1e-3)
    mask = fits.getdata(tmp_path / "mask.fits")
    assert mask.sum() == 600 and mask.shape == found.data.shape
    assert fits.getheader(tmp_path / "mask.fits")["CRVAL1"] == 150
    assert len(Table.read(tmp_path / "sources.fits")) == 1
