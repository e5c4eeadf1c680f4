"""Shapes of radio sources, on a grid of pixels.

Every shape is a surface brightness of peak 1 on the box `Box` around it. Lengths are in pixels.
Most are chains of Gaussians along a curve: each is a product of a function of y and one of x, so
that a chain is a product of two small matrices.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import fft

Rng = np.random.Generator
# How far a shape is drawn: the brightest source, a thousand times the noise, is below it there
REACH = 5.0  # of a Gaussian, in standard deviations
FOLDS = 10.0  # of an exponential, in e-folding radii
WING = 0.01  # of its peak: a source with no more of it in the image lies outside


class Box(NamedTuple):
    """Part of an image: first row and column, and values (y, x)."""

    y: int
    x: int
    values: np.ndarray


def chain(
    y: np.ndarray, x: np.ndarray, width: np.ndarray, brightness: np.ndarray, side: int
) -> Box | None:
    """Gaussians at (y, x) of deviations `width`, on an image of `side`; None outside of it."""
    reach = REACH * width
    y0, y1 = int(max(0, (y - reach).min())), int(min(side, (y + reach).max() + 2))
    x0, x1 = int(max(0, (x - reach).min())), int(min(side, (x + reach).max() + 2))
    if y0 >= y1 or x0 >= x1:
        return None
    rows = np.exp(-0.5 * ((np.arange(y0, y1) - y[:, None]) / width[:, None]) ** 2)
    columns = np.exp(-0.5 * ((np.arange(x0, x1) - x[:, None]) / width[:, None]) ** 2)
    return _peak_one(y0, x0, (brightness[:, None] * rows).T @ columns, brightness.max())


def texture(shape: tuple[int, int], index: float, rng: Rng) -> np.ndarray:
    """Gaussian random field (y, x) of mean 0 and variance 1 with the power spectrum k^index."""
    ky, kx = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])
    k = np.hypot(ky, kx)
    k[0, 0] = np.inf
    field = fft.irfft2(
        fft.rfft2(rng.standard_normal(shape, np.float32)) * k ** (index / 2), s=shape
    )
    return ((field - field.mean()) / max(field.std(), 1e-12)).astype(np.float32)


# --- diffuse emission -----------------------------------------------------------------------------


def halo(y: float, x: float, radius: float, side: int, rng: Rng) -> Box | None:
    """Elliptical exponential of e-folding radius `radius` with a substructure.

    A single exponential holds beyond 2 Mpc (arXiv:2505.05415).
    """
    ratio, angle = rng.uniform(0.5, 1.0), rng.uniform(0, np.pi)

    def values(dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        along, across = _turned(dy, dx, angle)
        distance = np.hypot(along, across / ratio) / radius
        return np.exp(-distance) * np.exp(0.35 * texture(distance.shape, -3.0, rng))

    return _drawn(y, x, FOLDS * radius, side, values)


def relic(y: float, x: float, length: float, side: int, rng: Rng, angle: float) -> Box | None:
    """Arc with a sharp outer edge and an exponential decline inwards.

    y, x : of its middle; angle : direction of its outward normal [rad]
    """
    curvature = length * rng.uniform(0.8, 3.0)  # radius of the arc
    half = length / 2 / curvature
    width, edge = length * rng.uniform(0.06, 0.16), rng.uniform(0.5, 1.0)

    def values(dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        out, side_ways = _turned(dy, dx, angle)
        out = out + curvature
        inwards = curvature - np.hypot(out, side_ways)
        turn = np.arctan2(side_ways, out) / half
        profile = np.exp(-inwards.clip(0) / width) / (1 + np.exp((-inwards / edge).clip(-30, 30)))
        return profile * np.exp(-(turn**4)) * np.exp(0.5 * texture(turn.shape, -2.5, rng))

    return _drawn(y, x, 0.9 * length + 4 * width, side, values)


def bridge(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    """A bent ridge between two clusters, of flat brightness along its length."""
    return ridge(y, x, length, length * rng.uniform(0.12, 0.3), 0.15, side, rng)


def filament(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    """A long thin ridge that wanders."""
    return ridge(y, x, length, length * rng.uniform(0.03, 0.08), 0.5, side, rng)


def ridge(
    y: float, x: float, length: float, width: float, bend: float, side: int, rng: Rng
) -> Box | None:
    """Gaussians along a curve, whose direction is a random walk of `bend` [rad] over its length."""
    count = max(12, int(2 * length / max(width, 0.5)))
    path = _path(y, x, rng.uniform(0, 2 * np.pi), length, count, bend, rng)
    place = np.linspace(-1, 1, count)
    patchy = np.exp(0.4 * _walk(count, rng))
    return chain(*path, np.full(count, width / 2), np.exp(-(place**4)) * patchy, side)


# --- radio galaxies -------------------------------------------------------------------------------


def fr1(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    """Two plumes that widen and fade from the core."""
    count, angle, bend = 24, rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.6)
    place = np.linspace(0, 1, count)
    fade = rng.uniform(0.2, 0.5)
    arms = [
        _arm(y, x, angle + turn, length / 2, place, bend, rng.uniform(0.03, 0.08) * length, rng)
        for turn in (0, np.pi)
    ]
    ratio = rng.uniform(0.4, 1.0)  # of the fainter jet
    bright = [np.exp(-place / fade), ratio * np.exp(-place / fade)]
    return _joined(*_with_core(arms, bright, y, x, rng.uniform(1, 6)), side)


def fr2(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    """Two lobes that end in hotspots."""
    angle = rng.uniform(0, 2 * np.pi)
    lobes = _lobes(y, x, angle, length, rng.uniform(0.5, 1.0), rng)
    return _joined(*_with_core(*lobes, y, x, rng.uniform(0, 2)), side)


def double_double(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    """An inner pair of lobes in an outer, older one."""
    angle = rng.uniform(0, 2 * np.pi)
    outer, inner = (
        _lobes(y, x, angle, size, hot, rng)
        for size, hot in ((length, 0.2), (length * rng.uniform(0.25, 0.5), 1.0))
    )
    faint = [rng.uniform(0.2, 0.5) * brightness for brightness in outer[1]]
    parts = outer[0] + inner[0], faint + inner[1]
    return _joined(*_with_core(*parts, y, x, rng.uniform(0, 2)), side)


def tail(
    y: float, x: float, length: float, side: int, rng: Rng, opening: float = 0.3
) -> Box | None:
    """A head and two tails swept back; opening : angle between them [rad]."""
    count, angle = 28, rng.uniform(0, 2 * np.pi)
    place, fade = np.linspace(0, 1, count), rng.uniform(0.25, 0.6)
    arms = [
        _arm(y, x, angle + turn, length, place, 0.4, rng.uniform(0.02, 0.05) * length, rng)
        for turn in (-opening / 2, opening / 2)
    ]
    bright = [np.exp(-place / fade)] * 2
    return _joined(*_with_core(arms, bright, y, x, rng.uniform(1, 6)), side)


def wide_tail(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    return tail(y, x, length / 2, side, rng, rng.uniform(1.0, 2.4))


def remnant(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    """Relaxed lobes without core, jets and hotspots."""
    return _joined(*_lobes(y, x, rng.uniform(0, 2 * np.pi), length, 0.0, rng), side)


def spiral(y: float, x: float, length: float, side: int, rng: Rng) -> Box | None:
    """A star-forming disc with a nucleus and two arms."""
    ratio, angle, pitch = rng.uniform(0.2, 1.0), rng.uniform(0, np.pi), rng.uniform(2, 5)
    radius = length / 6

    def values(dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
        along, across = _turned(dy, dx, angle)
        across = across / ratio
        distance = np.hypot(along, across) / radius + 1e-3
        phase = 2 * np.arctan2(across, along) - pitch * np.log(distance)
        core = 2 * np.exp(-((distance / 0.2) ** 2))
        return np.exp(-distance) * (1 + 0.8 * np.cos(phase)) + core

    return _drawn(y, x, FOLDS * radius, side, values)


# --- parts ----------------------------------------------------------------------------------------


def _drawn(
    y: float, x: float, reach: float, side: int, values: Callable[..., np.ndarray]
) -> Box | None:
    """A function of the distances from (y, x), within `reach`, on an image of (side, side)."""
    y0, y1 = int(max(0, y - reach)), int(min(side, y + reach + 1))
    x0, x1 = int(max(0, x - reach)), int(min(side, x + reach + 1))
    if y1 - y0 < 2 or x1 - x0 < 2:
        return None
    dy, dx = np.arange(y0, y1)[:, None] - y, np.arange(x0, x1) - x
    return _peak_one(y0, x0, values(dy, dx), 1.0)


def _peak_one(y: int, x: int, values: np.ndarray, whole: float) -> Box | None:
    """The box with a peak of 1; None where it is the wing of a source outside of the image.

    whole : peak of the source
    """
    peak = values.max()
    return Box(y, x, (values / peak).astype(np.float32)) if peak > WING * whole else None


def _turned(dy: np.ndarray, dx: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances along and across the direction `angle`, counted from x towards y [rad]."""
    cos, sin = np.cos(angle), np.sin(angle)
    return dx * cos + dy * sin, dy * cos - dx * sin


def _walk(count: int, rng: Rng) -> np.ndarray:
    """A smooth random function (count,) of variance about 1."""
    waves = np.arange(1, 5)
    amplitude, phase = rng.standard_normal(4) / waves**0.5, rng.uniform(0, 2 * np.pi, 4)
    place = np.linspace(0, np.pi, count)[:, None]
    return (amplitude * np.sin(waves * place + phase)).sum(1)


def _path(
    y: float, x: float, angle: float, length: float, count: int, bend: float, rng: Rng
) -> tuple[np.ndarray, np.ndarray]:
    """Points of a curve of `length` around (y, x), whose direction is `angle` on average."""
    direction = angle + bend * _walk(count, rng)
    step = length / count
    dy, dx = (np.cumsum(f(direction)) * step for f in (np.sin, np.cos))
    return y + dy - dy.mean(), x + dx - dx.mean()


def _arm(
    y: float,
    x: float,
    angle: float,
    length: float,
    place: np.ndarray,
    bend: float,
    width: float,
    rng: Rng,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points and widths of a jet that begins at (y, x) and widens to `width`."""
    direction = angle + rng.uniform(-bend, bend) * place
    step = length / len(place)
    along_y, along_x = (np.cumsum(f(direction)) * step for f in (np.sin, np.cos))
    return y + along_y, x + along_x, width * (0.25 + 0.75 * place)


def _lobes(
    y: float, x: float, angle: float, length: float, hot: float, rng: Rng
) -> tuple[list[tuple], list[np.ndarray]]:
    """Chains of two lobes and their brightness; hot : share of the hotspots' brightness."""
    count, parts, brightness = 16, [], []
    place, backflow = np.linspace(0, 1, count), rng.uniform(0.3, 0.9)
    for turn in (0, np.pi):
        reach = length / 2 * rng.uniform(0.8, 1.2)
        towards = angle + turn + rng.uniform(-0.15, 0.15)
        distance = reach * (1 - backflow * place)
        width = np.full(count, length * rng.uniform(0.025, 0.06)) * (0.6 + 0.4 * place)
        parts.append((y + distance * np.sin(towards), x + distance * np.cos(towards), width))
        brightness.append(rng.uniform(0.6, 1.0) * np.exp(-place * rng.uniform(0.3, 1.5)))
        if hot:
            spot = min(length * 0.02, 2.0)
            tip = reach * np.sin(towards), reach * np.cos(towards)
            parts.append((np.array([y + tip[0]]), np.array([x + tip[1]]), np.array([spot])))
            brightness.append(np.array([hot * np.exp(rng.uniform(*np.log((4, 30))))]))
    return parts, brightness


def _with_core(
    parts: list[tuple], brightness: list[np.ndarray], y: float, x: float, core: float
) -> tuple[list[tuple], list[np.ndarray]]:
    """The parts of a galaxy and its core, `core` times as bright as the brightest chain begins."""
    at = (np.array([y]), np.array([x]), np.array([0.5]))
    return [*parts, at], [*brightness, np.array([core])]


def _joined(parts: list[tuple], brightness: list[np.ndarray], side: int) -> Box | None:
    y, x, width = (np.concatenate(values) for values in zip(*parts, strict=True))
    return chain(y, x, width.clip(0.5), np.concatenate(brightness), side)
