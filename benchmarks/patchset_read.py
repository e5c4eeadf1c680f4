"""Shuffled batches from a patch set, against a raw memory map of the same numbers and xarray.

    python benchmarks/patchset_read.py [FOLDER]

Batches of 32 examples of 128 x 128 x 3 float32 are read in random order with a warm page cache. The
passes alternate in one run, and CPU time is measured. FOLDER (default: the temporary one) needs 0.8
GB for the moment.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import xarray as xr

from skyloom.patchset import PatchSet, write

N, SHAPE, BATCH, PASSES = 2048, (128, 128, 3), 32, 9


def megabytes_per_second(array, order: np.ndarray) -> float:
    """Speed of one pass over `array[indices]` in batches."""
    begin, size = time.process_time(), 0
    for start in range(0, len(order), BATCH):
        size += np.asarray(array[order[start : start + BATCH]]).nbytes
    return size / 1e6 / (time.process_time() - begin)


def main() -> None:
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        values = draw.standard_normal((N, *SHAPE), dtype=np.float32)
        np.save(f"{folder}/raw.npy", values)
        write(xr.Dataset({"patch": (("example", "y", "x", "map"), values)}), f"{folder}/set.nc")
        raw, mapped = (
            np.load(f"{folder}/raw.npy", mmap_mode="r"),
            PatchSet(f"{folder}/set.nc").array("patch"),
        )
        assert np.array_equal(mapped, values)
        with xr.open_dataset(f"{folder}/set.nc") as opened:
            readers = {"raw memory map": raw, "PatchSet": mapped, "xarray": opened["patch"]}
            speeds = {name: [] for name in readers}
            for number in range(PASSES):
                order = draw.permutation(N)
                for name in list(readers)[:: 1 if number % 2 else -1]:
                    # xarray is slow
                    if name != "xarray" or number < 2:
                        speeds[name].append(megabytes_per_second(readers[name], order))
    base = np.median(speeds["raw memory map"])
    for name, values_read in speeds.items():
        median = np.median(values_read)
        print(
            f"{name:15s} {median:7.0f} MB/s of CPU time "
            f"({min(values_read):.0f} .. {max(values_read):.0f})  {median / base:.2f}"
        )
    print("aim: PatchSet at least 0.80 of the raw memory map")


if __name__ == "__main__":
    main()
