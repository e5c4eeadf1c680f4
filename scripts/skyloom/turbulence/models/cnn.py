"""The network of the study (Pasquato et al.).

    image -> [conv 3 x 3, ReLU, max pool 2] x 4 -> dense 128 -> dense 32 -> output

With dropout and RMSprop. The last dense layer is the head; features are the 32 before it.
"""

import torch
from torch import nn

from skyloom.cli import BadInput
from skyloom.turbulence.models.task import TurbulenceTask, features, predict, scheme

__all__ = ["features", "make_task", "predict", "scheme"]

POOLINGS = 4
DENSE = (128, 32)


def make_task(entry: dict, meta: dict) -> "CnnTask":
    """entry : `width`, channels of the first convolution (then 2, 2 and 4 times as many), and those
    of the task.
    """
    if meta["pixels"] < 2**POOLINGS:
        raise BadInput(
            f"cnn: four poolings ask for images of at least {2**POOLINGS} pixels, found"
            f" {meta['pixels']}"
        )
    return CnnTask(entry, meta, encoder(entry, meta["pixels"]), DENSE[1])


class CnnTask(TurbulenceTask):
    """RMSprop at a constant learning rate."""

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.plan.learning_rate, self.entry["weight_decay"]
        return {"net": torch.optim.RMSprop(self.parameters(), rate, weight_decay=decay)}

    def schedules(self, optimisers):
        return {}


def encoder(entry: dict, pixels: int) -> nn.Sequential:
    """Images (n, 1, y, x) -> features (n, 32)."""
    width = entry["width"]
    channels = (1, width, 2 * width, 2 * width, 4 * width)
    layers = []
    for n_in, n_out in zip(channels[:-1], channels[1:], strict=True):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    first, second = DENSE
    flat = channels[-1] * (pixels // 2**POOLINGS) ** 2
    return nn.Sequential(
        *layers,  # (n, 4 width, y / 16, x / 16)
        nn.Flatten(),
        nn.Linear(flat, first),
        nn.ReLU(),
        nn.Dropout(entry["dropout"]),
        nn.Linear(first, second),
        nn.ReLU(),
    )
