"""Training examples of the turbulence study: labels, scale, families, and a set seen by another
set's model.
"""

import numpy as np
import pytest
import torch
import xarray as xr

import evaluate_transfer
from skyloom import patchset
from skyloom.cli import BadInput
from skyloom.predictions import rows_of
from skyloom.turbulence.data import examples

N, SIDE = 12, 8
SPLIT = np.array([0] * 6 + [1] * 3 + [2] * 3, np.int8)
FLAGS = {
    "flag_values": np.array([*patchset.SPLITS.values()], np.int8),
    "flag_meanings": " ".join(patchset.SPLITS),
}
INDEX = np.tile([11 / 3, 4.0], N // 2)
IMAGES = np.random.default_rng(0).normal(0, 0.01, (N, SIDE, SIDE)).astype(np.float32)


def make_set(path, split=SPLIT, index=INDEX, scale=None, **attributes):
    image = ("example", "y", "x"), IMAGES, {} if scale is None else {"scale": scale}
    families = {"flag_values": np.arange(2, dtype=np.int8), "flag_meanings": "nominal mach"}
    dataset = xr.Dataset(
        {"image": image, "target": ("example", index.astype(np.float32))},
        {
            "split": ("example", split, FLAGS),
            "simulation": ("example", np.arange(N)),
            "seed": ("example", 100 + np.arange(N)),
            "family": ("example", (np.arange(N) % 2).astype(np.int8), families),
        },
        {"classes": np.array([11 / 3, 4.0]), "variant": "standardised", "data_kind": "simulated"}
        | attributes,
    )
    patchset.write(dataset, path)
    return path


def test_batch_holds_the_images_of_its_split_and_the_steeper_class_is_one(tmp_path):
    loaded = examples.load([make_set(tmp_path / "patches.nc")], {})
    assert [len(split) for split in (loaded.train, loaded.valid, loaded.test)] == [6, 3, 3]
    batch = loaded.valid[np.array([2, 0])]
    torch.testing.assert_close(
        batch["input"], torch.from_numpy(IMAGES[[8, 6]])[:, None], rtol=0, atol=0
    )
    assert batch["index"].tolist() == pytest.approx([11 / 3, 11 / 3]) and batch[
        "label"
    ].tolist() == [0, 0]
    assert loaded.train[np.arange(4)]["label"].tolist() == [0, 1, 0, 1]
    assert batch["family"].dtype == torch.int64 and loaded.train[np.arange(3)][
        "family"
    ].tolist() == [0, 1, 0]
    assert all(value.dtype == torch.float32 for name, value in batch.items() if name != "family")


def test_continuous_index_is_split_at_the_boundary_between_the_classes(tmp_path):
    index = np.linspace(3, 4.5, N)
    loaded = examples.load([make_set(tmp_path / "patches.nc", index=index)], {})
    assert loaded.meta["boundary"] == pytest.approx(3.8333, abs=1e-4)
    assert loaded.train[np.arange(6)]["label"].tolist() == list(index[:6] > 3.8333)


def test_meta_is_plain_and_its_index_is_of_the_training_images_alone(tmp_path):
    index = np.where(SPLIT == 0, np.linspace(3, 4, N), 100.0)
    meta = examples.load([make_set(tmp_path / "patches.nc", index=index)], {}).meta
    assert meta["index_mean"] == pytest.approx(index[:6].mean()) and meta[
        "index_std"
    ] == pytest.approx(index[:6].std())
    assert meta["families"] == ["nominal", "mach"] and meta["pixels"] == SIDE
    plain = (int, float, str, list)
    assert all(type(value) in plain for value in meta.values())
    assert all(type(value) in plain for name in ("classes", "families") for value in meta[name])


def test_raw_images_are_over_the_scale_of_the_set_and_of_the_model_that_sees_another_set(tmp_path):
    own = make_set(tmp_path / "own.nc", variant="raw", scale=0.02)
    other = make_set(tmp_path / "other.nc", variant="raw", split=np.full(N, 2, np.int8))
    trained = examples.load([own], {})
    np.testing.assert_allclose(
        trained.train[np.arange(2)]["input"][:, 0], IMAGES[:2] / 0.02, rtol=1e-6
    )
    seen = examples.load([other], {}, trained.meta)
    np.testing.assert_allclose(seen.test[np.arange(N)]["input"][:, 0], IMAGES / 0.02, rtol=1e-6)
    assert len(seen.train) == 0 and seen.meta == trained.meta


def test_set_that_only_tests_is_read(tmp_path):
    loaded = examples.load([make_set(tmp_path / "patches.nc", split=np.full(N, 2, np.int8))], {})
    assert len(loaded.test) == N and loaded.meta["boundary"] == pytest.approx(3.8333, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"variant": "raw"}, "scale"),
        ({"variant": "grey"}, "variant is 'grey'"),
    ],
)
def test_set_without_what_a_model_needs_is_refused_by_name(changes, found, tmp_path):
    with pytest.raises(BadInput, match=found):
        examples.load([make_set(tmp_path / "patches.nc", **changes)], {})


def test_model_of_standardised_images_is_given_no_raw_ones(tmp_path):
    meta = examples.load([make_set(tmp_path / "own.nc")], {}).meta
    raw = make_set(tmp_path / "raw.nc", variant="raw", scale=0.02)
    with pytest.raises(
        BadInput, match="raw.nc: variant of an image is 'raw'; expected 'standardised'"
    ):
        examples.load([raw], {}, meta)
    with pytest.raises(
        BadInput,
        match=r"own.nc: pixels of an image is \d+; expected 99, as .*key `pixels` of a fam",
    ):
        examples.load([tmp_path / "own.nc"], {}, meta | {"pixels": 99})


def test_transfer_refuses_a_seed_that_training_or_validation_has_seen(tmp_path):
    own = patchset.PatchSet(make_set(tmp_path / "own.nc"))
    other = make_set(tmp_path / "other.nc", split=np.roll(SPLIT, 3))
    with pytest.raises(
        BadInput,
        match="other.nc: 3 values of seed of its test split, 100 first, are in training or valid",
    ):
        evaluate_transfer.refuse_seen(other, rows_of(other, "test"), own, "seed")
    evaluate_transfer.refuse_seen(own.path, rows_of(own.path, "test"), own, "seed")
