"""Maps of radio power from simulations of one's own, placed on the sky of a field.

A map has no coordinates: the file rarely says more than its values. Unit and size of a pixel must
be stated where the file lacks them; no factor of (1 + z) is assumed.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.cosmology import FlatLambdaCDM
from scipy.ndimage import affine_transform

from skyloom import images
from skyloom.cli import BadInput
from skyloom.radio.simulate.components import Box

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)
JY = 1e-23  # [erg/s/Hz/cm2]
POWER = {"erg/s/hz": 1.0, "w/hz": 1e7}  # [erg/s/Hz]
LEAST_SHARE = 1e-3  # of the peak, below which the floor of a map is left out


@dataclass(frozen=True)
class PowerMap:
    """Radio power of each pixel (y, x) [erg/s/Hz] at the rest frequency; pixel : [kpc]."""

    power: np.ndarray
    pixel_kpc: float


@lru_cache(maxsize=64)
def read_map(path: str, unit: str | None, pixel_kpc: float | None, distance_mpc: float | None):
    """A map of a FITS file, or of a square of raw little-endian float32.

    unit : of a pixel, erg/s/Hz or W/Hz, or Jy at the luminosity distance `distance_mpc`. What the
        file states (BUNIT, PIXKPC) goes before.
    Raises BadInput for what is neither in the file nor stated, values that are not finite or
    negative, and a map without emission.
    """
    values, found, pixel = _values(Path(path))
    unit, pixel_kpc = found or unit, pixel or pixel_kpc
    if unit is None:
        raise BadInput(f"{path}: no BUNIT; state its unit: erg/s/Hz, W/Hz or Jy")
    if pixel_kpc is None:
        raise BadInput(f"{path}: says nothing of its pixels; state pixel_kpc")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise BadInput(f"{path}: has values that are negative or not finite; expected radio power")
    if not values.max() > 0:
        raise BadInput(f"{path}: is 0 everywhere; expected radio power")
    name = unit.lower().replace(" ", "").removesuffix("/pixel")
    if name == "jy":
        if distance_mpc is None:
            raise BadInput(
                f"{path}: its unit is {unit}; state distance_mpc, where it has that flux"
            )
        factor = 4 * np.pi * (distance_mpc * u.Mpc).to_value(u.cm) ** 2 * JY
    elif name in POWER:
        factor = POWER[name]
    else:
        raise BadInput(f"{path}: its unit is {unit!r}; expected erg/s/Hz, W/Hz or Jy")
    power = values.astype(np.float64) * factor
    return PowerMap(np.where(power > LEAST_SHARE * power.max(), power, 0), float(pixel_kpc))


def _values(path: Path) -> tuple[np.ndarray, str | None, float | None]:
    """The map (y, x), its unit and its pixel [kpc], where the file has them."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(len(images.FITS_BEGINS))
    if start.startswith((images.FITS_BEGINS, *images.COMPRESSED)):
        with images.opened(path) as file:
            data, header = np.squeeze(file[0].data), file[0].header
        if data.ndim != 2:
            raise BadInput(f"{path}: has axes of {data.shape}; expected a map of two")
        return data, header.get("BUNIT"), header.get("PIXKPC")
    raw = np.fromfile(path, "<f4")
    side = int(round(np.sqrt(raw.size)))
    if side < 8 or side**2 * 4 != path.stat().st_size:
        raise BadInput(
            f"{path}: {path.stat().st_size} bytes; expected FITS, or a square of float32 values"
        )
    return raw.reshape(side, side), None, None


@cache
def distances(z: float) -> tuple[float, float]:
    """Luminosity distance [cm], and kpc in an arcsec."""
    scale = COSMOLOGY.kpc_proper_per_arcmin(z).value / 60
    return COSMOLOGY.luminosity_distance(z).to_value(u.cm), scale


def placed(
    found: PowerMap,
    z: float,
    spectral_index: float,
    y: float,
    x: float,
    pixel: float,
    side: int,
    rng: np.random.Generator,
) -> Box | None:
    """The map at a redshift as flux [Jy] of the pixels of a field, turned at random.

    S = P (1 + z)^(1 - a) / (4 pi D_L^2) for a spectrum of flux proportional to frequency^-a.

    pixel : of the field ["]; y, x : middle of the map; side : of the field
    """
    distance, kpc = distances(z)
    flux = found.power * (1 + z) ** (1 - spectral_index) / (4 * np.pi * distance**2 * JY)
    scale = pixel * kpc / found.pixel_kpc  # pixels of the map in one of the field
    size = int(np.ceil(np.hypot(*flux.shape) / scale)) + 2
    if size < 3 or size > 4 * side:
        return None
    angle = rng.uniform(0, 2 * np.pi)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        flux = flux[:, ::-1]
    middle = (np.array(flux.shape) - 1) / 2
    offset = middle - turn @ np.full(2, (size - 1) / 2)
    # a finer map is averaged first, so that no flux falls between the pixels
    step = max(1, int(scale))
    if step > 1:
        rows, columns = (n // step * step for n in flux.shape)
        blocks = flux[:rows, :columns].reshape(rows // step, step, columns // step, step)
        flux = blocks.mean((1, 3))
        turn, offset = turn / step, (offset + 0.5) / step - 0.5
    values = affine_transform(flux, turn, offset, (size, size), order=1) * scale**2
    y0, x0 = int(round(y - size / 2)), int(round(x - size / 2))
    low = max(0, -y0), max(0, -x0)
    high = min(size, side - y0), min(size, side - x0)
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    part = values[low[0] : high[0], low[1] : high[1]].clip(0).astype(np.float32)
    return Box(y0 + low[0], x0 + low[1], part)
