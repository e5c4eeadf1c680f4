"""The CO networks: likelihood, masks, gradient flow, checkpoints."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from skyloom.cli import BadInput
from skyloom.co.data import examples
from skyloom.co.models import cyclegan, pix2pix, res_unet
from skyloom.networks import symmetries
from skyloom.training import Plan

SIDE, NOISE = 32, 0.3
RES_UNET = {
    "width": 8,
    "depth": 2,
    "dropout": 0.1,
    "coarse": 2,
    "weight_decay": 1e-4,
    "linear_loss": 0.1,
    "steps": 100,
    "batch": 4,
    "learning_rate": 3e-3,
}
CYCLEGAN = {
    "generator": "unet",
    "generator_width": 8,
    "generator_depth": 3,
    "discriminator_width": 8,
    "discriminator_depth": 2,
    "gan_loss": "bce",
    "lambda_cycle": 10,
    "lambda_identity": 5,
    "identity": "zhu",
    "paired": True,
    "cycle_noise": 0.0,
    "buffer": 0,
    "upsample": "nearest",
    "norm": "group",
    "r1": 0.0,
    "r1_every": 16,
    "decay": True,
    "steps": 100,
    "batch": 4,
    "learning_rate": 2e-4,
}
PIX2PIX = CYCLEGAN | {"gan_loss": "lsgan", "lambda_l1": 100}
MODELS = {
    "res_unet": (res_unet, RES_UNET),
    "cyclegan": (cyclegan, CYCLEGAN),
    "pix2pix": (pix2pix, PIX2PIX),
}


@pytest.fixture(scope="module")
def data():
    """Four tiles of correlated fields in which CO is the dust that HI does not account for; (batch,
    meta).
    """
    random = np.random.default_rng(0)

    def field(width):
        values = gaussian_filter(
            random.standard_normal((4, 1, SIDE, SIDE)), (0, 0, 2, 2), mode="wrap"
        )
        return np.exp(width * values / values.std())

    hi, h2 = 5 * field(0.5), 4 * field(1.0)
    truth = np.maximum(h2 - 2, 0)
    maps = {
        "dust": 0.4 * (hi + 2 * h2),
        "hi": hi,
        "target": truth + NOISE * random.standard_normal(truth.shape),
    }
    constants = {name: examples.fit_normalisation(values) for name, values in maps.items()}
    z = {name: examples.to_normalised(values, constants[name]) for name, values in maps.items()}
    batch = {
        "input": np.concatenate([z["dust"], z["hi"]], 1),
        "target": z["target"],
        "target_physical": maps["target"],
        "error": np.full_like(truth, NOISE),
        "valid": np.ones_like(truth),
        "sampling_weight": np.ones(4),
    }
    return {k: torch.tensor(v, dtype=torch.float32) for k, v in batch.items()}, {
        "normalisation": constants,
        "pixel_arcmin": 5.0,
        "pixels": SIDE,
    }


def make(name, data, seed=0, **changes):
    module, entry = MODELS[name]
    torch.manual_seed(seed)
    task = module.make_task(entry | changes, data[1])
    task.plan = Plan.from_entry(entry | changes, seed).resolved(4, 1)
    return task


def train(task, batch, steps):
    optimisers = task.optimisers()
    schedules = task.schedules(optimisers)
    for step in range(steps):
        for name, loss in task.losses(batch, step):
            optimisers[name].zero_grad()
            loss.backward(
                inputs=[p for group in optimisers[name].param_groups for p in group["params"]]
            )
            optimisers[name].step()
            schedules[name].step()


# --- likelihood
# --------------------------------------------------------------------------------------------------


def test_mean_and_spread_of_the_asinh_normal_distribution_agree_with_drawing(data):
    constants = data[1]["normalisation"]["target"]
    z = torch.randn(1_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for mean, spread in ((-0.5, 0.1), (0.5, 0.4), (1.5, 0.2)):
        drawn = examples.to_physical(mean + spread * z, constants)
        found = res_unet.asinh_normal(torch.tensor(mean), torch.tensor(spread), constants)
        # five sigma
        assert found[0].item() == pytest.approx(drawn.mean().item(), abs=5e-3 * drawn.std().item())
        assert found[1].item() == pytest.approx(drawn.std().item(), rel=0.02)  # heavy tails


def test_error_carried_to_asinh_space_is_the_slope_of_the_normalisation(data):
    constants = data[1]["normalisation"]["target"]
    w = torch.tensor([-1.0, 0.0, 2.0, 50.0], dtype=torch.float64, requires_grad=True)
    z = examples.to_normalised(w, constants)
    (slope,) = torch.autograd.grad(z.sum(), w)
    torch.testing.assert_close(
        res_unet.noise_in_asinh(torch.tensor(NOISE), z, constants), NOISE * slope
    )


def test_fitted_spread_is_the_intrinsic_one_with_the_noise_taken_out(data):
    constants, task = data[1]["normalisation"]["target"], make("res_unet", data)
    generator = torch.Generator().manual_seed(0)
    mean = torch.linspace(0, 1.5, 50_000)
    # the noise is as large as the spread at the faint end
    intrinsic, error = (0.2, 0.2 * constants["asinh_scale"])
    w = examples.to_physical(
        mean + intrinsic * torch.randn(mean.shape, generator=generator), constants
    )
    noisy = w + error * torch.randn(mean.shape, generator=generator)
    batch = {
        "target": examples.to_normalised(noisy, constants),
        "error": torch.full_like(mean, error),
    }
    log_spread = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([log_spread], max_iter=30)

    def closure():
        optimiser.zero_grad()
        loss = task.nll(mean, log_spread, batch).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    # 50,000 pixels give 0.5 %; the noise is carried to first order, which leaves some percent at
    # the faint end
    assert log_spread.exp().item() == pytest.approx(intrinsic, rel=0.05)


def test_spread_stays_within_its_bounds_for_any_input(data):
    task = make("res_unet", data)
    with torch.no_grad():
        task.net.head[-1].weight *= 1e5
        mean, log_spread = task(10 * torch.randn(2, 2, SIDE, SIDE))
    low, high = res_unet.LOG_SPREAD
    assert log_spread.min() >= low and log_spread.max() <= high and torch.isfinite(mean).all()


def test_contrasts_know_no_scale_and_slope_of_an_exponential_ramp_is_its_rate(data):
    task = make("res_unet", data)
    # in asinh space, ln where it is bright
    bright = torch.full((1, 2, SIDE, SIDE), 3.0) + 0.05 * torch.arange(SIDE)
    seen, brighter = task.contrasts(bright), task.contrasts(bright + 1)
    # single precision of a sum over 32
    torch.testing.assert_close(seen[:, 2:], brighter[:, 2:], atol=1e-4, rtol=0)
    std = data[1]["normalisation"]["dust"]["asinh_std"]
    # a step of 0.05 std a pixel of 5 arcmin is 0.15 std a beam of 15; the 1e-8 under the root is
    # nothing beside it
    torch.testing.assert_close(
        seen[:, 8], torch.full_like(seen[:, 8], 0.15 * std), atol=1e-3, rtol=0
    )


def test_prediction_turns_with_the_tile(data):
    task = make("res_unet", data, width=4).eval()
    with torch.no_grad():
        task.net.head[-1].weight *= 30
    element = torch.full((4,), 5)
    turned = res_unet.predict(
        task, {"input": symmetries.apply({"x": data[0]["input"]}, element)["x"]}
    )
    expected = symmetries.apply(res_unet.predict(task, data[0]), element)
    for name, value in turned.items():  # sums of eight terms in another order
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-2)


# --- masks and weights
# -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_in_an_invalid_pixel_of_the_target_changes_no_loss(name, data):
    batch = dict(data[0])
    batch["valid"] = batch["valid"].clone()
    batch["valid"][:, :, 3:9, 3:9] = 0
    other = batch | {
        key: torch.where(batch["valid"] > 0, batch[key], 99.0)
        for key in ("target", "target_physical")
    }
    task = make(name, data)
    losses = []
    for version in (batch, other):
        torch.manual_seed(1)
        losses.append([loss.item() for _, loss in task.losses(version, 0)])
    assert losses[0] == losses[1]


def test_invalid_pixel_and_tile_without_weight_get_no_gradient(data):
    batch = dict(data[0])
    batch["valid"] = batch["valid"].clone()
    batch["valid"][0, 0, 5, 6] = 0
    batch["sampling_weight"] = torch.tensor([1.0, 0.0, 2.0, 1.0])
    task = make("res_unet", data)
    mean = torch.randn(4, 1, SIDE, SIDE, requires_grad=True)
    loss = task.nll(mean, torch.zeros_like(mean), batch) + task.linear_error(
        mean, torch.zeros_like(mean), batch
    )
    res_unet.average(loss, batch).mean().backward()
    assert mean.grad[0, 0, 5, 6] == 0 and (mean.grad[1] == 0).all()
    assert (mean.grad[2:] != 0).all()


# --- networks
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, changes",
    [
        ("res_unet", {}),
        ("res_unet", {"coarse": 1}),
        ("cyclegan", {}),
        ("cyclegan", {"generator": "resnet"}),
        ("pix2pix", {}),
    ],
)
def test_gradient_reaches_every_parameter_of_the_optimiser_that_steps(name, changes, data):
    task = make(name, data, **changes)
    owned = set()
    for key, loss in task.losses(data[0], 0):
        parameters = [p for group in task.optimisers()[key].param_groups for p in group["params"]]
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        # a bias before a norm with one group of its own would be dead; none is
        assert all((g != 0).any() for g in gradients)
        owned |= {id(p) for p in parameters}
    assert owned == {id(p) for p in task.parameters()}


@pytest.mark.parametrize("name", MODELS)
def test_prediction_and_score_have_the_shapes_that_engine_and_evaluation_read(name, data):
    task = make(name, data).eval()
    predicted = MODELS[name][0].predict(task, data[0])
    assert all(value.shape == (4, 1, SIDE, SIDE) for value in predicted.values())
    assert all(value.shape == (4,) for value in task.score(data[0]).values())


def test_untrained_res_unet_follows_the_dust(data):
    task = make("res_unet", data).eval()
    prediction = res_unet.predict(task, data[0])["prediction"]
    dust = examples.to_physical(data[0]["input"][:, :1], data[1]["normalisation"]["dust"])
    assert torch.corrcoef(torch.stack([prediction.flatten(), dust.flatten()]))[0, 1] > 0.98


def test_res_unet_learns_four_tiles_far_below_the_constant_factor(data):
    task = make("res_unet", data, steps=120, dropout=0.0)
    target = data[0]["target_physical"]
    dust = examples.to_physical(data[0]["input"][:, :1], data[1]["normalisation"]["dust"])
    constant = (dust * (dust * target).sum() / dust.square().sum() - target).square().mean().sqrt()
    train(task, data[0], 120)
    prediction = res_unet.predict(task.eval(), data[0])["prediction"]
    assert (prediction - target).square().mean().sqrt() < 0.5 * constant


def test_paired_cyclegan_learns_the_relation_of_four_tiles(data):
    task = make("cyclegan", data, identity="paired_l1", steps=50, learning_rate=2e-3)
    before = task.score(data[0])["l1"].mean().item()
    train(task, data[0], 50)
    assert task.eval().score(data[0])["l1"].mean().item() < 0.5 * before


@pytest.mark.parametrize("name", MODELS)
def test_network_predicts_the_same_after_a_weights_only_checkpoint(name, data, tmp_path):
    module, _ = MODELS[name]
    task = make(name, data).eval()
    torch.save(task.state_dict(), tmp_path / "best.ckpt")
    other = make(name, data, seed=1)
    other.load_state_dict(torch.load(tmp_path / "best.ckpt", weights_only=True))
    first, second = (module.predict(t, data[0])["prediction"] for t in (task, other.eval()))
    assert torch.equal(first, second)


def test_tiles_that_cannot_be_halved_so_often_are_refused_before_training(data):
    with pytest.raises(
        BadInput, match=r"res_unet: coarse and depth ask for tiles of a multiple of 512 pixels"
    ):
        make("res_unet", data, coarse=2, depth=8)
