"""Random diagrams in the shape of the examples, for benchmarks and tests of networks."""

import torch

from skyloom.examples import Examples, Held


def examples(entry: dict, pixels: int, n: int, seed: int = 0) -> Examples:
    """`n` diagrams of (pixels, pixels) for training, as many for validation and test."""
    draw = torch.Generator().manual_seed(seed)
    bins = 20

    def held() -> Held:
        input_ = torch.rand(n, 2, pixels, pixels, generator=draw)
        return Held({"input": input_, "target": torch.rand(n, bins, generator=draw).cumsum(1)})

    meta = {"diagrams": ["2mass"], "bins": bins, "step": 100.0, "law": "wang2019"}
    return Examples(*(held() for _ in range(3)), meta | {"pixels": pixels})
