"""Baselines on correlated random fields with a planted relation."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from skyloom import patchset
from skyloom.cli import BadInput
from skyloom.co import baselines
from skyloom.co.data import examples

N, SIDE = 24, 32
NOISE = 0.3  # K km/s
ENTRY = {"pixels": 20_000, "trees": 60, "leaves": 15, "learning_rate": 0.2, "weight_cap": 10}
# MJy/sr per 1e20 cm-2, MJy/sr, 1e20 cm-2 / (K km/s), K km/s
EPS, OFFSET, X, W0 = (0.4, 0.5, 2.2, 1.5)


def correlated(random, width):
    field = gaussian_filter(random.standard_normal((N, SIDE, SIDE)), (0, 2, 2), mode="wrap")
    return np.exp(width * field / field.std())


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Dust = eps (HI + 2 H2) + offset, CO = max(0, H2 / X - W0) + noise, H2 only where HI is above
    4e20 cm-2.
    """
    random = np.random.default_rng(0)
    hi = 4 * correlated(random, 0.5)
    h2 = 6 * correlated(random, 0.8) * (1 - np.exp(-np.maximum(hi - 4, 0)))
    dust = EPS * (hi + 2 * h2) + OFFSET
    truth = np.maximum(h2 / X - W0, 0)
    target = truth + NOISE * random.standard_normal(truth.shape)
    maps = {
        "dust": dust,
        "hi": hi,
        "target": target,
        "error": np.full_like(dust, NOISE),
        "weight": np.ones_like(dust),
    }
    dataset = xr.Dataset(
        {k: (("example", "y", "x"), v.astype(np.float32)) for k, v in maps.items()}
    )
    dataset["split"] = "example", np.repeat(np.array([0, 1, 2], np.int8), [16, 2, 6])
    dataset["sampling_weight"] = "example", np.ones(N, np.float32)
    dataset["glat"] = "example", np.linspace(-40, 40, N).astype(np.float32)
    dataset.attrs = {"pixel_arcmin": 5.625, "beam_arcmin": 15.0, "line": "CO J=1-0"}
    for name in ("dust", "hi", "target"):
        dataset[name].attrs = examples.fit_normalisation(dataset[name].values[:16])
    path = tmp_path_factory.mktemp("planted") / "patches.nc"
    patchset.write(dataset, path)
    return examples.load([path], ENTRY)


def batch_of(planted):
    return planted.test[np.arange(len(planted.test))]


def rms(planted, module):
    state = baselines.fit(ENTRY | {"module": module}, planted, seed=1)
    batch = batch_of(planted)
    return float(
        (
            baselines.predict(state, batch, planted.meta)["prediction"] - batch["target_physical"]
        ).std()
    )


def test_constant_is_the_weighted_least_squares_factor(planted):
    state = baselines.fit(ENTRY | {"module": "constant"}, planted, seed=1)
    train = planted.train[np.arange(16)]
    dust, co = (train[name].numpy().ravel().astype(float) for name in ("dust", "target_physical"))
    assert state["factor"] == pytest.approx(np.linalg.lstsq(dust[:, None], co)[0][0], rel=1e-6)


def test_isotonic_rises_with_dust_and_beats_the_constant(planted):
    state = baselines.fit(ENTRY | {"module": "isotonic"}, planted, seed=1)
    ramp = {"dust": torch.linspace(0, 200, 1000)[None, None, None]}
    assert (baselines.predict(state, ramp, planted.meta)["prediction"].diff() >= 0).all()
    assert rms(planted, "isotonic") < rms(planted, "constant")


def test_excess_recovers_the_planted_emissivity_factor_and_threshold(planted):
    state = baselines.fit(ENTRY | {"module": "excess"}, planted, seed=1)
    assert state["nhi_limit"] == 3.0
    assert state["eps"] == pytest.approx(EPS, rel=1e-5) and state["offset"] == pytest.approx(
        OFFSET, rel=1e-5
    )
    # some 5,000 pixels above the threshold, spread by 3 K km/s, with noise of 0.3: 0.15 % in X,
    # 0.01 K km/s in W0
    assert state["x_factor"] == pytest.approx(X, rel=0.01)
    assert state["w0"] == pytest.approx(W0, abs=0.05)
    assert rms(planted, "excess") == pytest.approx(NOISE, rel=0.05)  # 6,144 test pixels: 1 %


def test_boosted_beats_the_constant_on_a_relation_with_a_threshold(planted):
    assert rms(planted, "boosted") < 0.5 * rms(planted, "constant")


@pytest.mark.parametrize("module", list(baselines.BASELINES))
def test_state_survives_a_weights_only_checkpoint(planted, tmp_path, module):
    state = baselines.fit(ENTRY | {"module": module}, planted, seed=1)
    torch.save(state, tmp_path / "best.ckpt")
    loaded = torch.load(tmp_path / "best.ckpt", weights_only=True)
    batch = batch_of(planted)
    first, second = (
        baselines.predict(s, batch, planted.meta)["prediction"] for s in (state, loaded)
    )
    assert first.shape == batch["target"].shape and first.dtype == torch.float32
    assert torch.equal(first, second)


def test_same_seed_draws_the_same_pixels_and_another_seed_others(planted):
    first, again, other = (baselines.draw_pixels(planted, 1000, seed)["dust"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    # a binomial number: five of its standard deviations
    assert abs(len(first) - 1000) < 5 * 1000**0.5
    assert not np.array_equal(first[:100], other[:100])


def test_unknown_baseline_is_refused_with_the_known_ones(planted):
    with pytest.raises(
        BadInput, match="'linear' is unknown; expected one of constant, isotonic, excess, boosted"
    ):
        baselines.fit(ENTRY | {"module": "linear"}, planted, seed=1)
