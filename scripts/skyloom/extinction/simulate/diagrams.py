"""Colour-magnitude diagrams of extinguished fields, drawn anew for each example.

A field keeps a pool of stars that is several times richer than the sky. An example has a Poisson
number of them, in blocks of neighbours of the shuffled pool, with errors and detections of its own.
All random numbers are hashes of the example's seed. The loops of `diagrams_numba` serve CPUs, and
tensor operations serve GPUs; both draw the same stars. Errors and completeness are looked up in
tables of 1/64 mag.

On a GPU no operation makes the host wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from skyloom.cli import BadInput
from skyloom.extinction.simulate import draws
from skyloom.extinction.simulate.population import Stars
from skyloom.extinction.simulate.stars import BANDS
from skyloom.extinction.simulate.survey import (
    DEEPEST,
    DIAGRAMS,
    SURVEYS,
    Conditions,
    Diagram,
    bands_of,
    conditions,
)
from skyloom.hashing import STEP, mix, shifted

PIXELS = 64
BLOCK = 64  # neighbours in the pool
PER_MAG = 64  # entries of the tables a magnitude
FAINTEST = 30.0  # of the table of errors
REACH = 4.0  # of the table of completeness to both sides of the limit [mag]
NORMAL_BITS, DETECTION_BITS = 16, 32
SPARE = 8.0  # deviations of the number of stars that have room on a GPU


@dataclass(frozen=True)
class Field:
    """The pool of a sightline on a device.

    rows (star, 1 + band) : place on the grid of distances [step] and magnitudes, float32; the first
    rows are repeated at the end; size : stars of the pool; mean : stars of one field
    normals, errors, detections : the tables below
    """

    rows: Tensor
    size: int
    mean: float
    bands: tuple[str, ...]
    diagrams: tuple[str, ...]
    normals: Tensor
    errors: Tensor
    detections: Tensor


def field(stars: Stars, diagrams: Sequence[str], step: float, device: str = "cpu") -> Field:
    """The pool of a sightline for these diagrams; step : of the grid of distances [pc].

    Raises BadInput for a pool without a star.
    """
    bands = bands_of(diagrams)
    if not len(stars):
        raise BadInput(f"no star in a pool of {stars.richness:g} fields; expected a wider field")
    rows = np.stack([stars.distance / step, *(stars.band(b) for b in bands)], 1)
    rows = np.concatenate([rows, np.resize(rows, (BLOCK, rows.shape[1]))])
    size = len(stars)
    arrays = rows.astype(np.float32), normal_table(), error_table(bands), detection_table(bands)
    rows, *tables = (torch.from_numpy(array).to(device) for array in arrays)
    return Field(rows, size, size / stars.richness, bands, tuple(diagrams), *tables)


def counts(
    pool: Field,
    profiles: Tensor,
    given: Conditions,
    examples: Tensor,
    engine: str | None = None,
) -> Tensor:
    """Stars in the pixels of each diagram, (n, diagram, y, x) float32.

    profiles (n, bin) : A_V of each bin of distance [mag]; examples (n,) : seeds
    engine : `numba` or `torch`; None: numba on a CPU
    """
    total = cumulative(profiles)
    number = draws.poisson(examples, pool.mean * given.count)
    keys = [draws.stream(examples, draws.BLOCK)]
    keys += [draws.stream(examples, draws.BAND + BANDS.index(b)) for b in pool.bands]
    arguments = pool, total, given, number, torch.stack(keys, 1)
    if (engine or ("numba" if profiles.device.type == "cpu" else "torch")) == "numba":
        return _counts_numba(*arguments)
    return _counts_torch(*arguments)


def cumulative(profiles: Tensor) -> Tensor:
    """A_V from 0 at no distance to the end of the last bin, (n, bin + 1) float32."""
    return running_sum(torch.nn.functional.pad(profiles.double(), (1, 0))).float()


def running_sum(values: Tensor) -> Tensor:
    """Cumulative sums along the last dimension.

    The sums of pairs, fours and so on are alike on all devices; `cumsum` on a GPU is not.
    """
    reach = 1
    while reach < values.shape[-1]:
        values = values + torch.nn.functional.pad(values[..., :-reach], (reach, 0))
        reach *= 2
    return values


def bare(pool: Field, bins: int, repeats: int = 64, limits: dict | None = None) -> Tensor:
    """The mean diagrams of the field without extinction (diagram, y, x), float32."""
    device = pool.rows.device
    examples = draws.seeds(0, 0, torch.arange(repeats, device=device))
    nominal = conditions(examples, pool.bands, limits=limits)
    zero = torch.zeros(repeats, bins, device=device)
    return counts(pool, zero, nominal, examples).mean(0)


def network_input(observed: Tensor, unreddened: Tensor, seen: Tensor) -> Tensor:
    """Observed and bare diagrams as channels (n, 2 diagram, y, x): log(1 + n) / 2.

    unreddened : (n, diagram, y, x) or without n; seen (n, diagram) bool : 0 is in both channels
    elsewhere
    """
    pair = torch.stack(torch.broadcast_tensors(observed, unreddened), 2)
    return (pair.log1p() / 2 * seen[:, :, None, None, None]).flatten(1, 2)


def of_catalogue(magnitudes: dict[str, np.ndarray], diagram: Diagram) -> np.ndarray:
    """The diagram (y, x) of measured stars; magnitudes (n,) by band, NaN where undetected."""
    first, second = diagram.colour
    x, y = magnitudes[first] - magnitudes[second], magnitudes[diagram.magnitude]
    ranges = (diagram.y, diagram.x)
    found = np.isfinite(x) & np.isfinite(y)
    return np.histogram2d(y[found], x[found], PIXELS, ranges)[0].astype(np.float32)


# --- tables ---------------------------------------------------------------------------------------


@cache
def normal_table() -> np.ndarray:
    """Standard normal numbers at equal steps of probability."""
    number = 1 << NORMAL_BITS
    return ndtri((np.arange(number) + 0.5) / number).astype(np.float32)


@cache
def error_table(bands: tuple[str, ...]) -> np.ndarray:
    """Errors (band, entry) of magnitudes from 0 on [mag]."""
    middle = (np.arange(int(FAINTEST * PER_MAG)) + 0.5) / PER_MAG
    return np.stack([SURVEYS[b].sigma(middle) for b in bands]).astype(np.float32)


@cache
def detection_table(bands: tuple[str, ...]) -> np.ndarray:
    """Thresholds (band, entry) of the bits of a detection, from `REACH` above the limit on."""
    middle = (np.arange(int(2 * REACH * PER_MAG)) + 0.5) / PER_MAG - REACH
    shares = np.stack([SURVEYS[b].completeness(middle) for b in bands])
    return np.rint(shares * 2.0**DETECTION_BITS).astype(np.int64)


@cache
def axes(bands: tuple[str, ...], diagrams: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the two colours and the magnitude (diagram, 3), and x0, x scale, y0, y scale."""
    found = [DIAGRAMS[name] for name in diagrams]
    columns = [[bands.index(b) for b in (*d.colour, d.magnitude)] for d in found]
    scales = [
        (d.x[0], PIXELS / (d.x[1] - d.x[0]), d.y[0], PIXELS / (d.y[1] - d.y[0])) for d in found
    ]
    return np.array(columns, np.int64), np.array(scales, np.float32)


# --- engines --------------------------------------------------------------------------------------


def _counts_numba(
    pool: Field, total: Tensor, given: Conditions, number: Tensor, keys: Tensor
) -> Tensor:
    # numba takes a second to import
    from skyloom.extinction.simulate.diagrams_numba import fill

    columns, scales = axes(pool.bands, pool.diagrams)
    result = np.zeros((len(total), len(columns), PIXELS, PIXELS), np.float32)
    tensors = pool.rows, total, given.limit, given.zero, given.law, number, keys
    arrays = (t.contiguous().numpy() for t in tensors)
    tables = (t.numpy() for t in (pool.normals, pool.errors, pool.detections))
    fill(result, *arrays, pool.size, *tables, columns, scales)
    return torch.from_numpy(result)


def _counts_torch(
    pool: Field, total: Tensor, given: Conditions, number: Tensor, keys: Tensor
) -> Tensor:
    device, n = total.device, len(total)
    mean = pool.mean * given.most
    blocks = int((mean + SPARE * mean**0.5) // BLOCK) + 1
    counter = torch.arange(blocks, device=device) * STEP
    start = shifted(mix(keys[:, :1] + counter), 1) % pool.size
    star = (start[:, :, None] + torch.arange(BLOCK, device=device)).flatten(1)
    rows = pool.rows[star]  # (n, star, 1 + band)
    extinction = _interpolated(total, rows[..., 0])
    order = torch.arange(blocks * BLOCK, device=device)
    present = order < number[:, None]
    order = order * STEP
    normals, errors, shares = pool.normals, pool.errors, pool.detections
    measured, detected = [], []
    for b in range(len(pool.bands)):
        bits = mix(keys[:, b + 1 : b + 2] + order)
        true = rows[..., b + 1] + given.law[:, b : b + 1] * extinction
        error = errors[b][(true * PER_MAG).long().clamp(0, errors.shape[1] - 1)]
        value = true + error * normals[bits & ((1 << NORMAL_BITS) - 1)]
        limit = given.limit[:, b : b + 1]
        fainter = ((value - limit + REACH) * PER_MAG).long().clamp(0, shares.shape[1] - 1)
        seen = shifted(bits, 64 - DETECTION_BITS) < shares[b][fainter]
        detected.append(present & seen & (true <= limit + DEEPEST))
        measured.append(value + given.zero[:, b : b + 1])
    columns, scales = axes(pool.bands, pool.diagrams)
    offset = torch.arange(n, device=device)[:, None] * PIXELS**2
    parts = []
    for (first, second, magnitude), (x0, dx, y0, dy) in zip(
        columns.tolist(), scales.tolist(), strict=True
    ):
        x = (measured[first] - measured[second] - x0) * dx
        y = (measured[magnitude] - y0) * dy
        inside = detected[first] & detected[second] & detected[magnitude]
        inside &= (x >= 0) & (x < PIXELS) & (y >= 0) & (y < PIXELS)
        pixel = offset + y.long() * PIXELS + x.long()
        parts.append(_histogram(torch.where(inside, pixel, n * PIXELS**2), n))
    return torch.stack(parts, 1)


def _interpolated(total: Tensor, place: Tensor) -> Tensor:
    """A_V (n, star) at places on the grid, the last value beyond its end."""
    last = total.shape[1] - 2
    low = place.long().clamp(0, last)
    share = (place - low).clamp(0, 1)
    lower = total.gather(1, low)
    return lower + share * (total.gather(1, low + 1) - lower)


def _histogram(pixel: Tensor, n: int) -> Tensor:
    """Numbers (n, y, x) of the pixels (n, star). `bincount` would make the host wait.

    Whole numbers add up to the same in any order.
    """
    flat = pixel.flatten()
    image = torch.zeros(n * PIXELS**2 + 1, device=pixel.device)
    image.scatter_add_(0, flat, torch.ones((), device=pixel.device).expand(flat.shape))
    return image[:-1].view(n, PIXELS, PIXELS)
