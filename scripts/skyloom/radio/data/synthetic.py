"""Random images in the shape of the study's examples, for benchmarks and tests of its networks."""

import torch

from skyloom.examples import Examples, Held
from skyloom.radio.simulate.field import CLASSES, INVALID


def examples(entry: dict, pixels: int, n: int, seed: int = 0) -> Examples:
    """`n` images of (pixels, pixels) for training, as many for validation and test."""
    draw = torch.Generator().manual_seed(seed)

    def held() -> Held:
        label = torch.randint(len(CLASSES), (n, 1, pixels, pixels), generator=draw).float()
        label[:, :, :2] = INVALID
        image = torch.randn(n, 2, pixels, pixels, generator=draw)
        image[:, 1] = 1
        diffuse = torch.rand(n, 1, pixels, pixels, generator=draw)
        beams = {"beam": torch.full((n,), 4.0), "beam_arcsec": torch.full((n,), 6.0)}
        return Held({"input": image, "label": label, "diffuse": diffuse} | beams)

    meta = {"classes": list(CLASSES), "pixels": pixels, "invalid": INVALID, "mask_sigma": 3.0}
    meta |= {"beam_pixels": [3.0, 6.0], "beams": [6.0, 20.0]}
    return Examples(*(held() for _ in range(3)), meta)
