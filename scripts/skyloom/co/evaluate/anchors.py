"""Measured properties of the real sky beside the same measured on a sky in hand: what the stand-in
was tuned to.

Targets at NSIDE 64 were measured on HI4PI, on the PySM d5 dust map at 900 GHz (built on Planck's
templates; 857 GHz is 0.87 of it) and on Planck's E(B-V). How hard the task is, that is how much of
CO at each scale the dust map shows already, was read from the published figures of Anand, Puglisi &
Migliaccio 2026 (arXiv 2604.16167).
"""

from collections.abc import Iterator
from typing import NamedTuple

import healpy as hp
import numpy as np
import pandas as pd

from skyloom.co.data.tiles import sample, tile_vectors
from skyloom.co.evaluate import spectra

CIB_MONOPOLE = 0.64  # [MJy/sr] at 857 GHz, in the GNILC product
SNR_BRIGHT = 8.0
BRIGHT_FRACTION = 0.1  # of its pixels, for a tile to count as bright
TILE_DEG, TILE_PIXELS, TAPER_DEG = 3.0, 64, 0.5
PROBES = 16  # a side of the grid on which a tile's bright sky is counted
MAX_TILES = 300  # enough for the median of rho_l to 0.01
ELL_FIRST, ELL_WIDTH, ELL_COUNT = 398, 234, 3  # bands of the published rho_l, l = 398, 632, 866

HI4PI = "HI4PI at NSIDE 64"
DUST = "0.87 x PySM d5 at 900 GHz, NSIDE 64"
BOTH = "HI4PI and PySM d5 dust at NSIDE 64"
PUBLISHED = "arXiv 2604.16167, figures, +-0.03"


class Anchor(NamedTuple):
    """A property of the real sky: its value and what is accepted for it."""

    name: str
    target: float
    lower: float
    upper: float
    source: str


def _within(name: str, target: float, share: float, source: str) -> Anchor:
    return Anchor(name, target, target * (1 - share), target * (1 + share), source)


ANCHORS = [
    _within("N(HI) percentile 1 [1e20 cm-2]", 0.92, 0.3, HI4PI),
    _within("N(HI) percentile 5 [1e20 cm-2]", 1.22, 0.2, HI4PI),
    _within("N(HI) percentile 25 [1e20 cm-2]", 2.68, 0.2, HI4PI),
    _within("N(HI) percentile 50 [1e20 cm-2]", 5.30, 0.2, HI4PI),
    _within("N(HI) percentile 75 [1e20 cm-2]", 11.8, 0.2, HI4PI),
    _within("N(HI) percentile 95 [1e20 cm-2]", 51.5, 0.2, HI4PI),
    _within("N(HI) percentile 99 [1e20 cm-2]", 102.0, 0.2, HI4PI),
    _within("N(HI) percentile 100 [1e20 cm-2]", 220.0, 0.3, HI4PI),
    _within("dust percentile 1 [MJy/sr]", 0.30, 0.35, DUST),
    _within("dust percentile 50 [MJy/sr]", 2.17, 0.2, DUST),
    _within("dust percentile 95 [MJy/sr]", 30.2, 0.2, DUST),
    _within("dust percentile 99 [MJy/sr]", 116.0, 0.2, DUST),
    _within("dust percentile 99.9 [MJy/sr]", 492.0, 0.3, DUST),
    _within("dust percentile 100 [MJy/sr]", 1866.0, 0.4, DUST),
    Anchor(
        "corr(N(HI), dust) at |b| > 30",
        0.85,
        0.75,
        0.95,
        "0.871 with dust, 0.883 with E(B-V), NSIDE 64",
    ),
    Anchor(
        "corr(N(HI), dust) at |b| < 5",
        0.65,
        0.55,
        0.75,
        "0.653 with E(B-V), 0.759 with dust, NSIDE 64",
    ),
    Anchor("slope of C_l of ln N(HI), |b| > 20, l 20-100", -2.80, -2.95, -2.65, HI4PI),
    Anchor("slope of C_l of ln dust, |b| > 20, l 20-100", -2.72, -2.87, -2.57, DUST),
    Anchor("share with dust excess > 3.6 K km/s", 0.128, 0.09, 0.16, BOTH),
    Anchor("share with dust excess > 3.6 K km/s, |b| < 10", 0.54, 0.43, 0.65, BOTH),
    Anchor("share with dust excess > 3.6 K km/s, |b| > 20", 0.014, 0.007, 0.025, BOTH),
    Anchor("share with CO 1-0 SNR > 8", 0.062, 0.045, 0.128, "prototype sky; dust excess above"),
    Anchor(
        "share with CO 1-0 SNR > 8, |b| < 10", 0.24, 0.18, 0.54, "prototype sky; dust excess above"
    ),
    Anchor(
        "share with CO 1-0 SNR > 8, |b| > 20",
        0.012,
        0.006,
        0.018,
        "prototype sky; dust excess above",
    ),
    Anchor(
        "tiles with > 10 % at SNR > 8, of 12,288",
        1733,
        1150,
        2300,
        "base patches in the published code's figures",
    ),
    Anchor("rho_l of dust with CO 1-0, l = 398", 0.88, 0.78, 0.98, PUBLISHED),
    Anchor("rho_l of dust with CO 1-0, l = 632", 0.64, 0.54, 0.74, PUBLISHED),
    Anchor("rho_l of dust with CO 1-0, l = 866", 0.61, 0.51, 0.71, PUBLISHED),
]


def table(sky: dict[str, np.ndarray]) -> pd.DataFrame:
    """A row an anchor that the sky's NSIDE reaches: `anchor, model, target, lower, upper, ok,
    source`.

    `sky` holds `hi` [1e20 cm-2], `dust` [MJy/sr, with its monopole], `I10`, `E10` [K km/s]: RING,
    NaN where masked.
    """
    measured = dict(measure(sky))
    rows = [
        (
            a.name,
            measured[a.name],
            a.target,
            a.lower,
            a.upper,
            bool(a.lower <= measured[a.name] <= a.upper),
            a.source,
        )
        for a in ANCHORS
        if a.name in measured
    ]
    return pd.DataFrame(
        rows, columns=["anchor", "model", "target", "lower", "upper", "ok", "source"]
    )


def measure(sky: dict[str, np.ndarray]) -> Iterator[tuple[str, float]]:
    """Name and value of each anchor, the first ones at NSIDE 64 as on the real maps, those of CO at
    the sky's own.
    """
    hi = hp.ud_grade(sky["hi"], 64, dtype=np.float64)
    dust = hp.ud_grade(sky["dust"], 64, dtype=np.float64) - CIB_MONOPOLE
    latitude = np.abs(hp.pix2ang(64, np.arange(len(hi)), lonlat=True)[1])
    for percent in (1, 5, 25, 50, 75, 95, 99, 100):
        yield f"N(HI) percentile {percent} [1e20 cm-2]", np.percentile(hi, percent)
    for percent in (1, 50, 95, 99, 99.9, 100):
        yield f"dust percentile {percent} [MJy/sr]", np.percentile(dust, percent)
    for name, region in (("> 30", latitude > 30), ("< 5", latitude < 5)):
        yield f"corr(N(HI), dust) at |b| {name}", np.corrcoef(hi[region], dust[region])[0, 1]
    yield "slope of C_l of ln N(HI), |b| > 20, l 20-100", log_spectrum_slope(hi, latitude > 20)
    yield "slope of C_l of ln dust, |b| > 20, l 20-100", log_spectrum_slope(dust, latitude > 20)

    excess = dust_excess(hi, dust, latitude)
    yield "share with dust excess > 3.6 K km/s", np.mean(excess > 3.6)
    yield "share with dust excess > 3.6 K km/s, |b| < 10", np.mean(excess[latitude < 10] > 3.6)
    yield "share with dust excess > 3.6 K km/s, |b| > 20", np.mean(excess[latitude > 20] > 3.6)

    nside = hp.get_nside(sky["I10"])
    latitude = np.abs(hp.pix2ang(nside, np.arange(len(sky["I10"])), lonlat=True)[1])
    bright = sky["I10"] > SNR_BRIGHT * sky["E10"]
    yield "share with CO 1-0 SNR > 8", bright.mean()
    yield "share with CO 1-0 SNR > 8, |b| < 10", bright[latitude < 10].mean()
    yield "share with CO 1-0 SNR > 8, |b| > 20", bright[latitude > 20].mean()
    tiles = np.flatnonzero(bright_fractions(bright) > BRIGHT_FRACTION)
    yield "tiles with > 10 % at SNR > 8, of 12,288", len(tiles)
    for ell, rho in dust_co_correlation(sky, tiles):
        yield f"rho_l of dust with CO 1-0, l = {ell}", rho


def log_spectrum_slope(sky: np.ndarray, region: np.ndarray) -> float:
    """Slope of ln C_l against ln l, l = 20 to 100, of the logarithm of a map within a region."""
    log_sky = np.log(np.maximum(sky, 1e-3))
    spectrum = hp.anafast(np.where(region, log_sky - log_sky[region].mean(), 0.0), lmax=100)
    ell = np.arange(20, 101)
    return np.polyfit(np.log(ell), np.log(spectrum[ell]), 1)[0]


def dust_excess(hi: np.ndarray, dust: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """CO [K km/s] that the dust beyond HI's would give: X = 2e20, dust per HI fitted where |b| > 30
    and N < 3e20.
    """
    diffuse = (latitude > 30) & (hi < 3)
    emissivity = np.polyfit(hi[diffuse], dust[diffuse], 1)[0]
    return (dust / emissivity - hi) / (2 * 2.0)


def bright_fractions(bright: np.ndarray) -> np.ndarray:
    """Share of bright pixels in each of the 12,288 tiles around the pixels of NSIDE 32, on a grid
    of probes.
    """
    nside = hp.get_nside(bright)
    return np.array(
        [
            bright[hp.vec2pix(nside, *_directions(tile, PROBES))].mean()
            for tile in range(hp.nside2npix(32))
        ]
    )


def dust_co_correlation(
    sky: dict[str, np.ndarray], tiles: np.ndarray
) -> Iterator[tuple[int, float]]:
    """(l, median over `tiles` of rho_l) of dust at CO's 15' with CO 1-0, for the published bands
    that NSIDE reaches.
    """
    ells, matrix = spectra.bands(TILE_PIXELS, TILE_DEG, ELL_FIRST, ELL_WIDTH, ELL_COUNT)
    reached = ells <= 2 * hp.get_nside(sky["I10"])
    if not reached.any() or not len(tiles):
        return
    to_co_beam = np.radians(np.sqrt(15.0**2 - 5.0**2) / 60)
    dust = hp.smoothing(sky["dust"].astype(float) - CIB_MONOPOLE, fwhm=to_co_beam, iter=1)
    # a hole in faint sky hardly weighs in a bright tile
    maps = np.stack([dust, np.nan_to_num(sky["I10"])])
    chosen = tiles[:: -(-len(tiles) // MAX_TILES)]
    patches = np.stack([sample(maps, _directions(tile, TILE_PIXELS))[0] for tile in chosen], axis=1)
    # The plain mean, as the published patches lost theirs; the window's own mean would raise
    # rho_398 by 0.006.
    patches -= patches.mean(axis=(2, 3), keepdims=True)
    taper = spectra.window(TILE_PIXELS, TILE_DEG, TAPER_DEG)
    dust, co = np.fft.rfft2(taper * patches).reshape(2, len(chosen), -1)
    cross, *power = ((a * b.conj()).real @ matrix for a, b in ((dust, co), (dust, dust), (co, co)))
    rho = np.median(spectra.coherence(cross, *power), axis=0)
    yield from zip(ells[reached], rho[reached], strict=True)


def _directions(tile: int, pixels: int) -> np.ndarray:
    """Directions (3, y, x) of the tile around a pixel of NSIDE 32."""
    glon, glat = hp.pix2ang(32, tile, lonlat=True)
    return tile_vectors(glon, glat, 0.0, TILE_DEG, pixels)
