"""A simulated field: diffuse emission, radio galaxies and points, seen by an interferometer.

The sky is drawn in units of the receivers' noise. Peaks of diffuse emission span a factor of a
thousand, and sizes and fluxes overlap those of galaxies: brightness is not the cue. What is called
diffuse is stated in units of the noise that is measured in the image: faint points and sidelobes
raise it to up to three times that of the receivers, and a real image tells no other.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from skyloom.radio.data import noise
from skyloom.radio.simulate import components, counts, instrument, maps
from skyloom.radio.simulate.components import Box
from skyloom.radio.simulate.instrument import Response
from skyloom.radio.simulate.maps import Placement

CLASSES = ("none", "diffuse", "galaxy", "artefact")
NONE, DIFFUSE, GALAXY, ARTEFACT = range(4)
INVALID = 255
UJY = 1e-6  # [Jy]
MARGIN = 16  # sky beyond an edge, whose emission reaches into the image [pixel]
PAD = 48  # empty sky beyond it, for the sidelobes of the dirty beam [pixel]
BANK = 16  # instruments of a set
DECLINATIONS = 0.0, 75.0  # [deg]
KINDS = {"halo": 0.35, "mini_halo": 0.1, "relic": 0.2, "relics": 0.1, "bridge": 0.1}
KINDS |= {"filament": 0.15}
# Radio galaxies of LoTSS-DR1 by type: share, and 10, 50 and 90 % of size ["] and flux [mJy]
# (Mingo+ 2019, MNRAS 488, 2701; measured in their catalogue). Types without numbers there have
# those of their likes, at a low rate.
GALAXIES = {
    "fr1": (0.44, (23, 36, 99), (6, 27, 183)),
    "fr2": (0.2, (28, 60, 148), (3, 56, 840)),
    "tail": (0.12, (41, 53, 89), (5, 30, 200)),
    "wide_tail": (0.1, (45, 78, 139), (5, 54, 300)),
    "double_double": (0.05, (60, 120, 300), (10, 60, 400)),
    "remnant": (0.03, (40, 80, 160), (5, 30, 150)),
    "giant": (0.03, (150, 250, 500), (20, 100, 500)),
    "spiral": (0.03, (20, 35, 80), (2, 10, 60)),
}
DECILE = 1.2816  # of a normal distribution
BRIGHT = 100.0  # [noise/beam] from which on a source has artefacts
ARTEFACT_CAP = 8.0  # [noise] of what remains of a bright source's beam
ARTEFACT_LEAST = 2.0  # [measured noise] of that, from which on a pixel is an artefact


@dataclass(frozen=True)
class Field:
    """image [Jy/beam], diffuse [measured noise/beam] without noise, label (CLASSES or INVALID),
    (y, x).

    levels : background and noise of the image; beam : FWHM [pixel]; beam_arcsec : FWHM ["];
    places : (y, x) of the middle of each diffuse source, and its kind
    """

    image: np.ndarray
    diffuse: np.ndarray
    label: np.ndarray
    levels: noise.Levels
    beam: float
    beam_arcsec: float
    places: list[tuple[float, float, str]]


def draw(settings: dict, rng: np.random.Generator, confusers: bool = True) -> Field:
    """One field.

    settings : `pixels` along a side; `beams` ["], one of which is drawn; `beam_pixels`, least and
        most pixels in a beam; `diffuse`, `galaxies` and `bright`, their mean numbers in 128^2
        pixels; `peak`, least and most peak of diffuse emission [noise]; `noise_ujy`, least and
        most noise; `mask_sigma`, brightness from which on a pixel is diffuse or of a galaxy
        [measured noise/beam]; `borders`, share of fields with unobserved pixels; `bank`, seed of
        the instruments; `maps`, radio power of simulations, each the arguments of `maps.read_map`;
        `map_share`, share of the diffuse sources that are of maps where there are such;
        `redshift`, least and most, and `spectral_index` of these; `peak_share`, share of the radio
        galaxies on a map with a density that sit on its peaks
    confusers : whether there are extended radio galaxies
    """
    side = settings["pixels"] + 2 * MARGIN
    seen, beam_arcsec = _instrument(
        settings, int(rng.integers(BANK)), fft.next_fast_len(side + PAD)
    )
    pixel = beam_arcsec / seen.beam  # ["]
    noise_ujy = np.exp(rng.uniform(*np.log(settings["noise_ujy"])))
    area = (settings["pixels"] / 128) ** 2
    number = rng.poisson(settings["diffuse"] * area)
    diffuse, places, hosts = _diffuse(settings, number, seen, pixel, noise_ujy, rng)
    galaxies = np.zeros_like(diffuse)
    for _ in range(rng.poisson(settings["galaxies"] * area) if confusers else 0):
        near = places[rng.integers(len(places))] if places and rng.random() < 0.3 else None
        _add_galaxy(galaxies, pixel, noise_ujy, near, hosts, settings["peak_share"], rng)
    points = _points(side, pixel, noise_ujy, rng.poisson(settings["bright"] * area), rng)
    sky = instrument.smooth(np.stack([diffuse, galaxies, points]), seen)
    artefacts = _artefacts(sky[1:].sum(0), seen, rng)
    image = instrument.observe(diffuse + galaxies + points, seen, rng) + artefacts
    image, artefacts, sky = (_inner(a) for a in (image, artefacts, sky))
    if rng.random() < settings["borders"]:
        image[_border(settings["pixels"], rng)] = np.nan
    image = (image * float(noise_ujy) * UJY).astype(np.float32)
    levels, whole = noise.levels(image, seen.beam), slice(0, settings["pixels"])
    measured = levels.on(whole, whole)[1] / float(noise_ujy * UJY)  # over that of the receivers
    sky, artefacts = sky / measured, artefacts / measured
    label = labels(sky[0], sky[1], artefacts, settings["mask_sigma"])
    label[np.isnan(image)] = INVALID
    places = [(y - MARGIN, x - MARGIN, kind) for y, x, kind in places]
    return Field(image, sky[0], label, levels, seen.beam, beam_arcsec, places)


def labels(
    diffuse: np.ndarray, galaxies: np.ndarray, artefacts: np.ndarray, least: float
) -> np.ndarray:
    """Class of each pixel from brightness without noise [measured noise/beam], uint8.

    least : from which on a pixel is diffuse or of a galaxy
    """
    label = np.full(diffuse.shape, NONE, np.uint8)
    label[abs(artefacts) > ARTEFACT_LEAST] = ARTEFACT
    label[(galaxies > least) & (galaxies > diffuse)] = GALAXY
    label[(diffuse > least) & (diffuse >= galaxies)] = DIFFUSE
    return label


def _inner(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values[..., MARGIN:-MARGIN, MARGIN:-MARGIN])


@lru_cache(maxsize=4 * BANK)
def _banked(
    seed: int, number: int, grid: int, beams: tuple, beam_pixels: tuple
) -> tuple[Response, float]:
    rng = np.random.default_rng((seed, number))
    wanted, size = rng.choice(beams), rng.uniform(*beam_pixels)
    # as much sky at each declination
    sines = rng.uniform(*np.sin(np.radians(DECLINATIONS)))
    place = np.degrees(np.arcsin(sines)), rng.uniform(-1, 1)
    seen = instrument.response(grid, float(wanted), float(size), *map(float, place))
    return seen, float(wanted * seen.beam / size)


def _instrument(settings: dict, number: int, grid: int) -> tuple[Response, float]:
    """One instrument of the set's bank, and its beam ["]."""
    beams, beam_pixels = tuple(settings["beams"]), tuple(settings["beam_pixels"])
    return _banked(settings["bank"], number, grid, beams, beam_pixels)


# --- the sky --------------------------------------------------------------------------------------


def _add(sky: np.ndarray, box: Box | None, factor: float) -> None:
    if box is not None:
        height, width = box.values.shape
        sky[box.y : box.y + height, box.x : box.x + width] += factor * box.values


def _diffuse(
    settings: dict,
    number: int,
    seen: Response,
    pixel: float,
    noise_ujy: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list, list[Placement]]:
    """Sky [noise/pixel] of `number` diffuse sources, their places, and those of maps with a
    density.
    """
    pixels = settings["pixels"]
    side = pixels + 2 * MARGIN
    sky, places, hosts, names = np.zeros((side, side), np.float32), [], [], list(KINDS)
    for name in rng.choice(names, number, p=np.array([*KINDS.values()]) / sum(KINDS.values())):
        y, x = rng.uniform(MARGIN, MARGIN + pixels, 2)
        if settings["maps"] and rng.random() < settings["map_share"]:
            box, placement = _mapped(settings, y, x, pixel, side, rng)
            _add(sky, box, 1e6 / noise_ujy)
            if placement and placement.found.peaks is not None:
                hosts.append(placement)
            places.append((float(y), float(x), "map"))
            continue
        peak = np.exp(rng.uniform(*np.log(settings["peak"]))) / seen.area
        for box in _shapes(name, y, x, pixel, seen.beam, pixels, rng):
            _add(sky, box, peak * rng.uniform(0.6, 1.0))
        places.append((float(y), float(x), str(name)))
    return sky, places, hosts


def _mapped(
    settings: dict, y: float, x: float, pixel: float, side: int, rng: np.random.Generator
) -> tuple[Box | None, Placement | None]:
    """One of the maps at a redshift of the set: flux [Jy] of pixels, and where it lies."""
    found = maps.read_map(**settings["maps"][rng.integers(len(settings["maps"]))])
    # a few redshifts, whose distances are kept
    z = float(np.round(rng.uniform(*settings["redshift"]), 3))
    placement = maps.placed(found, z, y, x, pixel, side, rng)
    if placement is None:
        return None, None
    return maps.flux(placement, z, settings["spectral_index"], side), placement


def _shapes(
    name: str, y: float, x: float, pixel: float, beam: float, pixels: int, rng: np.random.Generator
) -> list[Box | None]:
    """Boxes of one diffuse source; pixels : the largest that fits is a part of it."""
    side, largest = pixels + 2 * MARGIN, 0.6 * min(pixels, 160)

    def length(least: float, most: float) -> float:
        """Log-uniform between two lengths ["], in pixels, at least two beams."""
        size = np.exp(rng.uniform(np.log(least), np.log(most))) / pixel
        return float(np.clip(size, 2 * beam, largest))

    if name in ("halo", "mini_halo"):
        ends = (30, 130) if name == "halo" else (10, 30)
        return [components.halo(y, x, length(*ends) / 2, side, rng)]
    if name == "bridge":
        return [components.bridge(y, x, length(60, 300), side, rng)]
    if name == "filament":
        return [components.filament(y, x, 1.5 * length(100, 400), side, rng)]
    angle, size = rng.uniform(0, 2 * np.pi), length(60, 300)
    if name == "relic":
        return [components.relic(y, x, size, side, rng, angle)]
    apart = 0.6 * size
    return [
        components.relic(
            y + sign * apart * np.sin(angle),
            x + sign * apart * np.cos(angle),
            size * rng.uniform(0.6, 1),
            side,
            rng,
            angle + (np.pi if sign < 0 else 0),
        )
        for sign in (-1, 1)
    ]


def _add_galaxy(
    sky: np.ndarray,
    pixel: float,
    noise_ujy: float,
    near: tuple | None,
    hosts: list[Placement],
    peak_share: float,
    rng: np.random.Generator,
) -> None:
    """Add a radio galaxy [noise/pixel], within a diffuse source where `near` is one.

    hosts : maps with a density, on whose peaks `peak_share` of the galaxies on them sit
    """
    names, side = list(GALAXIES), sky.shape[0]
    name = rng.choice(names, p=[GALAXIES[n][0] for n in names])
    size, flux = (_lognormal(GALAXIES[name][k], rng) for k in (1, 2))
    y, x = near[:2] + rng.normal(0, 6, 2) if near else rng.uniform(MARGIN, side - MARGIN, 2)
    # moved after it is drawn: fields without such maps keep their random numbers
    held = [placement for placement in hosts if placement.holds(y, x)]
    if held and rng.random() < peak_share:
        y, x = held[rng.integers(len(held))].on_peak(side, rng) or (y, x)
    shape = getattr(components, {"giant": "fr2"}.get(name, name))
    box = shape(y, x, float(np.clip(size / pixel, 4, 0.9 * min(side, 192))), side, rng)
    if box is not None:
        _add(sky, box, flux * 1e3 / noise_ujy / max(box.values.sum(), 1e-6))


def _lognormal(deciles: tuple[float, float, float], rng: np.random.Generator) -> float:
    """From the 10, 50 and 90 % of a distribution, whose sides have widths of their own."""
    low, middle, high = np.log(deciles)
    deviate = rng.standard_normal()
    width = (high - middle if deviate > 0 else middle - low) / DECILE
    return float(np.exp(middle + width * np.clip(deviate, -2.5, 2.5)))


def _points(
    side: int, pixel: float, noise_ujy: float, bright: int, rng: np.random.Generator
) -> np.ndarray:
    """Sky [noise/pixel] of point sources by their counts, and of `bright` ones more."""
    flux = counts.draw((side * pixel / 3600) ** 2, rng) * 1e3 / noise_ujy
    flux = np.append(flux, np.exp(rng.uniform(*np.log((100, 5000)), bright)))
    sky = np.zeros((side, side), np.float32)
    y, x = rng.uniform(0, side - 1, (2, len(flux)))
    row, column = y.astype(int), x.astype(int)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = abs(1 - dy - (y - row)) * abs(1 - dx - (x - column))
        np.add.at(sky, (row + dy, column + dx), (share * flux).astype(np.float32))
    return sky


# --- what the instrument adds ---------------------------------------------------------------------


def _artefacts(sources: np.ndarray, seen: Response, rng: np.random.Generator) -> np.ndarray:
    """Rings and spokes around bright sources [noise], as calibration errors leave them.

    sources : brightness of galaxies and points [noise/beam]
    """
    image, side = np.zeros_like(sources), sources.shape[0]
    if sources.max() < BRIGHT:
        return image
    psf = fft.irfft2(seen.dirty, s=(seen.grid,) * 2)
    left = sources.copy()
    dy, dx = np.arange(side)[:, None], np.arange(side)
    for _ in range(3):
        y, x = np.unravel_index(left.argmax(), left.shape)
        peak = left[y, x]
        if peak < BRIGHT:
            break
        level = peak * np.exp(rng.uniform(*np.log((0.003, 0.02))))
        distance = np.hypot(dy - y, dx - x) / seen.beam
        rings = psf[(dy - y) % seen.grid, (dx - x) % seen.grid] * 8
        spokes = np.cos(rng.integers(2, 7) * np.arctan2(dy - y, dx - x) + rng.uniform(0, 2 * np.pi))
        fade = np.exp(-distance / rng.uniform(2, 6)) * (distance > 1)
        pattern = level * (rings * (distance > 1) + rng.uniform(0, 1) * spokes * fade)
        image += ARTEFACT_CAP * np.tanh(pattern / ARTEFACT_CAP)
        left[distance < 3] = 0
    return image.astype(np.float32)


def _border(pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Unobserved pixels beyond a straight line that leaves more than half of the image."""
    y, x = np.mgrid[:pixels, :pixels] - (pixels - 1) / 2
    angle = rng.uniform(0, 2 * np.pi)
    return y * np.sin(angle) + x * np.cos(angle) > rng.uniform(0.1, 0.5) * pixels
