"""Simulated radio fields and searched pixels a core-second.

    PYTHONPATH=scripts python benchmarks/radio_fields.py

Beside them a calibration: float32 FFTs of 256 x 256 pixels a core-second.
"""

import time

import numpy as np
import torch
from scipy import fft

from skyloom.radio.data import patches
from skyloom.radio.models.unet import UNet, halo_pixels
from skyloom.radio.products import tiles
from skyloom.radio.simulate.field import CLASSES

FIELDS = {"pixels": 128, "train": 400, "valid": 0, "test": 0, "seed": 0, "bank": 0}
FIELDS |= {"confusers": True, "beams": [6, 20], "beam_pixels": [3, 6], "diffuse": 1.1}
FIELDS |= {"galaxies": 2.0, "bright": 0.4, "peak": [1, 1000], "noise_ujy": [60, 150]}
FIELDS |= {"mask_sigma": 3.0, "borders": 0.05, "maps": [], "peak_share": 1}


def rate(run, number: int) -> float:
    """Of `number` things a core-second, after one run that is not counted."""
    run()
    begin = time.process_time()
    run()
    return number / (time.process_time() - begin)


def main() -> None:
    torch.set_num_threads(1)
    plane = np.random.default_rng(0).standard_normal((256, 256), np.float32)

    def transforms() -> None:
        for _ in range(200):
            fft.irfft2(fft.rfft2(plane))

    print(f"FFTs there and back: {rate(transforms, 200):.0f} a core-second")
    fields = rate(lambda: patches.shard(FIELDS, 0, 1), FIELDS["train"])
    print(f"fields of 128 x 128: {fields:.0f} a core-second (aim 15)")
    net = UNet(2, len(CLASSES), 32, 4).eval().to(memory_format=torch.channels_last)
    images = torch.randn(2, 2, 256, 256).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def infer() -> None:
        for _ in range(3):
            net(images)

    print(f"U-Net of 32 channels, 256 x 256: {rate(infer, 6):.2f} a core-second (aim 3.3)")
    print(
        tiles.plan((15402, 15402), 256, halo_pixels({"depth": 4})).describe(tiles.operations(net))
    )


if __name__ == "__main__":
    main()
