"""Peak memory of the search of a mosaic, in sizes of the mosaic (float32).

    PYTHONPATH=scripts python benchmarks/radio_memory.py --side 6000

Untrained networks of the demo's size search noise with a map of the noise. A threshold that one
pixel in a hundred passes gives many islands. The peak is that of resident memory, mapped files
included, above the one before the image is opened. A part of it is the network's own, whatever the
size of the mosaic: it is measured on one batch of tiles in a process of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits

from radio_search_images import Network, search
from skyloom.radio.models import transunet, unet
from skyloom.radio.products import tiles
from skyloom.radio.simulate.field import CLASSES, DIFFUSE, INVALID

MODULES = {"unet": unet, "transunet": transunet}
ENTRY = {"width": 8, "depth": 4, "layers": 4, "heads": 4, "class_weights": [1, 1, 1, 1]}
ENTRY |= {"dice": 1.0, "confused": 0.1, "noise_jitter": [1, 1], "weight_decay": 0.0}
META = {"pixels": 128, "classes": list(CLASSES), "invalid": INVALID, "beam_pixels": [3, 6]}
META |= {"beams": [6, 20]}
CARDS = {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL1": 150.0, "CRVAL2": 40.0}
CARDS |= {"CDELT1": -1.5 / 3600, "CDELT2": 1.5 / 3600, "BMAJ": 6 / 3600, "BMIN": 6 / 3600}
CARDS |= {"BPA": 0.0, "BUNIT": "Jy/beam"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=6000, help="of the mosaic [pixel]")
    parser.add_argument("--network", choices=MODULES, help="of this process")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.threshold is not None:
        return measure(args.network, args.threshold, args.folder)
    if args.network:
        return alone(args.network)
    with tempfile.TemporaryDirectory() as name:
        draw(Path(name), args.side)
        for network in MODULES:
            # processes of their own: one keeps memory that it has used
            command = [sys.executable, __file__, "--network", network]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            own, threshold = done.stdout.split()
            print(f"{network}: a batch of tiles alone takes {float(own):.0f} MiB", flush=True)
            command += ["--threshold", threshold, "--folder", name]
            subprocess.run(command, check=True)


def draw(folder: Path, side: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((side, side), np.float32)
    image *= 1e-4
    header = fits.Header(CARDS | {"CRPIX1": side / 2, "CRPIX2": side / 2})
    fits.PrimaryHDU(image, header).writeto(folder / "image.fits")
    image[:] = 1e-4
    fits.PrimaryHDU(image, header).writeto(folder / "noise.fits")


def untrained(network: str) -> Network:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    state = MODULES[network].make_task(ENTRY, META).state_dict()
    trained = {"study": "radio", "model": network, "module": network, "digest": ""}
    return Network(trained | {"entry": ENTRY, "meta": META, "state": state}, 1, tiles.CORE)


@torch.no_grad()
def alone(network: str) -> None:
    """Print the memory of a batch of tiles [MiB], and what one pixel in a hundred is above."""
    module, searcher = MODULES[network], untrained(network)
    side = META["pixels"]
    if hasattr(module, "halo_pixels"):
        side = tiles.CORE + 2 * module.halo_pixels(ENTRY)
    batch = torch.randn(max(1, tiles.BATCH_PIXELS // side**2), 2, side, side)
    batch[:, 1] = 1
    before = forget_peak()
    found = searcher.probability(batch)[:, DIFFUSE].numpy()
    print((peak() - before) / 2**20, np.quantile(found, 0.99))


def measure(network: str, threshold: float, folder: Path) -> None:
    searcher = untrained(network)
    searcher.task.thresholds.fill_(threshold)
    stated = {"path": str(folder / "image.fits"), "noise": str(folder / "noise.fits")}
    size = Path(stated["path"]).stat().st_size
    before, begin = forget_peak(), time.process_time()
    search(stated, searcher, folder / network)
    print(
        f"{network}: peak {(peak() - before) / size:.2f} of a mosaic of {size / 2**20:.0f} MiB,"
        f" {time.process_time() - begin:.0f} core-seconds"
    )


def forget_peak() -> int:
    """Begin a new peak at the resident memory of this moment, and return that [B]."""
    Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """[B]"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
