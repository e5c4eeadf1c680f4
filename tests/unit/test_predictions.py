"""Predictions as a labelled data set: maps, numbers, realisations and classes."""

import numpy as np
import pytest
import xarray as xr

from skyloom.cli import BadInput
from skyloom.predictions import as_dataset

CLASSES = {"flag_values": [0, 1, 2], "flag_meanings": "none diffuse galaxy"}


def patches(dims, shape, **attributes):
    target = xr.DataArray(np.zeros(shape, np.float32), dims=dims, attrs=attributes)
    return xr.Dataset({"target": target}, {"tile": ("example", np.arange(shape[0]))})


def test_map_keeps_the_targets_unit_and_the_coordinates_of_its_examples():
    rows = patches(("example", "y", "x"), (4, 3, 5), units="K km/s")
    values = np.random.default_rng(0).normal(size=(4, 1, 3, 5))
    predicted = as_dataset({"prediction": values, "samples": values.repeat(2, 1)}, rows)
    assert predicted["prediction"].dims == ("example", "y", "x")
    assert predicted["samples"].dims == ("example", "sample", "y", "x")
    assert predicted["prediction"].attrs["units"] == "K km/s"
    np.testing.assert_array_equal(predicted["prediction"], values[:, 0])
    np.testing.assert_array_equal(predicted["tile"], np.arange(4))
    assert "class" not in predicted.coords


@pytest.mark.parametrize(
    ("dims", "shape"), [(("example", "y", "x"), (4, 3, 5)), (("example",), (4,))]
)
def test_classes_of_the_target_become_an_axis_with_their_names(dims, shape):
    rows = patches(dims, shape, **CLASSES)
    shares = np.random.default_rng(0).random((4, 3, *shape[1:]))
    predicted = as_dataset({"prediction": shares, "spread": np.ones(shape)}, rows)
    assert predicted["prediction"].dims == ("example", "class", *dims[1:])
    assert predicted["class"].values.tolist() == ["none", "diffuse", "galaxy"]
    assert predicted["spread"].dims == dims
    diffuse = predicted["prediction"].sel({"class": "diffuse"})
    np.testing.assert_array_equal(diffuse, shares[:, 1])


def test_array_that_fits_neither_target_nor_classes_is_refused():
    rows = patches(("example", "y", "x"), (4, 8, 8), **CLASSES)
    with pytest.raises(
        BadInput,
        match=r"prediction has the shape \(4, 2, 8, 8\), expected \(4, 8, 8\)"
        r".*or an axis of 3 classes",
    ):
        as_dataset({"prediction": np.zeros((4, 2, 8, 8))}, rows)
    with pytest.raises(BadInput, match="expected"):
        as_dataset(
            {"prediction": np.zeros((4, 3, 8, 8))}, patches(("example", "y", "x"), (4, 8, 8))
        )
