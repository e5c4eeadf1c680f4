"""Column maps cut into images of log N with their split, which goes by simulation.

Three variants, each a set of its own: `standardised` per image, the headline, since no observer knows the amplitude
that belongs to a Mach number and a time; `raw`, on one scale for all images; and either of them low-passed to the band
in which the solver is converged. All views of one simulation (three axes, the parts of each) stay in one split.
"""

import numpy as np
import xarray as xr

from skyloom.cli import BadInput

SPLITS = ("train", "valid", "test")
KEPT = ("seed", "index", "mach", "time_myr")  # what is known of a simulation, said of each of its images
VARIANTS = ("standardised", "raw")


def cut_images(columns: xr.Dataset, settings: dict) -> xr.Dataset:
    """All images of a file of column maps, those of failed simulations left out.

    Parameters
    ----------
    columns : contract of `skyloom.turbulence.columns`: `column`, `centroid` (simulation, axis, y, x), `ok`
    settings : `parts`, images along a side of a map (2: quarters); `variant`; `lowpass`, the largest wave number that
        is kept [cycles a box] or None; `valid_share`, `test_share` of the simulations; `seed` of the split

    Returns
    -------
    `image (example, y, x)` float32: log10(N / <N>) [dex], `standardised` to mean 0 and deviation 1 of each image;
    `centroid` likewise standardised [km/s before]. Of each: `simulation`, `axis`, `part`, `split`, and `KEPT`.

    Raises
    ------
    BadInput : a map that the parts do not divide, an unknown variant, N <= 0, no simulation left in a split
    """
    if settings["variant"] not in VARIANTS:
        raise BadInput(f"config: images: variant is {settings['variant']!r}; expected one of {', '.join(VARIANTS)}")
    good = np.flatnonzero(columns["ok"].values)
    contrast, centroid = (columns[name].values[good].astype(np.float64) for name in ("column", "centroid"))
    if not (contrast > -1).all():
        seed = columns["seed"].values[good][~(contrast > -1).all((1, 2, 3))][0]
        raise BadInput(
            f"column maps: the simulation of seed {seed} has N <= 0 or NaN; expected a positive column density"
        )
    maps = {"image": np.log10(1 + contrast), "centroid": centroid}
    if settings["lowpass"] is not None:
        maps = {name: lowpassed(values, settings["lowpass"]) for name, values in maps.items()}
    images = {name: parted(values, settings["parts"]) for name, values in maps.items()}
    standardise = {"image": settings["variant"] == "standardised", "centroid": True}
    images = {name: standardised(values) if standardise[name] else values for name, values in images.items()}

    axes, parts = contrast.shape[1], settings["parts"] ** 2
    simulation, axis, part = (a.ravel() for a in np.indices((len(good), axes, parts)))
    known = {name: columns[name].values[good] for name in KEPT}
    split = splits(known["index"], settings)
    flags = {"flag_values": np.arange(len(SPLITS), dtype=np.int8), "flag_meanings": " ".join(SPLITS)}
    units = {"image": "1" if standardise["image"] else "dex", "centroid": "1"}
    return xr.Dataset(
        {
            name: (("example", "y", "x"), values.astype(np.float32), {"units": units[name]})
            for name, values in images.items()
        },
        coords={
            **{name: ("example", values[simulation]) for name, values in known.items()},
            "simulation": ("example", simulation),
            "axis": ("example", axis),
            "part": ("example", part),
            "split": ("example", split[simulation], flags),
        },
        attrs=columns.attrs | {key: "none" if value is None else value for key, value in settings.items()},
    )


def parted(maps: np.ndarray, parts: int) -> np.ndarray:
    """(simulation, axis, y, x) -> (simulation * axis * parts**2, y / parts, x / parts), row by row."""
    *_, ny, nx = maps.shape
    if ny % parts or nx % parts:
        raise BadInput(f"config: images: parts is {parts}; expected a divisor of the maps' {ny} x {nx} pixels")
    shape = (-1, parts, ny // parts, parts, nx // parts)
    return maps.reshape(shape).swapaxes(2, 3).reshape(-1, ny // parts, nx // parts)


def standardised(images: np.ndarray) -> np.ndarray:
    """Each image less its mean, over its standard deviation; a flat one, which has no structure, stays zero."""
    images = images - images.mean((-2, -1), keepdims=True)
    deviation = images.std((-2, -1), keepdims=True)
    return np.divide(images, deviation, out=np.zeros_like(images), where=deviation > 0)


def lowpassed(maps: np.ndarray, k: float) -> np.ndarray:
    """Periodic maps (..., y, x) without the wave numbers above `k` [cycles a box]."""
    ny, nx = maps.shape[-2:]
    wave = np.hypot(np.fft.fftfreq(ny, 1 / ny)[:, None], np.fft.rfftfreq(nx, 1 / nx))
    return np.fft.irfft2(np.fft.rfft2(maps) * (wave <= k), s=(ny, nx))


def splits(index: np.ndarray, settings: dict) -> np.ndarray:
    """Code of `SPLITS` of each simulation: shares of each class where indices repeat, else of all of them.

    The classes keep their shares in every split, so that an accuracy of 0.5 is chance.
    """
    random = np.random.default_rng(settings["seed"])
    values = np.unique(index)
    of_class = np.searchsorted(values, index) if len(values) <= len(index) // 4 else np.zeros(len(index), int)
    code = np.zeros(len(index), np.int8)
    for name in np.unique(of_class):
        mine = random.permutation(np.flatnonzero(of_class == name))
        bounds = np.cumsum([settings["test_share"], settings["valid_share"]]) * len(mine)
        test, valid = np.split(mine, np.rint(bounds).astype(int))[:2]
        code[valid], code[test] = 1, 2
    for number, name in enumerate(SPLITS):
        if not (code == number).any():
            raise BadInput(
                f"config: images: no simulation of {len(index)} is left for the split '{name}'; expected more"
                f" simulations, or other shares than {settings['valid_share']} and {settings['test_share']}"
            )
    return code
