"""Maps of radio power from simulations of one's own, placed on the sky of a field.

A map has no coordinates: the file rarely says more than its values. Unit and size of a pixel must
be stated where the file lacks them; no factor of (1 + z) is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.cosmology import FlatLambdaCDM
from scipy.ndimage import affine_transform, gaussian_filter, maximum_filter

from skyloom import images
from skyloom.cli import BadInput
from skyloom.radio.simulate.components import Box

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)
JY = 1e-23  # [erg/s/Hz/cm2]
POWER = {"erg/s/hz": 1.0, "w/hz": 1e7}  # [erg/s/Hz]
LEAST_SHARE = 1e-3  # of the peak, below which the floor of a map is left out
DENSITY = "DENSITY"  # FITS extension
SMOOTHING = 1.0  # of a density before its peaks are found, standard deviation [pixel]
PEAK_SCATTER = 0.25  # of places around a peak, standard deviation [pixel of the map]


class Peaks(NamedTuple):
    """Local maxima of a projected density: pixels (n, 2) as y, x, and weights (n,), their density
    above the median of the map.
    """

    pixels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class PowerMap:
    """Radio power of each pixel (y, x) [erg/s/Hz] at the rest frequency; pixel : [kpc].

    peaks : of the projected density on the same pixels; None without a density
    """

    power: np.ndarray
    pixel_kpc: float
    peaks: Peaks | None = None


def check(stated: Sequence[dict]) -> list[str]:
    """Read all maps, so that a bad one is refused before a field is drawn.

    stated : arguments of `read_map`
    Returns a remark on each map without a density. Raises BadInput as `read_map`.
    """
    without = [entry["path"] for entry in stated if read_map(**entry).peaks is None]
    return [f"{path}: no density is stated; radio galaxies lie anywhere" for path in without]


@lru_cache(maxsize=64)
def read_map(
    path: str,
    unit: str | None,
    pixel_kpc: float | None,
    distance_mpc: float | None,
    density: str | None = None,
) -> PowerMap:
    """A map of a FITS file, or of a square of raw little-endian float32.

    unit : of a pixel, erg/s/Hz or W/Hz, or Jy at the luminosity distance `distance_mpc`. What the
        file states (BUNIT, PIXKPC) goes before.
    density : file with the projected density on the same pixels, in any linear unit: the extension
        DENSITY of a FITS file or its first image, or raw float32
    Raises BadInput for what is neither in the file nor stated, values that are not finite or
    negative, a map without emission, and a density of another shape or without a peak.
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
    power = np.where(power > LEAST_SHARE * power.max(), power, 0)
    peaks = None if density is None else _peaks(density, power.shape, path)
    return PowerMap(power, float(pixel_kpc), peaks)


def _peaks(path: str, shape: tuple[int, int], power: str) -> Peaks:
    """The peaks of a density map; in the file `power` the first image is no density."""
    values = _values(Path(path), DENSITY, required=path == power)[0].astype(np.float64)
    if values.shape != shape:
        raise BadInput(f"{path}: density has shape {values.shape}; expected {shape}, of its map")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise BadInput(f"{path}: density is negative or not finite; expected values of 0 and more")
    smooth = gaussian_filter(values, SMOOTHING, mode="nearest")
    excess = smooth - np.median(smooth)
    peaks = (smooth == maximum_filter(smooth, 3, mode="nearest")) & (excess > 0)
    if not peaks.any():
        raise BadInput(f"{path}: density is {values.flat[0]:g} everywhere; expected peaks")
    return Peaks(np.argwhere(peaks), excess[peaks])


def _values(
    path: Path, extension: str | None = None, required: bool = False
) -> tuple[np.ndarray, str | None, float | None]:
    """The map (y, x), its unit and its pixel [kpc], where the file has them.

    extension : of a FITS file that is read; the first image unless `required` where it is missing
    """
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(len(images.FITS_BEGINS))
    if start.startswith((images.FITS_BEGINS, *images.COMPRESSED)):
        with images.opened(path) as file:
            if required and extension not in file:
                found = ", ".join(hdu.name for hdu in file)
                raise BadInput(f"{path}: no extension {extension}; found {found}")
            hdu = file[extension if extension in file else 0]
            data, header = np.squeeze(hdu.data), hdu.header
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


@dataclass(frozen=True)
class Placement:
    """A map in a field: shift, turn, scale and mirror, as of its flux so of its peaks.

    Pixel p (y, x) of the field shows pixel turn @ (p - first) + offset of the map, whose columns
    are counted from the last one where it is mirrored.

    size : pixels along a side of the square of the field that holds the map
    scale : pixels of the map in one of the field
    """

    found: PowerMap
    first: tuple[int, int]
    size: int
    scale: float
    turn: np.ndarray
    offset: np.ndarray
    mirrored: bool

    def holds(self, y: float, x: float) -> bool:
        """Whether a place of the field lies on the map."""
        pixel = self.turn @ (np.array([y, x]) - self.first) + self.offset
        return bool(((pixel >= -0.5) & (pixel < np.array(self.found.power.shape) - 0.5)).all())

    def in_field(self, pixels: np.ndarray) -> np.ndarray:
        """Places in the field (n, 2) of pixels of the map (n, 2)."""
        pixels = np.array(pixels, np.float64)
        if self.mirrored:
            pixels[:, 1] = self.found.power.shape[1] - 1 - pixels[:, 1]
        return (pixels - self.offset) @ np.linalg.inv(self.turn).T + self.first

    def on_peak(self, side: int, rng: np.random.Generator) -> tuple[float, float] | None:
        """A place (y, x) on a peak of the density, drawn by weight among those in the field.

        Returns None where no peak lies in the field of (side, side) pixels, or without a density.
        """
        if self.found.peaks is None:
            return None
        places = self.in_field(self.found.peaks.pixels)
        inside = ((places >= 0) & (places <= side - 1)).all(1)
        if not inside.any():
            return None
        weights = self.found.peaks.weights[inside]
        place = places[inside][rng.choice(len(weights), p=weights / weights.sum())]
        y, x = place + rng.normal(0, PEAK_SCATTER / self.scale, 2)
        return float(y), float(x)


def placed(
    found: PowerMap,
    z: float,
    y: float,
    x: float,
    pixel: float,
    side: int,
    rng: np.random.Generator,
) -> Placement | None:
    """The map at a redshift, turned and mirrored at random; None where it has no fit size.

    pixel : of the field ["]; y, x : middle of the map; side : of the field
    """
    shape = found.power.shape
    scale = pixel * distances(z)[1] / found.pixel_kpc
    size = int(np.ceil(np.hypot(*shape) / scale)) + 2
    if size < 3 or size > 4 * side:
        return None
    angle = rng.uniform(0, 2 * np.pi)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirrored = bool(rng.random() < 0.5)
    offset = (np.array(shape) - 1) / 2 - turn @ np.full(2, (size - 1) / 2)
    first = int(round(y - size / 2)), int(round(x - size / 2))
    return Placement(found, first, size, scale, turn, offset, mirrored)


def flux(place: Placement, z: float, spectral_index: float, side: int) -> Box | None:
    """Flux [Jy] of the pixels of a field of (side, side) that show the map; None outside of it.

    S = P (1 + z)^(1 - a) / (4 pi D_L^2) for a spectrum of flux proportional to frequency^-a.
    """
    power, distance = place.found.power, distances(z)[0]
    values = power * (1 + z) ** (1 - spectral_index) / (4 * np.pi * distance**2 * JY)
    if place.mirrored:
        values = values[:, ::-1]
    turn, offset, size = place.turn, place.offset, place.size
    # a finer map is averaged first, so that no flux falls between the pixels
    step = max(1, int(place.scale))
    if step > 1:
        rows, columns = (n // step * step for n in values.shape)
        blocks = values[:rows, :columns].reshape(rows // step, step, columns // step, step)
        values = blocks.mean((1, 3))
        turn, offset = turn / step, (offset + 0.5) / step - 0.5
    values = affine_transform(values, turn, offset, (size, size), order=1) * place.scale**2
    y0, x0 = place.first
    low = max(0, -y0), max(0, -x0)
    high = min(size, side - y0), min(size, side - x0)
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    part = values[low[0] : high[0], low[1] : high[1]].clip(0).astype(np.float32)
    return Box(y0 + low[0], x0 + low[1], part)
