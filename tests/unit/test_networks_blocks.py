"""Residual blocks and the U-Net: edges against numpy and torch, shapes, identity paths."""

import numpy as np
import pytest
import torch
from pretended_gpu import pretended_gpu, reason, register
from torch import nn
from torch.nn.functional import interpolate, pad

from skyloom.cli import BadInput
from skyloom.networks.blocks import (
    ReflectedConv2d,
    Reflection,
    ResidualBlock,
    conv,
    doubled,
    norm,
    resized,
)
from skyloom.networks.unet import ResUNet, require_multiple

LAYOUTS = torch.contiguous_format, torch.channels_last


def images(shape, layout=torch.contiguous_format):
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=draws).contiguous(memory_format=layout)
    return x.requires_grad_()


# --- edges


@pytest.mark.parametrize("width", [1, 2, 3])
def test_reflection_is_that_of_numpy(width):
    x = images((2, 3, 5, 7))
    expected = np.pad(x.detach(), [(0, 0), (0, 0), (width, width), (width, width)], "reflect")
    np.testing.assert_array_equal(Reflection.apply(x, width).detach(), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "width"),
    [((2, 3, 2, 2), 1), ((2, 3, 3, 3), 2), ((2, 8, 16, 16), 1), ((1, 4, 9, 6), 3)],
)
def test_reflection_and_its_gradient_equal_those_of_torch_to_the_last_bit(shape, width, layout):
    ours, theirs = images(shape, layout), images(shape, layout)
    padded, expected = Reflection.apply(ours, width), pad(theirs, (width,) * 4, "reflect")
    assert torch.equal(padded, expected) and padded.stride() == expected.stride()
    gradient = images(padded.shape, layout).detach()
    padded.backward(gradient)
    expected.backward(gradient)
    assert torch.equal(ours.grad, theirs.grad)


def test_gradient_of_the_reflection_is_that_of_finite_differences():
    x = images((1, 2, 4, 5)).detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: Reflection.apply(x, 2), x)


# --- upsampling


@pytest.mark.parametrize("layout", LAYOUTS)
def test_compiled_doubling_and_its_gradient_are_those_of_torch(layout):
    ours, theirs = images((2, 3, 5, 4), layout), images((2, 3, 5, 4), layout)
    out = torch.compile(doubled, backend="eager")(ours)
    expected = interpolate(theirs, scale_factor=2.0, mode="nearest")
    assert torch.equal(out, expected)
    gradient = images(out.shape, layout).detach()
    out.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.skipif(reason() is not None, reason=str(reason()))
@pytest.mark.parametrize("size", [(16, 16), (12, 20), (4, 8), (8, 8)])
def test_resizing_on_a_gpu_is_that_of_torch_on_the_cpu(size):
    register()
    ours, theirs = images((2, 3, 8, 8)), images((2, 3, 8, 8))
    expected = interpolate(theirs, size=size, mode="bilinear")
    gradient = images(expected.shape).detach()
    expected.backward(gradient)
    with pretended_gpu():
        there = ours.detach().to("cuda").requires_grad_()
        with torch.autocast("cuda", torch.bfloat16):
            out = resized(there, size)
        out.backward(gradient.to("cuda"))
    torch.testing.assert_close(out.detach().cpu(), expected.detach())
    torch.testing.assert_close(there.grad.cpu(), theirs.grad)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 1), (7, 1)])
def test_reflected_convolution_is_that_of_torch_with_the_same_first_weights(size, stride):
    torch.manual_seed(0)
    ours = conv(2, 4, size, stride, "reflect")
    torch.manual_seed(0)
    theirs = nn.Conv2d(2, 4, size, stride, size // 2, padding_mode="reflect")
    assert isinstance(ours, ReflectedConv2d)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = images((3, 2, 10, 12))
    assert torch.equal(ours(x), theirs(x))


# --- blocks


@pytest.mark.parametrize("channels", [2, 4, 8, 24, 64])
def test_no_group_of_a_norm_is_a_single_channel(channels):
    assert channels / norm(channels).num_groups >= 2


def test_identity_path_of_a_block_keeps_the_amplitude():
    block = ResidualBlock(4, 4)
    nn.init.zeros_(block.body[-1].weight)
    nn.init.zeros_(block.body[-1].bias)
    x = images((2, 4, 8, 8))
    assert torch.equal(block(1000 * x), 1000 * x)


# --- U-Net


@pytest.mark.parametrize(("n_out", "depth"), [(1, 0), (5, 2), (3, 4)])
def test_unet_maps_channels_to_classes_at_every_pixel(n_out, depth):
    network = ResUNet(3, n_out, width=4, depth=depth, dropout=0.1, padding_mode="reflect")
    output = network(images((2, 3, 32, 48)))
    assert output.shape == (2, n_out, 32, 48)
    output.square().sum().backward()
    assert all((p.grad != 0).any() for p in network.parameters())


def test_unet_has_channels_up_to_four_times_the_width():
    network = ResUNet(1, 1, width=8, depth=3)
    assert [layer.out_channels for layer in network.shrink] == [16, 32, 32]
    assert network.bottom.body[2].in_channels == 32


@pytest.mark.parametrize(("padding_mode", "edges"), [("reflect", False), ("zeros", True)])
def test_constant_image_has_a_constant_output_unless_zeros_lie_beyond_the_edge(padding_mode, edges):
    torch.manual_seed(0)
    network = ResUNet(1, 2, width=4, depth=2, padding_mode=padding_mode).eval()
    with torch.no_grad():
        output = network(torch.ones(1, 1, 16, 16))
    scatter = (output - output[..., 8:9, 8:9]).abs().max()
    assert (scatter > 1e-3) == edges and (edges or scatter < 1e-5)


def test_image_that_cannot_be_halved_so_often_is_refused_with_keys_and_pixels():
    require_multiple(48, 16, "unet", "depth")
    message = "unet: depth ask for tiles of a multiple of 16 pixels, found 40"
    with pytest.raises(BadInput, match=message):
        require_multiple(40, 16, "unet", "depth")
