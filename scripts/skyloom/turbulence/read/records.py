"""Records of a Fortran unformatted file: [length, payload, length].

Each length has four bytes, little-endian.
"""

from pathlib import Path

import numpy as np

from skyloom.cli import BadInput

MARKER = np.dtype("<i4")


class Records:
    """Reads the records of one file in their order; raises BadInput for unexpected ones."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if self.path.stat().st_size == 0:
            raise BadInput(f"{path}: empty file; expected Fortran records")
        # a plain array, whose slices are cheap
        self._bytes = np.asarray(np.memmap(self.path, np.uint8, "r"))
        self._place = 0

    def length(self) -> int:
        """Bytes in the payload of the next record."""
        return int(self._take(self._place, MARKER.itemsize).view(MARKER)[0])

    def read(self, dtype: str, count: int | None = None) -> np.ndarray:
        """The next record as (count,) values; another number of values is refused."""
        length, dtype = self.length(), np.dtype(dtype)
        if length < 0 or length % dtype.itemsize or count not in (None, length // dtype.itemsize):
            number = "some" if count is None else count
            self._refuse(f"a record of {length} bytes", f"{number} {dtype} values")
        return self.block(dtype, (1,), length // dtype.itemsize)[0]

    def skip(self, records: int) -> None:
        """Pass over records of any length."""
        for _ in range(records):
            self.read("u1")

    def block(self, dtype: str | np.dtype, shape: tuple[int, ...], count: int) -> np.ndarray:
        """The next prod(shape) records of `count` values each, as one array (*shape, count)."""
        record = np.dtype([("head", MARKER), ("values", dtype, (count,)), ("tail", MARKER)])
        size = record.itemsize * int(np.prod(shape))
        records = self._take(self._place, size).view(record)
        length = record["values"].itemsize
        bad = (records["head"] != length) | (records["tail"] != length)
        if bad.any():
            marker = records["head"][bad.argmax()]
            self._refuse(f"a record marker of {marker}", f"records of {length} bytes")
        self._place += size
        return records["values"].reshape(*shape, count)

    def pass_block(self, dtype: str | np.dtype, records: int, count: int) -> None:
        """Pass over records of known length without reading them."""
        size = records * (count * np.dtype(dtype).itemsize + 2 * MARKER.itemsize)
        self._take(self._place, size)
        self._place += size

    def end(self) -> None:
        """Refuse a file that goes on."""
        left = self._bytes.size - self._place
        if left:
            self._refuse(f"{left} bytes after the last level", "the end of the file")

    def _take(self, start: int, size: int) -> np.ndarray:
        if start + size > self._bytes.size:
            raise BadInput(
                f"{self.path}: cut short, {self._bytes.size} bytes found, at least {start + size}"
                " bytes expected; copy it again"
            )
        return self._bytes[start : start + size]

    def _refuse(self, content: str, expected: str) -> None:
        raise BadInput(
            f"{self.path}: {content} at byte {self._place}; expected {expected} "
            "(little-endian Fortran records of a RAMSES output)"
        )
