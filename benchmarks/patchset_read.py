"""Shuffled batches from a patch set, beside a raw memory map of the same numbers and a plain xarray
read.

    python benchmarks/patchset_read.py [FOLDER]

Batches of 32 examples of 128 x 128 x 3 float32 in random order, warm page cache, alternating passes
of one run, CPU time. FOLDER (default: the temporary one) takes 0.8 GB for the moment.
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
    """Read `array[indices]` once through, in batches."""
    begin, read = time.process_time(), 0
    for start in range(0, len(order), BATCH):
        read += np.asarray(array[order[start : start + BATCH]]).nbytes
    return read / 1e6 / (time.process_time() - begin)


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
            for turn in range(PASSES):
                order = draw.permutation(N)
                for name in list(readers)[:: 1 if turn % 2 else -1]:
                    if name != "xarray" or turn < 2:  # it is slow
                        speeds[name].append(megabytes_per_second(readers[name], order))
    base = np.median(speeds["raw memory map"])
    for name, found in speeds.items():
        median = np.median(found)
        print(
            f"{name:15s} {median:7.0f} MB/s of CPU time ({min(found):.0f} .. {max(found):.0f})  "
            f"{median / base:.2f}"
        )
    print("aim: PatchSet at least 0.80 of the raw memory map")


if __name__ == "__main__":
    main()
