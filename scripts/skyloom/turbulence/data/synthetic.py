"""Random images in the shape of the study's examples, for benchmarks and tests of its networks."""

import torch
from torch import Tensor

from skyloom.examples import Examples, Held

INDICES = (3.6, 4.0)


def examples(entry: dict, pixels: int, n: int, seed: int = 0) -> Examples:
    """`n` images of (pixels, pixels) for training, as many for validation and test."""
    draw = torch.Generator().manual_seed(seed)
    meta = {
        "pixels": pixels,
        "families": ["first", "second"],
        "index_mean": sum(INDICES) / 2,
        "index_std": (INDICES[1] - INDICES[0]) / 2,
    }
    return Examples(*(Held(_images(n, pixels, draw)) for _ in range(3)), meta)


def _images(n: int, pixels: int, draw: torch.Generator) -> dict[str, Tensor]:
    label = torch.arange(n) % 2
    return {
        "input": torch.randn(n, 1, pixels, pixels, generator=draw),
        "index": torch.tensor(INDICES)[label],
        "label": label.float(),
        "family": torch.arange(n) // 2 % 2,
    }
