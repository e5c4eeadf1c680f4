"""Provenance of a result: commit of the code, versions of packages, checksums of inputs."""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import h5py
import numpy as np

# Packages that a number can depend on; absent ones are left out.
PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "astropy",
    "healpy",
    "xarray",
    "netCDF4",
    "h5py",
    "scikit-image",
    "scikit-learn",
)

WHOLE_BYTES = 256 << 20  # files up to this size are hashed whole, at some 1 GB/s
# of larger files 18 MiB are read: blocks, and both ends
BLOCK_BYTES, N_BLOCKS, EDGE_BYTES = 64 << 10, 256, 1 << 20


def git_state(folder: Path = Path(__file__).parent) -> dict:
    """{"commit", "dirty"} of the clone that holds `folder`.

    Both are None where there is no git or no clone.
    """

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", folder, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a number can depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def duration(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def training_line(training: dict) -> str:
    """`res_unet: 510 steps, 0.6 min, best at 360 (valid rmse_over_noise 7.9)`; of a baseline its
    time.
    """
    name = training["model"] + f", seed {training['seed']}" * bool(training["seed"])
    time = duration(training["wall_seconds"])
    if not training.get("steps"):
        return f"{name}: fitted in {time}"
    text = f"{name}: {training['steps']} steps, {time}"
    if not training.get("best"):
        return text
    score, value = next(iter(training["best"].items()))
    return f"{text}, best at {training['best_step']} ({score.replace('_', ' ', 1)} {value:.3g})"


def file_checksum(path: str | Path) -> str:
    """`sha256:...` of the whole file, or `sampled-sha256:...` above 256 MiB, in less than a second.

    The sample holds the size, the first and last MiB and 256 blocks of 64 KiB at equal distances.
    Of a netCDF-4 or HDF5 file it also holds all names, shapes, types, attributes and arrays of up
    to 1 MiB (split, coordinates, normalisation). A training set that was made from other input or
    by other code differs in the sample. A few values edited by hand may not.
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= WHOLE_BYTES:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(str(size).encode())
        digest.update(file.read(EDGE_BYTES))
        for start in np.linspace(EDGE_BYTES, size - EDGE_BYTES, N_BLOCKS).astype(int).tolist():
            file.seek(start)
            digest.update(file.read(BLOCK_BYTES))
        file.seek(size - EDGE_BYTES)
        digest.update(file.read())
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as content:
            _hash_header(content, digest)
    return "sampled-sha256:" + digest.hexdigest()


def _hash_header(content: h5py.File, digest) -> None:
    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        digest.update(
            repr(
                (name, {key: np.asarray(item.attrs[key]).tolist() for key in sorted(item.attrs)})
            ).encode()
        )
        if isinstance(item, h5py.Dataset):
            digest.update(repr((item.shape, item.dtype.str)).encode())
            if item.nbytes <= EDGE_BYTES:
                digest.update(repr(item[()].tolist()).encode())

    visit("/", content)
    content.visititems(visit)
