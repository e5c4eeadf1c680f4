"""Cuts of 128 x 128 patches at NSIDE 2048: CPU time against reproject's bilinear interpolation.

    python benchmarks/co_patch_cutting.py

The script prints CPU milliseconds a patch, the ratio to `reproject_from_healpix` in the same run,
and the largest relative difference.
"""

import time

import healpy as hp
import numpy as np
from astropy.wcs import WCS
from reproject import reproject_from_healpix

from skyloom.co.data.tiles import sample, tile_vectors

NSIDE, PIXELS, SIZE_DEG, TILES, MAPS = 2048, 128, 3.0, 12, 5


def header(glon: float, glat: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"]
    wcs.wcs.crval = [glon, glat]
    wcs.wcs.crpix = [(PIXELS + 1) / 2] * 2
    wcs.wcs.cdelt = [-SIZE_DEG / PIXELS, SIZE_DEG / PIXELS]
    return wcs


def smooth_sky(rng) -> np.ndarray:
    """exp of three plane waves of some degrees, as smooth at the pixel scale as a 15' beam."""
    vectors = np.array(hp.pix2vec(NSIDE, np.arange(hp.nside2npix(NSIDE))), np.float32)
    return np.exp(sum(np.cos(rng.normal(0, 150, 3).astype(np.float32) @ vectors) for _ in range(3)))


def cut(maps, glon, glat):
    return sample(maps, tile_vectors(glon, glat, 0.0, SIZE_DEG, PIXELS))[0]


def reproject(maps, glon, glat):
    wcs = header(glon, glat)
    options = dict(shape_out=(PIXELS, PIXELS), order="bilinear", nested=False)
    return [reproject_from_healpix((m, "galactic"), wcs, **options)[0] for m in maps]


def cpu_ms(function, maps, centres) -> np.ndarray:
    times = []
    for centre in centres:
        start = time.process_time()
        function(maps, *centre)
        times.append(time.process_time() - start)
    return 1e3 * np.array(times)


def main() -> None:
    rng = np.random.default_rng(0)
    maps = [smooth_sky(rng) for _ in range(MAPS)]
    centres = np.column_stack(
        [rng.uniform(0, 360, TILES), np.degrees(np.arcsin(rng.uniform(-1, 1, TILES)))]
    )
    cut(maps, *centres[0]), reproject(maps[:1], *centres[0])  # warm up
    difference = max(
        np.abs(cut(maps[:1], *c)[0] / reproject([maps[0].astype(float)], *c)[0] - 1).max()
        for c in centres[:4]
    )
    for count in (1, MAPS):
        ours, theirs = cpu_ms(cut, maps[:count], centres), cpu_ms(reproject, maps[:count], centres)
        print(
            f"{count} map(s): {np.median(ours):.2f} ms of CPU a patch "
            f"({np.median(ours) / count:.2f} a map), reproject"
            f" {np.median(theirs):.1f} ms: {np.median(theirs / ours):.1f} times faster"
        )
    print(f"largest relative difference from reproject: {difference:.1e}")


if __name__ == "__main__":
    main()
