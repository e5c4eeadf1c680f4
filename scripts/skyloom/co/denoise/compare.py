"""Denoisers on a sky whose truth is known, with white noise and with beam-correlated noise.

The sky is a seeded lognormal field. It has the beam, the noise and a part of the brightness of the
Type 2 map, but none of its shape. A stationary field suits an average over similar pixels better
than the Galaxy does. Below the NSIDE of the map, 2048, all angles grow, so that beam, tile and
features keep their number of pixels: the loss of white noise depends on it. Angles are named as at
NSIDE 2048.
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

NOISE = 0.45  # [K km/s] Planck 2013 XIII, CO 1-0 of Type 2
BEAM_ARCMIN = 15.0
TILE_DEG, TILE_NSIDE = 3.0, 32
REFERENCE_NSIDE = 2048  # angles are as named at this NSIDE; they double at half of it
# median [K km/s] and width of the logarithm: a quarter of the sky exceeds 8 times the noise
MEDIAN, WIDTH = 2.0, 1.0
SLOPE, ELL0 = -2.8, 10.0
BRIGHT = 8.0  # in units of the noise
TAPER = 1 / 6  # in units of a tile's side
BANDS = (398, 234, 3)  # first l, width, number: the published bands within the beam
DRAWS = 1000  # of the bootstrap over tiles
NOISES = {"white": 0.0, "beam-correlated": BEAM_ARCMIN}


def lognormal_sky(nside: int, seed: int) -> np.ndarray:
    """The noise-free map (n_pix,) [K km/s] after the beam."""
    scale = angle_scale(nside)
    field, variance = gaussian_field(
        "denoisers", lambda ell: (ell * scale + ELL0) ** SLOPE, {"nside": nside, "seed": seed}
    )
    return smooth(MEDIAN * np.exp(WIDTH * field / np.sqrt(variance)), BEAM_ARCMIN * scale)


def angle_scale(nside: int) -> float:
    """Factor by which angles are stretched at this NSIDE."""
    return max(1.0, REFERENCE_NSIDE / nside)


def compare(settings: dict, denoisers: dict) -> tuple[pd.DataFrame, xr.Dataset]:
    """Every denoiser on both kinds of noise, on tiles of the known sky.

    Parameters
    ----------
    settings : `nside`, `seed`, `tiles`, `pixels` (along a tile's side), `gaussian_arcmin` and
        `patch_h` (candidates)
    denoisers : section of the config. Widths and strengths are cross-validated, as on a real sky

    Returns
    -------
    A row a noise and denoiser: parameters, `border` (whether they lie on the border of their
    candidates), rmse and rmse_bright [K km/s], gain_db and gain_bright_db of PSNR over the noisy
    map, effective_fwhm_arcmin. And `transfer (noise, denoiser, l)`, the cross-spectrum of denoised
    map and truth over the auto-spectrum of the truth. Gains and transfer have `_lo` and `_hi`, the
    68 % interval of a bootstrap over tiles.
    """
    nside, scale = settings["nside"], angle_scale(settings["nside"])
    config = {"nside": nside, "seed": settings["seed"]}
    truth = lognormal_sky(nside, settings["seed"])
    tiles = bright_tiles(truth, settings["tiles"], settings["seed"])
    cut = Cutter(tiles, TILE_DEG * scale, settings["pixels"])
    true = cut(truth)
    masks = {"": np.ones(true.shape, bool), "_bright": true > BRIGHT * NOISE}
    counts = bootstrap.multiplicities(np.arange(len(tiles)), DRAWS, settings["seed"])
    rows, curves = [], {}
    for noise, fwhm in NOISES.items():
        noise_map, null = (
            np.float32(NOISE) * noise_field(f"{name} {noise}", fwhm * scale, config)
            for name in ("noise", "null")
        )
        results = denoised(truth + noise_map, null, cut, settings, denoisers, scale)
        for denoiser, (patches, parameters, border) in results.items():
            row = {
                "noise": noise,
                "denoiser": denoiser,
                "parameters": parameters,
                "border": border,
            }
            for suffix, where in masks.items():
                loss, raw = (squares(maps, true, where) for maps in (patches, results["raw"][0]))
                row[f"rmse{suffix}"] = np.sqrt(loss.sum() / where.sum())
                gain = 10 * np.log10((counts @ raw) / (counts @ loss))
                row |= {
                    name: float(value)
                    for name, value in _with_ends(f"gain{suffix}_db", gain).items()
                }
            ell, transfer = transfer_of(patches, true, TILE_DEG * scale, scale, counts)
            rows.append(row | {"effective_fwhm_arcmin": effective_fwhm(ell, transfer[0])})
            curves[noise, denoiser] = _with_ends("transfer", transfer)
    coordinates = {"noise": list(NOISES), "denoiser": list(results), "l": ell}
    variables = {
        name: (
            tuple(coordinates),
            [[curves[noise, denoiser][name] for denoiser in results] for noise in NOISES],
        )
        for name in ("transfer", "transfer_lo", "transfer_hi")
    }
    return pd.DataFrame(rows), xr.Dataset(variables, coordinates)


def _with_ends(name: str, draws: np.ndarray) -> dict:
    """Value and 68 % interval of a statistic of `bootstrap.multiplicities` of tiles.

    Tiles are independent blocks, since they lie apart.
    """
    return dict(zip((name, f"{name}_lo", f"{name}_hi"), bootstrap.summary(draws), strict=True))


def denoised(
    sky, null, cut, settings: dict, denoisers: dict, scale: float
) -> dict[str, tuple[np.ndarray, str, bool]]:
    """Map tiles (tile, y, x), parameters as text, and `border` of each denoiser.

    `border` is true where the parameters lie on the border of their candidates.
    """
    error = np.full(sky.size, NOISE, np.float32)
    near = np.zeros(sky.size, bool)
    near[cut.pixels_near(hp.npix2nside(sky.size))] = True
    sphere, raw = denoisers["nlm_sphere"], cut(sky)
    pixels_compared = drawn_pixels(near, sphere["pixels"], sphere["seed"])

    widths = [scale * width for width in settings["gaussian_arcmin"]]
    scores = {"gaussian": score_gaussian(sky, null, error, pixels_compared, widths)}
    stretched = sphere | {"fwhm_arcmin": [scale * fwhm for fwhm in sphere["fwhm_arcmin"]]}
    scores["nlm_sphere"] = score_sphere(sky, null, error, pixels_compared, stretched)
    patch, null_tiles = denoisers["nlm_patch"], cut(null)
    scores["nlm_patch"] = score_patch(raw, null_tiles, settings["patch_h"], patch)
    border = {
        name: bool(
            on_border(table, *table.columns.difference(["mse", "gain_db"]))[table["mse"].idxmin()]
        )
        for name, table in scores.items()
    }

    gaussian, patch_wise, non_local = (
        best(scores[name]) for name in ("gaussian", "nlm_patch", "nlm_sphere")
    )
    pixels, out = np.flatnonzero(near), sky.copy()
    radius = disc_radius(hp.npix2nside(sky.size), non_local["fwhm_arcmin"], sphere["reach"])
    surroundings = features(sky, non_local["fwhm_arcmin"])
    out[pixels] = average(sky[:, None], surroundings, pixels, non_local["alpha"], radius)[:, 0]

    # the noise is measured on tiles, since cutting them averages white noise
    noise = np.full_like(raw, np.sqrt(np.mean(null_tiles**2)))
    smooth = cut(smooth_gaussian(sky, gaussian["fwhm_arcmin"]))
    fwhm = {
        name: values["fwhm_arcmin"] / scale
        for name, values in (("gaussian", gaussian), ("nlm", non_local))
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
            f"FWHM {fwhm['nlm']:g} arcmin, alpha {non_local['alpha']:g}",
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
        """Pixels within the distance of a tile's corner from its centre, and two pixels more."""
        reach = np.radians(self.size_deg / 2 * np.sqrt(2)) + 2 * hp.nside2resol(nside)
        centres = hp.ang2vec(
            self.tiles["glon"].to_numpy(), self.tiles["glat"].to_numpy(), lonlat=True
        )
        return np.unique(
            np.concatenate([hp.query_disc(nside, centre, reach) for centre in centres])
        )


def bright_tiles(truth: np.ndarray, count: int, seed: int) -> pd.DataFrame:
    """`count` random tiles. At least a quarter of each exceeds `BRIGHT` times the noise."""
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
    """Sum of squared errors of each tile (tile,) over the pixels of `where` (tile, y, x) bool."""
    return (np.where(where, patches.astype(float) - true, 0) ** 2).sum((1, 2))


def transfer_of(
    patches: np.ndarray, true: np.ndarray, size_deg: float, scale: float, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """C_l(patches, true) / C_l(true), pooled over tiles: l (band,) and ratio (draw, band).

    counts : `bootstrap.multiplicities` of the tiles

    The bands of l are those at the reference NSIDE.
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
    """FWHM [arcmin] of the beam after a filter with this transfer at the scale of the beam.

    That scale is l = 1 / sigma.
    """
    sigma = np.radians(BEAM_ARCMIN / 60) * gaussian_fwhm_to_sigma
    at_beam = np.interp(sigma**-2, ell**2, np.log(np.clip(transfer, 1e-3, 1)))
    return float(np.degrees(np.sqrt(sigma**2 * (1 - 2 * at_beam)) * gaussian_sigma_to_fwhm) * 60)
