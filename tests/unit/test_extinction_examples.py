"""Pools of stars, diagrams on the fly and fixed ones: pure, apart by split, refused where wrong."""

import json
import pickle

import numpy as np
import pytest
import torch

from skyloom import patchset
from skyloom.cli import BadInput
from skyloom.extinction import check
from skyloom.extinction.data import examples, mocks, pools
from skyloom.extinction.data.patches import SETTINGS, patches

FIELDS = {
    "trained": {"longitude": [262.0, 298.0], "latitude": [0.0]},
    "unseen": {"longitude": [280.0], "latitude": [3.0]},
    "beyond": {"longitude": [], "latitude": []},
    "area": 0.02,
    "faintest": {"K": 15.9},
    "richness": 2,
    "bands": ["J", "K"],
    "seed": 0,
}
SET = {
    "diagrams": ["2mass"],
    "missing": 0,
    "given": None,
    "law": "wang2019",
    "bins": 20,
    "step": 500.0,
    "limits": {},
    "randomised": False,
    "range": {"count": 0.25, "limit": 1.2, "zero": 0.03, "law": 1.0, "other": "ccm1989"},
    "mismatch": None,
    "profiles": {
        "slope": [1.6, 3.2],
        "spread": [0.4, 2.0],
        "median": 8.0,
        "scatter": 0.75,
        "largest": 40.0,
    },
    "train": 12,
    "shown": 2,
    "valid": 6,
    "test": 8,
    "unseen": 4,
    "beyond": 0,
    "seed": 0,
}
ENTRY = {"module": "mlp"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """stars.nc and patches.nc of a small set."""
    path = tmp_path_factory.mktemp("extinction")
    patchset.write(pools.draw(FIELDS), path / "stars.nc")
    patchset.write(patches(SET, pools.load(path / "stars.nc")), path / "patches.nc")
    return path


@pytest.fixture
def loaded(folder):
    return examples.load([folder / "patches.nc", folder / "stars.nc"], ENTRY)


def test_pools_of_one_direction_share_no_star(folder):
    found = pools.load(folder / "stars.nc")
    assert found.split == ["train", "train", "valid", "valid", "test", "test", "test"]
    assert found.group == ["trained"] * 6 + ["unseen"]
    same = [k for k in range(7) if found.longitude[k] == 262]
    distances = [set(found.stars[k].distance.tolist()) for k in same]
    # float32 distances: a few coincide by chance
    assert len(distances[0] & distances[1]) < 0.01 * len(distances[0])
    assert found.stars[0].richness == 2 and np.isnan(found.stars[0].band("G")).all()


def test_band_that_the_pools_lack_is_refused(folder):
    found = pools.load(folder / "stars.nc")
    with pytest.raises(BadInput, match=r"no G, BP, RP \(bands: J, K\)"):
        found.field(0, ["gaia"], mocks.grid(SET))


def test_draw_is_a_function_of_seed_epoch_and_index_alone(loaded):
    stream = loaded.train
    index = np.array([7, 3, 7])
    batch = stream.draw(1, index)
    other = pickle.loads(pickle.dumps(stream))
    assert not other.kept
    for name, values in other.draw(1, index).items():
        assert torch.equal(values, batch[name]), name
    assert torch.equal(batch["input"][0], batch["input"][2])
    # shown in two epochs, then new; another seed has others
    assert torch.equal(stream.draw(0, index)["input"], batch["input"])
    assert not torch.equal(stream.draw(2, index)["input"], batch["input"])
    other.seed = 1
    assert not torch.equal(other.draw(1, index)["target"], batch["target"])


def test_kept_diagrams_are_those_that_are_drawn_anew(loaded):
    stream = loaded.train
    kept = stream.draw(0, np.arange(12))
    stream.shown = 1
    drawn = stream.draw(0, np.arange(12))
    for name, values in kept.items():
        assert torch.equal(values, drawn[name]), name


def test_target_is_the_cumulative_profile_and_stars_fade_with_it(loaded):
    batch = loaded.train.draw(0, np.arange(12))
    assert batch["target"].shape == (12, 20) and batch["input"].shape == (12, 2, 64, 64)
    assert (batch["target"].diff(dim=1) >= 0).all() and (batch["target"][:, -1] <= 40.001).all()
    observed, bare = (torch.expm1(2 * batch["input"][:, k]).sum((1, 2)) for k in (0, 1))
    assert (observed < 1.05 * bare).all()


def test_no_fixed_example_is_a_training_example(loaded):
    drawn = [loaded.train.draw(epoch, np.arange(12))["target"] for epoch in (0, 2, 4)]
    fixed = [part[np.arange(len(part))]["target"] for part in (loaded.valid, loaded.test)]
    every = torch.cat([*drawn, *fixed])[:, -1]
    assert len(every.unique()) == len(every) == 3 * 12 + 6 + 12


def test_patches_name_group_split_law_and_verdict(folder):
    file = patchset.PatchSet(folder / "patches.nc")
    assert file.coords["split"].tolist() == [1] * 6 + [2] * 12
    assert file.coords["group"].tolist() == [0] * 14 + [1] * 4
    assert set(file.coords["verdict"]) <= set(range(len(check.ORDER)))
    assert file.attrs["law"] == "wang2019" and file.attrs["data_kind"] == "simulated"
    assert json.loads(file.attrs[SETTINGS]) == SET
    assert not set(file.coords["pool"][:6]) & set(file.coords["pool"][6:])


def test_wrong_survey_changes_the_test_diagrams_alone(folder):
    found = pools.load(folder / "stars.nc")
    wrong = SET | {"mismatch": {"count": 1.0, "brighter": 1.3, "zero": 0.0, "law": None}}
    drawn, assumed = patches(wrong, found), patches(SET, found)
    valid = assumed["split"].values == 1
    np.testing.assert_array_equal(drawn["image"][valid], assumed["image"][valid])
    np.testing.assert_array_equal(drawn["target"], assumed["target"])
    np.testing.assert_array_equal(drawn["bare"], assumed["bare"])
    # the faint stars are gone: a star in six of these fields is 1.3 mag above the limit
    lost = drawn["image"][~valid].sum() / assumed["image"][~valid].sum()
    assert 0.2 < lost < 0.7


@pytest.mark.parametrize(
    ("mismatch", "field", "expected"),
    [
        ({"count": 1.15}, "count", 1.15),
        ({"brighter": 0.5}, "limit", [[16.2, 14.8]]),
        ({"zero": 0.03}, "zero", [[0.03, 0.0]]),
        ({"law": "ccm1989"}, "law", [[0.282, 0.114]]),
    ],
)
def test_mismatch_states_how_the_survey_departs(mismatch, field, expected):
    survey = mocks.test_survey(SET | {"mismatch": mismatch}, mocks.seeds(0, 0, np.arange(1)))
    values = getattr(survey, field)
    if values.ndim == 2:
        # bands are K, J
        values = values.flip(1)
    torch.testing.assert_close(values, torch.tensor(expected).expand_as(values).float())


def test_training_examples_lack_diagrams_at_random_and_never_all():
    settings = SET | {"diagrams": ["2mass", "gaia", "2mass_gaia"], "missing": 0.5}
    seen = mocks.present(settings, mocks.seeds(0, 0, np.arange(4000)))
    assert seen.any(1).all() and (seen.float().mean(0) - 0.5).abs().max() < 0.07
    assert 0.1 < seen.all(1).float().mean() < 0.15
    assert mocks.present(settings | {"missing": 0}, mocks.seeds(0, 0, np.arange(9))).all()


def test_missing_diagram_is_empty_in_both_channels_and_a_test_has_what_is_given(tmp_path):
    fields = FIELDS | {"bands": ["J", "K", "G", "BP", "RP"], "unseen": FIELDS["beyond"]}
    patchset.write(pools.draw(fields), tmp_path / "stars.nc")
    settings = SET | {"diagrams": ["2mass", "gaia"], "missing": 0.4, "unseen": 0}
    settings |= {"given": ["gaia"]}
    patchset.write(patches(settings, pools.load(tmp_path / "stars.nc")), tmp_path / "patches.nc")
    found = examples.load([tmp_path / "patches.nc", tmp_path / "stars.nc"], ENTRY)
    stars = found.test[np.arange(8)]["input"].sum((2, 3))
    assert (stars[:, :2] == 0).all() and (stars[:, 2:] > 0).all()
    for part in (found.train.draw(0, np.arange(12)), found.valid[np.arange(6)]):
        stars = part["input"].sum((2, 3)) > 0
        assert torch.equal(stars[:, 0], stars[:, 1]) and torch.equal(stars[:, 2], stars[:, 3])
        assert (stars[:, 0] | stars[:, 2]).all() and not stars.all()
    # another epoch lacks others of the same kept diagrams
    masks = [found.train.draw(epoch, np.arange(12))["input"].sum((2, 3)) > 0 for epoch in (0, 1)]
    assert not torch.equal(*masks)


def test_set_of_other_bins_is_refused_for_a_trained_model(folder, loaded):
    with pytest.raises(BadInput, match=r"bins is 20; expected 100, as the model was trained on"):
        examples.load([folder / "patches.nc"], ENTRY, loaded.meta | {"bins": 100})
    assert len(examples.load([folder / "patches.nc"], ENTRY, loaded.meta).test) == 12


def test_colour_excess_gets_stars_of_the_example_s_field(folder):
    found = examples.load([folder / "patches.nc"], {"module": "colour_excess"})
    stars = found.test[np.array([0, 1, 2])]["stars"]
    assert stars.shape[:2] == (3, 3) and not torch.equal(stars[0], stars[1])
    assert torch.equal(stars[0], stars[2])
