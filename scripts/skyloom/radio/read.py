"""Radio images as surveys and reductions write them: FITS with or without what the standard asks.

What can be inferred is, with a line in the log; what cannot must be stated in the config. An error
names the file, the keyword, what was found and what was expected.
"""

import re
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales
from scipy import fft

from skyloom import images
from skyloom.cli import BadInput
from skyloom.radio.data.pixels import Pixels, release
from skyloom.radio.simulate.instrument import FWHM, beam_area, gaussian_beam

UNITS = {"jy/beam": 1.0, "mjy/beam": 1e-3, "ujy/beam": 1e-6}
WIDEST_BEAM_DEG = 1.0  # BMAJ above is in arcsec, as some reductions write it
LEAST_FINITE = 1e-3  # share of observed pixels


@dataclass(frozen=True)
class Image:
    """data : (y, x) [Jy/beam], NaN where unobserved; those of a plain file are mapped; wcs :
    celestial; beam : FWHM major, minor ["] and position angle [deg]; pixel : ["]
    """

    data: np.ndarray | Pixels
    wcs: WCS
    beam: tuple[float, float, float]
    pixel: float
    path: Path
    data_kind: str

    @property
    def beam_arcsec(self) -> float:
        """Mean FWHM ["]."""
        return float(np.sqrt(self.beam[0] * self.beam[1]))

    @property
    def beam_pixels(self) -> float:
        """Mean FWHM [pixel]."""
        return self.beam_arcsec / self.pixel

    @property
    def beam_area(self) -> float:
        """[pixel]"""
        return beam_area(*self.beam[:2]) / self.pixel**2

    def require_shape(self, values: np.ndarray | Pixels, what: str, path: str | Path) -> None:
        """Refuse values of another file that are not on the pixels of this image.

        what : words for them
        """
        if values.shape != self.data.shape:
            raise BadInput(
                f"{path}: {what} has {values.shape} pixels; expected {self.data.shape}, those of"
                f" {self.path}"
            )

    def header(self) -> fits.Header:
        """WCS, beam and kind of the data, for a product on the same grid."""
        header = self.wcs.to_header()
        header["BMAJ"], header["BMIN"] = (b / 3600 for b in self.beam[:2])
        header["BPA"] = self.beam[2]
        header["SKYKIND"] = self.data_kind
        return header


def read_image(path: str | Path, stated: dict | None = None) -> Image:
    """A radio image.

    stated : what the file does not say: `unit`, `beam_arcsec` (one FWHM, or major, minor and
        angle), `pixel_arcsec` with `centre` (right ascension and declination [deg])
    Raises BadInput as `images.opened`, and for an image without WCS, beam or unit, with other axes
    than two of the sky, pixels that are no squares, or no observed pixel.
    """
    path, stated = Path(path), stated or {}
    with (
        warnings.catch_warnings(action="ignore", category=FITSFixedWarning),
        images.opened(path, "a radio image", memmap=True) as file,
    ):
        hdu = _image_of(file, path)
        header = hdu.header
        data, wcs = _plane(hdu, path, stated)
    pixel = _pixel(wcs, path)
    beam = _beam(header, path, stated)
    if beam[0] > min(data.shape) * pixel:
        raise BadInput(
            f"{path}: the beam of {beam[0]:g} arcsec is wider than the image of"
            f" {min(data.shape) * pixel:g} arcsec; expected several beams a side"
        )
    data = _pixels(data, header, _unit(header, path, stated))
    share = np.isfinite(data[:: max(1, data.shape[0] // 500)]).mean()
    release(data)
    if not share >= LEAST_FINITE:
        raise BadInput(f"{path}: {share:.1%} of its pixels are finite; expected an observed image")
    return Image(data, wcs, beam, pixel, path, header.get("SKYKIND", "survey"))


def read_stated(stated: dict) -> Image:
    """An image of the config's `images`, smoothed where that is stated."""
    image = read_image(stated["path"], stated)
    return smoothed(image, stated["smooth_arcsec"]) if "smooth_arcsec" in stated else image


def read_noise(path: str | Path, image: Image) -> Pixels:
    """The survey's map of the noise on the grid of an image, (y, x) [Jy/beam]."""
    found = read_image(path, {"beam_arcsec": image.beam, "unit": "Jy/beam"})
    image.require_shape(found.data, "the map of the noise", path)
    return found.data


def require_wider(image: Image, arcsec: float) -> None:
    if not arcsec >= image.beam[0]:
        raise BadInput(
            f"{image.path}: cannot be smoothed to {arcsec:g} arcsec, its beam has"
            f" {image.beam[0]:g} arcsec; expected a wider one"
        )


def smoothed(image: Image, arcsec: float) -> Image:
    """The image with a circular beam of `arcsec`, in Jy per that beam.

    Its data are in memory, and their Fourier transforms take several times as much.
    """
    require_wider(image, arcsec)
    values = np.asarray(image.data)
    size = [fft.next_fast_len(n + int(4 * arcsec / image.pixel)) for n in values.shape]
    kernel = fft.rfft2(_kernel(image, arcsec, size))
    observed = np.isfinite(values)
    parts = []
    for plane in (np.where(observed, values, 0), observed):
        wide = fft.irfft2(fft.rfft2(plane.astype(np.float32), size) * kernel, s=size)
        parts.append(wide[: values.shape[0], : values.shape[1]])
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(observed & (parts[1] > 0.2), parts[0] / parts[1], np.nan)
    factor = arcsec**2 / (image.beam[0] * image.beam[1])
    data = (factor * mean).astype(np.float32)
    return replace(image, data=data, beam=(arcsec, arcsec, 0.0))


def _kernel(image: Image, arcsec: float, size: list[int]) -> np.ndarray:
    """The Gaussian that widens the beam of an image to a circle, of sum 1, with its middle at 0."""
    major, minor = (
        max(np.sqrt(max(arcsec**2 - b**2, 0)) / image.pixel, 1e-3 * FWHM) for b in image.beam[:2]
    )
    kernel = gaussian_beam(size, major, minor, image.beam[2])
    return kernel / kernel.sum()


# --- parts of a file ------------------------------------------------------------------------------


def _image_of(file: fits.HDUList, path: Path) -> fits.PrimaryHDU:
    """The first HDU with an image."""
    for hdu in file:
        if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2:
            return hdu
    raise BadInput(f"{path}: has no image; expected one of two or more axes")


def _plane(hdu, path: Path, stated: dict) -> tuple[np.ndarray, WCS]:
    """The image (y, x) with right ascension along x, and its celestial WCS."""
    header, data = hdu.header, hdu.data
    wcs = WCS(header)
    if not wcs.has_celestial:
        return _squeezed(data, path), _stated_wcs(header, data.shape, path, stated)
    axes = [data.ndim - 1 - wcs.wcs.lat, data.ndim - 1 - wcs.wcs.lng]
    for axis, n in enumerate(data.shape):
        if axis not in axes and n != 1:
            name = header.get(f"CTYPE{data.ndim - axis}", "?")
            raise BadInput(
                f"{path}: axis {name} has {n} planes; expected one. Extract the plane to search"
            )
    plane = np.moveaxis(data, axes, (-2, -1))
    return plane.reshape(plane.shape[-2:]), wcs.celestial


def _pixels(stored: np.ndarray, header: fits.Header, unit: float) -> Pixels:
    """The pixels of a file [Jy/beam], in memory no more than those that are read."""
    factor, zero = (unit * header.get(k, v) for k, v in (("BSCALE", 1.0), ("BZERO", 0.0)))
    blank = header.get("BLANK") if stored.dtype.kind in "iu" else None
    return Pixels(stored, factor, zero, blank)


def _squeezed(data: np.ndarray, path: Path) -> np.ndarray:
    plane = data.squeeze()
    if plane.ndim != 2:
        raise BadInput(f"{path}: has axes of {data.shape}; expected one plane of the sky")
    return plane


def _stated_wcs(header: fits.Header, shape: tuple, path: Path, stated: dict) -> WCS:
    if "pixel_arcsec" not in stated or "centre" not in stated:
        found = ", ".join(str(header.get(f"CTYPE{k}", "none")) for k in (1, 2))
        raise BadInput(
            f"{path}: no celestial WCS (CTYPE1, CTYPE2: {found}); expected RA and DEC. State"
            " pixel_arcsec and centre (right ascension, declination [deg]) of this image"
        )
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = stated["centre"]
    wcs.wcs.crpix = (shape[-1] + 1) / 2, (shape[-2] + 1) / 2
    wcs.wcs.cdelt = -stated["pixel_arcsec"] / 3600, stated["pixel_arcsec"] / 3600
    print(f"{path}: no WCS; the stated centre and pixels are used", file=sys.stderr)
    return wcs


def _pixel(wcs: WCS, path: Path) -> float:
    scales = proj_plane_pixel_scales(wcs) * 3600
    if not np.all(np.isfinite(scales)) or not 0.99 < scales[0] / scales[1] < 1.01:
        raise BadInput(
            f"{path}: pixels of {scales[0]:g} x {scales[1]:g} arcsec (CDELT); expected squares"
        )
    return float(np.sqrt(scales[0] * scales[1]))


def _beam(header: fits.Header, path: Path, stated: dict) -> tuple[float, float, float]:
    if "beam_arcsec" in stated:
        beam = np.atleast_1d(stated["beam_arcsec"]).astype(float)
        return (beam[0], beam[0], 0.0) if len(beam) == 1 else tuple(map(float, beam))
    major, minor, angle = (header.get(key) for key in ("BMAJ", "BMIN", "BPA"))
    if major is None:
        text = " ".join(str(card) for card in header.get("HISTORY", []))
        found = re.search(r"BMAJ=\s*(\S+)\s+BMIN=\s*(\S+)(?:\s+BPA=\s*(\S+))?", text)
        values = found.groups() if found else (None, None, None)
        major, minor, angle = (None if v is None else float(v) for v in values)
    if not (isinstance(major, int | float) and major > 0):
        raise BadInput(
            f"{path}: BMAJ is {major}; expected the FWHM of the beam [deg]. State beam_arcsec of"
            " this image"
        )
    if major > WIDEST_BEAM_DEG:
        raise BadInput(
            f"{path}: BMAJ is {major:g}; expected degrees. If it is in arcsec, state beam_arcsec of"
            " this image"
        )
    minor = minor or major
    if angle is None and abs(minor / major - 1) > 0.01:
        print(f"{path}: no BPA; the beam's angle is taken as 0", file=sys.stderr)
    return float(major) * 3600, float(minor) * 3600, float(angle or 0.0)


def _unit(header: fits.Header, path: Path, stated: dict) -> float:
    """Jy/beam in the unit of the image."""
    text = stated.get("unit") or header.get("BUNIT")
    if text is None:
        raise BadInput(f"{path}: no BUNIT; expected Jy/beam. State unit of this image")
    name = re.sub(r"\s*beam\s*\^?-1", "/beam", str(text).strip().lower()).replace(" ", "")
    if name not in UNITS:
        raise BadInput(f"{path}: BUNIT is {text!r}; expected one of Jy/beam, mJy/beam, uJy/beam")
    return UNITS[name]
