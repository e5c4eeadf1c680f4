"""Pixels of a FITS file that stay on disk until a part of them is read."""

import mmap
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pixels:
    """A plane (y, x) as it is stored; an index reads float32, NaN where `blank` is stored.

    factor, zero : of the stored values, to the unit of the reader
    """

    stored: np.ndarray
    factor: float = 1.0
    zero: float = 0.0
    blank: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.stored.shape

    def __getitem__(self, part) -> np.ndarray:
        stored = self.stored[part]
        values = stored.astype(np.float32)
        if (self.factor, self.zero) != (1, 0):
            values = values * np.float32(self.factor) + np.float32(self.zero)
        return values if self.blank is None else np.where(stored == self.blank, np.nan, values)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[...].astype(dtype or np.float32, copy=False)


def release(values) -> None:
    """Give back the memory of pixels that are mapped. A later index reads them from the file."""
    base = values.stored if isinstance(values, Pixels) else None
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    if base is not None:
        base.madvise(mmap.MADV_DONTNEED)
