"""Random fields in the shape of the study's examples, for benchmarks and tests of its networks."""

import torch
from torch import Tensor

from skyloom.examples import Examples, Held

SIZE_DEG = 12.0  # side of a tile, for the angular size of a pixel
CONSTANTS = {"asinh_scale": 1.0, "asinh_mean": 1.5, "asinh_std": 1.0}


def examples(entry: dict, pixels: int, n: int, seed: int = 0) -> Examples:
    """`n` tiles of (pixels, pixels) for training, as many for validation and test."""
    draw = torch.Generator().manual_seed(seed)
    meta = {
        "normalisation": {name: CONSTANTS for name in ("dust", "hi", "target")},
        "excess": {"eps": 0.4, "offset": 0.0, "x_factor": 2.0, "w0": 1.0},
        "line": "CO J=1-0",
        "pixels": pixels,
        "pixel_arcmin": 60 * SIZE_DEG / pixels,
    }
    return Examples(*(Held(_tiles(n, pixels, draw)) for _ in range(3)), meta)


def _tiles(n: int, pixels: int, draw: torch.Generator) -> dict[str, Tensor]:
    def plane(channels: int = 1) -> Tensor:
        return torch.rand(n, channels, pixels, pixels, generator=draw) + 0.1

    names = ("target", "target_physical", "error", "dust", "hi")
    return {name: plane() for name in names} | {
        "input": plane(2),
        "valid": (plane() > 0.2).float(),
        "sampling_weight": torch.ones(n),
        "glat": torch.zeros(n),
    }
