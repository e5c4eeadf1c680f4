"""A simulated mosaic with its truth and a table of clusters."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from skyloom import cli
from skyloom.radio.simulate import field
from skyloom.radio.simulate.field import CLASSES, Field

CENTRE = 180.0, 45.0  # right ascension and declination [deg]
SPARSER = 0.15  # of diffuse sources, galaxies and bright points, against a training field
APERTURE_ARCMIN = 1.0, 3.0  # radii of the apertures of clusters


def simulate(settings: dict, pixels: int, seed: int) -> Field:
    """A field of the set's sky, with as few sources as a survey rather has."""
    fewer = {name: settings[name] * SPARSER for name in ("diffuse", "galaxies", "bright")}
    own = {"pixels": pixels, "borders": 1.0}
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    return field.draw(settings | fewer | own, rng)


def write(found: Field, clusters: int, seed: int, image: Path, truth: Path, table: Path) -> None:
    """FITS image as of a survey (float32, Jy/beam), FITS truth, ECSV table."""
    header = sky(found).to_header()
    header["BMAJ"] = header["BMIN"] = found.beam_arcsec / 3600
    header["BPA"], header["BUNIT"], header["SKYKIND"] = 0.0, "Jy/beam", "simulated"
    with cli.atomic(image) as part:
        fits.PrimaryHDU(found.image, header).writeto(part)
    names = fits.Header({f"CLASS{k}": name for k, name in enumerate(CLASSES)})
    header.update(names)
    header["BUNIT"] = "1"
    with cli.atomic(truth) as part:
        fits.PrimaryHDU(found.label, header).writeto(part)
    with cli.atomic(table) as part:
        places(found, clusters, seed).write(part, format="ascii.ecsv")


def sky(found: Field) -> WCS:
    """The projection of the mosaic."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---SIN", "DEC--SIN"
    wcs.wcs.crval = CENTRE
    wcs.wcs.crpix = (found.image.shape[1] + 1) / 2, (found.image.shape[0] + 1) / 2
    pixel = found.beam_arcsec / found.beam / 3600
    wcs.wcs.cdelt = -pixel, pixel
    return wcs


def places(found: Field, number: int, seed: int) -> Table:
    """A table of clusters: the first half lies on diffuse sources, the others anywhere."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4,)))
    n = found.image.shape[0]
    inside = [p for p in found.places if 0 <= p[0] < n and 0 <= p[1] < n]
    rng.shuffle(inside)
    on = [p[:2] for p in inside[: number // 2]]
    anywhere = rng.uniform(0, n, (number - len(on), 2))
    y, x = np.concatenate([np.reshape(on, (-1, 2)), anywhere]).T.astype(float)
    world = sky(found).pixel_to_world(x, y)
    names = [f"simulated {k + 1}" for k in range(number)]
    radius = rng.uniform(*APERTURE_ARCMIN, number)
    columns = {"name": names, "ra": world.ra.deg, "dec": world.dec.deg, "radius": radius}
    return Table(columns, units={"ra": "deg", "dec": "deg", "radius": "arcmin"})
