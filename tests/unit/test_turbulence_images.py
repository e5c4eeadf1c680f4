"""Images of column density: cuts, variants, and a split that goes by simulation."""

import numpy as np
import pytest
import xarray as xr

from skyloom.cli import BadInput
from skyloom.turbulence.data import images

SETTINGS = {"parts": 2, "variant": "standardised", "lowpass": None, "valid_share": 0.2, "test_share": 0.2, "seed": 0}
SIMULATIONS, SIDE = 20, 16


def columns(**changes) -> xr.Dataset:
    random = np.random.default_rng(1)
    dims = ("simulation", "axis", "y", "x")
    shape = (SIMULATIONS, 3, SIDE, SIDE)
    found = {"column": random.normal(0, 0.01, shape), "centroid": random.normal(0, 0.1, shape)} | changes
    data = xr.Dataset({name: (dims, values) for name, values in found.items()}, attrs={"data_kind": "simulated"})
    known = {
        "seed": np.arange(100, 100 + SIMULATIONS),
        "index": np.tile([11 / 3, 4.0], SIMULATIONS // 2),
        "mach": np.full(SIMULATIONS, 1.41),
        "time_myr": np.full(SIMULATIONS, 0.5),
        "ok": np.ones(SIMULATIONS, np.int8),
    }
    return data.assign({name: ("simulation", values) for name, values in known.items()})


def test_each_view_of_a_simulation_is_in_its_split_and_classes_keep_their_shares():
    data = images.cut_images(columns(), SETTINGS)
    assert data.sizes == {"example": SIMULATIONS * 3 * 4, "y": SIDE // 2, "x": SIDE // 2}
    table = data[["simulation", "split", "index"]].to_dataframe()
    assert (table.groupby("simulation")["split"].nunique() == 1).all()
    first = table.groupby("simulation").first()
    assert first.groupby(["index", "split"]).size().to_dict() == {
        (index, split): count for index in (11 / 3, 4.0) for split, count in enumerate((6, 2, 2))
    }


def test_parts_are_the_corners_of_the_map_they_were_cut_from():
    found = columns()
    data = images.cut_images(found, SETTINGS | {"variant": "raw"})
    whole = np.log10(1 + found["column"].values[3, 2])
    mine = data.isel(example=(data["simulation"].values == 3) & (data["axis"].values == 2)).sortby("part")
    np.testing.assert_allclose(
        np.block([[mine.image[0], mine.image[1]], [mine.image[2], mine.image[3]]]), whole, rtol=1e-6
    )


def test_standardised_image_knows_no_amplitude_and_a_raw_one_does():
    weak, strong = columns(), columns()
    strong["column"] = (weak["column"].dims, (1 + weak["column"].values) ** 3 - 1)  # log N three times as large
    a, b = (images.cut_images(each, SETTINGS)["image"].values for each in (weak, strong))
    np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(a.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(a.std((1, 2)), 1, rtol=1e-5)
    a, b = (images.cut_images(each, SETTINGS | {"variant": "raw"})["image"].values for each in (weak, strong))
    np.testing.assert_allclose(b, 3 * a, rtol=1e-4, atol=1e-6)


def test_lowpass_keeps_a_slow_wave_and_removes_a_fast_one():
    x = np.arange(SIDE) / SIDE
    slow, fast = (np.broadcast_to(np.cos(2 * np.pi * k * x), (SIDE, SIDE)) for k in (2, 5))
    np.testing.assert_allclose(images.lowpassed(slow + fast, 4), slow, atol=1e-12)


def test_simulation_that_failed_is_left_out():
    found = columns()
    found["ok"].values[5] = 0
    found["column"].values[5] = np.nan
    data = images.cut_images(found, SETTINGS)
    assert 105 not in data["seed"].values and np.isfinite(data["image"].values).all()


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"column": np.full((SIMULATIONS, 3, SIDE, SIDE), -1.0)}, {}, "seed 100 has N <= 0 or NaN"),
        ({}, {"parts": 3}, "parts is 3; expected a divisor of the maps' 16 x 16 pixels"),
        ({}, {"variant": "grey"}, "variant is 'grey'; expected one of standardised, raw"),
        ({}, {"test_share": 0.0}, "no simulation of 20 is left for the split 'test'"),
    ],
)
def test_images_that_cannot_be_cut_are_refused(changes, settings, message):
    with pytest.raises(BadInput, match=message):
        images.cut_images(columns(**changes), SETTINGS | settings)
