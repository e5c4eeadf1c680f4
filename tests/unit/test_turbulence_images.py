"""Images of column density: cuts, variants, and a split by simulation."""

import numpy as np
import pytest
import xarray as xr

from skyloom.cli import BadInput
from skyloom.turbulence.data import images

SETTINGS = {"field": "column", "parts": 2, "variant": "standardised", "lowpass": None, "seed": 0}
SETTINGS |= {
    "zoom": 1,
    "blur_pixels": 0,
    "noise": 0,
    "valid_share": 0.2,
    "test_share": 0.2,
    "classes": [3.5, 4],
}
SIMULATIONS, SIDE = 20, 16


def columns(first_seed: int = 100, **changes) -> xr.Dataset:
    random = np.random.default_rng(1)
    dims = ("simulation", "axis", "y", "x")
    shape = (SIMULATIONS, 3, SIDE, SIDE)
    found = {
        "column": random.normal(0, 0.01, shape),
        "centroid": random.normal(0, 0.1, shape),
    } | changes
    attributes = {"data_kind": "simulated", "box_pc": 10.0, "order": 2}
    data = xr.Dataset({name: (dims, values) for name, values in found.items()}, attrs=attributes)
    known = {
        "seed": np.arange(first_seed, first_seed + SIMULATIONS),
        "index": np.tile([11 / 3, 4.0], SIMULATIONS // 2),
        "mach": np.full(SIMULATIONS, 1.41),
        "time_myr": np.full(SIMULATIONS, 0.5),
        "ok": np.ones(SIMULATIONS, np.int8),
    }
    return data.assign({name: ("simulation", values) for name, values in known.items()})


def cut(found: xr.Dataset, **changes) -> xr.Dataset:
    return images.cut_images({"clouds": found}, SETTINGS | changes)


def wave(k: float, side: int = SIDE) -> np.ndarray:
    """A plane wave of `k` cycles a map along x, at the centres of pixels."""
    return np.broadcast_to(np.cos(2 * np.pi * k * (np.arange(side) + 0.5) / side), (side, side))


def test_each_view_of_a_simulation_is_in_its_split_and_classes_keep_their_shares():
    data = cut(columns())
    assert data.sizes == {"example": SIMULATIONS * 3 * 4, "y": SIDE // 2, "x": SIDE // 2}
    table = data[["simulation", "split", "index"]].to_dataframe()
    assert (table.groupby("simulation")["split"].nunique() == 1).all()
    counts = table.groupby("simulation").first().groupby(["split", "index"]).size().unstack()
    assert (counts[11 / 3] == counts[4.0]).all()
    # of ten pairs of seeds; multiples of the golden ratio deviate from a share by one at most
    assert abs(counts[4.0].to_numpy() - [6, 2, 2]).max() <= 1


def test_seed_is_in_one_split_in_every_set_of_the_same_shares():
    """Sets of other simulations share seeds with the nominal set.

    None of its test fields may be trained on there.
    """
    seeds = np.arange(400)
    everywhere = images.splits(seeds, SETTINGS)
    np.testing.assert_array_equal(images.splits(seeds[37:90], SETTINGS), everywhere[37:90])
    assert abs(np.bincount(everywhere) - [240, 80, 80]).max() <= 4
    assert (images.splits(seeds, SETTINGS | {"seed": 1}) != everywhere).any()


def test_families_of_a_set_have_flags_and_their_simulations_are_numbered_together():
    families = {"clouds": columns(), "fast": columns(first_seed=300).assign_attrs(order=1)}
    data = images.cut_images(families, SETTINGS | {"families": list(families)})
    assert data["family"].attrs["flag_meanings"] == "clouds fast" and data.attrs["order"] == "mixed"
    assert np.unique(data["simulation"]).tolist() == list(range(2 * SIMULATIONS))
    assert (data["family"].values == (data["seed"].values >= 300)).all()
    np.testing.assert_array_equal(data["target"], data["index"].astype(np.float32))
    assert data.attrs["classes"].tolist() == [11 / 3, 4.0] and data.attrs["pixel_pc"] == 10 / SIDE
    second = images.cut_images({"fast": families["fast"]}, SETTINGS)
    np.testing.assert_array_equal(
        data["image"].values[data["family"].values == 1], second["image"].values
    )


def test_set_that_only_tests_has_one_split_and_no_scale():
    data = cut(columns(), test_share=1.0, valid_share=0.0, variant="raw")
    assert (data["split"] == 2).all() and "scale" not in data["image"].attrs


def test_set_of_continuous_indices_has_the_classes_of_the_config():
    found = columns()
    found["index"] = ("simulation", np.linspace(3, 4.5, SIMULATIONS))
    assert cut(found).attrs["classes"].tolist() == [3.5, 4]


def test_raw_set_states_the_deviation_of_its_training_images():
    data = cut(columns(), variant="raw")
    mine = data["image"].values[data["split"].values == 0]
    assert (
        data["image"].attrs["scale"] == pytest.approx(np.std(mine, dtype=float))
        and data["image"].units == "dex"
    )


def test_parts_are_the_corners_of_the_map_they_were_cut_from():
    found = columns()
    data = cut(found, variant="raw")
    whole = np.log10(1 + found["column"].values[3, 2])
    mine = data.isel(example=(data["simulation"].values == 3) & (data["axis"].values == 2)).sortby(
        "part"
    )
    np.testing.assert_allclose(
        np.block([[mine.image[0], mine.image[1]], [mine.image[2], mine.image[3]]]), whole, rtol=1e-6
    )


def test_standardised_image_has_no_amplitude_and_a_raw_one_has():
    weak, strong = columns(), columns()
    # log N three times as large
    strong["column"] = weak["column"].dims, (1 + weak["column"].values) ** 3 - 1
    a, b = (cut(each)["image"].values for each in (weak, strong))
    np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(a.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(a.std((1, 2)), 1, rtol=1e-5)
    a, b = (cut(each, variant="raw")["image"].values for each in (weak, strong))
    np.testing.assert_allclose(b, 3 * a, rtol=1e-4, atol=1e-6)


def test_lowpass_keeps_a_slow_wave_and_removes_a_fast_one():
    slow, fast = wave(2), wave(5)
    np.testing.assert_allclose(images.filtered(slow + fast, lowpass=4), slow, atol=1e-12)


def test_beam_damps_a_wave_by_its_transform():
    k, sigma = 3, 1.5
    expected = np.exp(-0.5 * (2 * np.pi * k / SIDE * sigma) ** 2) * wave(k)
    np.testing.assert_allclose(images.filtered(wave(k), sigma), expected, atol=1e-12)


@pytest.mark.parametrize("zoom", [0.5, 2])
def test_zoom_changes_the_length_of_a_wave_about_the_middle_of_each_part(zoom):
    side, k = 64, 4
    found = images.parts_of(wave(k, side), 2, np.full(4, zoom), np.zeros(4))
    # in pixels of the map from the middle of a part
    x = (np.arange(side // 2) - side / 4 + 0.5) / zoom
    for part, middle in enumerate((side / 4, 3 * side / 4) * 2):
        expected = np.cos(2 * np.pi * k / side * (middle + x))
        # the error of a cubic spline for a wave of 16 pixels is about (2 pi / 16)^4 / 384
        np.testing.assert_allclose(
            found[part], np.broadcast_to(expected, found[part].shape), atol=2e-3
        )


def test_demagnification_removes_waves_that_the_pixels_cannot_represent():
    # the wave has 1.5 cycles in two pixels
    found = images.parts_of(wave(24, 64), 2, np.full(4, 0.5), np.zeros(4))
    assert abs(found).max() < 1e-6


def test_noise_has_the_stated_share_of_an_images_deviation():
    clean = cut(columns(), variant="raw")["image"].values
    noise = cut(columns(), variant="raw", noise=0.5)["image"].values - clean
    share = noise.std((1, 2)) / clean.std((1, 2))
    # scatter of 240 images of 64 pixels each: 0.6 %
    assert share.mean() == pytest.approx(0.5, rel=0.02)


def test_nuisances_are_drawn_for_each_image_by_the_seed_alone():
    low_high = {"blur_pixels": {"low": 0.5, "high": 1.5, "share": 1}}
    data = cut(columns(), **low_high)
    assert 0.5 <= data["blur_pixels"].min() < 0.6 and 1.4 < data["blur_pixels"].max() <= 1.5
    np.testing.assert_array_equal(
        data["blur_pixels"], cut(columns(), **low_high, noise=1)["blur_pixels"]
    )
    assert "zoom" not in data.coords and data.attrs["blur_pixels"] == [0.5, 1.5, 1]


def test_nuisance_for_a_share_of_the_images_leaves_the_others_unchanged():
    plain, ranged = cut(columns()), {"low": 1.5, "high": 2, "share": 0.3}
    data = cut(columns(), zoom=ranged, blur_pixels=ranged)
    zoomed, blurred = data["zoom"].values != 1, data["blur_pixels"].values != 0
    for given in (zoomed, blurred):
        # three standard deviations of 240 images
        assert given.mean() == pytest.approx(0.3, abs=0.09)
    # the two nuisances are drawn independently
    assert (zoomed & blurred).any() and not (zoomed == blurred).all()
    same = (data["image"].values == plain["image"].values).all((1, 2))
    np.testing.assert_array_equal(same, ~(zoomed | blurred))


def test_centroid_is_an_image_like_the_column_density():
    found = columns()
    data = cut(found, field="centroid", parts=1, variant="raw")
    np.testing.assert_allclose(data["image"].values[4], found["centroid"].values[1, 1], rtol=1e-6)
    assert data["image"].attrs["units"] == "km/s"


def test_simulation_that_failed_is_left_out():
    found = columns()
    found["ok"].values[5] = 0
    found["column"].values[5] = np.nan
    data = cut(found)
    assert 105 not in data["seed"].values and np.isfinite(data["image"].values).all()


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        (
            {"column": np.full((SIMULATIONS, 3, SIDE, SIDE), -1.0)},
            {},
            "seed 100 of clouds has N <= 0 or NaN",
        ),
        ({}, {"parts": 3}, "parts is 3; expected a divisor of the maps' 16 x 16 pixels"),
        ({}, {"variant": "grey"}, "variant is 'grey'; expected one of standardised, raw"),
        ({}, {"field": "density"}, "field is 'density'; expected one of column, centroid"),
        ({}, {"test_share": 0.001}, "no simulation of 20 is left for the split 'test'"),
        (
            {},
            {"zoom": 0.25},
            "zoom is 0.25; expected at least 0.5, at which 2 parts are the whole map",
        ),
        (
            {},
            {"noise": {"low": 2, "high": 1, "share": 1}},
            "expected a number from 0, or low and high in order",
        ),
        (
            {"centroid": np.full((SIMULATIONS, 3, SIDE, SIDE), np.nan)},
            {"field": "centroid"},
            "has no velocity",
        ),
    ],
)
def test_images_that_cannot_be_cut_are_refused(changes, settings, message):
    with pytest.raises(BadInput, match=message):
        cut(columns(**changes), **settings)


def test_families_of_different_pixels_or_unknown_indices_are_refused():
    small = columns().isel(x=slice(0, 8), y=slice(0, 8))
    with pytest.raises(BadInput, match=r"pixels differ: 16 in a, 8 in b"):
        images.cut_images({"a": columns(), "b": small}, SETTINGS)
    unknown = columns()
    unknown["index"].values[3] = np.nan
    with pytest.raises(BadInput, match=r"family mine: index of 1 simulations is unknown"):
        images.cut_images({"mine": unknown}, SETTINGS)


def test_simulations_without_a_seed_share_no_field_with_another_family():
    """The first output of one folder is another field than that of another, and than our seed 0."""
    unknown = columns().assign(seed=("simulation", np.full(SIMULATIONS, -1)))
    found = images.cut_images(
        {"mine": unknown, "yours": unknown, "ours": columns(first_seed=0)}, SETTINGS
    )
    seeds = found["seed"].groupby(found["family"])
    alone = [set(group.values.tolist()) for _, group in seeds]
    assert [len(group) for group in alone] == [SIMULATIONS] * 3
    assert not alone[0] & alone[1] and alone[2] == {*range(SIMULATIONS)}
    assert not (alone[0] | alone[1]) & set(range(10**6))
    # the same seeds in every set of the family
    again = images.cut_images({"mine": unknown}, SETTINGS)
    own = found.isel(example=found["family"].values == 0)
    np.testing.assert_array_equal(again["seed"], own["seed"])
    np.testing.assert_array_equal(again["split"], own["split"])
    # pixels of unknown size, NaN, count as the same size
    angular = {
        name: data.assign_attrs(box_pc=np.nan) for name, data in (("a", unknown), ("b", unknown))
    }
    assert np.isnan(images.cut_images(angular, SETTINGS).attrs["pixel_pc"])


def test_early_source_writes_the_analytic_density_as_a_shard(tmp_path):
    """The reference is the analytic column density, by two-dimensional transforms."""
    from skyloom.turbulence.physics import MYR_PER_TIME, sound_speed_kms
    from skyloom.turbulence.project.columns import column_maps
    from skyloom.turbulence.read.sources import read
    from skyloom.turbulence.simulate.early import early_columns
    from skyloom.turbulence.simulate.plan import simulations
    from skyloom.turbulence.simulate.snapshots import write_snapshots
    from skyloom.turbulence.simulate.velocity import velocity_field

    config = {
        "seed": 0,
        "simulations": 2,
        "index": [11 / 3, 4],
        "mach": 1.41,
        "time_myr": 0.2,
        "grid": 16,
    }
    config |= {
        "box_pc": 10.0,
        "mass_msun": 1e4,
        "temperature_k": 10.0,
        "mu": 2.33,
        "order": 2,
        "courant": 0.5,
    }
    config |= {"initial_kmax": None, "backend": "early", "precision": "float64", "batch": 1}
    config |= {"compile": False}
    assert write_snapshots(config, simulations(config), tmp_path / "0.nc") == {}
    maps = column_maps(read("simulated", tmp_path / "0.nc", {}), None)
    assert (
        maps.attrs["source"] == "early" and maps.attrs["order"] == 0 and (maps["steps"] == 0).all()
    )
    sound = sound_speed_kms(10.0, 2.33)
    velocity = velocity_field(16, 4.0, 1, 1.41 * sound)
    expected = early_columns(velocity, 10.0, 0.2 / MYR_PER_TIME, sound)
    np.testing.assert_allclose(maps["column"][1], expected, atol=1e-3 * np.std(expected))
