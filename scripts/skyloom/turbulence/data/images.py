"""Column maps of one or several families cut into images of log N, with nuisances and a split.

There are two variants, each in sets of its own. `standardised` images have mean 0 and deviation 1,
since the amplitude that belongs to a Mach number and a time is not observable: this is the headline
variant. `raw` images share one scale. Both may be low-passed to the band in which the solver is
converged, blurred, magnified and given noise.

All views of one simulation (three axes, the parts of each) are in one split. A seed is in one split
in every set of the same shares.
"""

import math
import random
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates

from skyloom.cli import BadInput
from skyloom.patchset import SPLITS, flags
from skyloom.turbulence import NEIGHBOURS
from skyloom.turbulence.physics import SIZE_TOLERANCE

# properties of a simulation, copied to each of its images
PROPERTIES = ("seed", "index", "mach", "time_myr")
VARIANTS = ("standardised", "raw")
FIELDS = {"column": "dex", "centroid": "km/s"}
# Nuisances and their values without effect. A setting is a number or {low, high, share}.
NUISANCES = {"zoom": 1, "blur_pixels": 0, "noise": 0}
# Settings that assume periodic maps, and their values without effect.
PERIODIC = {name: NUISANCES[name] for name in ("zoom", "blur_pixels")} | {"lowpass": None}
# first of the seeds that replace those of a source without seeds
UNKNOWN = 2**32
# multiples modulo 1 fill an interval more evenly than random numbers
GOLDEN = (math.sqrt(5) - 1) / 2


def cut_images(families: dict[str, xr.Dataset], settings: dict) -> xr.Dataset:
    """All images of the column maps of some families. Failed simulations are left out.

    Parameters
    ----------
    families : name -> contract of `skyloom.turbulence.read.columns`: `column`, `centroid`
        (simulation, axis, y, x), `ok`
    settings : the keys of the table

    | key | meaning |
    |---|---|
    | `field` | `column` or `centroid` |
    | `parts` | images along a side of a map (2: quarters) |
    | `variant` | `standardised` or `raw` |
    | `lowpass` | largest wave number that is kept [cycles a box], None: all |
    | `zoom` | 2: the middle half of a part, magnified; 0.5: the part and its surroundings |
    | `blur_pixels` | sigma of a Gaussian beam [pixels of the image] |
    | `noise` | deviation of white noise over that of the image |
    | `valid_share`, `test_share` | shares of the simulations |
    | `train_simulations` | number of training simulations, None: all |
    | `seed` | of the split and of the nuisances |
    | `classes` | the two indices of the classes, where the simulations do not have exactly two |

    Returns
    -------
    `image (example, y, x)` float32: log10(N / <N>) [dex] or centroid [km/s]. A standardised image
    has mean 0 and deviation 1 [1]. In the variant `raw` the attribute `scale` is the deviation of
    the training images. `target (example)` float32: the index. Coordinates of each example:
    `simulation`, `family`, `axis`, `part`, `split`, `PROPERTIES`, and the values of nuisances that
    vary.

    Raises
    ------
    BadInput : families of different pixels or axes; a map that the parts do not divide; unknown
        settings; N <= 0; an unknown index, except in maps, where it is NaN; a split without
        simulations; a filter that would wrap around maps with edges
    """
    for key, choices in (("variant", VARIANTS), ("field", FIELDS)):
        if settings[key] not in choices:
            raise BadInput(
                f"config: images: {key} is {settings[key]!r}; expected one of {', '.join(choices)}"
            )
    tables = {name: simulations_of(name, columns) for name, columns in families.items()}
    _refuse_edges(families, settings)
    side = _common(families, "pixels", lambda data: data.sizes["x"])
    if side % settings["parts"]:
        expected = f"expected a divisor of the maps' {side} x {side} pixels"
        raise BadInput(f"config: images: parts is {settings['parts']}; {expected}")
    axes, parts = _common(families, "axes", lambda data: data.sizes["axis"]), settings["parts"] ** 2
    properties = {
        key: np.concatenate([table[key] for table in tables.values()])
        for key in next(iter(tables.values()))
    }
    count = len(properties["seed"])
    family = np.repeat(
        np.arange(len(tables), dtype=np.int8), [len(table["seed"]) for table in tables.values()]
    )
    simulation, axis, part = (a.ravel() for a in np.indices((count, axes, parts)))
    values_of_nuisances = nuisances(settings, len(simulation))
    split = splits(properties["seed"], settings)
    selected = kept_simulations(properties["seed"], split, settings)

    random_noise = np.random.default_rng([settings["seed"], 1])
    images = np.empty(
        (len(simulation), side // settings["parts"], side // settings["parts"]), np.float32
    )
    # images are in the order of the maps, and of the parts of each map
    for row, view in enumerate(_views(families, tables, settings)):
        rows = slice(row * parts, (row + 1) * parts)
        image = parts_of(
            view,
            settings["parts"],
            values_of_nuisances["zoom"][rows],
            values_of_nuisances["blur_pixels"][rows],
        )
        noise = random_noise.standard_normal(image.shape)
        image = image + noise * (
            values_of_nuisances["noise"][rows, None, None] * image.std((1, 2), keepdims=True)
        )
        images[rows] = standardised(image) if settings["variant"] == "standardised" else image

    split, selected = split[simulation], selected[simulation]
    units = "1" if settings["variant"] == "standardised" else FIELDS[settings["field"]]
    image_attributes = {
        "units": units,
        "long_name": "log10 N/<N>" if settings["field"] == "column" else "line-of-sight velocity",
    }
    train = split == SPLITS["train"]
    if settings["variant"] == "raw" and train.any():
        image_attributes["scale"] = float(images[selected & train].std(dtype=np.float64))
    values = np.unique(properties["index"])
    box = _common(families, "box_pc", lambda data: float(data.attrs["box_pc"]), SIZE_TOLERANCE)
    attributes = {
        **{
            key: _attribute(families, key)
            for key in ("data_kind", "source", "box_pc", "order", "initial_kmax")
        },
        "box_pc": box,
        **{key: _plain(value) for key, value in settings.items()},
        "classes": values if len(values) == 2 else np.array(settings["classes"], float),
        "pixel_pc": box / side,  # at a zoom of 1
    }
    dataset = xr.Dataset(
        {
            "image": (("example", "y", "x"), images, image_attributes),
            "target": (
                "example",
                properties["index"][simulation].astype(np.float32),
                {"long_name": "spectral index"},
            ),
        },
        coords={
            **{name: ("example", properties[name][simulation]) for name in PROPERTIES},
            "simulation": ("example", simulation),
            "family": ("example", family[simulation], flags(families)),
            "axis": ("example", axis.astype(np.int8)),
            "part": ("example", part),
            **{
                name: ("example", values_of_nuisances[name])
                for name in NUISANCES
                if isinstance(settings[name], dict)
            },
            "split": ("example", split, flags(SPLITS)),
        },
        attrs=attributes,
    )
    return dataset if selected.all() else dataset.isel(example=np.flatnonzero(selected))


def simulations_of(name: str, columns: xr.Dataset) -> dict[str, np.ndarray]:
    """Properties of the successful simulations of a family: `row` in its file and `PROPERTIES`.

    Each is an array (simulation,). Raises BadInput where an index is unknown, except in maps.
    """
    good = np.flatnonzero(columns["ok"].values)
    table = {"row": good} | {key: columns[key].values[good] for key in PROPERTIES}
    if np.isnan(table["index"]).any() and columns.attrs.get("source") != "maps":
        raise BadInput(
            f"family {name}: index of {np.isnan(table['index']).sum()} simulations is unknown; "
            f"expected it in the config, turbulence.families.{name}.outputs"
        )
    # A source without seeds has its own velocity fields: their numbers follow from its name and
    # their positions, and no simulated field has them. Outputs of one run share its field.
    first: dict = {}
    runs = zip(_runs(columns), good, strict=True)
    fields = np.array([first.setdefault(run, row) for run, row in runs], int)
    replacement = UNKNOWN + (zlib.crc32(name.encode()) % 2**16) * 2**16 + fields
    table["seed"] = np.where(table["seed"] < 0, replacement, table["seed"])
    return table


def _runs(columns: xr.Dataset) -> list:
    """Of each successful simulation its run: the folder of the output, or the simulation itself."""
    good = np.flatnonzero(columns["ok"].values)
    names = columns["name"].values[good].tolist() if "name" in columns.coords else [""] * len(good)
    return [name.rpartition("/")[0] or row for name, row in zip(names, good, strict=True)]


def splits(seeds: np.ndarray, settings: dict) -> np.ndarray:
    """Code of `SPLITS` of each simulation (simulation,), a function of its seed alone.

    A seed is in one split wherever it occurs. Pairs of neighbouring seeds go together: two classes
    that alternate have the same share in every split, and an accuracy of 0.5 is chance.
    `settings["seed"]` shifts the shares. Raises BadInput where a split with a share is empty.
    """
    position = (seeds // NEIGHBOURS * GOLDEN + random.Random(settings["seed"]).random()) % 1
    test, valid = settings["test_share"], settings["valid_share"]
    code = np.select(
        [position < test, position < test + valid],
        [SPLITS["test"], SPLITS["valid"]],
        SPLITS["train"],
    )
    code = code.astype(np.int8)
    for name, share in (("train", 1 - test - valid), ("valid", valid), ("test", test)):
        if share > 1e-9 and not (code == SPLITS[name]).any():
            raise BadInput(
                f"config: images: no simulation of {len(seeds)} is left for the split '{name}'; "
                f"expected more simulations, or other shares than {valid} and {test}"
            )
    return code


def kept_simulations(seeds: np.ndarray, split: np.ndarray, settings: dict) -> np.ndarray:
    """Whether each simulation is in the set (simulation,) bool.

    The training split keeps the first `train_simulations` in a shuffled order, the others keep all.
    A smaller number is a subset of a larger one. Pairs of neighbouring seeds go together, as in
    `splits`. Raises BadInput where the split has too few simulations.
    """
    count, train = settings.get("train_simulations"), np.flatnonzero(split == SPLITS["train"])
    if count is None:
        return np.ones(len(seeds), bool)
    if count > len(train):
        expected = f"expected at most {len(train)}, which the split leaves"
        raise BadInput(f"config: images: train_simulations is {count}; {expected}")
    pairs, pair = np.unique(seeds[train] // NEIGHBOURS, return_inverse=True)
    order = np.random.default_rng([settings["seed"], 2]).permutation(len(pairs))[pair]
    selected = split != SPLITS["train"]
    selected[train[np.argsort(order, kind="stable")[:count]]] = True
    return selected


def nuisances(settings: dict, count: int) -> dict[str, np.ndarray]:
    """Value of each of `NUISANCES` (count,): the number of the config, or uniform from low to high.

    A value is drawn for a `share` of the images. The others have the value without effect. Raises
    BadInput where low and high are not in order, or where parts at this zoom exceed the map.
    """
    generator = np.random.default_rng([settings["seed"], 0])
    generator_of_share = np.random.default_rng([settings["seed"], 3])
    values = {}
    for name, nothing in NUISANCES.items():
        setting = settings[name]
        low, high, share = (
            map(setting.get, ("low", "high", "share"))
            if isinstance(setting, dict)
            else (setting, setting, 1)
        )
        if not low <= high or low < 0:
            raise BadInput(
                f"config: images: {name} is {setting!r}; expected a number from 0, or low and high "
                "in order"
            )
        # values are drawn for a number, too, so that they do not depend on the other nuisances
        values[name] = generator.uniform(low, high, count)
        values[name][generator_of_share.random(count) >= share] = nothing
    if (values["zoom"] * settings["parts"] < 1).any():
        parts = settings["parts"]
        expected = f"expected at least {1 / parts:.3g}, at which {parts} parts are the whole map"
        raise BadInput(f"config: images: zoom is {settings['zoom']!r}; {expected}")
    return values


def parts_of(view: np.ndarray, parts: int, zoom: np.ndarray, blur_pixels: np.ndarray) -> np.ndarray:
    """The parts**2 images of a periodic map (y, x), row by row: (part, y, x) float64.

    Each is magnified and blurred. The beam acts on the map, so that the edge of an image contains
    light from beyond it. Magnified images are interpolated by cubic splines. Demagnified images
    first lose the waves that their pixels cannot represent.
    """
    n = view.shape[-1] // parts
    if (zoom == 1).all() and not blur_pixels.any():
        return view.reshape(parts, n, parts, n).swapaxes(1, 2).reshape(-1, n, n)
    images = np.empty((parts**2, n, n))
    for k in range(parts**2):
        smooth = filtered(
            view, blur_pixels[k] / zoom[k], None if zoom[k] >= 1 else zoom[k] * view.shape[-1] / 2
        )
        corner = np.array(divmod(k, parts)) * n
        # pixel centres; the middle of a part does not move
        y, x = (start + n / 2 - 0.5 + (np.arange(n) - n / 2 + 0.5) / zoom[k] for start in corner)
        images[k] = map_coordinates(
            smooth, np.meshgrid(y, x, indexing="ij"), order=3, mode="grid-wrap"
        )
    return images


def standardised(images: np.ndarray) -> np.ndarray:
    """Each image less its mean, over its standard deviation. A constant image becomes zero."""
    images = images - images.mean((-2, -1), keepdims=True)
    deviation = images.std((-2, -1), keepdims=True)
    return np.divide(images, deviation, out=np.zeros_like(images), where=deviation > 0)


def filtered(maps: np.ndarray, sigma: float = 0.0, lowpass: float | None = None) -> np.ndarray:
    """Periodic maps (..., y, x) after a Gaussian beam of `sigma` [pixels] and a low pass.

    lowpass : largest wave number that is kept [cycles a box]
    """
    if not sigma and lowpass is None:
        return maps
    ny, nx = maps.shape[-2:]
    ky, kx = np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx)  # [cycles a pixel]
    gain = np.exp(-2 * (np.pi * sigma) ** 2 * (ky**2 + kx**2))
    if lowpass is not None:
        gain = gain * (np.hypot(ky * ny, kx * nx) <= lowpass)
    return np.fft.irfft2(np.fft.rfft2(maps) * gain, s=(ny, nx))


def _views(
    families: dict[str, xr.Dataset], tables: dict[str, dict], settings: dict
) -> Iterator[np.ndarray]:
    """The map (y, x) of the field of each successful simulation and axis, family after family.

    One simulation is in memory at a time.
    """
    for name, columns in families.items():
        for row, seed in zip(tables[name]["row"], tables[name]["seed"], strict=True):
            maps = columns[settings["field"]][int(row)].values.astype(np.float64)
            if settings["field"] == "column":
                if not (maps > -1).all():
                    raise BadInput(
                        f"column maps: the simulation of seed {seed} of {name} has N <= 0 or NaN; "
                        "expected a positive column density"
                    )
                maps = np.log10(1 + maps)
            elif not np.isfinite(maps).all():
                raise BadInput(
                    f"column maps: the simulation of seed {seed} of {name} has no velocity; "
                    "expected one"
                )
            yield from filtered(maps, lowpass=settings["lowpass"])


def _refuse_edges(families: dict[str, xr.Dataset], settings: dict) -> None:
    """Refuse settings for periodic maps where some maps are cut-outs of the sky.

    The edges of a cut-out do not match.
    """
    sky = [name for name, columns in families.items() if columns.attrs.get("source") == "maps"]
    active = [
        f"{key} {settings[key]}" for key, neutral in PERIODIC.items() if settings[key] != neutral
    ]
    if sky and active:
        raise BadInput(
            f"config: images: {', '.join(active)} for {', '.join(sky)}, whose maps have edges; "
            f"expected {', '.join(f'{key} {neutral}' for key, neutral in PERIODIC.items())}"
        )


def _common(
    families: dict[str, xr.Dataset], quantity: str, measure: Callable, tolerance: float = 0
) -> float:
    """The value of a quantity that must be the same in all families, to a relative tolerance."""
    values = {name: measure(data) for name, data in families.items()}
    first = next(iter(values.values()))
    # two unknown values, NaN, count as the same
    if not np.allclose([*values.values()], first, rtol=tolerance, atol=0, equal_nan=True):
        listing = ", ".join(f"{value} in {name}" for name, value in values.items())
        raise BadInput(
            f"config: images: {quantity} differ: {listing}; expected families of the same (key "
            "`pixels`)"
        )
    return first


def _attribute(families: dict[str, xr.Dataset], key: str):
    """An attribute of all families, `mixed` where they differ."""
    values = {str(data.attrs.get(key, "")): data.attrs.get(key, "") for data in families.values()}
    return next(iter(values.values())) if len(values) == 1 else "mixed"


def _plain(value):
    """A setting as an attribute of a file."""
    if isinstance(value, dict):
        return [value["low"], value["high"], value["share"]]
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "none" if value is None else value
