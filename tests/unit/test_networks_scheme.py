"""The description of a network's layers, their places in the figure, and the entry point."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.patches import FancyBboxPatch
from torch import nn

import plot_scheme
from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.co.models import pix2pix, res_unet
from skyloom.figures.scheme import COLOURS, folded, places, scheme, skipping
from skyloom.networks.scheme import describe
from skyloom.networks.unet import ResUNet
from skyloom.turbulence.models import autoencoder, cnn, hybrid, residual

SCRIPTS = Path(plot_scheme.__file__).parent
TIMES = "\N{MULTIPLICATION SIGN}"
CLASSIFIER = {"width": 4, "depth": 2, "dropout": 0.1, "learns": "class", "adversarial": 0.0}
HYBRID = CLASSIFIER | {"features": ["structure", "scattering", "power"]}
GAN = {"generator": "unet", "generator_width": 4, "generator_depth": 2, "gan_loss": "bce"}
GAN |= {"discriminator_width": 4, "discriminator_depth": 2, "upsample": "nearest", "norm": "group"}
RES_UNET = {"width": 4, "depth": 2, "dropout": 0.1, "coarse": 2}
CONSTANTS = {"asinh_scale": 1.0, "asinh_mean": 1.0, "asinh_std": 1.0}
META = {
    "pixels": 16,
    "pixel_arcmin": 5.0,
    "normalisation": dict.fromkeys(("dust", "hi", "target"), CONSTANTS),
    "families": ["nominal"],
}


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.short = nn.Conv2d(1, 4, 1)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 2))

    def forward(self, x):
        parts = [self.image(x).mean((-2, -1)), self.short(x).mean((-2, -1))]
        return self.head(torch.cat(parts, 1))


def test_scheme_follows_shapes_and_parameters_of_a_network_with_a_branch():
    description = describe(Branches(), (1, 16, 16))
    layers = description["layers"]
    assert [(layer["text"], layer["shape"], layer["parameters"]) for layer in layers] == [
        ("image", [1, 16, 16], 0),
        (f"convolution 3 {TIMES} 3, ReLU", [4, 16, 16], 40),
        (f"max pooling 2 {TIMES} 2", [4, 8, 8], 0),
        ("mean over the image", [4], 0),
        (f"convolution 1 {TIMES} 1", [4, 16, 16], 8),
        ("mean over the image", [4], 0),
        ("joined, dropout 0.3", [8], 0),
        ("dense", [2], 18),
    ]
    assert description["trained"] == 66
    at = places(layers)
    assert [at[layer["name"]][1] for layer in layers] == [0, 0, 0, 0, 1, 1, 0, 0]
    assert [at[layer["name"]][0] for layer in layers] == [0, 1, 2, 3, 1, 2, 4, 5]
    texts = [text.get_text() for text in scheme(description, "toy").axes[0].texts]
    assert {"8", "2 (18)", f"4 {TIMES} 8 {TIMES} 8"} <= set(texts)


def test_scheme_of_a_unet_joins_each_level_with_the_one_across():
    layers = describe(ResUNet(2, 3, width=4, depth=2), (2, 16, 16))["layers"]
    joined = {layer["name"]: layer for layer in layers if layer["text"] == "joined"}
    sides = {layer["name"]: layer["shape"][-1] for layer in layers}
    assert [layer["shape"] for layer in joined.values()] == [[16, 8, 8], [8, 16, 16]]
    for layer in joined.values():
        assert {sides[name] for name in layer["inputs"]} == {layer["shape"][-1]}
    assert layers[-1]["kind"] == "output" and layers[-1]["shape"] == [3, 16, 16]


@pytest.mark.parametrize(
    ("module", "entry"),
    [
        (res_unet, RES_UNET),
        (pix2pix, GAN),
        (cnn, CLASSIFIER),
        (residual, CLASSIFIER),
        (hybrid, HYBRID),
        (autoencoder, CLASSIFIER | {"latent": 4}),
    ],
)
def test_every_parameter_of_a_network_is_in_one_layer_of_its_scheme(module, entry):
    network, shape = module.scheme(module.make_task(entry, META), META)
    description = describe(network, shape)
    figure = scheme(description, "network")
    width, height = figure.get_size_inches()
    assert width in (plotting.COLUMN, plotting.PAGE) and height < 9.2
    assert sum(layer["parameters"] for layer in description["layers"]) == description["trained"]
    assert {layer["kind"] for layer in description["layers"]} <= set(COLOURS)


def test_deep_chain_goes_on_in_a_second_column_and_a_network_with_skips_does_not():
    network, shape = cnn.scheme(cnn.make_task(CLASSIFIER, META), META)
    layers = describe(network, shape)["layers"]
    at = folded(places(layers), layers)
    assert [at[layer["name"]] for layer in layers[6:9]] == [(6, 0), (0, 1), (1, 1)]
    unet = describe(ResUNet(2, 3, width=4, depth=2), (2, 16, 16))["layers"]
    assert folded(places(unet), unet) == places(unet)
    joined = [layer for layer in unet if layer["text"] == "joined"]
    skips = skipping(places(unet), unet)
    # the nearest skip, of the deepest level, is the first one that is joined
    assert [last for _, last in skips] == [places(unet)[layer["name"]] for layer in joined]


def test_text_of_a_layer_stays_within_its_box():
    network, shape = hybrid.scheme(hybrid.make_task(HYBRID, META), META)
    figure = scheme(describe(network, shape), "hybrid")
    figure.draw_without_rendering()
    ax = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    for text in ax.texts:
        if text.get_text():
            inside = text.get_window_extent()
            assert any(
                box.x0 <= inside.x0 and inside.x1 <= box.x1 and box.y0 < inside.y0 < box.y1
                for box in boxes
            ), text.get_text()


def call(monkeypatch, folder, trained, model="cnn"):
    torch.save(trained, folder / "best.ckpt")
    config = json.dumps({"entry": CLASSIFIER, "label": "The network"})
    arguments = ["--study", "turbulence", "--model", model, "--config", config]
    for name, file in (
        ("checkpoint", "best.ckpt"),
        ("description", "scheme.json"),
        ("output", "scheme.png"),
    ):
        arguments += [f"--{name}", str(folder / file)]
    monkeypatch.setattr(sys, "argv", ["plot_scheme.py", *arguments])
    plot_scheme.main()


@pytest.fixture
def trained():
    state = cnn.make_task(CLASSIFIER, META).state_dict()
    names = {"study": "turbulence", "model": "cnn", "kind": "network", "module": "cnn"}
    return names | {"entry": CLASSIFIER, "meta": META, "state": state}


def test_entry_point_writes_the_description_and_draws_it(trained, tmp_path, monkeypatch):
    call(monkeypatch, tmp_path, trained)
    description = json.loads((tmp_path / "scheme.json").read_text())
    assert description["model"] == "cnn" and len(description["layers"]) == 13
    assert (tmp_path / "scheme.png").stat().st_size > 0
    assert (tmp_path / "scheme.pdf").stat().st_size > 0


def test_checkpoint_of_another_model_is_refused(trained, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="model is 'cnn', expected 'hybrid'"):
        call(monkeypatch, tmp_path, trained, model="hybrid")


def test_figure_imports_no_torch():
    program = "import sys; from skyloom.figures import scheme; sys.exit('torch' in sys.modules)"
    assert not subprocess.run([sys.executable, "-c", program], cwd=SCRIPTS).returncode
