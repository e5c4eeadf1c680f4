"""Mock dust: random profiles for training, and a coherent cube for tests of maps.

A profile is A_V [mag] in each bin of distance, and its cumulative sum is A_V(d). The reference
study's profiles are one-dimensional Gaussian random fields (Cornu et al. 2022, arXiv:2201.05571).
The cube is a lognormal field in three dimensions: neighbouring sightlines agree.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import fft
from torch import Tensor

from skyloom.extinction.simulate import draws
from skyloom.extinction.simulate.galaxy import SUN_RADIUS, Place, place


@dataclass(frozen=True)
class Grid:
    """Bins of distance: their number and width [pc]."""

    bins: int = 100
    step: float = 100.0

    @property
    def edges(self) -> np.ndarray:
        """Far edges (bin,) [pc]: the distances of cumulative profiles."""
        return np.arange(1, self.bins + 1) * self.step

    @property
    def middle(self) -> np.ndarray:
        return self.edges - self.step / 2


@dataclass(frozen=True)
class Prior:
    """Of training profiles, wider than the sky on purpose.

    The sector l 257 to 303, abs(b) < 5 deg of a published map (Rybizki et al. 2020, 1.8 deg pixels)
    has 0.8 to 9.0 mag at 10 kpc (5 to 95 %); these profiles have 2.3 to 27 mag.

    slope : range of beta of the power k^-beta; spread : range of the deviation of ln density;
    median, scatter, largest : lognormal total A_V [mag], deviation of its ln, and a cap
    """

    slope: tuple[float, float] = (1.6, 3.2)
    spread: tuple[float, float] = (0.4, 2.0)
    median: float = 8.0
    scatter: float = 0.75
    largest: float = 40.0


DUST_HEIGHT, DUST_LENGTH = 125.0, 4200.0  # scales of the dust disc [pc]


def smooth_dust(at: Place) -> np.ndarray:
    """The dust disc without structure, over its density in the plane at the Sun's radius."""
    height = np.abs(at.warped) / DUST_HEIGHT
    return np.exp(-(at.radius - SUN_RADIUS) / DUST_LENGTH - height)


def mean_profile(longitude: float, latitude: float, grid: Grid) -> np.ndarray:
    """The dust disc (bin,) along a sightline [deg], of sum 1."""
    dust = smooth_dust(place(longitude, latitude, grid.middle))
    return dust / dust.sum()


# --- profiles for training ------------------------------------------------------------------------


def profiles(examples: Tensor, mean: Tensor, prior: Prior = Prior()) -> Tensor:
    """A_V in each bin (n, bin) [mag], a function of the seeds of the examples (n,).

    mean : (bin,) or (n, bin) of the smooth dust. Half of a profile, on average, follows it; the
        rest has no trend.
    """
    bins = mean.shape[-1]
    beta = _between(prior.slope, draws.uniform(examples, draws.SHAPE, 3)[:, :1])
    spread = _between(prior.spread, draws.uniform(examples, draws.SHAPE, 3)[:, 1:2])
    share = draws.uniform(examples, draws.SHAPE, 3)[:, 2:]
    base = share * mean / mean.sum(-1, keepdim=True) + (1 - share) / bins
    density = base * torch.exp(spread * random_fields(examples, bins, beta))
    total = prior.median * torch.exp(prior.scatter * draws.normal(examples, draws.TOTAL))
    return density / density.sum(1, keepdim=True) * total.clamp(max=prior.largest)


def random_fields(examples: Tensor, bins: int, beta: Tensor) -> Tensor:
    """Gaussian random fields (n, bin) of power k^-beta, with an ensemble variance of 1.

    beta (n, 1). The period is twice the length, so that the ends do not agree.
    """
    period = 2 * bins
    k = torch.arange(1, bins + 1, device=examples.device, dtype=torch.float32)
    amplitude = k ** (-beta / 2)
    # the last mode is real in a transform of real numbers
    amplitude[:, -1] = 0
    noise = draws.normal(examples, draws.FIELD, 2 * bins).view(-1, 2, bins)
    modes = torch.complex(noise[:, 0], noise[:, 1]) * amplitude
    modes = torch.cat([torch.zeros_like(modes[:, :1]), modes], 1)
    field = torch.fft.irfft(modes, period, dim=1)[:, :bins] * period
    return field / (4 * amplitude.square().sum(1, keepdim=True)).sqrt()


def _between(limits: tuple[float, float], share: Tensor) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * share


# --- a coherent sky -------------------------------------------------------------------------------

# Logarithmic spirals with a kink, Reid et al. 2019 (ApJ 885, 131), table 2: R of the kink [pc], its
# Galactocentric azimuth [deg, from the Sun towards l = 90], pitch angles below and above that
# azimuth [deg], width [pc]. Their R0 is 8150 pc. The mock sky continues them over all azimuths.
ARMS = {
    "Scutum-Centaurus": (4910.0, 23.0, 14.1, 12.1, 230.0),
    "Sagittarius-Carina": (6040.0, 24.0, 17.1, 1.0, 270.0),
    "Local": (8260.0, 9.0, 11.4, 11.4, 310.0),
    "Perseus": (8870.0, 40.0, 10.3, 8.7, 350.0),
    "Outer": (12240.0, 18.0, 3.0, 9.4, 650.0),
}
REID_RADIUS = 8150.0


@dataclass(frozen=True)
class CubeSettings:
    """voxels : along x, y, z; size : of a voxel [pc]; spread : deviation of ln density
    outer : scale above which the power is flat [pc]; slope : of the power in three dimensions
    arms : density in the middle of an arm over that between arms, less 1
    density : between arms in the plane at the Sun's radius [mag/kpc]
    """

    voxels: tuple[int, int, int] = (256, 256, 48)
    size: float = 50.0
    spread: float = 1.2
    outer: float = 1500.0
    slope: float = 11 / 3
    arms: float = 3.0
    density: float = 0.5


@dataclass(frozen=True)
class Cube:
    """A periodic lognormal field (x, y, z) of mean 1, x towards the centre, y to l = 90 deg."""

    field: np.ndarray
    settings: CubeSettings


def cube(settings: CubeSettings, rng: np.random.Generator) -> Cube:
    """A field of its own for each generator, float32."""
    shape, size = settings.voxels, settings.size
    axes = [fft.fftfreq(n, size) for n in shape[:2]] + [fft.rfftfreq(shape[2], size)]
    k2 = sum(k**2 for k in np.meshgrid(*axes, indexing="ij", sparse=True))
    amplitude = (k2 + settings.outer**-2) ** (-settings.slope / 4)
    amplitude[0, 0, 0] = 0
    noise = fft.rfftn(rng.standard_normal(shape, np.float32))
    field = fft.irfftn(noise * amplitude.astype(np.float32), shape)
    field = settings.spread * field / field.std()
    # exp has the mean 1 over the ensemble
    return Cube(np.exp(field - settings.spread**2 / 2).astype(np.float32), settings)


def sightlines(
    sky: Cube, longitude: np.ndarray, latitude: np.ndarray, grid: Grid, parts: int = 4
) -> np.ndarray:
    """A_V in each bin (sightline, bin) [mag] of directions (sightline,) [deg].

    parts : points of the integral in each bin
    """
    step = grid.step / parts
    distance = (np.arange(grid.bins * parts) + 0.5) * step
    at = place(np.asarray(longitude)[:, None], np.asarray(latitude)[:, None], distance)
    return (dust(sky, at) * step).reshape(len(at.z), grid.bins, parts).sum(2)


def dust(sky: Cube, at: Place) -> np.ndarray:
    """The density at places [mag/pc]: disc, arms and the lognormal field, linear between voxels."""
    where = SUN_RADIUS - at.x, at.y, at.z + sky.settings.voxels[2] * sky.settings.size / 2
    smooth = sky.settings.density * 1e-3 * smooth_dust(at)
    smooth = smooth * (1 + sky.settings.arms * arms(at))
    return smooth * _trilinear(sky.field, where, sky.settings.size)


def arms(at: Place) -> np.ndarray:
    """How near the middle of a spiral arm places are: 1 there, a Gaussian across the arm."""
    azimuth = np.degrees(np.arctan2(at.y, at.x))
    nearness = np.zeros(np.shape(azimuth))
    for radius, kink, below, above, width in ARMS.values():
        # one turn to either side reaches all radii of the disc
        for turn in (-360, 0, 360):
            angle = np.radians(azimuth + turn - kink)
            pitch = np.radians(np.where(angle < 0, below, above))
            middle = radius * SUN_RADIUS / REID_RADIUS * np.exp(-angle * np.tan(pitch))
            across = (at.radius - middle) * np.cos(pitch)
            nearness = np.maximum(nearness, np.exp(-0.5 * (across / width) ** 2))
    return nearness


def _trilinear(field: np.ndarray, where: tuple, size: float) -> np.ndarray:
    """Values of a periodic field between the middles of its voxels; where : x, y, z [pc]"""
    low, share = [], []
    for place_, n in zip(where, field.shape, strict=True):
        cell = place_ / size - 0.5
        floor = np.floor(cell)
        low.append((floor.astype(int) % n, (floor.astype(int) + 1) % n))
        share.append((1 - (cell - floor), cell - floor))
    total = 0
    for x in (0, 1):
        for y in (0, 1):
            for z in (0, 1):
                weight = share[0][x] * share[1][y] * share[2][z]
                total = total + weight * field[low[0][x], low[1][y], low[2][z]]
    return total
