"""The networks of the turbulence study: symmetries, calibration, statistics within them,
learning.
"""

import math

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from test_turbulence_image_statistics import power_law

from skyloom.cli import BadInput
from skyloom.networks import symmetries
from skyloom.training import Plan
from skyloom.turbulence import image_statistics
from skyloom.turbulence.models import cnn, hybrid, likelihoods, residual
from skyloom.turbulence.models.task import random_view

SIDE, N, HELD_OUT = 32, 96, 32
COMMON = {
    "dropout": 0.1,
    "weight_decay": 0.0,
    "adversarial": 0.0,
    "batch": 32,
    "learning_rate": 2e-3,
    "steps": 40,
}
RESIDUAL = {"width": 8, "depth": 2}
MODELS = {
    "cnn": (cnn, {"width": 4}),
    "residual": (residual, RESIDUAL),
    "scattering": (hybrid, RESIDUAL | {"features": ["scattering"]}),
    "power": (hybrid, RESIDUAL | {"features": ["power"]}),
    "all": (hybrid, RESIDUAL | {"features": ["structure", "scattering", "power"]}),
}
META = {
    "pixels": SIDE,
    "families": ["nominal", "mach"],
    "index_mean": 3.0,
    "index_std": 0.5,
}


@pytest.fixture(scope="module")
def fields():
    """Standardised parts of Gaussian fields of power k**-2.2 and k**-3.4: a batch of both
    in turn.
    """
    maps = [power_law(index, N // 2, 2 * SIDE)[:, :SIDE, :SIDE] for index in (2.2, 3.4)]
    images = np.stack(maps, 1).reshape(N, SIDE, SIDE)
    images = images - images.mean((1, 2), keepdims=True)
    images = images / images.std((1, 2), keepdims=True)
    label = torch.arange(N) % 2
    batch = {"input": torch.tensor(images, dtype=torch.float32)[:, None], "label": label.float()}
    return batch | {"index": 2.2 + 1.2 * label, "family": (torch.arange(N) // 2) % 2}


def make(name, learns="class", **changes):
    module, entry = MODELS[name]
    entry = COMMON | entry | {"learns": learns} | changes
    torch.manual_seed(0)
    task = module.make_task(entry, META | {"index_mean": 2.8, "index_std": 0.6})
    task.plan = Plan.from_entry(entry, 0).resolved(N, 1)
    return task


class Rows:
    """A split of examples: `rows[index]` is a batch."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch["label"])

    def __getitem__(self, index):
        return some(self.batch, index)


def train(task, batch):
    task.prepare(Rows(batch))
    optimisers = task.optimisers()
    schedules = task.schedules(optimisers)
    torch.manual_seed(0)
    for step in range(task.plan.steps):
        part = torch.randperm(len(batch["label"]))[: task.plan.batch]
        for name, loss in task.losses({key: value[part] for key, value in batch.items()}, step):
            optimisers[name].zero_grad()
            loss.backward()
            optimisers[name].step()
            if name in schedules:
                schedules[name].step()
    return task.eval()


def some(batch, rows):
    return {name: values[rows] for name, values in batch.items()}


# --- symmetries
# --------------------------------------------------------------------------------------------------


def test_eight_views_are_the_symmetries_of_the_square_and_random_ones_are_among_them():
    image = np.arange(9.0).reshape(3, 3)
    expected = {np.rot90(t, k).tobytes() for t in (image, image[:, ::-1]) for k in range(4)}
    x = torch.tensor(image)[None, None]
    assert {
        np.ascontiguousarray(view[0, 0].numpy()).tobytes() for view in symmetries.views(x)
    } == expected
    torch.manual_seed(0)
    # 200 draws miss one of eight with probability 2e-11
    drawn = random_view(x.expand(200, 1, 3, 3)).numpy()
    assert {np.ascontiguousarray(view).tobytes() for view in drawn[:, 0]} == expected


@pytest.mark.parametrize("learns", ["class", "index"])
@pytest.mark.parametrize("name", MODELS)
def test_prediction_and_features_do_not_change_with_the_side_an_image_is_seen_from(
    name, learns, fields
):
    task, module = make(name, learns).eval(), MODELS[name][0]
    with torch.no_grad():
        task.head[-1].weight *= 5  # an untrained network hardly looks at its image
    fields = some(fields, torch.arange(6))
    found = module.predict(task, fields)
    shown = {"prediction", "balanced" if learns == "class" else "spread"}
    assert set(found) == shown and all(value.shape == (6, 1) for value in found.values())
    assert module.features(task, fields).shape == (6, task.head[-1].in_features)
    assert found["prediction"].std() > 1e-3
    for moved in (fields["input"].flip(-1), fields["input"].mT):
        turned = fields | {"input": moved}
        # sums of eight terms in another order
        for key, value in module.predict(task, turned).items():
            torch.testing.assert_close(value, found[key], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            module.features(task, turned), module.features(task, fields), rtol=1e-3, atol=1e-3
        )


def test_average_over_the_image_lets_an_image_of_any_size_go():
    task = make("residual").eval()
    assert all(task(torch.randn(2, 1, side, side)).shape == (2, 1) for side in (20, 32, 50))


# --- calibration
# --------------------------------------------------------------------------------------------------


def balanced_accuracy(said, label):
    return ((said & label).sum() / label.sum() + (~said & ~label).sum() / (~label).sum()) / 2


def test_balanced_probability_of_one_half_is_the_best_threshold_of_all():
    generator = torch.Generator().manual_seed(0)
    label = torch.rand(400, generator=generator) < 0.3
    # mostly below one half
    logit = torch.randn(8, 400, 1, generator=generator) * 0.1 + 1.5 * label[:, None] - 3.0
    logit += torch.randn(400, 1, generator=generator)
    answer = likelihoods.ClassLikelihood(META)
    assert balanced_accuracy(answer.predict(logit)["prediction"][:, 0] > 0.5, label) < 0.6
    answer.calibrate(logit, {"label": label.float()})
    found = answer.predict(logit)
    best = max(
        balanced_accuracy(found["prediction"][:, 0] > at, label) for at in found["prediction"][:, 0]
    )
    assert balanced_accuracy(found["balanced"][:, 0] > 0.5, label) == best > 0.7
    order = found["prediction"][:, 0].argsort()
    assert (found["balanced"][order, 0].diff() >= 0).all()  # moved, not shuffled


def test_threshold_of_certain_and_of_single_class_answers_is_finite():
    answer = likelihoods.ClassLikelihood(META)
    certain = torch.tensor([-200.0, 200.0]).expand(8, 2)[..., None]
    for label in ([0.0, 1.0], [1.0, 1.0]):
        answer.calibrate(certain, {"label": torch.tensor(label)})
        assert answer.predict(certain)["balanced"][:, 0].tolist() == pytest.approx([0, 1], abs=1e-5)


def test_calibrated_spread_covers_68_percent_of_the_errors_it_was_calibrated_on():
    generator = torch.Generator().manual_seed(0)
    n = 1000
    index = 3 + torch.rand(n, generator=generator)
    answer = likelihoods.IndexLikelihood(META)
    outputs = torch.zeros(8, n, 2)
    outputs[..., 0] = (
        index - META["index_mean"] + 0.3 * torch.randn(n, generator=generator)
    ) / META["index_std"]
    outputs[..., 1] = -1.0  # a stated spread of ln(1/4.4), of which nothing is known beforehand

    def coverage():
        found = answer.predict(outputs)
        return (
            ((found["prediction"][:, 0] - index).abs() <= found["spread"][:, 0])
            .float()
            .mean()
            .item()
        )

    before = coverage()
    answer.calibrate(outputs, {"index": index})
    assert abs(before - 0.6827) > 0.1
    assert coverage() == pytest.approx(0.6827, abs=2 / n)  # between two of n errors
    # 3.5 sigma
    assert answer.predict(outputs)["spread"].mean().item() == pytest.approx(0.3, rel=0.08)


@pytest.mark.parametrize("learns", ["class", "index"])
def test_task_calibrates_on_all_batches_as_on_one(learns, fields):
    tasks = [make("cnn", learns).eval() for _ in range(2)]
    with torch.no_grad():
        tasks[0].calibrate([fields])
        tasks[1].calibrate(some(fields, rows) for rows in torch.arange(N).split(20))
    ((name, one), (_, other)) = (next(task.likelihood.named_buffers()) for task in tasks)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert one.item() not in (0.0, 1.0), name


def test_spread_of_views_that_disagree_is_that_of_their_mixture():
    mean = torch.tensor([-1.0, 1.0] * 4)[:, None]
    low, high = likelihoods.LOG_SPREAD
    # each view states half a deviation
    raw = torch.logit(torch.tensor((math.log(0.5) - low) / (high - low)))
    outputs = torch.stack([mean, raw.expand(8, 1)], -1)
    found = likelihoods.IndexLikelihood(META).predict(outputs)
    assert found["prediction"].item() == pytest.approx(META["index_mean"])
    assert found["spread"].item() == pytest.approx(
        META["index_std"] * math.sqrt(1 + 0.25), rel=1e-5
    )


def test_likelihood_is_the_normal_one():
    output = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    index = 3 + torch.rand(50, generator=torch.Generator().manual_seed(1))
    answer = likelihoods.IndexLikelihood(META)
    mean, log_spread = answer.normal(output)
    normal = torch.distributions.Normal(
        META["index_mean"] + META["index_std"] * mean, META["index_std"] * log_spread.exp()
    )
    constant = math.log(META["index_std"] * math.sqrt(2 * math.pi))
    torch.testing.assert_close(
        answer.loss(output, {"index": index}), -normal.log_prob(index) - constant
    )


# --- adversary
# --------------------------------------------------------------------------------------------------


def test_adversary_learns_the_family_while_the_encoder_learns_to_hide_it(fields):
    task = make("residual", adversarial=2.0, dropout=0.0).eval()
    step = 30
    # which is easy to see
    batch = fields | {"input": fields["input"] + 3.0 * fields["family"][:, None, None, None]}

    def family_loss():
        said = task.adversary(task.encoder(batch["input"]))
        return torch.nn.functional.cross_entropy(said, batch["family"])

    for parameters, sign in ((task.adversary.parameters(), 1), (task.encoder.parameters(), -1)):
        parameters = list(parameters)
        ((_, loss),) = task.losses(batch, step)
        without = task.likelihood.loss(task(batch["input"]), batch).mean()
        steps = torch.autograd.grad(loss - without, parameters)
        plain = torch.autograd.grad(family_loss(), parameters)
        cosine = sum((a * b).sum() for a, b in zip(steps, plain, strict=True)) / math.sqrt(
            sum(a.square().sum() for a in steps) * sum(b.square().sum() for b in plain)
        )
        # the loss sees each image from a random side, so that the two are not equal
        assert sign * cosine > 0.5


def test_adversary_without_a_second_family_is_refused():
    module, entry = MODELS["residual"]
    with pytest.raises(BadInput, match="one family"):
        module.make_task(
            COMMON | entry | {"learns": "class", "adversarial": 1.0},
            META | {"families": ["nominal"]},
        )


# --- statistics within the network
# -----------------------------------------------------------------------------------


def test_statistics_in_the_network_are_those_computed_without_one(fields):
    # all are logarithms of values that span some decades, in single precision
    def scattering(images):
        return image_statistics.scattering(images, hybrid.SCALES, hybrid.ANGLES)

    network = hybrid.Scattering(SIDE)
    first, second = network.coefficients(fields["input"])
    second = [second[:, pairs].movedim(1, 2).flatten(1) for pairs in (slice(0, 2), slice(2, 3))]
    found = torch.cat([first.flatten(1), *second], 1)
    np.testing.assert_allclose(found, scattering(fields["input"][:, 0].numpy()), rtol=0, atol=1e-3)

    averaged = np.mean(
        [scattering(view[:, 0].numpy()) for view in symmetries.views(fields["input"])], 0
    )
    found = network(fields["input"])
    assert found.shape == (N, network.features)
    # each is the mean over all eight views of one coefficient, and each coefficient's mean is among
    # them
    differences = np.abs(found.numpy()[:, :, None] - averaged[:, None]).max(0)
    assert differences.min(1).max() < 1e-3 and differences.min(0).max() < 1e-3

    power = hybrid.Power(SIDE)
    _, expected = image_statistics.power_spectrum(
        fields["input"][:, 0].double().numpy(), periodic=False
    )
    np.testing.assert_allclose(power(fields["input"]), expected, rtol=0, atol=1e-3)
    assert expected.shape[1] == power.features


def test_features_reach_the_head_in_normal_measure_and_in_single_precision_under_autocast(fields):
    task = make("scattering").train()
    task.prepare(Rows(fields))
    with torch.autocast("cpu", torch.bfloat16):
        seen = task.encoder(fields["input"])
        assert torch.isfinite(task(fields["input"])).all()
    n = len(task.encoder.mean)
    statistic = seen[:, task.encoder.place]
    assert seen.dtype == torch.float32
    torch.testing.assert_close(statistic.mean(0), torch.zeros(n), rtol=0, atol=1e-3)
    torch.testing.assert_close(statistic.std(0, correction=0), torch.ones(n), rtol=0, atol=1e-2)


def test_hybrid_begins_at_the_linear_discriminant_of_its_statistics(fields):
    task = make("all").eval()
    task.prepare(Rows(fields))
    columns = task.encoder.measured(fields["input"]).double().numpy()
    columns = (columns - columns.mean(0)) / columns.std(0, ddof=1)
    linear = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
        columns, fields["label"]
    )
    np.testing.assert_allclose(
        task(fields["input"])[:, 0].detach(),
        linear.decision_function(columns),
        rtol=1e-3,
        atol=0.05,
    )


def test_hybrid_begins_at_the_linear_regression_of_its_statistics(fields):
    task = make("power", "index").eval()
    task.prepare(Rows(fields))
    mean, log_spread = task.likelihood.normal(task(fields["input"]))
    error = (fields["index"] - task.likelihood.mean) / task.likelihood.std - mean
    assert error.square().mean() < 0.25
    torch.testing.assert_close(log_spread.exp().mean(), error.std(correction=0), rtol=0.05, atol=0)


# --- learning
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_network_learns_the_slope_of_gaussian_fields_far_above_chance(name, fields):
    task = train(make(name), some(fields, slice(HELD_OUT, N)))
    held_out = some(fields, slice(HELD_OUT))
    said = MODELS[name][0].predict(task, held_out)["prediction"][:, 0] > 0.5
    # chance reaches 26 of 32 in 1 of 4000
    assert (said == held_out["label"].bool()).float().mean() > 0.8


def test_network_learns_the_index_of_gaussian_fields(fields):
    task = train(make("scattering", "index"), some(fields, slice(HELD_OUT, N)))
    held_out = some(fields, slice(HELD_OUT))
    found = hybrid.predict(task, held_out)
    error = found["prediction"][:, 0] - held_out["index"]
    assert error.square().mean() < 0.5 * 0.6**2  # half the variance of the index


@pytest.mark.parametrize("name", MODELS)
def test_gradient_reaches_every_parameter_and_a_checkpoint_brings_the_prediction_back(
    name, fields, tmp_path
):
    task = make(name, adversarial=0.5)
    ((key, loss),) = task.losses(fields, 10)
    loss.backward()
    owned = [p for group in task.optimisers()[key].param_groups for p in group["params"]]
    assert {id(p) for p in owned} == {id(p) for p in task.parameters()}
    assert all((p.grad != 0).any() for p in owned)
    torch.save(task.state_dict(), tmp_path / "weights")
    other = make(name, adversarial=0.5)
    other.load_state_dict(torch.load(tmp_path / "weights", weights_only=True))
    module = MODELS[name][0]
    torch.testing.assert_close(
        module.predict(other.eval(), fields), module.predict(task.eval(), fields)
    )


def test_residual_encoder_has_its_names_in_the_hybrid_so_that_either_may_start_the_other():
    shapes = [
        {
            name: value.shape
            for name, value in make(key).state_dict().items()
            if name.startswith("encoder.")
        }
        for key in ("residual", "scattering")
    ]
    assert shapes[0].items() <= shapes[1].items()


@pytest.mark.parametrize(("name", "pixels"), [("cnn", 12), ("scattering", 12)])
def test_image_too_small_for_the_network_is_refused(name, pixels):
    module, entry = MODELS[name]
    with pytest.raises(BadInput, match=f"at least 16.*{pixels}|{pixels} pixels.*at least 16"):
        module.make_task(COMMON | entry | {"learns": "class"}, META | {"pixels": pixels})
