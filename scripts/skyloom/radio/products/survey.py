"""One table of the sources, and one of the clusters, of the images of a survey.

Images of a survey overlap. What lies in several is taken from the one whose centre is nearest,
where the noise is lowest.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.wcs import WCS

from skyloom.radio.products.catalogue import no_clusters

UNSEEN = "unobserved", "outside"  # verdicts that another image replaces


def sources(folders: dict[str, Path]) -> Table:
    """The sources of all images with `image`, each once, by right ascension.

    folders : image -> folder of its products. Two sources of different images are one where their
        centres are nearer than half of the larger extent.
    """
    found = _joined(folders, lambda folder: Table.read(folder / "sources.fits"))
    if not len(found):
        return found
    place = SkyCoord(found["ra"], found["dec"], unit="deg")
    reach = found["size"].max() / 2 * u.arcsec
    one, other, apart, _ = search_around_sky(place, place, max(reach, 1 * u.arcsec))
    size = np.asarray(found["size"], float)
    same = apart.arcsec < np.maximum(size[one], size[other]) / 2
    same &= np.asarray(found["image"])[one] != np.asarray(found["image"])[other]
    dropped = other[same & (found["_rank"][one] < found["_rank"][other])]
    kept = np.setdiff1d(np.arange(len(found)), dropped)
    return _ordered(found[kept])


def clusters(folders: dict[str, Path]) -> Table:
    """The verdicts on clusters of all images with `image`, each cluster once, by name.

    A verdict of an image that did not observe the aperture gives way to one of another image.
    """
    found = _joined(folders, lambda folder: Table.read(folder / "clusters.csv"))
    if not len(found):
        return no_clusters()
    unseen = np.isin(found["verdict"], UNSEEN)
    order = np.lexsort([found["_rank"], unseen])
    names = np.asarray(found["name"]).astype(str)
    _, first = np.unique(names[order], return_index=True)
    return _ordered(found[order[first]])


def _joined(folders: dict[str, Path], read: Callable[[Path], Table]) -> Table:
    """The rows of all images with `image`, and `_rank` by the distance from its centre."""
    tables = []
    for image, folder in folders.items():
        table = read(folder)
        # text of a table without a row has no type
        table["name"] = np.asarray(table["name"]).astype(str)
        table["image"] = np.full(len(table), image, dtype=f"U{len(image)}")
        if len(table):
            place = SkyCoord(table["ra"], table["dec"], unit="deg")
            table["_apart"] = centre(folder / "mask.fits").separation(place).deg
        tables.append(table)
    found = vstack([table for table in tables if len(table)] or tables[:1])
    if not len(found):
        return found
    # in which no two are equal: of two, one is dropped
    found["_rank"] = np.argsort(np.argsort(found["_apart"], kind="stable"), kind="stable")
    return found


def _ordered(table: Table) -> Table:
    table.remove_columns(["_apart", "_rank"])
    table.sort("ra")
    return table


def centre(path: Path) -> SkyCoord:
    """Of the image in a FITS file."""
    header = fits.getheader(path)
    wcs = WCS(header)
    return wcs.pixel_to_world(*((header[f"NAXIS{k}"] - 1) / 2 for k in (1, 2)))
