"""Flow matching and the Res-UNet on the physical baseline: what they draw, from where they start,
how they resume.
"""

import os
import signal

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter

from skyloom import patchset
from skyloom.co.data import examples
from skyloom.co.models import flow_matching, res_unet
from skyloom.co.physics import excess_co
from skyloom.training import UNFINISHED, Plan, fit, one_cycle

SIDE, TILES, BEAM = 16, 32, 3.0  # BEAM: that of the base field [pixels]
SLOPE, WIDTH, ERROR = 0.8, 0.5, 0.1  # of the planted residual [spreads]; error of the map [K km/s]
CONSTANTS = {"asinh_scale": 1.0, "asinh_mean": 1.0, "asinh_std": 1.0}
META = {
    "normalisation": dict.fromkeys(("dust", "hi", "target"), CONSTANTS),
    "pixel_arcmin": flow_matching.BASE_ARCMIN / BEAM,
    "pixels": SIDE,
}
EXCESS = {"eps": 0.4, "offset": 0.3, "x_factor": 2.0, "w0": 1.5}
ENTRY = {
    "width": 8,
    "depth": 1,
    "dropout": 0.0,
    "coarse": 2,
    "weight_decay": 0.0,
    "linear_loss": 0.1,
    "net_share": 0.5,
    "learning_rate": 3e-3,
    "flow_rate": 1e-2,
    "samples": 8,
    "sample_steps": 6,
}


def make(steps=200, meta=META, **changes):
    torch.manual_seed(0)
    task = flow_matching.make_task(ENTRY | changes, meta)
    task.plan = Plan(steps=steps, batch=TILES, learning_rate=ENTRY["learning_rate"])
    return task


def planted(task, n, error=ERROR):
    """Tiles whose residual from the untrained Res-UNet is a Gaussian field about a mean that rises
    with HI.
    """
    dust, hi = (flow_matching.base_field((n, 1, SIDE, SIDE), 3.0, torch.zeros(1)) for _ in range(2))
    x = torch.cat([dust, hi], 1)
    with torch.no_grad():
        mean, log_spread = task.mean(x)
    sky = WIDTH * flow_matching.base_field(mean.shape, BEAM, mean) + SLOPE * hi
    truth = examples.to_physical(mean + log_spread.exp() * sky, CONSTANTS)
    target = truth + error * torch.randn(truth.shape)
    batch = {"target": examples.to_normalised(target, CONSTANTS), "target_physical": target}
    planes = {"error": torch.full_like(truth, error), "valid": torch.ones_like(truth)}
    return batch | planes | {"input": x, "sampling_weight": torch.ones(n)}


@pytest.fixture(scope="module")
def trained():
    """A flow that has learned the planted residual, on a Res-UNet as it was born."""
    task = make()
    optimiser = task.optimisers()["flow"]
    cycle = one_cycle(optimiser, task.plan.steps)
    for _ in range(task.plan.steps):
        batch = planted(task, TILES, error=1e-3)
        optimiser.zero_grad()
        res_unet.average(task.flow_loss(batch), batch).mean().backward()
        optimiser.step()
        cycle.step()
    return task.eval()


# --- the base field
# ------------------------------------------------------------------------------------------------


def test_base_field_has_unit_variance_up_to_the_edge_and_the_correlation_of_its_beam():
    torch.manual_seed(0)
    fwhm, n = 4.0, 1500
    field = flow_matching.base_field((n, 12, 12), fwhm, torch.zeros(1, dtype=torch.float64))
    # 5 sigma of a variance from n independent draws
    torch.testing.assert_close(
        field.square().mean(0), torch.ones(12, 12, dtype=torch.float64), atol=0.2, rtol=0
    )
    for lag in (1, 2, 4, 8):
        # of white noise under a Gaussian beam of that FWHM
        expected = np.exp(-2 * np.log(2) * (lag / fwhm) ** 2)
        assert (field[:, 6, 2] * field[:, 6, 2 + lag]).mean().item() == pytest.approx(
            expected, abs=0.13
        )
        assert (field[:, 2, 6] * field[:, 2 + lag, 6]).mean().item() == pytest.approx(
            expected, abs=0.13
        )


def test_untrained_flow_hands_the_base_field_through():
    task = make().eval()
    batch = planted(task, 2)
    noise = flow_matching.base_field((2, 3, SIDE, SIDE), BEAM, torch.zeros(1))
    with torch.no_grad():
        drawn = task.draw(task.conditions(batch["input"], *task.mean(batch["input"])), noise)
    # Gaussian to Gaussian of the same variance: the exact flow is the identity; Heun's error of six
    # steps is left
    torch.testing.assert_close(drawn, noise, rtol=0.02, atol=0)


# --- what it draws
# -------------------------------------------------------------------------------------------------


def test_flow_recovers_mean_and_width_of_a_planted_gaussian_conditional(trained):
    torch.manual_seed(1)
    batch = planted(trained, 32)
    with torch.no_grad():
        mean, log_spread = trained.mean(batch["input"])
        noise = flow_matching.base_field((32, 16, SIDE, SIDE), BEAM, mean)
        drawn = trained.draw(trained.conditions(batch["input"], mean, log_spread), noise)
    hi = batch["input"][:, 1:].expand_as(drawn)
    slope = (drawn * hi).mean() / hi.square().mean()
    # a network of 8 channels and 200 steps is off by some percent of the unit residual
    assert slope.item() == pytest.approx(SLOPE, abs=0.1)
    assert (drawn - slope * hi).std().item() == pytest.approx(WIDTH, abs=0.1)


def test_intervals_of_realisations_and_noise_cover_what_was_observed(trained):
    torch.manual_seed(2)
    batch = planted(trained, 64)
    samples = flow_matching.predict(trained, batch)["samples"]
    observed = samples + ERROR * torch.randn(samples.shape)
    rank = (observed < batch["target_physical"]).sum(1)
    # of nine equally probable ranks those from 1 to 7 hold 7 / 9; the network is off by some
    # percent
    assert ((rank >= 1) & (rank <= 7)).float().mean().item() == pytest.approx(7 / 9, abs=0.06)


def test_realisations_are_positive_and_average_to_the_prediction():
    torch.manual_seed(6)
    constants = {"asinh_scale": 0.5, "asinh_mean": 0.8, "asinh_std": 1.4}
    # asinh 0, where noise rules, to bright clouds
    mean = torch.tensor([-0.57, -0.3, 0.5, 1.5])[:, None, None, None]
    spread = torch.full_like(mean, 0.4)
    prediction, _ = res_unet.asinh_normal(mean, spread, constants)
    drawn = flow_matching.realised(
        prediction, mean, spread, torch.randn(4, 100_000, 1, 1), constants
    )
    assert drawn.min() >= 0
    # the scatter of a mean of 1e5 draws of such a lognormal is below a percent
    torch.testing.assert_close(drawn.mean(1, keepdim=True), prediction, rtol=0.02, atol=1e-4)


def test_amplitude_is_smooth_of_unit_variance_up_to_the_edge_and_of_mean_one():
    torch.manual_seed(7)
    task = make()
    task.slow_pixels = 6.0
    slow = task.slow(flow_matching.base_field((4000, SIDE, SIDE), BEAM, torch.zeros(1)))
    # 5 sigma of a variance from n independent draws
    torch.testing.assert_close(slow.square().mean(0), torch.ones(SIDE, SIDE), atol=0.12, rtol=0)
    # of a Gaussian of both widths, some pixels apart
    beyond = np.exp(-2 * np.log(2) * 4**2 / (BEAM**2 + 6.0**2))
    assert (slow[:, 8, 5] * slow[:, 8, 9]).mean().item() == pytest.approx(beyond, abs=0.1)
    assert flow_matching.lognormal(0.4, slow).mean().item() == pytest.approx(1, abs=0.02)


def test_calibration_finds_by_how_much_the_amplitude_was_stated_too_surely(trained):
    torch.manual_seed(8)
    batches = [planted(trained, 32) for _ in range(4)]
    trained.amplitude.fill_(0.3)
    for batch in batches:
        batch["target_physical"] = flow_matching.predict(trained, batch)["samples"][:, :1]
        batch["target_physical"] += ERROR * torch.randn(batch["target_physical"].shape)
    trained.calibrate(batches)
    found = trained.amplitude.item()
    trained.amplitude.fill_(0.0)
    # eight samples of a hundred tiles, each of few amplitudes
    assert found == pytest.approx(0.3, abs=0.06)


def test_same_noise_gives_the_same_realisation_and_an_overlapping_tile_nearly_the_same(trained):
    torch.manual_seed(3)
    sky = flow_matching.base_field((1, 2, 40, 40), 6.0, torch.zeros(1))
    field = flow_matching.base_field((1, 4, 40, 40), BEAM, torch.zeros(1))

    def tile(start, size=32):
        cut = (..., slice(start, start + size), slice(start, start + size))
        return flow_matching.predict(trained, {"input": sky[cut], "noise": field[cut]})["samples"]

    assert torch.equal(tile(0), tile(0))
    # the same sky, four pixels from an edge
    first, second = (tile(0)[..., 12:-4, 12:-4], tile(8)[..., 4:-12, 4:-12])
    apart = (first - second).square().mean().sqrt() / (
        first - first.mean(1, keepdim=True)
    ).square().mean().sqrt()
    # what edges and norms see of the rest of a tile; tiles with noise of their own have 1.6
    assert apart < 0.3


def test_prediction_has_mean_spread_and_as_many_realisations_as_asked():
    task = make(samples=3).eval()
    batch = planted(task, 2)
    predicted = flow_matching.predict(task, batch)
    assert {k: tuple(v.shape) for k, v in predicted.items()} == {
        "prediction": (2, 1, SIDE, SIDE),
        "spread": (2, 1, SIDE, SIDE),
        "samples": (2, 3, SIDE, SIDE),
    }
    assert all(value.shape == (2,) for value in task.score(batch).values())
    assert flow_matching.noise_arcmin(task) == flow_matching.BASE_ARCMIN


# --- training
# --------------------------------------------------------------------------------------------------


def test_gradient_reaches_every_parameter_of_the_network_whose_turn_it_is():
    task = make()
    # born zero, it shields what lies before it
    torch.nn.init.normal_(task.flow.head[-1].weight, std=0.1)
    batch = planted(task, 4)
    optimisers, owned = task.optimisers(), set()
    for step, name in ((0, "net"), (task.net_steps - 1, "net"), (task.net_steps, "flow")):
        ((turn, loss),) = task.losses(batch, step)
        parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
        assert turn == name
        assert all((g != 0).any() for g in torch.autograd.grad(loss, parameters))
        owned |= {id(p) for p in parameters}
    assert owned == {id(p) for p in task.parameters()}


def test_what_stands_in_an_invalid_pixel_changes_neither_loss():
    task, losses = make(), []
    batch = planted(task, 4)
    batch["valid"][:, :, 3:9, 3:9] = 0
    for value in (0.0, 99.0):
        batch |= {
            k: torch.where(batch["valid"] > 0, batch[k], value)
            for k in ("target", "target_physical")
        }
        for step in (0, task.net_steps):
            torch.manual_seed(4)
            losses.append([loss.item() for _, loss in task.losses(batch, step)])
    assert losses[:2] == losses[2:]


def test_noise_of_the_map_does_not_widen_the_residual():
    task = make()
    torch.manual_seed(5)
    quiet, noisy = (planted(task, 64, error) for error in (1e-3, 2.0))
    torch.manual_seed(6)
    few, many = (
        res_unet.average(task.flow_loss(batch), batch).mean().item() for batch in (noisy, quiet)
    )
    assert few < 0.1 * many  # pixels of noise have next to no weight in what the flow learns


class Data:
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch["input"])

    def __getitem__(self, index):
        return {name: values[index] for name, values in self.batch.items()}


@pytest.mark.parametrize("stop", [2, 5])
def test_training_that_was_stopped_in_either_half_goes_on_as_if_it_had_not_been(stop, tmp_path):
    data, plan, results = (
        Data(planted(make(), 8)),
        Plan(steps=8, batch=4, valid_every=3, ema=0.9),
        [],
    )

    def task(at=None):
        class Stopped(flow_matching.FlowTask):
            def losses(self, batch, step):
                if step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield from super().losses(batch, step)

        return lambda: Stopped(ENTRY, META)

    fit(task(), data, data, plan, tmp_path / "whole", results.append)
    with pytest.raises(SystemExit) as stopped:
        fit(task(stop), data, data, plan, tmp_path / "parts", results.append)
    assert stopped.value.code == UNFINISHED
    fit(task(), data, data, plan, tmp_path / "parts", results.append)
    whole, parts = results
    assert whole.history == parts.history
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)


# --- the physical baseline
# -----------------------------------------------------------------------------------------


def test_res_unet_on_the_excess_starts_exactly_at_the_excess():
    torch.manual_seed(0)
    task = res_unet.make_task(ENTRY, META | {"excess": EXCESS})
    x = torch.randn(4, 2, SIDE, SIDE)
    dust, hi = (examples.to_physical(x[:, [k]], CONSTANTS).double().numpy() for k in range(2))
    expected = examples.to_normalised(excess_co(dust, hi, *EXCESS.values()), CONSTANTS)
    assert 0.1 < (expected == expected.min()).mean() < 0.9  # both below the threshold and above
    # single precision of a difference of columns of up to 50
    np.testing.assert_allclose(task(x)[0].detach().numpy(), expected, atol=1e-5)


def test_set_for_the_excess_brings_the_relation_that_was_planted_in_its_training_sky(tmp_path):
    random = np.random.default_rng(0)
    shape = (12, SIDE, SIDE)

    def field(width):
        values = gaussian_filter(random.standard_normal(shape), (0, 2, 2), mode="wrap")
        return np.exp(width * values / values.std())

    hi = 4 * field(0.5)
    # the thinnest gas is atomic, as the fit of the emissivity supposes
    h2 = 8 * field(0.7) * (hi > 3.1)
    truth = np.maximum(h2 / EXCESS["x_factor"] - EXCESS["w0"], 0)
    maps = {
        "dust": EXCESS["eps"] * (hi + 2 * h2) + EXCESS["offset"],
        "hi": hi,
        "target": truth + 0.1 * random.standard_normal(shape),
        "error": np.full(shape, 0.1),
        "weight": np.ones(shape),
    }
    dataset = xr.Dataset(
        {k: (("example", "y", "x"), v.astype(np.float32)) for k, v in maps.items()}
    )
    dataset["split"] = "example", np.repeat([0, 1, 2], (8, 2, 2)).astype(np.int8)
    for name in ("sampling_weight", "glat"):
        dataset[name] = "example", np.ones(12, np.float32)
    dataset.attrs = {
        "data_kind": "simulated",
        "pixel_arcmin": 10.0,
        "line": "CO J=1-0",
        "beam_arcmin": 15.0,
    }
    for name in ("dust", "hi", "target"):
        dataset[name].attrs = examples.fit_normalisation(dataset[name].values)
    patchset.write(dataset, tmp_path / "patches.nc")
    entry = {"weight_cap": 4.0}
    found = examples.load([tmp_path / "patches.nc"], entry | {"base": "excess"}).meta["excess"]
    assert found.keys() == EXCESS.keys()
    for name, value in EXCESS.items():  # noise of 0.1 K km/s in two thousand pixels of some K km/s
        assert found[name] == pytest.approx(value, rel=0.02), name
    assert "excess" not in examples.load([tmp_path / "patches.nc"], entry | {"base": "none"}).meta
