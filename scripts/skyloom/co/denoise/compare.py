"""Denoisers where the truth is known: a seeded lognormal sky with white noise, and with noise
correlated over the beam.

The sky has the beam, the noise and some of the brightness of the Type 2 map and none of its shape:
a field of one kind everywhere is kinder to an average over alike pixels than the Galaxy. Below the
map's NSIDE of 2048 all angles grow, so that beam, tile and features keep their number of pixels, on
which depends what white noise can lose. Angles are named as at NSIDE 2048.
"""

import healpy as hp
import numpy as np
import pandas as pd
import xarray as xr
from astropy.stats import gaussian_fwhm_to_sigma, gaussian_sigma_to_fwhm

from skyloom.co.data.patches import cut_planes
from skyloom.co.data.tiles import tile_centres, tile_vectors
from skyloom.co.denoise.choose import (
    best,
    drawn_pixels,
    on_border,
    score_gaussian,
    score_patch,
    score_sphere,
    smooth_gaussian,
)
from skyloom.co.denoise.patch import nlm_patch
from skyloom.co.denoise.sphere import average, disc_radius, features
from skyloom.co.evaluate import spectra
from skyloom.co.simulate.fields import gaussian_field, noise_field, smooth
from skyloom.scores import bootstrap

NOISE = 0.45  # K km/s, Planck 2013 XIII, CO 1-0 of Type 2
BEAM_ARCMIN = 15.0
TILE_DEG, TILE_NSIDE = 3.0, 32
REFERENCE_NSIDE = 2048  # at which angles are as named; half of it doubles them
MEDIAN, WIDTH = (
    2.0,
    1.0,
)  # K km/s, and of the logarithm: a quarter of the sky is brighter than 8 times the noise
SLOPE, ELL0 = -2.8, 10.0
BRIGHT = 8.0
TAPER = 1 / 6  # of a tile's side
BANDS = (398, 234, 3)  # of l: the published ones within the beam
DRAWS = 1000  # of the bootstrap over tiles
NOISES = {"white": 0.0, "beam-correlated": BEAM_ARCMIN}


def lognormal_sky(nside: int, seed: int) -> np.ndarray:
    """The noise-free map (pixel,) [K km/s] behind its beam."""
    scale = angle_scale(nside)
    field, variance = gaussian_field(
        "denoisers", lambda ell: (ell * scale + ELL0) ** SLOPE, {"nside": nside, "seed": seed}
    )
    return smooth(MEDIAN * np.exp(WIDTH * field / np.sqrt(variance)), BEAM_ARCMIN * scale)


def angle_scale(nside: int) -> float:
    """By how much angles are stretched at this NSIDE."""
    return max(1.0, REFERENCE_NSIDE / nside)


def compare(settings: dict, denoisers: dict) -> tuple[pd.DataFrame, xr.Dataset]:
    """Every denoiser on both kinds of noise, on tiles of the known sky.

    settings : `nside`, `seed`, `tiles`, `pixels` (along a tile's side), `gaussian_arcmin` and
        `patch_h` (candidates)
    denoisers : the section of the config; widths and strengths are cross-validated, as on a sky
        whose truth is unknown

    Returns a row a noise and denoiser: parameters and whether they lie on the border of their
    candidates; rmse and rmse_bright [K km/s], gain_db and gain_bright_db of PSNR over the noisy
    map, effective_fwhm_arcmin; and `transfer (noise, denoiser, l)`, the cross-spectrum of denoised
    map and truth over the truth's own. Gains and transfer have `_lo`, `_hi`, 68 % of a bootstrap
    over tiles.
    """
    nside, scale = settings["nside"], angle_scale(settings["nside"])
    config = {"nside": nside, "seed": settings["seed"]}
    truth = lognormal_sky(nside, settings["seed"])
    tiles = bright_tiles(truth, settings["tiles"], settings["seed"])
    cut = Cutter(tiles, TILE_DEG * scale, settings["pixels"])
    true = cut(truth)
    judged = {"": np.ones(true.shape, bool), "_bright": true > BRIGHT * NOISE}
    counts = bootstrap.multiplicities(np.arange(len(tiles)), DRAWS, settings["seed"])
    rows, curves = [], {}
    for noise, fwhm in NOISES.items():
        own, null = (
            np.float32(NOISE) * noise_field(f"{name} {noise}", fwhm * scale, config)
            for name in ("noise", "null")
        )
        found = denoised(truth + own, null, cut, settings, denoisers, scale)
        for denoiser, (patches, parameters, border) in found.items():
            measured = {
                "noise": noise,
                "denoiser": denoiser,
                "parameters": parameters,
                "border": border,
            }
            for suffix, where in judged.items():
                lost, raw = (squares(maps, true, where) for maps in (patches, found["raw"][0]))
                measured[f"rmse{suffix}"] = np.sqrt(lost.sum() / where.sum())
                gain = 10 * np.log10((counts @ raw) / (counts @ lost))
                measured |= {
                    name: float(value)
                    for name, value in _with_ends(f"gain{suffix}_db", gain).items()
                }
            ell, transfer = transfer_of(patches, true, TILE_DEG * scale, scale, counts)
            rows.append(measured | {"effective_fwhm_arcmin": effective_fwhm(ell, transfer[0])})
            curves[noise, denoiser] = _with_ends("transfer", transfer)
    coordinates = {"noise": list(NOISES), "denoiser": list(found), "l": ell}
    variables = {
        name: (
            tuple(coordinates),
            [[curves[noise, denoiser][name] for denoiser in found] for noise in NOISES],
        )
        for name in ("transfer", "transfer_lo", "transfer_hi")
    }
    return pd.DataFrame(rows), xr.Dataset(variables, coordinates)


def _with_ends(name: str, draws: np.ndarray) -> dict:
    """Value and 68 % interval of a statistic of `bootstrap.multiplicities` of tiles, which
    lie apart.
    """
    return dict(zip((name, f"{name}_lo", f"{name}_hi"), bootstrap.summary(draws), strict=True))


def denoised(
    sky, null, cut, settings: dict, denoisers: dict, scale: float
) -> dict[str, tuple[np.ndarray, str, bool]]:
    """Tiles (tile, y, x) of each denoiser's map, its parameters in words, whether these lie on
    their border.
    """
    error = np.full(sky.size, NOISE, np.float32)
    near = np.zeros(sky.size, bool)
    near[cut.pixels_near(hp.npix2nside(sky.size))] = True
    sphere, raw = denoisers["nlm_sphere"], cut(sky)
    judged = drawn_pixels(near, sphere["pixels"], sphere["seed"])

    widths = [scale * width for width in settings["gaussian_arcmin"]]
    scores = {"gaussian": score_gaussian(sky, null, error, judged, widths)}
    stretched = sphere | {"fwhm_arcmin": [scale * fwhm for fwhm in sphere["fwhm_arcmin"]]}
    scores["nlm_sphere"] = score_sphere(sky, null, error, judged, stretched)
    patch, null_tiles = denoisers["nlm_patch"], cut(null)
    scores["nlm_patch"] = score_patch(raw, null_tiles, settings["patch_h"], patch)
    border = {
        name: bool(
            on_border(table, *table.columns.difference(["mse", "gain_db"]))[table["mse"].idxmin()]
        )
        for name, table in scores.items()
    }

    gaussian, patch_wise, chosen = (
        best(scores[name]) for name in ("gaussian", "nlm_patch", "nlm_sphere")
    )
    pixels, out = np.flatnonzero(near), sky.copy()
    radius = disc_radius(hp.npix2nside(sky.size), chosen["fwhm_arcmin"], sphere["reach"])
    found = features(sky, chosen["fwhm_arcmin"])
    out[pixels] = average(sky[:, None], found, pixels, chosen["alpha"], radius)[:, 0]

    noise = np.full_like(raw, np.sqrt(np.mean(null_tiles**2)))  # cutting averages white noise
    smooth = cut(smooth_gaussian(sky, gaussian["fwhm_arcmin"]))
    fwhm = {
        name: values["fwhm_arcmin"] / scale
        for name, values in (("gaussian", gaussian), ("nlm", chosen))
    }
    return {
        "raw": (raw, "", False),
        "gaussian": (smooth, f"FWHM {fwhm['gaussian']:g} arcmin", border["gaussian"]),
        "nlm_patch": (
            nlm_patch(raw, noise, patch | patch_wise),
            f"h {patch_wise['h']:g}",
            border["nlm_patch"],
        ),
        "nlm_sphere": (
            cut(out),
            f"FWHM {fwhm['nlm']:g} arcmin, alpha {chosen['alpha']:g}",
            border["nlm_sphere"],
        ),
    }


class Cutter:
    """Cuts maps on a fixed list of tiles."""

    def __init__(self, tiles: pd.DataFrame, size_deg: float, pixels: int):
        self.tiles, self.size_deg, self.pixels = tiles, size_deg, pixels

    def __call__(self, sky: np.ndarray) -> np.ndarray:
        names = ("dust", "hi", "target", "error", "null")
        return cut_planes(dict.fromkeys(names, sky), self.tiles, self.size_deg, self.pixels)[
            "target"
        ]

    def pixels_near(self, nside: int) -> np.ndarray:
        """Pixels within a corner's distance of a tile's centre, and a little more."""
        reach = np.radians(self.size_deg / 2 * np.sqrt(2)) + 2 * hp.nside2resol(nside)
        centres = hp.ang2vec(
            self.tiles["glon"].to_numpy(), self.tiles["glat"].to_numpy(), lonlat=True
        )
        return np.unique(
            np.concatenate([hp.query_disc(nside, centre, reach) for centre in centres])
        )


def bright_tiles(truth: np.ndarray, count: int, seed: int) -> pd.DataFrame:
    """`count` random tiles of which a quarter or more is brighter than `BRIGHT` times the noise."""
    nside = hp.npix2nside(truth.size)
    scale = angle_scale(nside)
    glon, glat = tile_centres(max(1, int(TILE_NSIDE / scale)))
    rows = []
    for k in np.random.default_rng(seed).permutation(len(glon)):
        points = hp.vec2pix(nside, *tile_vectors(glon[k], glat[k], 0.0, TILE_DEG * scale, 16))
        if (truth[points] > BRIGHT * NOISE).mean() >= 0.25:
            rows.append({"glon": glon[k], "glat": glat[k], "angle": 0.0})
        if len(rows) == count:
            break
    return pd.DataFrame(rows)


def squares(patches: np.ndarray, true: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Sum of squared errors of each tile (tile,), over the pixels of `where` (tile, y, x) bool."""
    return (np.where(where, patches.astype(float) - true, 0) ** 2).sum((1, 2))


def transfer_of(
    patches: np.ndarray, true: np.ndarray, size_deg: float, scale: float, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """C_l(patches, true) / C_l(true), tiles pooled, in bands of l as at the reference NSIDE: l,
    (draw, l).

    counts : `bootstrap.multiplicities` of the tiles
    """
    n, (first, width, count) = true.shape[-1], BANDS
    taper = spectra.window(n, size_deg, size_deg * TAPER)
    ell, matrix = spectra.bands(n, size_deg, first / scale, width / scale, count)
    pairs = [("out", "true"), ("true", "true")]
    power = spectra.banded(
        {"out": patches, "true": true}, pairs, np.ones(true.shape), taper, matrix, size_deg
    )
    cross, auto = (counts @ power[pair] for pair in pairs)
    return ell * scale, cross / auto


def effective_fwhm(ell: np.ndarray, transfer: np.ndarray) -> float:
    """FWHM [arcmin] of the beam after a filter with this transfer at the beam's own scale, l = 1 /
    sigma.
    """
    sigma = np.radians(BEAM_ARCMIN / 60) * gaussian_fwhm_to_sigma
    at_beam = np.interp(sigma**-2, ell**2, np.log(np.clip(transfer, 1e-3, 1)))
    return float(np.degrees(np.sqrt(sigma**2 * (1 - 2 * at_beam)) * gaussian_sigma_to_fwhm) * 60)
