"""Density of a cloud's first moments, from the initial velocity by Fourier transforms alone.

For t << L / v the velocity is frozen, and the contrast follows Lighthill's equation (1952, Proc. R.
Soc. A 211, 564)

    d2(delta)/dt2 - c^2 lap(delta) = d_i d_j (v_i v_j).

From a uniform start without divergence its solution is

    delta_k = -k_i k_j (v_i v_j)_k (1 - cos(c k t)) / (c k)^2.

It has no numerical viscosity and no limiter. It tests the solver, and it generates maps at the cost
of their velocity field.
"""

import numpy as np
import scipy.fft


def early_contrast(velocity: np.ndarray, box: float, time: float, sound_speed: float) -> np.ndarray:
    """Density contrast rho/rho0 - 1 (z, y, x) at `time`.

    velocity : (3, z, y, x) [km/s], components along the axes of the array
    box [pc], time [pc / (km/s)], sound_speed [km/s]
    """
    return _respond(velocity, velocity.shape[1:], box, time, sound_speed, lambda product: product)


def early_columns(velocity: np.ndarray, box: float, time: float, sound_speed: float) -> np.ndarray:
    """Contrast of column density N/<N> - 1 (axis, row, column) along x, y and z.

    The arguments are those of `early_contrast`. The mean along an axis is the plane of Fourier
    space perpendicular to it, so that two components and transforms in two dimensions are enough.
    """
    maps = []
    for axis in (2, 1, 0):
        across = [i for i in range(3) if i != axis]
        shape = tuple(velocity.shape[1 + i] for i in across)
        maps.append(
            _respond(velocity[across], shape, box, time, sound_speed, lambda p, a=axis: p.mean(a))
        )
    return np.stack(maps)


def _respond(
    velocity, shape: tuple[int, ...], box: float, time: float, sound_speed: float, reduce
) -> np.ndarray:
    """The response to all products of components, each reduced to `shape` by `reduce` first."""
    waves = [scipy.fft.fftfreq(n, 1 / n) for n in shape[:-1]] + [
        scipy.fft.rfftfreq(shape[-1], 1 / shape[-1])
    ]
    waves = np.meshgrid(*waves, indexing="ij", sparse=True)
    k = [2 * np.pi / box * wave for wave in waves]
    source = 0.0
    for i in range(len(shape)):
        for j in range(i, len(shape)):
            product = scipy.fft.rfftn(reduce(velocity[i] * velocity[j]))
            source = source - (1 if i == j else 2) * k[i] * k[j] * product
    frequency = sound_speed * np.sqrt(sum(component**2 for component in k))
    # (1 - cos wt) / w^2 without the cancellation at small wt; at w = 0 the source is zero
    gain = 0.5 * time**2 * np.sinc(frequency * time / (2 * np.pi)) ** 2
    for wave, n in zip(waves, shape, strict=True):
        # k and -k of a Nyquist mode are the same on the grid
        gain = gain * (abs(wave) < n // 2)
    return scipy.fft.irfftn(source * gain, s=shape)
