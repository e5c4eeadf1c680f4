"""128 x 128 tiles to the sphere at NSIDE 2048: CPU time against reproject, closure, seams.

    python benchmarks/co_tile_to_sphere.py

The script cuts the whole sky into its 12,288 tiles and returns them. In the same run it measures
`reproject_to_healpix` on one tile at each NSIDE from 256 to 2048. It takes about three minutes of
CPU.
"""

import resource
import time

import healpy as hp
import numpy as np
from astropy.wcs import WCS
from reproject import reproject_to_healpix

from skyloom.co.data.sphere import Blend, footprint
from skyloom.co.data.tiles import sample, tile_centres, tile_vectors

NSIDE, TILE_NSIDE, PIXELS, SIZE_DEG, BEAM_ARCMIN, LMAX = 2048, 32, 128, 3.0, 10, 2500


def smooth_sky(nside: int) -> np.ndarray:
    """A lognormal sky of C_l ~ l^-2.8 after a beam of 10 arcmin, narrower than that of CO."""
    ell, m = hp.Alm.getlm(LMAX)
    draws = np.random.default_rng(0).standard_normal((2, len(ell)))
    alm = np.where(m > 0, draws[0] + 1j * draws[1], draws[0]) * np.where(
        ell > 1, np.maximum(ell, 1.0) ** -1.4, 0
    )
    field = hp.alm2map(
        hp.smoothalm(alm, fwhm=np.radians(BEAM_ARCMIN / 60)), nside, lmax=LMAX
    ).astype(np.float32)
    return np.exp(0.5 * field / field.std())


def wcs_of(glon: float, glat: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["GLON-TAN", "GLAT-TAN"], [glon, glat]
    wcs.wcs.crpix, wcs.wcs.cdelt = [(PIXELS + 1) / 2] * 2, [-SIZE_DEG / PIXELS, SIZE_DEG / PIXELS]
    return wcs


def worst_step(gain: np.ndarray, flat: bool) -> float:
    """Largest difference of neighbouring pixels where tiles of a constant sky have these gains.

    Only |b| > 60 is measured.
    """
    lon, lat = tile_centres(TILE_NSIDE)
    blend = Blend(NSIDE, 1)
    for k in np.flatnonzero(lat > 55):
        covered = footprint(NSIDE, lon[k], lat[k], SIZE_DEG, PIXELS)
        if flat:
            covered.window[:] = 1
        blend.add(covered, np.full((1, len(covered.pixel)), gain[k], np.float32))
    inside = hp.query_strip(NSIDE, 0, np.radians(30))
    mean = blend.mean()[0]
    steps = [
        np.abs(mean[hp.get_all_neighbours(NSIDE, part)] - mean[part]).max()
        for part in np.array_split(inside, 20)
    ]
    return float(max(steps))


def main() -> None:
    sky = smooth_sky(NSIDE)
    lon, lat = tile_centres(TILE_NSIDE)
    blend, cut, back = Blend(NSIDE, 1), [], []
    for glon, glat in zip(lon, lat, strict=True):
        start = time.process_time()
        tile = sample([sky], tile_vectors(glon, glat, 0.0, SIZE_DEG, PIXELS))[0].astype(np.float32)
        middle = time.process_time()
        covered = footprint(NSIDE, glon, glat, SIZE_DEG, PIXELS)
        blend.add(covered, covered.sample(tile))
        back.append(time.process_time() - middle)
        cut.append(middle - start)
    start = time.process_time()
    returned = blend.mean()[0]
    total = sum(cut) + sum(back) + time.process_time() - start
    print(
        f"NSIDE {NSIDE}: tile to sphere {1e3 * np.mean(back):.2f} ms of CPU a tile; cutting it "
        f"{1e3 * np.mean(cut):.2f}"
    )
    print(f"whole sky, {len(lon)} tiles, extract and return: {total:.0f} s of CPU")
    print(
        f"peak memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"
    )
    error = returned - sky
    print(f"uncovered pixels: {np.count_nonzero(~(blend.window > 0))}")
    print(
        f"closure: rms {error.std() / sky.std():.2%} of std, worst pixel "
        f"{np.abs(error).max() / sky.std():.2%}"
    )
    del blend, returned, error

    gain = 1 + 0.1 * np.random.default_rng(1).standard_normal(len(lon))
    for flat in (True, False):
        window = "flat" if flat else "cosine"
        print(
            f"10 % gain a tile, worst step between neighbours, {window}: "
            f"{worst_step(gain, flat):.1%}"
        )

    tile = sample([sky], tile_vectors(lon[7000], lat[7000], 0.0, SIZE_DEG, PIXELS))[0][0]
    header = wcs_of(lon[7000], lat[7000])
    for nside in (256, 512, 1024, 2048):
        start = time.process_time()
        theirs, _ = reproject_to_healpix((tile, header), "galactic", nside=nside, order="bilinear")
        middle = time.process_time()
        covered = footprint(nside, lon[7000], lat[7000], SIZE_DEG, PIXELS)
        ours = covered.sample(tile[None])[0]
        ratio = (middle - start) / (
            time.process_time() - middle if nside < NSIDE else np.mean(back)
        )
        difference = np.abs(ours / theirs[covered.pixel] - 1).max()
        print(
            f"reproject_to_healpix at NSIDE {nside}: {middle - start:.2f} s of CPU a tile, "
            f"{ratio:.0f} times ours;"
            f" largest relative difference {difference:.1e}"
        )


if __name__ == "__main__":
    main()
