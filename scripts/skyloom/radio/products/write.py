"""Files of the products of an image."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from skyloom import cli
from skyloom.radio.products.catalogue import regions
from skyloom.radio.read import Image
from skyloom.scores.records import write_csv

FILES = (
    "probability.fits",
    "mask.fits",
    "sources.fits",
    "sources.csv",
    "sources.reg",
    "clusters.csv",
)
STEP = 1e-3  # of the stored probability
NO_DITHER = -1  # of astropy's quantisation


def products(
    folder: Path,
    image: Image,
    trained: dict,
    diffuse: np.ndarray,
    spread: np.ndarray | None,
    threshold: float,
    found: Table,
    verdicts: Table,
) -> None:
    """`FILES`: probability and mask on the grid of the image, sources as FITS, CSV and regions, and
    the verdicts on clusters.

    With several views the probability has a second extension, SPREAD.

    The mask is 1 where a CLEAN mask of facet-selfcal or ddf-pipeline is.
    """
    header = image.header()
    header["MODEL"], header["DIGEST"] = trained["model"], trained["digest"]
    header["THRESH"] = threshold, "probability from which on a pixel is diffuse"
    probability, mask, sources, table, region, clusters = (folder / name for name in FILES)
    with cli.atomic(probability) as part:
        extensions = {"PROBABILITY": diffuse} | ({} if spread is None else {"SPREAD": spread})
        hdus = [compressed(values, header, name) for name, values in extensions.items()]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(part)
    with cli.atomic(mask) as part:
        write_mask(part, diffuse, threshold, header)
    with cli.atomic(sources) as part:
        found.write(part, format="fits")
    csv(found, table)
    with cli.atomic(region) as part:
        part.write_text(regions(found))
    csv(verdicts, clusters)


def write_mask(path: Path, diffuse: np.ndarray, threshold: float, header: fits.Header) -> None:
    """A mask (float32) row by row: as a whole it would take as much memory as the image."""
    shape = fits.PrimaryHDU(np.broadcast_to(np.float32(0), diffuse.shape)).header
    with open(path, "wb") as file:
        shape.extend(header, unique=True)
        file.write(shape.tostring().encode("ascii"))
        for row in diffuse:
            file.write((row > threshold).astype(">f4").tobytes())
        file.write(bytes(-(diffuse.size * 4) % 2880))


def compressed(values: np.ndarray, header: fits.Header, name: str) -> fits.CompImageHDU:
    """A compressed extension in steps of `STEP`; NaN stays NaN."""
    options = {"compression_type": "RICE_1", "quantize_level": -STEP, "quantize_method": NO_DITHER}
    return fits.CompImageHDU(values, header, name=name, **options)


def csv(table: Table, path: Path) -> None:
    with cli.atomic(path) as part:
        write_csv(table.to_pandas(), part)
