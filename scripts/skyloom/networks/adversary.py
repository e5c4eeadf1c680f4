"""Adversarial training of features by a reversed gradient (Ganin+ 2016, arXiv:1505.07818)."""

import torch
from torch import Tensor


class ReversedGradient(torch.autograd.Function):
    """x, and in the backward pass its gradient times -weight."""

    @staticmethod
    def forward(context, x: Tensor, weight: float) -> Tensor:
        context.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.weight * gradient, None


def reverse_gradient(x: Tensor, weight: float) -> Tensor:
    """x for a network that learns to predict something which the layers before x shall hide."""
    return ReversedGradient.apply(x, weight)
