"""Raw maps to one frame, one beam and physical units.

The study uses maps of the sphere; the maps of single clouds are flat.
"""

from pathlib import Path

import healpy
import numpy as np
import xarray as xr
from astropy.stats import gaussian_fwhm_to_sigma
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from scipy.ndimage import gaussian_filter, map_coordinates

from skyloom.cli import BadInput
from skyloom.co.data import plausible
from skyloom.co.data.plausible import HI_UNIT
from skyloom.co.read import LINES, FlatMap, read_beam, read_co_type2, read_gnilc, read_hi4pi
from skyloom.download import checksums
from skyloom.healpix import HealpixTable, Stated

# harmonics that the kernel damps below this factor are left out
KERNEL_FLOOR = 1e-8


def prepare(co_path: Path, dust_path: Path, hi_path: Path, config: dict) -> xr.Dataset:
    """The maps of `maps.nc` (docs/co.md), float32, NaN where masked.

    `config` is the section `maps` of the config: `dust_monopole` [MJy/sr], `dust_beam_arcmin` and
    `beam_arcmin`, the beam of CO, to which dust is smoothed; `dust_beam_map`, a file with the beam
    of each pixel of the dust map, or None; `columns` and `units`, which a file states otherwise;
    `plausible`. All checks run before the smoothing, which takes longest. Raises BadInput where
    orderings, NSIDEs or data kinds do not agree, and for values that are not plausible.
    """
    stated = Stated(config["columns"], config["units"], "co.maps.columns", "co.maps.units")
    dust = read_gnilc(dust_path, stated)
    hi = read_hi4pi(hi_path, stated)
    plausible.check_dust(dust, hi, config)
    variables = {}
    for name in LINES:
        co = read_co_type2(co_path, name, stated)
        plausible.check_co(co, name, dust, config["plausible"])
        _check_pair(co, dust)
        for suffix, values in zip(("", "_error", "_null"), co.maps, strict=True):
            variables[name + suffix] = ("pixel", values, {"units": "K km/s"})
    _check_kinds(co, dust, hi)
    if config["dust_beam_map"]:
        _mask_coarse(dust, read_beam(config["dust_beam_map"], stated), config)

    smooth = smooth_sphere(
        dust["I"] - np.float32(config["dust_monopole"]),
        config["dust_beam_arcmin"],
        config["beam_arcmin"],
    )
    variables["dust"] = (
        "pixel",
        smooth,
        {"units": "MJy/sr", "long_name": "857 GHz, monopole removed"},
    )
    variables["hi"] = ("hi_pixel", hi["NHI"] / np.float32(HI_UNIT), {"units": "1e20 cm-2"})
    attributes = {
        "nside": dust.nside,
        "hi_nside": hi.nside,
        "ordering": "RING",
        "coordsys": "GALACTIC",
        "data_kind": dust.data_kind,
        "beam_arcmin": float(config["beam_arcmin"]),
        "dust_monopole_removed": float(config["dust_monopole"]),
        **{
            f"sha256_{k}": checksums(t.path)[1] for k, t in (("co", co), ("dust", dust), ("hi", hi))
        },
    }
    return xr.Dataset(variables, attrs=attributes)


def smooth_sphere(values: np.ndarray, from_arcmin: float, to_arcmin: float) -> np.ndarray:
    """Smooth a RING map (n_pix,) from one Gaussian FWHM to a wider one.

    NaN stays NaN and does not spread: missing pixels are left out of the mean of their neighbours
    (normalised convolution). A kernel narrower than a pixel would only cause ringing, so that the
    map is returned unchanged. Raises BadInput where the second FWHM is smaller.
    """
    kernel = _kernel(from_arcmin, to_arcmin)
    nside = healpy.npix2nside(values.size)
    if kernel < healpy.nside2resol(nside, arcmin=True):
        return values.astype(np.float32)
    valid = np.isfinite(values)
    smooth = _convolve(np.where(valid, values, 0), kernel, nside)
    if not valid.all():
        weight = _convolve(valid.astype(np.float32), kernel, nside)
        smooth = np.where(valid, smooth / np.where(valid, weight, 1), np.nan)
    return smooth.astype(np.float32)


def smooth_flat(image: FlatMap, from_arcmin: float, to_arcmin: float) -> FlatMap:
    """Smooth a flat map (y, x) from one Gaussian FWHM to a wider one, mirrored at the edges.

    NaN and errors are treated as in `smooth_sphere`.
    """
    pixel_arcmin = 60 * proj_plane_pixel_scales(image.wcs)[::-1]
    sigma = _kernel(from_arcmin, to_arcmin) * gaussian_fwhm_to_sigma / pixel_arcmin
    valid = np.isfinite(image.values)
    smooth = gaussian_filter(np.where(valid, image.values, 0), sigma, mode="reflect")
    weight = gaussian_filter(valid.astype(float), sigma, mode="reflect")
    mean = np.where(valid, smooth / np.where(valid, weight, 1), np.nan)
    return FlatMap(image.path, mean, image.wcs)


def moment0(cube: FlatMap) -> FlatMap:
    """Velocity-integrated intensity [K km/s] of a cube in K."""
    return FlatMap(cube.path, cube.values.sum(axis=0) * cube.channel_width, cube.wcs)


def regrid(image: FlatMap, wcs: WCS, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear values of a flat map on another grid (y, x), in any frame.

    Values outside of the map are NaN.
    """
    y, x = np.indices(shape)
    column, row = image.wcs.world_to_pixel(wcs.pixel_to_world(x, y))
    return map_coordinates(image.values, [row, column], order=1, cval=np.nan)


def _kernel(from_arcmin: float, to_arcmin: float) -> float:
    if not to_arcmin >= from_arcmin:
        raise BadInput(
            f"cannot sharpen a map from a beam of {from_arcmin} arcmin to {to_arcmin} arcmin"
        )
    return np.sqrt(to_arcmin**2 - from_arcmin**2)


def _convolve(values: np.ndarray, kernel_arcmin: float, nside: int) -> np.ndarray:
    fwhm = np.radians(kernel_arcmin / 60)
    needed = np.sqrt(-2 * np.log(KERNEL_FLOOR)) / (gaussian_fwhm_to_sigma * fwhm)
    lmax = min(3 * nside - 1, int(np.ceil(needed)))
    return healpy.smoothing(values, fwhm=fwhm, lmax=lmax, iter=1)


def _mask_coarse(dust: HealpixTable, beam: HealpixTable, config: dict) -> None:
    """Make NaN the dust whose own beam is wider than the target beam, or is not known."""
    plausible.check(beam.path, "dust_fwhm", float(np.nanmedian(beam.maps[0])), config["plausible"])
    place = healpy.pix2ang(dust.nside, np.arange(dust["I"].size))
    fwhm = beam.maps[0][healpy.ang2pix(beam.nside, *place)]
    coarse = ~(fwhm <= config["beam_arcmin"])
    dust["I"][coarse] = np.nan
    print(
        f"{dust.path}: {coarse.mean():.1%} of the sky masked, where the beam of {beam.path} is "
        f"wider than {config['beam_arcmin']:g} arcmin"
    )


def _check_pair(co: HealpixTable, dust: HealpixTable) -> None:
    if co.nside != dust.nside:
        raise BadInput(
            f"{co.path}: NSIDE {co.nside}, but {dust.path} has {dust.nside}; expected the same"
        )


def _check_kinds(*tables: HealpixTable) -> None:
    kinds = {table.data_kind for table in tables}
    if len(kinds) > 1:
        listing = ", ".join(f"{table.path}: {table.data_kind}" for table in tables)
        raise BadInput(f"survey and simulated maps do not mix; SKYKIND is {listing}")
