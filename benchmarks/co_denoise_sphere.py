"""Non-local means on the sphere: blocks that share a disc, against the exact disc of each pixel.

    python benchmarks/co_denoise_sphere.py [NSIDE]

The sky is lognormal (30' beam, unit median) with white noise of 0.45; FWHM 1 deg, alpha 0.1. The
script prints CPU microseconds a pixel and the rmse of both, on the same random pixels and features,
and the time for the full sky. NSIDE is 256 by default. 2048 takes some minutes and 8 GiB, nearly
all of it to make the sky.
"""

import sys
import time

import healpy as hp
import numpy as np
import torch

from skyloom.co.denoise.sphere import average, disc_radius, features
from skyloom.co.simulate.fields import gaussian_field, smooth

NOISE, FWHM_ARCMIN, ALPHA, REACH, BLOCKS, EXACT = 0.45, 60.0, 0.1, 64, 80, 2000
SKY_SHARE = 0.1  # share of the sky within 2 deg of SNR > 8


def exact_disc(
    sky: np.ndarray, values: np.ndarray, pixels: np.ndarray, radius: float
) -> np.ndarray:
    """Mean of each pixel over its own disc, with distances by subtraction (float32)."""
    nside, out = hp.npix2nside(len(sky)), np.empty(len(pixels), np.float32)
    columns = np.ascontiguousarray(values.T / np.float32(ALPHA))
    for k, (pixel, vector) in enumerate(
        zip(pixels, np.transpose(hp.pix2vec(nside, pixels)), strict=True)
    ):
        disc = hp.query_disc(nside, vector, radius)
        distance = sum((column[disc] - column[pixel]) ** 2 for column in columns)
        weight = np.exp(np.maximum(distance * np.float32(-0.5), np.float32(-80)))
        out[k] = weight @ sky[disc] / weight.sum()
    return out


def main(nside: int = 256) -> None:
    # both methods on one core
    torch.set_num_threads(1)
    config = {"nside": nside, "seed": 5}
    field, _ = gaussian_field("benchmark", lambda ell: (ell + 10.0) ** -2.8, config)
    truth = smooth(np.exp(field / field.std()), 30.0)
    rng = np.random.default_rng(5)
    sky = truth + np.float32(NOISE) * rng.standard_normal(truth.size, np.float32)

    start = time.process_time()
    surroundings = features(sky, FWHM_ARCMIN)
    seconds = time.process_time() - start
    radius = disc_radius(nside, FWHM_ARCMIN, REACH)
    block_numbers = rng.choice(hp.nside2npix(nside // 16), BLOCKS, replace=False)
    pixels = hp.nest2ring(nside, (block_numbers[:, None] * 256 + np.arange(256)).ravel())
    sample = rng.choice(len(pixels), EXACT, replace=False)

    times = {}
    for name, run in {
        "blocks": lambda: average(sky[:, None], surroundings, pixels, ALPHA, radius)[:, 0],
        "exact": lambda: exact_disc(sky, surroundings.values, pixels[sample], radius),
    }.items():
        start = time.process_time()
        out = run()
        times[name] = (
            (time.process_time() - start) / len(out),
            out if name == "exact" else out[sample],
        )
    (ours, approximation), (theirs, reference) = times["blocks"], times["exact"]
    rmse = [
        np.sqrt(np.mean((out - truth[pixels[sample]]) ** 2)) for out in (approximation, reference)
    ]
    print(f"features of NSIDE {nside}: {seconds:.1f} s of CPU; disc of {radius * 57.3:.1f} deg")
    print(f"exact disc: {1e6 * theirs:.0f} us a pixel, rmse {rmse[1]:.4f} (noise {NOISE})")
    print(f"blocks:     {1e6 * ours:.1f} us a pixel, rmse {rmse[0]:.4f}")
    print(f"{theirs / ours:.1f} times faster, rmse {rmse[0] / rmse[1]:.3f} times the exact one's")
    for target in sorted({nside, 2048}):
        whole = ours * hp.nside2npix(target) / 60
        first = seconds * (target / nside) ** 2 / 60
        word = "measured" if target == nside else "at the same cost a pixel"
        print(
            f"NSIDE {target}, one core, {word}: {first + whole:.1f} min for the full sky, "
            f"{first + SKY_SHARE * whole:.1f} for a tenth of it, {first:.1f} of them for the "
            "features"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
