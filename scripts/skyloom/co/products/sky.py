"""One trained model on the sky: its tiles are predicted, returned to the sphere and blended.

Inputs are cut and normalised by the code that made the training examples, with the constants of the
checkpoint. A stochastic network starts every tile from one Gaussian field on the sphere, sampled at
the pixels of the tile. Overlapping tiles then have the same realisation, and blending does not
average it away.
"""

from pathlib import Path

import healpy as hp
import numpy as np
import torch
import xarray as xr

from skyloom import checkpoint
from skyloom.cli import BadInput, progress
from skyloom.co.data.examples import INPUTS, model_inputs
from skyloom.co.data.patches import LINE_NAMES, cut_tile
from skyloom.co.data.sphere import Blend, footprint
from skyloom.co.data.tiles import sample, tile_vectors
from skyloom.co.evaluate import spectra
from skyloom.co.products.area import area_pixels, area_tiles, depth
from skyloom.co.products.power import returned_beam, rise
from skyloom.co.simulate.fields import noise_field
from skyloom.patchset import PatchSet

BATCH = 32  # largest number of tiles predicted at a time
NOISE_PIXELS = 4  # least number of pixels of the noise field along its beam
NOISE_NSIDE = 2048  # largest NSIDE of the noise field
SPECTRUM_TILES = 512  # tiles that are kept for spectra before and after blending
# share of those tiles in the spectra, by the mean of their prediction: the others hold no cloud
BRIGHTEST = 0.25


# --- inputs --------------------------------------------------------------------------------------


def require_match(path: Path, meta: dict, maps: PatchSet, line: str, tiles: dict) -> None:
    """Refuse a checkpoint whose line, beam, pixel size or number of pixels is not the product's."""
    expected = {
        "line": (LINE_NAMES[line], "the product's line"),
        "beam_arcmin": (float(maps.attrs["beam_arcmin"]), str(maps.path)),
        "pixel_arcmin": (60 * tiles["size_deg"] / tiles["pixels"], "co.tiles"),
        "pixels": (tiles["pixels"], "co.tiles"),
    }
    for key, (reference, source) in expected.items():
        actual = meta.get(key, "nothing")
        if isinstance(reference, str):
            agrees = actual == reference
        else:
            agrees = actual != "nothing" and np.isclose(actual, reference)
        if not agrees:
            raise BadInput(
                f"{path}: trained with {key} {actual!r}; expected {reference!r} from {source}"
            )


def noise_arcmin(trained: dict) -> float | None:
    """Beam FWHM [arcmin] of the Gaussian field from which a stochastic network starts.

    None for any other model.
    """
    if trained["kind"] == "baseline":
        return None
    module, task = checkpoint.network(trained)
    return float(module.noise_arcmin(task)) if hasattr(module, "noise_arcmin") else None


def noise_on_sphere(fwhm_arcmin: float, count: int, seed: int) -> list[np.ndarray]:
    """`count` Gaussian fields on the sphere: white noise after a beam, of unit variance.

    The variance is that of bilinear samples. The fields depend on `seed` alone, so that all lines
    and seeds of a model start from the same ones. Raises BadInput where the beam needs an NSIDE
    above `NOISE_NSIDE`.
    """
    nside = 64
    while hp.nside2resol(nside, arcmin=True) > fwhm_arcmin / NOISE_PIXELS:
        nside *= 2
    if nside > NOISE_NSIDE:
        least = NOISE_PIXELS * hp.nside2resol(NOISE_NSIDE, arcmin=True)
        raise BadInput(
            f"the network starts from a field of {fwhm_arcmin:g} arcmin; expected at least "
            f"{least:.1f} on the sphere"
        )
    fields = [
        noise_field(f"product {k}", fwhm_arcmin, {"nside": nside, "seed": seed})
        for k in range(count)
    ]
    # bilinear samples between pixels scatter less than the pixels: divide by the scatter of as many
    # samples as a hundred tiles have
    probes = np.random.default_rng(seed).standard_normal((3, 1 << 20))
    return [field / np.float32(sample([field], probes)[0].std()) for field in fields]


# --- prediction ----------------------------------------------------------------------------------


def predict_sky(trained: dict, maps: PatchSet, product: dict, bands: dict) -> xr.Dataset:
    """The blended maps of a checkpoint over an area, with measures of their quality.

    Parameters
    ----------
    trained : a checkpoint; `meta` has normalisation, pixels and pixel size of its tiles
    maps : maps.nc with `dust` (n_pix,) and `hi` (n_hi_pix,)
    product : `area`, `tile_nside`, `samples` and `seed` (of the fields of a stochastic network)
    bands : `l_first`, `l_width`, `l_count` and `taper_deg` of the tiles' spectra

    Returns
    -------
    Over `pixel`, the RING pixels of the area:

    - `prediction` [K km/s], NaN without valid input;
    - `spread` [K km/s], the model's standard deviation, where the model has one;
    - `sample_std` [K km/s], the scatter of the samples of a stochastic model;
    - `realisation` [K km/s], the first of these samples;
    - `disagreement` [K km/s], the standard deviation between overlapping tiles;
    - `known`, the share of the tiles' weight with valid input.

    Over `field` and `l`: median C_l of bright tiles before and after blending, and their median
    ratio.

    Attributes: `closure_rms` of the dust map over its standard deviation, `beam_arcmin` of the
    product, `seam`, the rms between overlapping tiles over the standard deviation of the map, and
    `seam_realisation`, that of the realisation.

    Raises
    ------
    BadInput : tiles leave a part of the area uncovered
    """
    meta, area = trained["meta"], product["area"]
    nside, pixels = int(maps.attrs["nside"]), meta["pixels"]
    size_deg = meta["pixel_arcmin"] * pixels / 60
    glon, glat = area_tiles(product["tile_nside"], area, size_deg, pixels, nside)
    beam = noise_arcmin(trained)
    noise = noise_on_sphere(beam, product["samples"], product["seed"]) if beam else []
    apply = checkpoint.predictor(trained)
    spectrum_rows = _spectrum_rows(depth(glon, glat, area) > size_deg / np.sqrt(2))

    blend, before = None, []
    values = len(INPUTS) * pixels**2 * max(1, len(noise))
    size = min(BATCH, checkpoint.batch_size(values))
    groups = np.array_split(np.arange(len(glon)), -(-len(glon) // size))
    for rows in progress(groups, "tiles"):
        vectors = [tile_vectors(glon[k], glat[k], 0.0, size_deg, pixels) for k in rows]
        batch = tile_batch(maps, vectors, glat[rows], noise, meta["normalisation"])
        with torch.no_grad():
            outputs = {name: values.float().cpu() for name, values in apply(batch).items()}
        planes = {"dust": batch["dust"], "prediction": outputs["prediction"]}
        if "spread" in outputs:
            planes["variance"] = outputs["spread"].square()
        if noise:
            planes["samples"] = outputs["samples"]
        values = torch.cat([*planes.values(), batch["valid"]], 1).numpy()
        if blend is None:
            names = [
                f"sample {i}" if n == "samples" else n
                for n, p in planes.items()
                for i in range(p.shape[1])
            ]
            seamed = [names.index(name) for name in ("prediction", "sample 0") if name in names]
            # second moments over tiles
            names += [f"second {names[row]}" for row in seamed]
            blend = Blend(nside, len(names))
        for k, tile in zip(rows, values, strict=True):
            covered = footprint(nside, glon[k], glat[k], size_deg, pixels)
            tile = covered.sample(tile)
            blend.add(covered, np.concatenate([tile[:-1], tile[seamed] ** 2]), tile[-1])
            if k in spectrum_rows:
                before.append(values[k - rows[0], :-1])

    inside = area_pixels(nside, area)
    valid_share = np.divide(
        blend.weight, blend.window, out=np.zeros_like(blend.weight), where=blend.window > 0
    )
    mean = dict(zip(names, blend.mean(), strict=True))
    after = [(glon[k], glat[k]) for k in spectrum_rows]
    sky = _dataset(mean, valid_share, inside, maps, area, meta["beam_arcmin"])
    return sky.merge(
        _spectra(before, after, mean, size_deg, bands), combine_attrs="override"
    ).assign_attrs(
        sky.attrs, tiles=len(glon), tile_pixel_arcmin=meta["pixel_arcmin"], samples=len(noise)
    )


def tile_batch(
    maps: PatchSet, vectors: list, glat: np.ndarray, noise: list, normalisation: dict
) -> dict:
    """Inputs of a model's `predict`: tiles (n, ..., y, x) made like the training examples."""
    dust, hi = maps.array("dust"), maps.array("hi")
    cut = [cut_tile([dust], hi, v) for v in vectors]
    stacked = {
        "dust": [values[0] for values, _ in cut],
        "hi": [values[1] for values, _ in cut],
        "weight": [weight for _, weight in cut],
    }
    batch = model_inputs(
        {k: torch.from_numpy(np.float32(v))[:, None] for k, v in stacked.items()}, normalisation
    )
    batch["glat"] = torch.from_numpy(np.float32(glat))
    if noise:
        batch["noise"] = torch.from_numpy(np.float32([sample(noise, v)[0] for v in vectors]))
    return batch


def _spectrum_rows(inside: np.ndarray) -> list[int]:
    """Rows of at most `SPECTRUM_TILES` tiles, evenly spaced.

    inside : (tile,) bool, whether a tile lies wholly in the area
    """
    rows = np.flatnonzero(inside)
    steps = np.linspace(0, len(rows) - 1, min(len(rows), SPECTRUM_TILES)).astype(int)
    return [int(k) for k in rows[np.unique(steps)]]


def _dataset(
    mean: dict,
    valid_share: np.ndarray,
    inside: np.ndarray,
    maps: PatchSet,
    area,
    beam_arcmin: float,
) -> xr.Dataset:
    """The blended maps of the area as a Dataset with measures of its quality as attributes."""
    nside = int(maps.attrs["nside"])
    prediction = mean["prediction"]
    planes = {"prediction": prediction, "disagreement": _disagreement(mean, "prediction")}
    if "variance" in mean:
        planes["spread"] = np.sqrt(mean["variance"])
    samples = [values for name, values in mean.items() if name.startswith("sample ")]
    if samples:
        planes["realisation"] = samples[0]
    if len(samples) > 1:
        planes["sample_std"] = np.std(samples, axis=0, ddof=1)
    original = maps.array("dust")[inside].astype(np.float64)
    error = mean["dust"][inside] - original
    window = np.zeros(hp.nside2npix(nside), np.float32)
    window[inside] = rise(depth(*hp.pix2ang(nside, inside, lonlat=True), area))
    seams = {"seam": "prediction"} | ({"seam_realisation": "sample 0"} if samples else {})
    units = {"units": "K km/s"}
    variables = {
        name: ("pixel", values[inside].astype(np.float32), units) for name, values in planes.items()
    }
    variables["known"] = ("pixel", valid_share[inside], {"units": "1"})
    attributes = {
        "nside": nside,
        "ordering": "RING",
        "coordsys": "GALACTIC",
        "data_kind": maps.attrs["data_kind"],
        "closure_rms": float(np.nanstd(error) / np.nanstd(original)),
        "beam_arcmin": returned_beam(
            mean["dust"], np.asarray(maps.array("dust")), window, beam_arcmin
        ),
    }
    for key, name in seams.items():
        scatter = _disagreement(mean, name)[inside].astype(np.float64)
        attributes[key] = float(np.sqrt(np.nanmean(scatter**2)) / np.nanstd(mean[name][inside]))
    return xr.Dataset(variables, {"pixel": ("pixel", inside.astype(np.int32))}, attributes)


def _disagreement(mean: dict, name: str) -> np.ndarray:
    """Standard deviation (n_pix,) of a blended map between overlapping tiles."""
    return np.sqrt(np.maximum(mean[f"second {name}"] - mean[name] ** 2, 0))


def _spectra(before: list, centres: list, mean: dict, size_deg: float, bands: dict) -> xr.Dataset:
    """C_l of the same tiles as predicted, and cut again from the blended map."""
    fields = ["dust", "prediction", *(["sample 0"] if "sample 0" in mean else [])]
    rows = [list(mean).index(name) for name in fields]
    if not before:
        return xr.Dataset()
    order = np.argsort([-tile[rows[1]].mean() for tile in before], kind="stable")
    brightest = order[: max(int(BRIGHTEST * len(order)), 1)]
    before, centres = [before[k] for k in brightest], [centres[k] for k in brightest]
    pixels = before[0].shape[-1]
    ell, matrix = spectra.bands(
        pixels, size_deg, bands["l_first"], bands["l_width"], bands["l_count"]
    )
    taper = spectra.window(pixels, size_deg, bands["taper_deg"])
    cut = [
        sample([mean[n] for n in fields], tile_vectors(*c, 0.0, size_deg, pixels)) for c in centres
    ]
    first, second = (
        np.array([tile[rows] for tile in before]),
        np.array([values for values, _ in cut]),
    )
    weight = np.isfinite(second).all(1).astype(np.float64)
    pairs = [(name, name) for name in fields]
    cl = [
        spectra.banded(
            {n: tiles[:, i] for i, n in enumerate(fields)}, pairs, weight, taper, matrix, size_deg
        )
        for tiles in (first, second)
    ]
    tables = [np.array([table[pair] for pair in pairs]) for table in cl]  # (field, tile, l)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.nanmedian(tables[1] / tables[0], axis=1)
    spectra_of_tiles = {
        "cl_tiles": np.median(tables[0], axis=1),
        "cl_blended": np.median(tables[1], axis=1),
        "cl_ratio": ratio,
    }
    return xr.Dataset(
        {name: (("field", "l"), values) for name, values in spectra_of_tiles.items()},
        {"field": ["realisation" if name == "sample 0" else name for name in fields], "l": ell},
    )
