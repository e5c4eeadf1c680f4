"""Explanations of models whose reasons are known: linear probes, and Gaussian fields that differ in
one band only.
"""

import numpy as np
import pytest
import torch
from test_turbulence_images import columns, cut
from torch import nn

from skyloom import patchset
from skyloom.turbulence.data import examples
from skyloom.turbulence.data.images import standardised
from skyloom.turbulence.explain import embedding, fourier_bands, gradients, perturbations
from skyloom.turbulence.image_statistics import power_spectrum

SIDE, VIEWS, SIMULATIONS = 32, 4, 60
SIGNAL = (4.0, 8.0)  # the band in which the classes of `fields` differ [cycles an image]
SETTINGS = {"bands": 1, "seed": 3, "draws": 200}


class Probe(nn.Module):
    """A network whose output is the same for every view: a linear layer, or a small convolutional
    network.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module):
        super().__init__()
        self.encoder, self.head = encoder, head

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x))[None]


def linear(weights: torch.Tensor) -> Probe:
    head = nn.Linear(weights.numel(), 1)
    head.weight.data[:] = weights.flatten()
    return Probe(nn.Flatten(), head)


def convolutional() -> Probe:
    torch.manual_seed(1)
    layers = (
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.GroupNorm(2, 4),
        nn.Conv2d(4, 4, 3),
        nn.SiLU(),
        nn.Flatten(),
    )
    return Probe(nn.Sequential(*layers), nn.Linear(4 * 8 * 8, 1))


def fields(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Periodic standardised Gaussian fields, flat but for twice the power of one class in SIGNAL;
    class; simulation.
    """
    steep = np.repeat(np.arange(SIMULATIONS) % 2 == 1, VIEWS)
    noise = np.random.default_rng(seed).normal(size=(len(steep), SIDE, SIDE))
    k = fourier_bands.wave_numbers(SIDE)
    gain = np.where((k > SIGNAL[0] * 1.1) & (k < SIGNAL[1] / 1.1), np.sqrt(2), 1)
    modes = np.fft.fft2(noise) * np.where(steep[:, None, None], gain, 1)
    return standardised(np.fft.ifft2(modes).real), steep, np.repeat(np.arange(SIMULATIONS), VIEWS)


def by_power(images: np.ndarray) -> np.ndarray:
    """The likelihood ratio's statistic of `fields`: power in the band over power beyond it, less
    its mean of both.
    """
    k, log_power = power_spectrum(images, periodic=True)
    band = (k > SIGNAL[0]) & (k < SIGNAL[1])
    return log_power[:, band].mean(1) - log_power[:, k > SIGNAL[1]].mean(1) - np.log10(2) / 2


@pytest.fixture(scope="module")
def told():
    images, steep, simulation = fields(0)
    tested = perturbations.Images(
        images, steep, simulation, standardised=True, periodic=True, cycles=2.0
    )
    return perturbations.perturbed(by_power, tested, fields(1)[0], SETTINGS)


def test_saliency_of_a_linear_network_is_the_modulus_of_its_weights():
    weights = torch.randn(8, 8)
    found = gradients.saliency(gradients.output_of(linear(weights)), torch.randn(3, 1, 8, 8))
    assert torch.allclose(found, weights.abs().expand(3, 1, 8, 8), atol=1e-6)


def test_integrated_gradients_of_a_linear_network_are_weight_times_pixel():
    weights, images = torch.randn(8, 8), torch.randn(3, 1, 8, 8)
    found = gradients.integrated_gradients(gradients.output_of(linear(weights)), images, 1)
    assert torch.allclose(found, weights * images, atol=1e-5)


def test_integrated_gradients_add_up_to_the_output_less_that_of_an_empty_image():
    output, images = gradients.output_of(convolutional()), torch.randn(4, 1, 12, 12)
    expected = (output(images) - output(torch.zeros_like(images))).detach()
    errors = [
        (gradients.integrated_gradients(output, images, steps).sum((1, 2, 3)) - expected)
        .abs()
        .max()
        .item()
        for steps in (8, 128)
    ]
    # the midpoint rule of a function with kinks: the error falls at least as 1 / steps
    assert errors[1] < 0.01 * expected.abs().max().item()
    assert errors[1] < errors[0] / 4


def test_maps_of_a_linear_network_are_forgotten_when_its_weights_are_drawn_anew():
    images = np.random.default_rng(0).normal(size=(2, 24, 24))
    task = linear(torch.randn(24, 24))
    before = task.head.weight.clone()
    found = gradients.explained(task, images, steps=2, seed=0)
    assert list(found.layer.values) == ["dense 1"]
    assert torch.equal(task.head.weight, before)
    # ranks of independent weights at 576 pixels correlate by 0.04; the attribution keeps the
    # image's ranks in part
    assert np.abs(found.rank_saliency).max() < 4 * 0.042
    assert np.abs(found.missing).max() < 1e-4


def test_layers_are_drawn_anew_from_the_head_down_until_none_is_left():
    task = convolutional()
    names, changed = [], []
    for name, network in gradients.randomised(task, 0):
        names.append(name)
        same = zip(task.state_dict().items(), network.state_dict().values(), strict=True)
        changed.append(sum(not torch.equal(a, b) for (key, a), b in same if key.endswith("weight")))
    assert names == ["dense 1", "convolution 2", "convolution 1"]
    assert changed == [1, 2, 3]


@pytest.mark.parametrize("periodic", [True, False])
def test_bands_add_up_to_the_image(periodic):
    images = fields(0)[0][:3] + 0.5
    edges = np.r_[0, fourier_bands.band_edges(1, 16, 2)[1:-1], np.inf]
    removed = [
        images - fourier_bands.without_band(images, *band, periodic)
        for band in zip(edges[:-1], edges[1:], strict=True)
    ]
    assert np.allclose(sum(removed) + images.mean((1, 2), keepdims=True), images, atol=1e-12)


@pytest.mark.parametrize("periodic", [True, False])
def test_a_wave_is_removed_by_the_band_that_it_lies_in_and_kept_by_the_others(periodic):
    # six cycles; even at its edges, so a mirrored one
    wave = np.cos(np.pi * 6 * 2 * (np.arange(SIDE) + 0.5) / SIDE)
    image = np.broadcast_to(wave, (1, SIDE, SIDE))
    assert np.abs(fourier_bands.without_band(image, 4, 8, periodic)).max() < 1e-12
    assert np.allclose(fourier_bands.without_band(image, 8, np.inf, periodic), image)
    assert np.allclose(fourier_bands.lowpassed(image, 8, periodic), image)
    assert np.abs(fourier_bands.lowpassed(image, 4, periodic)).max() < 1e-12


def test_periodic_part_has_the_laplacian_of_the_image_and_no_jump_at_its_edges():
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = (3 * x + y**2)[None]  # rises from edge to edge
    part = fourier_bands.periodic_part(image)

    def jump(field: np.ndarray) -> float:
        return float(np.abs(field[:, :, 0] - field[:, :, -1]).mean())

    assert jump(part) < 0.15 * jump(image)
    whole = fields(0)[0][:2]
    moved = np.abs(fourier_bands.periodic_part(whole) - whole).std()
    assert np.allclose(
        fourier_bands.periodic_part(fourier_bands.periodic_part(whole)).mean((1, 2)),
        whole.mean((1, 2)),
    )
    assert moved < 0.5 * whole.std()


def test_phases_only_has_the_amplitudes_that_were_given_and_amplitudes_only_keeps_its_own():
    images = fields(0)[0][:5]
    amplitude = fourier_bands.mean_amplitude(fields(1)[0], periodic=True)
    assert np.allclose(
        np.abs(np.fft.fft2(fourier_bands.phases_only(images, amplitude))), amplitude, atol=1e-9
    )
    drawn = fourier_bands.amplitudes_only(images, 7)  # another seed than that of `fields`
    assert np.allclose(np.abs(np.fft.fft2(drawn)), np.abs(np.fft.fft2(images)), atol=1e-9)
    assert np.abs(np.corrcoef(drawn.ravel(), images.ravel())[0, 1]) < 0.1
    assert np.array_equal(drawn, fourier_bands.amplitudes_only(images, 7))


def test_accuracy_is_chance_without_the_band_of_the_signal_and_unchanged_without_another(told):
    assert float(told.accuracy_control.sel(control="unchanged")) > 0.95
    k = told.band_high.values / 2  # [cycles an image]: the set has two cycles a box in one an image
    signal, low = np.flatnonzero(k == SIGNAL[1])[0], np.flatnonzero(k == SIGNAL[0] / 2)[0]
    # 240 independent images of two classes: one sigma of chance is 0.032
    assert abs(float(told.auc_occluded[signal]) - 0.5) < 4 * 0.037
    assert float(told.accuracy_occluded[signal]) < 0.5 + 4 * 0.032
    assert float(told.accuracy_occluded[low]) > 0.95
    assert abs(float(told.auc_neutral[signal]) - 0.5) < 4 * 0.037
    assert float(told.accuracy_neutral[low]) > 0.95
    assert float(told.change_occluded[low]) < 0.2 * float(told.change_occluded[signal])


def test_accuracy_comes_back_with_the_low_pass_that_lets_the_signal_through():
    images, steep, simulation = fields(0)
    tested = perturbations.Images(
        images, steep, simulation, standardised=True, periodic=True, cycles=2.0
    )

    def against_large(images: np.ndarray) -> np.ndarray:
        k, log_power = power_spectrum(images, periodic=True)
        return (
            log_power[:, (k > 4) & (k < 8)].mean(1) - log_power[:, k < 4].mean(1) - np.log10(2) / 2
        )

    found = perturbations.perturbed(against_large, tested, fields(1)[0], SETTINGS)
    assert abs(float(found.auc_lowpass.sel(cut=2 * SIGNAL[0])) - 0.5) < 4 * 0.037
    unchanged = float(found.accuracy_control.sel(control="unchanged"))
    assert unchanged > 0.8  # nine large waves in a ring have a power of their own
    assert float(found.accuracy_lowpass.sel(cut=2 * SIGNAL[1])) == pytest.approx(
        unchanged, abs=0.01
    )


def test_phases_of_gaussian_fields_know_nothing_of_their_spectrum_and_amplitudes_all(told):
    accuracy = told.accuracy_control
    assert abs(float(accuracy.sel(control="phases only")) - 0.5) < 4 * 0.032
    assert float(accuracy.sel(control="amplitudes only")) == float(
        accuracy.sel(control="unchanged")
    )


def test_intervals_are_those_of_whole_simulations():
    """One simulation in four answers wrongly to all its images: the deviation is that of 60 draws,
    not of 240.
    """
    images, steep, simulation = fields(0)
    wrong = (np.random.default_rng(5).random(SIMULATIONS) < 0.25)[simulation]
    tested = perturbations.Images(
        images, steep, simulation, standardised=True, periodic=True, cycles=2.0
    )
    found = perturbations.perturbed(
        lambda _: np.where(steep ^ wrong, 1.0, -1.0), tested, fields(1)[0], SETTINGS
    )
    assert found.attrs["chance"] == 0.5
    value, low, high = (
        float(found[f"accuracy_control{end}"].sel(control="unchanged"))
        for end in ("", "_lo", "_hi")
    )
    share = 1 - wrong.mean()
    assert value == pytest.approx(share)
    # 200 draws place a percentile to 9 %, and shares come in steps of 1/60
    assert (high - low) / 2 == pytest.approx((share * (1 - share) / SIMULATIONS) ** 0.5, rel=0.3)


def test_wave_numbers_of_drawn_zooms_are_those_at_their_mean(tmp_path):
    random = {"zoom": {"low": 1, "high": 2, "share": 0.5}}
    for number, (changes, mean) in enumerate((({}, 1), ({"zoom": 2}, 2), (random, None))):
        patchset.write(cut(columns(), **changes), tmp_path / f"{number}.nc")
        loaded = examples.load([tmp_path / f"{number}.nc"], {})
        rows = np.arange(0, len(loaded.test), 2)
        drawn = loaded.test.patches.coords.get("zoom")
        mean = mean or np.mean(drawn[loaded.test.rows[rows]])
        found = perturbations.read(loaded.test, rows, loaded.meta)
        assert found.cycles == pytest.approx(2 * mean)  # images of half a box
        assert found.highest == pytest.approx(8 * mean)  # and of 8 pixels
        assert not found.periodic
    assert 1.1 < mean < 1.4


def test_neighbours_of_the_same_simulation_do_not_count():
    random = np.random.default_rng(0)
    simulation = np.repeat(np.arange(40), 6)
    steep = simulation % 2 == 1
    # features that know the simulation and nothing else: all near images have one class, none of
    # another simulation
    features = random.normal(size=(40, 5))[simulation] + 1e-3 * random.normal(size=(240, 5))
    # 40 simulations: sigma 0.08 of a share
    assert abs(embedding.agreement(features, steep, simulation) - 0.5) < 0.15
    features[:, 0] += 30 * steep
    assert embedding.agreement(features, steep, simulation) > 0.9


def test_plane_is_the_same_for_one_seed():
    features = np.random.default_rng(0).normal(size=(40, 6))
    first = embedding.plane(features, 10, 0)
    assert first.shape == (40, 2)
    assert np.array_equal(first, embedding.plane(features, 10, 0))
