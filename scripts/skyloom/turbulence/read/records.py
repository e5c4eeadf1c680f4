"""Records of a Fortran unformatted file: [length, payload, length].

A length has four bytes, or eight with an option of the compiler. The byte order is that of the
machine that wrote the file. Both follow from the first record, the number of processes.
"""

from pathlib import Path

import numpy as np

from skyloom.cli import BadInput

# Types of a length. Those of eight bytes come first: of four processes they also fit four bytes.
MARKERS = tuple(map(np.dtype, ("<i8", ">i8", "<i4", ">i4")))
FIRST = 4  # bytes of the first record


class Records:
    """Reads the records of one file in their order; raises BadInput for unexpected ones."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if self.path.stat().st_size == 0:
            raise BadInput(f"{path}: empty file; expected Fortran records")
        # a plain array, whose slices are cheap
        self._bytes = np.asarray(np.memmap(self.path, np.uint8, "r"))
        self._place = 0
        self._marker = self._first_marker()

    def length(self) -> int:
        """Bytes in the payload of the next record."""
        return int(self._take(self._place, self._marker.itemsize).view(self._marker)[0])

    def read(self, dtype: str, count: int | None = None) -> np.ndarray:
        """The next record as (count,) values; another number of values is refused."""
        length, size = self.length(), np.dtype(dtype).itemsize
        if length < 0 or length % size or count not in (None, length // size):
            number = "some" if count is None else count
            self._refuse(f"a record of {length} bytes", f"{number} values of type {dtype}")
        return self.block(dtype, (1,), length // size)[0]

    def real(self, count: int) -> str:
        """Type of the `count` reals in the next record: RAMSES is compiled to either precision."""
        length = self.length()
        if length not in (4 * count, 8 * count):
            self._refuse(f"a record of {length} bytes", f"{count} reals of 4 or 8 bytes")
        return f"f{length // count}"

    def skip(self, records: int) -> None:
        """Pass over records of any length."""
        for _ in range(records):
            self.read("u1")

    def block(self, dtype: str, shape: tuple[int, ...], count: int) -> np.ndarray:
        """The next prod(shape) records of `count` values each, as one array (*shape, count)."""
        dtype = np.dtype(dtype).newbyteorder(self._marker.byteorder)
        record = np.dtype(
            [("head", self._marker), ("values", dtype, (count,)), ("tail", self._marker)]
        )
        size = record.itemsize * int(np.prod(shape))
        records = self._take(self._place, size).view(record)
        length = record["values"].itemsize
        bad = (records["head"] != length) | (records["tail"] != length)
        if bad.any():
            marker = records["head"][bad.argmax()]
            self._refuse(f"a record marker of {marker}", f"records of {length} bytes")
        self._place += size
        return records["values"].reshape(*shape, count)

    def pass_block(self, dtype: str, records: int, count: int) -> None:
        """Pass over records of known length without reading them."""
        size = records * (count * np.dtype(dtype).itemsize + 2 * self._marker.itemsize)
        self._take(self._place, size)
        self._place += size

    def end(self) -> None:
        """Refuse a file that goes on."""
        left = self._bytes.size - self._place
        if left:
            self._refuse(f"{left} bytes after the last level", "the end of the file")

    def _first_marker(self) -> np.dtype:
        if not self._bytes[: 8 * FIRST].any():
            message = "begins with zeros, as a failed transfer leaves it; copy it again"
            raise BadInput(f"{self.path}: {message}")
        for marker in MARKERS:
            head, size = np.array(FIRST, marker).tobytes(), marker.itemsize
            tail = self._bytes[size + FIRST : 2 * size + FIRST]
            if self._bytes[:size].tobytes() == tail.tobytes() == head:
                return marker
        return np.dtype("<i4")

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
            "(Fortran records of a RAMSES output)"
        )
