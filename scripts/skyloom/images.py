"""FITS files and their images: opened, chosen by extension or dimensions, their units checked.

Every refusal of a file that is missing, cut short, of another shape or of another unit is here.
"""

import bz2
import gzip
import io
import lzma
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from skyloom.cli import BadInput, require

# Spellings of a unit after `_plain_unit`. Upper and lower case differ: mJy is not MJy.
SPELLINGS = {
    "K_RJ km/s": {"K_RJkm/s", "KRJkm/s", "Kkm/s", "K_RJkms-1", "KRJkms-1", "Kkms-1"},
    "MJy/sr": {"MJy/sr", "Mjy/sr", "MJysr-1"},
    "cm-2": {"cm-2", "1/cm2", "atoms/cm2", "atomscm-2", "H/cm2", "Hcm-2"},
    "uK_RJ": {"uK_RJ", "uKRJ", "muK_RJ"},
    "K": {"K"},
    "mag": {"mag"},
    "arcmin": {"arcmin", "arcminute", "arcminutes"},
}
UNREADABLE = OSError, TypeError, ValueError, fits.VerifyError  # astropy, of a file cut short
# by the first bytes: a name may end in .gz, .GZ, or .fits
COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
# in names of extensions next to that of a map
ERRORS = re.compile(r"err|unc|sigma|noise|rms|std|var|wei?gh?t|wht|mask|flag|cov", re.IGNORECASE)
FITS_BEGINS, EXTENSION_BEGINS = b"SIMPLE  =", b"XTENSION="


@contextmanager
def opened(
    path: str | Path, expected: str = "a FITS file", memmap: bool = False
) -> Iterator[fits.HDUList]:
    """The extensions of a FITS file, plain or compressed by gzip, bzip2 or xz.

    expected : words for the message about a missing file
    memmap : map the pixels of a plain file, as stored: the caller applies BSCALE, BZERO, BLANK
    Raises BadInput for a file that is missing, a folder, cut short, damaged or no FITS file.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "no such file"
        raise BadInput(f"{path}: {reason}; expected {expected}")
    source, size = _plain(path)
    try:
        # astropy warns that a file "may have been truncated"; a refusal follows
        with warnings.catch_warnings(action="ignore", category=AstropyUserWarning):
            mapped = memmap and source is path
            with fits.open(source, memmap=mapped, do_not_scale_image_data=memmap) as hdus:
                _require_whole(path, hdus, size)
                yield hdus
    except (OSError, fits.VerifyError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise BadInput(f"{path}: cut short or damaged: {error}") from None


def read_image(
    path: str | Path, axes: int, extension: str | None = None, expected: str = "a FITS image"
) -> tuple[np.ndarray, fits.Header]:
    """Pixels (float64, last FITS axis first) and header of one image.

    axes : dimensions of the image; further ones must have the length one, and are left out
    extension : its name; None: the primary image, or the only one of so many axes that is no error
    Raises BadInput as `opened`, and where the file has no such image, several, or no valid pixel.
    """
    with opened(path, expected) as hdus:
        hdu = _chosen(path, hdus, axes, extension)
        try:
            values = hdu.data.reshape(_inner(hdu.shape, axes)).astype(np.float64)
        except UNREADABLE as error:
            raise BadInput(f"{path}: image {hdu.name} is not readable: {error}") from None
        if not np.isfinite(values).any():
            raise BadInput(f"{path}: no valid pixel (all NaN)")
        return values, hdu.header


def require_unit(
    path: str | Path,
    what: str,
    unit: str | None,
    expected: str,
    lenient: bool = False,
    hint: str = "",
) -> None:
    """Refuse a unit that is no spelling of `expected`; an absent one passes only if `lenient`.

    hint : the end of the message, where to state the unit
    """
    if not (unit or "").strip():
        if lenient:
            return
        raise BadInput(f"{path}: {what} has no unit; expected {expected}{hint}")
    if _plain_unit(unit) not in SPELLINGS[expected]:
        raise BadInput(f"{path}: {what} is in {unit.strip()!r}; expected {expected}{hint}")


def is_error(name: str) -> bool:
    """Whether an extension of this name has errors, weights or flags of another."""
    return bool(ERRORS.search(name))


def _chosen(path: str | Path, hdus: fits.HDUList, axes: int, extension: str | None):
    images = {hdu.name.lower() or str(k): hdu for k, hdu in enumerate(hdus) if hdu.is_image}
    if extension is not None:
        require(images, [extension.lower()], path, "extension")
        images = {extension: images[extension.lower()]}
    fitting = [name for name, hdu in images.items() if _inner(hdu.shape, axes)]
    if not fitting:
        shapes = ", ".join(str(hdu.shape) for hdu in images.values() if hdu.shape)
        message = f"image of shape {shapes or 'none'}; expected an image of {axes} axes"
        raise BadInput(f"{path}: {message}")
    maps = [name for name in fitting if extension or not is_error(name)]
    if "primary" not in maps and len(maps) != 1:
        message = f"images of {axes} axes are {', '.join(fitting)}"
        raise BadInput(f"{path}: {message}; expected one: name its extension in the config")
    return images["primary" if "primary" in maps else maps[0]]


def _inner(shape: tuple[int, ...], axes: int) -> tuple[int, ...]:
    """The last `axes` lengths of a shape whose others are one; empty for another shape."""
    fits_in = len(shape) >= axes and set(shape[: len(shape) - axes]) <= {1}
    return shape[len(shape) - axes :] if fits_in else ()


def _plain(path: Path) -> tuple[Path | io.BytesIO, int]:
    """The FITS file itself, or all that a compressed one holds; and its bytes.

    All of it: astropy takes a compressed file that is cut short for one of fewer extensions.
    """
    with open(path, "rb") as stream:
        head = stream.read(len(FITS_BEGINS))
    source, size = path, path.stat().st_size
    if reader := next((COMPRESSED[magic] for magic in COMPRESSED if head.startswith(magic)), None):
        try:
            with reader(path) as stream:
                source = io.BytesIO(stream.read())
        except EOFError as error:
            raise BadInput(f"{path}: cut short: {error}; fetch it again") from None
        except (OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise BadInput(f"{path}: damaged: {error}; fetch it again") from None
        size = source.getbuffer().nbytes
        head = bytes(source.getbuffer()[: len(FITS_BEGINS)])
    if not size:
        raise BadInput(f"{path}: cut short: 0 bytes; fetch it again")
    if head.startswith(b"<"):  # what a server or a cut-out service answers instead of a map
        raise BadInput(f"{path}: is a web page; expected FITS (not a FITS file: begins {head!r})")
    if head != FITS_BEGINS:
        raise BadInput(f"{path}: not a FITS file: begins {head!r}, expected {FITS_BEGINS!r}")
    return source, size


def _require_whole(path: Path, hdus: fits.HDUList, size: int) -> None:
    """Refuse a file that ends before the last pixel that its headers announce, or in a header."""
    info = [hdu.fileinfo() for hdu in hdus]
    # the size of a compressed image is that of its pixels
    needed = max(
        part["datLoc"] + hdu.size
        for part, hdu in zip(info, hdus, strict=True)
        if not isinstance(hdu, fits.CompImageHDU)
    )
    stream = info[-1]["file"]
    stream.seek(info[-1]["datLoc"] + info[-1]["datSpan"])
    # astropy leaves out an extension whose header does not end
    if stream.read(len(EXTENSION_BEGINS)) == EXTENSION_BEGINS:
        raise BadInput(f"{path}: cut short: it ends in a header; fetch it again")
    if not needed <= size:
        message = f"{size} bytes, but its header announces {needed}"
        raise BadInput(f"{path}: cut short: {message}; fetch it again")


def _plain_unit(unit: str) -> str:
    return re.sub(r"[\s.*^()\[\]]", "", unit).replace("sec", "s")
