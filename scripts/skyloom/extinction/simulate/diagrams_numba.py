"""The stars of `diagrams` one by one, for CPU cores."""

import numba
import numpy as np
from numba.extending import register_jitable

from skyloom import hashing
from skyloom.extinction.simulate import survey

# inside the loops: the constants of `diagrams`, which imports this module
BLOCK, PIXELS, PER_MAG, REACH = 64, 64, 64, 4.0
NORMAL_MASK, DETECTION_SHIFT = (1 << 16) - 1, 32
DEEPEST = np.float32(survey.DEEPEST)
STEP = hashing.STEP

for function in (hashing.shifted, hashing.mix):
    register_jitable(function)
mix, shifted = hashing.mix, hashing.shifted


@numba.njit(nogil=True, error_model="numpy")
def fill(
    result,
    rows,
    total,
    limit,
    zero,
    law,
    number,
    keys,
    size,
    normals,
    errors,
    shares,
    columns,
    scales,
):
    """Add the stars of each example to `result` (n, diagram, y, x).

    The arguments are those of `diagrams`: pool, cumulative profiles, conditions, tables and axes.
    """
    bands = limit.shape[1]
    last = total.shape[1] - 2
    value = np.empty(bands, np.float32)
    for i in range(number.size):
        for block in range((number[i] + BLOCK - 1) // BLOCK):
            start = shifted(mix(keys[i, 0] + block * STEP), 1) % size
            for s in range(min(BLOCK, number[i] - block * BLOCK)):
                row = rows[start + s]
                low = min(int(row[0]), last)
                share = min(row[0] - np.float32(low), np.float32(1))
                extinction = total[i, low] + share * (total[i, low + 1] - total[i, low])
                order = (block * BLOCK + s) * STEP
                lost = 0
                for b in range(bands):
                    true = row[b + 1] + law[i, b] * extinction
                    value[b] = np.nan
                    if true <= limit[i, b] + DEEPEST:
                        bits = mix(keys[i, b + 1] + order)
                        entry = min(max(int(true * PER_MAG), 0), errors.shape[1] - 1)
                        seen = true + errors[b, entry] * normals[bits & NORMAL_MASK]
                        fainter = int((seen - limit[i, b] + np.float32(REACH)) * PER_MAG)
                        fainter = min(max(fainter, 0), shares.shape[1] - 1)
                        if shifted(bits, DETECTION_SHIFT) < shares[b, fainter]:
                            value[b] = seen + zero[i, b]
                    if value[b] != value[b]:
                        lost += 1
                        if columns.shape[0] == 1:
                            break
                if lost == bands or (lost and columns.shape[0] == 1):
                    continue
                for d in range(columns.shape[0]):
                    x = value[columns[d, 0]] - value[columns[d, 1]]
                    x = (x - scales[d, 0]) * scales[d, 1]
                    y = (value[columns[d, 2]] - scales[d, 2]) * scales[d, 3]
                    # NaN of an undetected star fails
                    if x >= 0 and x < PIXELS and y >= 0 and y < PIXELS:
                        result[i, d, int(y), int(x)] += 1
