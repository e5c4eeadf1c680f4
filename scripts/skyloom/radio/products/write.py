"""Files of the products of an image."""

from argparse import Namespace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from skyloom import cli
from skyloom.radio.products.catalogue import regions
from skyloom.radio.read import Image
from skyloom.scores.records import write_csv

STEP = 1e-3  # of the stored probability
NO_DITHER = -1  # of astropy's quantisation


def products(
    args: Namespace,
    image: Image,
    trained: dict,
    diffuse: np.ndarray,
    spread: np.ndarray | None,
    threshold: float,
    found: Table,
) -> None:
    """Probability and mask on the grid of the image, and the sources as FITS, CSV and regions.

    With several views the probability has a second extension, SPREAD.

    The mask is 1 where a CLEAN mask of facet-selfcal or ddf-pipeline is.
    """
    header = image.header()
    header["MODEL"], header["DIGEST"] = trained["model"], trained["digest"]
    header["THRESH"] = threshold, "probability from which on a pixel is diffuse"
    with cli.atomic(args.output) as part:
        extensions = {"PROBABILITY": diffuse} | ({} if spread is None else {"SPREAD": spread})
        hdus = [compressed(values, header, name) for name, values in extensions.items()]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(part)
    mask = np.where(np.isfinite(diffuse), diffuse > threshold, 0).astype(np.float32)
    with cli.atomic(args.output_mask) as part:
        fits.PrimaryHDU(mask, header).writeto(part)
    with cli.atomic(args.output_sources) as part:
        found.write(part, format="fits")
    csv(found, args.output_table)
    with cli.atomic(args.output_regions) as part:
        part.write_text(regions(found))


def compressed(values: np.ndarray, header: fits.Header, name: str) -> fits.CompImageHDU:
    """A compressed extension in steps of `STEP`; NaN stays NaN."""
    options = {"compression_type": "RICE_1", "quantize_level": -STEP, "quantize_method": NO_DITHER}
    return fits.CompImageHDU(values, header, name=name, **options)


def csv(table: Table, path: Path) -> None:
    with cli.atomic(path) as part:
        write_csv(table.to_pandas(), part)
