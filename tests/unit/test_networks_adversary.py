"""The reversed gradient."""

import torch

from skyloom.networks.adversary import reverse_gradient


def test_reversed_gradient_is_the_gradient_times_minus_the_weight():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = reverse_gradient(x, 0.3)
    assert torch.equal(y, x)
    y.square().sum().backward()
    torch.testing.assert_close(x.grad, -0.3 * 2 * x.detach())
