"""The scheme, and its loops over cells for CPU cores.

Isothermal Euler equations on a periodic grid (Toro 2009, Riemann Solvers and Numerical Methods for
Fluid Dynamics, sections 10.5.1 and 14.4; the default of RAMSES, Teyssier 2002):

- slopes of density and velocity by minmod;
- half a step of all cells by the equations in primitive form (Hancock);
- local Lax-Friedrichs (Rusanov) fluxes;
- one unsplit update.

First order has no slopes and no half step.

`half_step` and `flux` accept numbers and torch tensors: `solver_torch` imports them. They are
defined in the file of the loops, since numba checks a cached function for edits of its own file
only.

Arrays are (simulation, 4, z, y, x): density, then momentum along z, y, x. The loops work on copies
with two ghost layers. A thread loops over planes and rows. The rows around a row of cells are
copied into one flat buffer, at a distance that is known at compile time. LLVM then sees that they
cannot overlap, and vectorises (4 times faster).
"""

from typing import NamedTuple

import numba
import numpy as np

from skyloom.cli import BadInput

# distance of rows in the buffer; a multiple of 512 would put all rows into the same cache sets
ROW = 1032
LARGEST = ROW - 8  # cells along x

# By default numba tests every division for zero, and that branch prevents vectorisation. An index
# whose sign LLVM cannot prove prevents it, too, hence inner loops count from 0. So does the length
# of a slice.
loops = numba.njit(cache=True, parallel=True, error_model="numpy")
row_loop = numba.njit(error_model="numpy")
inlined = numba.njit(forceinline=True, error_model="numpy")


# --- the formulas --------------------------------------------------------------------------------


def half_step(density, velocity, density_slope, velocity_slope, half, sound2):
    """Density and velocity after half a step, from the equations in primitive form.

    velocity : (v0, v1, v2)
    density_slope[d], velocity_slope[d][i] : differences per cell along axis d
    half : dt / (2 dx)
    sound2 : square of the sound speed
    """
    v0, v1, v2 = velocity
    s0, s1, s2 = density_slope
    w0, w1, w2 = velocity_slope
    pressure_factor = sound2 / density
    return (
        density - half * (v0 * s0 + v1 * s1 + v2 * s2 + density * (w0[0] + w1[1] + w2[2])),
        v0 - half * (v0 * w0[0] + v1 * w1[0] + v2 * w2[0] + pressure_factor * s0),
        v1 - half * (v0 * w0[1] + v1 * w1[1] + v2 * w2[1] + pressure_factor * s1),
        v2 - half * (v0 * w0[2] + v1 * w1[2] + v2 * w2[2] + pressure_factor * s2),
    )


def flux(left, right, fastest, sound2):
    """Local Lax-Friedrichs flux of density, normal and two transverse momenta through a face.

    left, right : (density, normal velocity, two transverse velocities) on its two sides
    fastest : the larger |normal velocity| + sound speed of both sides
    """
    density0, normal0, first0, second0 = left
    density1, normal1, first1, second1 = right
    mass0, mass1 = density0 * normal0, density1 * normal1
    pressure = 0.5 * sound2 * (density0 + density1)
    return (
        0.5 * (mass0 + mass1 - fastest * (density1 - density0)),
        0.5 * (mass0 * normal0 + mass1 * normal1 - fastest * (mass1 - mass0)) + pressure,
        0.5 * (mass0 * first0 + mass1 * first1 - fastest * (density1 * first1 - density0 * first0)),
        0.5
        * (mass0 * second0 + mass1 * second1 - fastest * (density1 * second1 - density0 * second0)),
    )


# --- called by `solver.evolve` -------------------------------------------------------------------


class Padded(NamedTuple):
    """States (simulation, 4, z + 4, y + 4, x + 4), and a buffer for the next step of one."""

    states: list[np.ndarray]
    spare: np.ndarray


def load(states: np.ndarray, device: str | None = None) -> Padded:
    """Copies of (simulation, 4, z, y, x) float64 with ghost layers.

    `device` is not used: the other solver needs it. Raises BadInput for other types or too many
    cells.
    """
    if states.dtype != np.float64 or states.shape[-1] > LARGEST:
        raise BadInput(
            f"solver numba: {states.dtype}, {states.shape[-1]} cells along x; expected float64 "
            f"and at most {LARGEST}"
        )
    padded = [np.pad(state, ((0, 0), (2, 2), (2, 2), (2, 2))) for state in states]
    return Padded(padded, np.empty_like(padded[0]))


def signals(fields: Padded, sound_speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Largest sum over axes of |v| + c, and least density of each simulation.

    The signal speed is NaN where a cell is not finite.
    """
    planes = [_signals(state) for state in fields.states]
    fastest, least, total = np.array(
        [[rows[:, 0].max(), rows[:, 1].min(), rows[:, 2].sum()] for rows in planes]
    ).T
    return np.where(np.isfinite(total), fastest + 3 * sound_speed, np.nan), least


def step(fields: Padded, ratio: np.ndarray, sound_speed: float, order: int) -> Padded:
    """Advance each simulation by one step of its own dt / dx. A ratio of 0 leaves it unchanged."""
    states, spare = list(fields.states), fields.spare
    for k in np.flatnonzero(ratio):
        _fill_ghosts(states[k])
        _step(states[k], spare, ratio[k], sound_speed, order == 2, numba.get_num_threads())
        states[k], spare = spare, states[k]
    return Padded(states, spare)


def unload(fields: Padded) -> np.ndarray:
    """The states without their ghost layers."""
    return np.stack([state[:, 2:-2, 2:-2, 2:-2] for state in fields.states])


# --- loops ---------------------------------------------------------------------------------------

# Rows of the buffer, four quantities each: the cells and their neighbours,
CENTRE, LOWER_Z, UPPER_Z, LOWER_Y, UPPER_Y = 0, 4, 8, 12, 16
# the states on both faces of a cell along each axis, the upper faces of the previous plane and row,
# and the fluxes.
LOW_Z, HIGH_Z, LOW_Y, HIGH_Y, LOW_X, HIGH_X = 20, 24, 28, 32, 36, 40
BEFORE_Z, BEFORE_Y = 44, 48
FLUX_Z, FLUX_Y, FLUX_X = 52, 56, 60
ROWS = 64

_half_step, _flux = inlined(half_step), inlined(flux)


@inlined
def _minmod(a, b):
    """The smaller slope where both have one sign, else 0; without a branch."""
    low = a if a < b else b
    high = b if a < b else a
    return (low if low > 0.0 else 0.0) + (high if high < 0.0 else 0.0)


@inlined
def _slope(rows, lower, upper, k):
    """Limited slope of the value at `k` between its neighbours at `lower` and `upper`."""
    return _minmod(rows[k] - rows[lower], rows[upper] - rows[k])


@row_loop
def _load_row(rows, row, plane, j, length):
    """Copy row j of the four quantities of a plane into the buffer."""
    for v in range(4):
        for k in range(length):
            rows[(row + v) * ROW + k] = plane[v, j, k]


@row_loop
def _keep_row(plane, j, rows, row, length):
    """Copy a row of the buffer into row j of a plane."""
    for v in range(4):
        for k in range(length):
            plane[v, j, k] = rows[(row + v) * ROW + k]


@row_loop
def _copy_row(rows, row, source, length):
    """Copy a row of the buffer to another row of it."""
    for v in range(4):
        for k in range(length):
            rows[(row + v) * ROW + k] = rows[(source + v) * ROW + k]


@row_loop
def _primitive(state, i, plane):
    """Density and velocity of plane i."""
    length = state.shape[3]
    for j in range(state.shape[2]):
        for k in range(length):
            plane[0, j, k] = state[0, i, j, k]
        for v in range(1, 4):
            for k in range(length):
                plane[v, j, k] = state[v, i, j, k] / state[0, i, j, k]


@row_loop
def _faces(rows, length, half, sound2):
    """Second order: the states on the six faces of the cells of a row after half a step."""
    # all indices begin at k, since LLVM cannot prove that k - 1 never wraps around
    for k in range(length - 2):
        c0, c1, c2, c3 = k + 1, k + 1 + ROW, k + 1 + 2 * ROW, k + 1 + 3 * ROW
        z0 = _slope(rows, c0 + LOWER_Z * ROW, c0 + UPPER_Z * ROW, c0)
        z1 = _slope(rows, c1 + LOWER_Z * ROW, c1 + UPPER_Z * ROW, c1)
        z2 = _slope(rows, c2 + LOWER_Z * ROW, c2 + UPPER_Z * ROW, c2)
        z3 = _slope(rows, c3 + LOWER_Z * ROW, c3 + UPPER_Z * ROW, c3)
        y0 = _slope(rows, c0 + LOWER_Y * ROW, c0 + UPPER_Y * ROW, c0)
        y1 = _slope(rows, c1 + LOWER_Y * ROW, c1 + UPPER_Y * ROW, c1)
        y2 = _slope(rows, c2 + LOWER_Y * ROW, c2 + UPPER_Y * ROW, c2)
        y3 = _slope(rows, c3 + LOWER_Y * ROW, c3 + UPPER_Y * ROW, c3)
        x0 = _slope(rows, k, k + 2, c0)
        x1 = _slope(rows, k + ROW, k + 2 + ROW, c1)
        x2 = _slope(rows, k + 2 * ROW, k + 2 + 2 * ROW, c2)
        x3 = _slope(rows, k + 3 * ROW, k + 2 + 3 * ROW, c3)
        density, v0, v1, v2 = _half_step(
            rows[c0],
            (rows[c1], rows[c2], rows[c3]),
            (z0, y0, x0),
            ((z1, z2, z3), (y1, y2, y3), (x1, x2, x3)),
            half,
            sound2,
        )
        _put_faces(rows, LOW_Z, k + 1, density, v0, v1, v2, z0, z1, z2, z3)
        _put_faces(rows, LOW_Y, k + 1, density, v0, v1, v2, y0, y1, y2, y3)
        _put_faces(rows, LOW_X, k + 1, density, v0, v1, v2, x0, x1, x2, x3)


@inlined
def _put_faces(rows, low, k, density, v0, v1, v2, s0, s1, s2, s3):
    """Add half a slope on both sides. The rows of the upper face follow those of the lower face."""
    rows[low * ROW + k] = density - 0.5 * s0
    rows[(low + 1) * ROW + k] = v0 - 0.5 * s1
    rows[(low + 2) * ROW + k] = v1 - 0.5 * s2
    rows[(low + 3) * ROW + k] = v2 - 0.5 * s3
    rows[(low + 4) * ROW + k] = density + 0.5 * s0
    rows[(low + 5) * ROW + k] = v0 + 0.5 * s1
    rows[(low + 6) * ROW + k] = v1 + 0.5 * s2
    rows[(low + 7) * ROW + k] = v2 + 0.5 * s3


@inlined
def _row_flux(rows, length, left, shift, right, out, normal, first, second, sound_speed):
    """Fluxes between `left`, `shift` cells back along the row, and `right`, for each component."""
    sound2 = sound_speed * sound_speed
    for k in range(length - 3):
        a, b = left * ROW + 2 - shift + k, right * ROW + 2 + k
        n0, n1 = rows[a + normal * ROW], rows[b + normal * ROW]
        speed0, speed1 = (n0 if n0 > 0.0 else -n0), (n1 if n1 > 0.0 else -n1)
        mass, along, across, over = _flux(
            (rows[a], n0, rows[a + first * ROW], rows[a + second * ROW]),
            (rows[b], n1, rows[b + first * ROW], rows[b + second * ROW]),
            (speed0 if speed0 > speed1 else speed1) + sound_speed,
            sound2,
        )
        rows[out * ROW + 2 + k] = mass
        rows[(out + normal) * ROW + 2 + k] = along
        rows[(out + first) * ROW + 2 + k] = across
        rows[(out + second) * ROW + 2 + k] = over


@loops
def _step(state, new, ratio, sound_speed, second_order, chunks):
    """Write `state` after one step to `new`.

    A thread takes a chunk of planes. The number of chunks does not change the result.
    """
    planes, height, length = state.shape[1] - 4, state.shape[2], state.shape[3]
    for chunk in numba.prange(chunks):
        start, stop = 2 + chunk * planes // chunks, 2 + (chunk + 1) * planes // chunks
        near = np.empty((3, 4, height, length))  # primitive planes i - 1, i, i + 1, in turn
        before = np.empty((4, height, length))  # upper face along z of plane i - 1
        rows = np.ones(ROWS * ROW)
        _primitive(state, start - 2, near[(start - 2) % 3])
        _primitive(state, start - 1, near[(start - 1) % 3])
        for i in range(start - 1, stop + 1):
            _primitive(state, i + 1, near[(i + 1) % 3])
            for j in range(1, height - 1):
                _load_row(rows, CENTRE, near[i % 3], j, length)
                _copy_row(rows, BEFORE_Y, HIGH_Y, length)
                if second_order:
                    _load_row(rows, LOWER_Z, near[(i - 1) % 3], j, length)
                    _load_row(rows, UPPER_Z, near[(i + 1) % 3], j, length)
                    _load_row(rows, LOWER_Y, near[i % 3], j - 1, length)
                    _load_row(rows, UPPER_Y, near[i % 3], j + 1, length)
                    _faces(rows, length, 0.5 * ratio, sound_speed * sound_speed)
                else:
                    for face in (LOW_Z, HIGH_Z, LOW_Y, HIGH_Y, LOW_X, HIGH_X):
                        _copy_row(rows, face, CENTRE, length)
                inside = 2 <= j < height - 2
                if i >= start and inside:
                    _load_row(rows, BEFORE_Z, before, j, length)
                    _row_flux(rows, length, BEFORE_Z, 0, LOW_Z, FLUX_Z, 1, 2, 3, sound_speed)
                    if i > start:
                        _add_row(new, i - 1, j, rows, FLUX_Z, length, -ratio)
                _keep_row(before, j, rows, HIGH_Z, length)
                if i < start or i >= stop:
                    continue
                if j >= 2:
                    _row_flux(rows, length, BEFORE_Y, 0, LOW_Y, FLUX_Y, 2, 1, 3, sound_speed)
                    if j > 2:
                        _add_row(new, i, j - 1, rows, FLUX_Y, length, -ratio)
                if inside:
                    _row_flux(rows, length, HIGH_X, 1, LOW_X, FLUX_X, 3, 1, 2, sound_speed)
                    _begin_row(new, state, i, j, rows, length, ratio)


@row_loop
def _begin_row(new, state, i, j, rows, length, ratio):
    """Update of a row by the fluxes through its lower faces and through both faces along x.

    The fluxes through the other upper faces are added with the next rows.
    """
    for v in range(4):
        for k in range(length - 4):
            z, y, x = (
                (FLUX_Z + v) * ROW + 2 + k,
                (FLUX_Y + v) * ROW + 2 + k,
                (FLUX_X + v) * ROW + 2 + k,
            )
            new[v, i, j, k + 2] = state[v, i, j, k + 2] + ratio * (
                rows[z] + rows[y] + rows[x] - rows[x + 1]
            )


@row_loop
def _add_row(new, i, j, rows, row, length, factor):
    for v in range(4):
        for k in range(length - 4):
            new[v, i, j, k + 2] += factor * rows[(row + v) * ROW + 2 + k]


@loops
def _fill_ghosts(state):
    """Fill two periodic layers on each side, axis after axis, with edges and corners."""
    planes, height, length = state.shape[1] - 4, state.shape[2] - 4, state.shape[3] - 4
    for i in numba.prange(planes):
        for v in range(4):
            for j in range(height):
                for g in range(2):
                    state[v, i + 2, j + 2, g] = state[v, i + 2, j + 2, length + g]
                    state[v, i + 2, j + 2, length + 2 + g] = state[v, i + 2, j + 2, 2 + g]
            for g in range(2):
                for k in range(length + 4):
                    state[v, i + 2, g, k] = state[v, i + 2, height + g, k]
                    state[v, i + 2, height + 2 + g, k] = state[v, i + 2, 2 + g, k]
    for v in range(4):
        for g in range(2):
            for j in range(height + 4):
                for k in range(length + 4):
                    state[v, g, j, k] = state[v, planes + g, j, k]
                    state[v, planes + 2 + g, j, k] = state[v, 2 + g, j, k]


@loops
def _signals(state):
    """Largest sum of |v|, least density and the sum of the former, of each plane.

    The sum is not finite where any cell is not finite.
    """
    planes, height, length = state.shape[1] - 4, state.shape[2] - 4, state.shape[3] - 4
    result = np.empty((planes, 3))
    for i in numba.prange(planes):
        rows = np.empty(7 * ROW)
        for k in range(length):
            rows[4 * ROW + k], rows[5 * ROW + k], rows[6 * ROW + k] = 0.0, np.inf, 0.0
        for j in range(height):
            for v in range(4):
                source = state[v, i + 2, j + 2]
                for k in range(length):
                    rows[v * ROW + k] = source[k + 2]
            for k in range(length):
                density = rows[k]
                speed = (
                    abs(rows[ROW + k]) + abs(rows[2 * ROW + k]) + abs(rows[3 * ROW + k])
                ) / density
                fastest, least = rows[4 * ROW + k], rows[5 * ROW + k]
                rows[4 * ROW + k] = speed if speed > fastest else fastest
                rows[5 * ROW + k] = density if density < least else least
                rows[6 * ROW + k] += speed
        result[i, 0] = rows[4 * ROW : 4 * ROW + length].max()
        result[i, 1] = rows[5 * ROW : 5 * ROW + length].min()
        result[i, 2] = rows[6 * ROW : 6 * ROW + length].sum()
    return result
