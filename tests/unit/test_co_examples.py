"""Training examples: normalisation fitted on train only, masks, weights, the denoised target's
place.
"""

import numpy as np
import pytest
import torch
import xarray as xr

from skyloom import patchset
from skyloom.cli import BadInput
from skyloom.co.data import examples

N, SIDE = 12, 16
SPLIT = np.array([0] * 6 + [1] * 3 + [2] * 3, np.int8)
TILE, VIEW = np.arange(N, dtype=np.int32) // 2, np.arange(N, dtype=np.int8) % 2


def make_patches(path, **changes):
    """A patch set of random positive maps; `changes` replaces whole variables before the constants
    are fitted.
    """
    random = np.random.default_rng(0)
    shape = (N, SIDE, SIDE)
    maps = {
        "dust": random.lognormal(1, 1, shape),
        "hi": random.lognormal(2, 0.5, shape),
        "target": random.lognormal(0, 1.5, shape) + 0.45 * random.standard_normal(shape),
        "error": np.full(shape, 0.45),
        "weight": np.ones(shape),
    }
    dataset = xr.Dataset(
        {k: (("example", "y", "x"), v.astype(np.float32)) for k, v in maps.items()}
    )
    dataset["split"] = "example", SPLIT.copy()
    dataset["sampling_weight"] = "example", random.uniform(1, 20, N).astype(np.float32)
    dataset["tile"] = "example", TILE
    dataset["view"] = "example", VIEW
    dataset["glat"] = "example", np.linspace(-40, 40, N).astype(np.float32)
    dataset.attrs = {
        "data_kind": "simulated",
        "pixel_arcmin": 2.8125,
        "beam_arcmin": 15.0,
        "line": "CO J=1-0",
    }
    for name, values in changes.items():
        dataset[name].values[...] = values
    for name in ("dust", "hi", "target"):
        dataset[name].attrs = examples.fit_normalisation(dataset[name].values[SPLIT == 0])
    patchset.write(dataset, path)
    return path


def load(path, *more, cap=10.0):
    return examples.load([path, *more], {"weight_cap": cap})


def test_normalisation_is_undone_to_single_precision_in_numpy_and_torch():
    x = np.concatenate([-np.logspace(-3, 1, 50), np.logspace(-3, 4, 100)])
    constants = examples.fit_normalisation(x)
    back = examples.to_physical(examples.to_normalised(x, constants), constants)
    np.testing.assert_allclose(back, x, rtol=1e-12, atol=1e-12)
    z = examples.to_normalised(torch.tensor(x, dtype=torch.float32), constants)
    # sinh amplifies the rounding of its argument (up to 10 here) by as much: 20 roundings of 6e-8,
    # and 1 more each way
    np.testing.assert_allclose(examples.to_physical(z, constants).numpy(), x, rtol=3e-6, atol=1e-6)


def test_normalised_training_values_have_zero_mean_and_unit_variance():
    x = np.random.default_rng(0).lognormal(2, 1, 10_000)
    z = examples.to_normalised(x, examples.fit_normalisation(x))
    assert abs(z.mean()) < 1e-10 and abs(z.std() - 1) < 1e-10


def test_scale_of_normalisation_is_robust():
    x = np.random.default_rng(0).normal(0, 1, 100_000)
    quartile = 0.3186  # of |x| of a standard normal variable
    assert examples.fit_normalisation(x)["asinh_scale"] == pytest.approx(quartile, rel=0.02)
    x[:100] = 1e6
    assert examples.fit_normalisation(x)["asinh_scale"] == pytest.approx(quartile, rel=0.02)


def test_map_without_values_is_refused_by_the_normalisation():
    with pytest.raises(BadInput, match="no finite value"):
        examples.fit_normalisation(np.full(5, np.nan))
    with pytest.raises(BadInput, match="only the value 2"):
        examples.fit_normalisation(np.full(5, 2.0))


def test_test_rows_change_no_constant_and_no_training_batch(tmp_path):
    target = np.random.default_rng(0).lognormal(0, 1, (N, SIDE, SIDE)).astype(np.float32)
    other = np.where((SPLIT == 2)[:, None, None], 1e4, target)
    first, second = (
        load(make_patches(tmp_path / f"{k}.nc", target=v)) for k, v in enumerate((target, other))
    )
    assert first.meta == second.meta
    for key, value in first.train[np.arange(6)].items():
        assert torch.equal(value, second.train[np.arange(6)][key]), key
    assert not torch.equal(first.test[np.arange(3)]["target"], second.test[np.arange(3)]["target"])


def test_batch_holds_the_rows_asked_for_in_physical_and_normalised_form(tmp_path):
    path = make_patches(tmp_path / "patches.nc")
    batch = load(path).valid[np.array([2, 0])]
    with xr.open_dataset(path) as dataset:
        dust = dataset["dust"].values[[8, 6]]
        attributes = dataset["dust"].attrs
    np.testing.assert_array_equal(batch["dust"][:, 0].numpy(), dust)
    expected = (
        np.arcsinh(dust / attributes["asinh_scale"]) - attributes["asinh_mean"]
    ) / attributes["asinh_std"]
    np.testing.assert_allclose(batch["input"][:, 0].numpy(), expected, rtol=1e-5, atol=1e-5)
    assert batch["input"].shape == (2, 2, SIDE, SIDE) and batch["target"].shape == (
        2,
        1,
        SIDE,
        SIDE,
    )
    assert all(value.dtype == torch.float32 for value in batch.values())


@pytest.mark.parametrize("name", ["dust", "hi", "target", "error"])
def test_masked_pixel_of_any_map_is_invalid_and_zero(tmp_path, name):
    path = make_patches(tmp_path / "patches.nc")
    with xr.open_dataset(path) as dataset:
        values = dataset[name].values
    values[0, 3, 4] = np.nan
    batch = load(make_patches(tmp_path / "holes.nc", **{name: values})).train[np.arange(2)]
    assert batch["valid"][0, 0, 3, 4] == 0 and batch["valid"].sum() == 2 * SIDE**2 - 1
    assert all(torch.isfinite(value).all() for value in batch.values())


def test_pixel_interpolated_mostly_from_masked_sky_is_invalid(tmp_path):
    weight = np.ones((N, SIDE, SIDE), np.float32)
    weight[0, 0, :2] = 0.3, 0.8
    valid = load(make_patches(tmp_path / "patches.nc", weight=weight)).train[np.arange(1)]["valid"]
    assert valid[0, 0, 0, 0] == 0 and valid[0, 0, 0, 1] == 1


def test_sampling_weights_are_capped_and_have_mean_one_on_train(tmp_path):
    weight = np.array([1, 2, 4, 8, 100, 1000] + [1] * 6, np.float32)
    train = load(make_patches(tmp_path / "patches.nc", sampling_weight=weight), cap=10).train
    found = train[np.arange(6)]["sampling_weight"].numpy()
    np.testing.assert_allclose(found, np.array([1, 2, 4, 8, 10, 10]) / (35 / 6), rtol=1e-6)


def make_denoised(path, target, tile=TILE, view=VIEW):
    n = len(target)
    coords = {"tile": ("example", tile[:n]), "view": ("example", view[:n])}
    patchset.write(
        xr.Dataset({"target": (("example", "y", "x"), target.astype(np.float32))}, coords), path
    )
    return path


def test_error_left_after_denoising_trains_but_validates_and_tests_nothing(tmp_path):
    path = make_patches(tmp_path / "patches.nc")
    smooth = make_denoised(tmp_path / "denoised.nc", np.full((N, SIDE, SIDE), 7))
    with xr.open_dataset(smooth) as dataset:
        dataset = dataset.load().assign(error=dataset["target"] / 70)
    patchset.write(dataset, smooth)
    raw, denoised = load(path), load(path, smooth)
    assert (denoised.train[np.arange(6)]["error"] == np.float32(0.1)).all()
    for split in ("valid", "test"):
        mine, theirs = (getattr(each, split)[np.arange(3)]["error"] for each in (denoised, raw))
        assert torch.equal(mine, theirs), split


def test_denoised_target_trains_but_validates_and_tests_nothing(tmp_path):
    path = make_patches(tmp_path / "patches.nc")
    smooth = make_denoised(tmp_path / "denoised.nc", np.full((N, SIDE, SIDE), 7))
    raw, denoised = load(path), load(path, smooth)
    assert (denoised.train[np.arange(6)]["target_physical"] == 7).all()
    for split in ("valid", "test"):
        mine, theirs = (
            getattr(each, split)[np.arange(3)]["target_physical"] for each in (denoised, raw)
        )
        assert torch.equal(mine, theirs), split


def test_denoised_maps_of_other_examples_are_refused(tmp_path):
    path, target = make_patches(tmp_path / "patches.nc"), np.zeros((N, SIDE, SIDE))
    with pytest.raises(
        BadInput, match=r"denoised.nc: target has shape \(11, 16, 16\); expected \(12, 16, 16\)"
    ):
        load(path, make_denoised(tmp_path / "denoised.nc", target[:-1]))
    with pytest.raises(
        BadInput, match=r"denoised.nc: tile of example 0 is 5; expected 0, as in .*patches.nc"
    ):
        load(path, make_denoised(tmp_path / "denoised.nc", target, tile=TILE[::-1].copy()))
    with pytest.raises(BadInput, match=r"denoised.nc: view of example 3 is 0; expected 1"):
        load(path, make_denoised(tmp_path / "denoised.nc", target, view=VIEW * (np.arange(N) < 3)))


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    path = make_patches(tmp_path / "patches.nc")
    with pytest.raises(BadInput, match="no example has split 'valid'"):
        load(make_patches(tmp_path / "bare.nc", split=np.where(SPLIT == 1, 0, SPLIT)))
    with xr.open_dataset(path) as dataset:
        bare = dataset.load()
    bare["hi"].attrs = {}
    patchset.write(bare, tmp_path / "without.nc")
    with pytest.raises(BadInput, match="hi lacks asinh_scale"):
        load(tmp_path / "without.nc")


def test_meta_is_plain_python_that_a_checkpoint_may_hold(tmp_path):
    meta = load(make_patches(tmp_path / "patches.nc")).meta
    torch.save(meta, tmp_path / "meta.ckpt")
    assert torch.load(tmp_path / "meta.ckpt", weights_only=True) == meta


def test_set_of_another_line_is_seen_with_the_normalisation_of_the_model(tmp_path):
    maps = np.random.default_rng(1).lognormal(1, 1, (N, SIDE, SIDE)).astype(np.float32)
    trained = load(make_patches(tmp_path / "co10.nc")).meta
    path = make_patches(tmp_path / "co21.nc", target=maps)
    tested = examples.load([path], {"weight_cap": 10.0, "base": "excess"}, trained | {"excess": {}})
    assert tested.meta["excess"] == {} and tested.meta["normalisation"] == trained["normalisation"]
    batch = tested.test[np.array([0])]
    expected = examples.to_normalised(batch["target_physical"], trained["normalisation"]["target"])
    torch.testing.assert_close(batch["target"], expected)
    with pytest.raises(BadInput, match=r"co21.nc: pixels is 16; expected 32, as the model"):
        examples.load([path], {"weight_cap": 10.0}, trained | {"pixels": 32})
