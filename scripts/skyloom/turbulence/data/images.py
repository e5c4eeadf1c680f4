"""Column maps of one or several families cut into images of log N, with nuisances and a split that
goes by seed.

Two variants, each a set of its own: `standardised` per image, the headline, since no observer knows
the amplitude that belongs to a Mach number and a time; and `raw`, on one scale for all images.
Either may be low-passed to the band in which the solver is converged, blurred, magnified and given
noise. All views of one simulation (three axes, the parts of each) stay in one split, and a seed is
in one split in every set of the same shares.
"""

import math
import random
import zlib
from collections.abc import Iterator

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates

from skyloom.cli import BadInput
from skyloom.patchset import SPLITS
from skyloom.turbulence import NEIGHBOURS

KEPT = (
    "seed",
    "index",
    "mach",
    "time_myr",
)  # what is known of a simulation, said of each of its images
VARIANTS = ("standardised", "raw")
FIELDS = {"column": "dex", "centroid": "km/s"}
# Each a number, or {low, high} to draw from for each image; and its value that does nothing.
NUISANCES = {"zoom": 1, "blur_pixels": 0, "noise": 0}
# The same of what takes maps for periodic.
EDGELESS = {name: NUISANCES[name] for name in ("zoom", "blur_pixels")} | {"lowpass": None}
UNKNOWN = 2**32  # seeds from here on stand for those that a source does not say
GOLDEN = (
    math.sqrt(5) - 1
) / 2  # its multiples, modulo 1, fill an interval more evenly than random numbers


def cut_images(families: dict[str, xr.Dataset], settings: dict) -> xr.Dataset:
    """All images of the column maps of some families, those of failed simulations left out.

    Parameters ----------
    families : name -> file of `skyloom.turbulence.read.columns`: `column`, `centroid` (simulation,
        axis, y, x), `ok`
    settings : `field`, `column` or `centroid`; `parts`, images along a side of a map (2: quarters);
        `variant`;
        `lowpass`, the largest wave number that is kept [cycles a box] or None; `zoom`, 2: the
            middle half of a part,
        magnified, 0.5: the part and its surroundings, of twice the size; `blur_pixels`, sigma of a
            Gaussian beam
        [pixels of the image]; `noise`, white, its deviation over that of the image; `valid_share`,
            `test_share` of the
        simulations; `train_simulations`, how many of those for training are kept, or None for all;
            `seed` of the
        split and of what is drawn; `classes`, the two indices that are told apart where the
        simulations themselves have not just two

    Returns ------- `image (example, y, x)` float32: log10(N / <N>) [dex] or centroid [km/s],
    `standardised` to mean 0 and deviation 1 of each image; else with the attribute `scale`, the
    deviation of the training images. `target (example)` float32, the index. Of each: `simulation`,
    `family`, `axis`, `part`, `split`, `KEPT`, and the nuisances that were drawn.

    Raises ------
    BadInput : families of different pixels or axes, a map that the parts do not divide, unknown
        settings, N <= 0, an
        unknown index (of maps it is NaN), no simulation left in a split, maps that a filter would
            wrap around
    """
    for key, known in (("variant", VARIANTS), ("field", FIELDS)):
        if settings[key] not in known:
            raise BadInput(
                f"config: images: {key} is {settings[key]!r}; expected one of {', '.join(known)}"
            )
    tables = {name: simulations_of(name, columns) for name, columns in families.items()}
    _refuse_edges(families, settings)
    side = _common(families, "pixels", lambda data: data.sizes["x"])
    if side % settings["parts"]:
        expected = f"expected a divisor of the maps' {side} x {side} pixels"
        raise BadInput(f"config: images: parts is {settings['parts']}; {expected}")
    axes, parts = _common(families, "axes", lambda data: data.sizes["axis"]), settings["parts"] ** 2
    known = {
        key: np.concatenate([table[key] for table in tables.values()])
        for key in next(iter(tables.values()))
    }
    count = len(known["seed"])
    family = np.repeat(
        np.arange(len(tables), dtype=np.int8), [len(table["seed"]) for table in tables.values()]
    )
    simulation, axis, part = (a.ravel() for a in np.indices((count, axes, parts)))
    drawn = nuisances(settings, len(simulation))
    split = splits(known["seed"], settings)
    kept = kept_simulations(known["seed"], split, settings)

    random_noise = np.random.default_rng([settings["seed"], 1])
    images = np.empty(
        (len(simulation), side // settings["parts"], side // settings["parts"]), np.float32
    )
    for row, view in enumerate(
        _views(families, tables, settings)
    ):  # one of the parts of a map after the other
        of = slice(row * parts, (row + 1) * parts)
        image = parts_of(view, settings["parts"], drawn["zoom"][of], drawn["blur_pixels"][of])
        noise = random_noise.standard_normal(image.shape)
        image = image + noise * (drawn["noise"][of, None, None] * image.std((1, 2), keepdims=True))
        images[of] = standardised(image) if settings["variant"] == "standardised" else image

    split, kept = split[simulation], kept[simulation]
    units = "1" if settings["variant"] == "standardised" else FIELDS[settings["field"]]
    about = {
        "units": units,
        "long_name": "log10 N/<N>" if settings["field"] == "column" else "line-of-sight velocity",
    }
    train = split == SPLITS["train"]
    if settings["variant"] == "raw" and train.any():
        about["scale"] = float(images[kept & train].std(dtype=np.float64))
    values = np.unique(known["index"])
    names = {
        "flag_values": np.arange(len(families), dtype=np.int8),
        "flag_meanings": " ".join(families),
    }
    flags = {
        "flag_values": np.array([*SPLITS.values()], np.int8),
        "flag_meanings": " ".join(SPLITS),
    }
    box = _common(families, "box_pc", lambda data: float(data.attrs["box_pc"]))
    attributes = {
        **{
            key: _attribute(families, key)
            for key in ("data_kind", "source", "box_pc", "order", "initial_kmax")
        },
        **{key: _plain(value) for key, value in settings.items()},
        "classes": values if len(values) == 2 else np.array(settings["classes"], float),
        "pixel_pc": box / side,  # at a zoom of 1
    }
    found = xr.Dataset(
        {
            "image": (("example", "y", "x"), images, about),
            "target": (
                "example",
                known["index"][simulation].astype(np.float32),
                {"long_name": "spectral index"},
            ),
        },
        coords={
            **{name: ("example", known[name][simulation]) for name in KEPT},
            "simulation": ("example", simulation),
            "family": ("example", family[simulation], names),
            "axis": ("example", axis.astype(np.int8)),
            "part": ("example", part),
            **{
                name: ("example", drawn[name])
                for name in NUISANCES
                if isinstance(settings[name], dict)
            },
            "split": ("example", split, flags),
        },
        attrs=attributes,
    )
    return found if kept.all() else found.isel(example=np.flatnonzero(kept))


def simulations_of(name: str, columns: xr.Dataset) -> dict[str, np.ndarray]:
    """What is known of the good simulations of a family: `row` in its file and `KEPT`, an array
    each.
    """
    good = np.flatnonzero(columns["ok"].values)
    table = {"row": good} | {key: columns[key].values[good] for key in KEPT}
    if np.isnan(table["index"]).any() and columns.attrs.get("source") != "maps":
        raise BadInput(
            f"family {name}: index of {np.isnan(table['index']).sum()} simulations is unknown; "
            "expected it in the"
            f" config, turbulence.families.{name}.outputs"
        )
    # a source that says no seed has fields of its own: numbers of its name and their places, which
    # no simulated one has
    own = UNKNOWN + (zlib.crc32(name.encode()) % 2**16) * 2**16 + good
    table["seed"] = np.where(table["seed"] < 0, own, table["seed"])
    return table


def splits(seeds: np.ndarray, settings: dict) -> np.ndarray:
    """Code of `SPLITS` of each simulation, a function of its seed alone: one split for one seed
    wherever it occurs.

    Pairs of neighbouring seeds go together, so that two classes that take turns have the same share
    in every split and an accuracy of 0.5 is chance. `settings["seed"]` turns the shares around.
    """
    place = (seeds // NEIGHBOURS * GOLDEN + random.Random(settings["seed"]).random()) % 1
    test, valid = settings["test_share"], settings["valid_share"]
    code = np.select(
        [place < test, place < test + valid], [SPLITS["test"], SPLITS["valid"]], SPLITS["train"]
    )
    code = code.astype(np.int8)
    for name, share in (("train", 1 - test - valid), ("valid", valid), ("test", test)):
        if share > 1e-9 and not (code == SPLITS[name]).any():
            raise BadInput(
                f"config: images: no simulation of {len(seeds)} is left for the split '{name}'; "
                "expected"
                f" more simulations, or other shares than {valid} and {test}"
            )
    return code


def kept_simulations(seeds: np.ndarray, split: np.ndarray, settings: dict) -> np.ndarray:
    """Whether each simulation stays in the set: of training the first `train_simulations` of a
    shuffled row, of the other splits all. Fewer are a part of more, and pairs of neighbouring seeds
    come together, as in `splits`.
    """
    count, train = settings.get("train_simulations"), np.flatnonzero(split == SPLITS["train"])
    if count is None:
        return np.ones(len(seeds), bool)
    if count > len(train):
        expected = f"expected at most {len(train)}, which the split leaves"
        raise BadInput(f"config: images: train_simulations is {count}; {expected}")
    pairs, of = np.unique(seeds[train] // NEIGHBOURS, return_inverse=True)
    place = np.random.default_rng([settings["seed"], 2]).permutation(len(pairs))[of]
    kept = split != SPLITS["train"]
    kept[train[np.argsort(place, kind="stable")[:count]]] = True
    return kept


def nuisances(settings: dict, count: int) -> dict[str, np.ndarray]:
    """Value of each of `NUISANCES` (count,): a number of the config, or evenly drawn between its
    low and high, for a `share` of the images; the others are left as they are.
    """
    generator = np.random.default_rng([settings["seed"], 0])
    spared = np.random.default_rng([settings["seed"], 3])
    found = {}
    for name, nothing in NUISANCES.items():
        given = settings[name]
        low, high, share = (
            map(given.get, ("low", "high", "share"))
            if isinstance(given, dict)
            else (given, given, 1)
        )
        if not low <= high or low < 0:
            raise BadInput(
                f"config: images: {name} is {given!r}; expected a number from 0, or low and high "
                "in order"
            )
        found[name] = generator.uniform(
            low, high, count
        )  # drawn where it is a number too: the others stay as they are
        found[name][spared.random(count) >= share] = nothing
    if (found["zoom"] * settings["parts"] < 1).any():
        parts = settings["parts"]
        expected = f"expected at least {1 / parts:.3g}, at which {parts} parts are the whole map"
        raise BadInput(f"config: images: zoom is {settings['zoom']!r}; {expected}")
    return found


def parts_of(view: np.ndarray, parts: int, zoom: np.ndarray, blur_pixels: np.ndarray) -> np.ndarray:
    """The parts**2 images of a periodic map (y, x), row by row, each magnified and blurred: (part,
    y, x) float64.

    The beam acts on the map, so that an image's edge knows what lies behind it. What is magnified
    is interpolated by cubic splines; what is made smaller loses first the waves that its pixels
    cannot show.
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
        # pixel centres: the middle of a part stays where it is
        y, x = (start + n / 2 - 0.5 + (np.arange(n) - n / 2 + 0.5) / zoom[k] for start in corner)
        images[k] = map_coordinates(
            smooth, np.meshgrid(y, x, indexing="ij"), order=3, mode="grid-wrap"
        )
    return images


def standardised(images: np.ndarray) -> np.ndarray:
    """Each image less its mean, over its standard deviation; a flat one, which has no structure,
    stays zero.
    """
    images = images - images.mean((-2, -1), keepdims=True)
    deviation = images.std((-2, -1), keepdims=True)
    return np.divide(images, deviation, out=np.zeros_like(images), where=deviation > 0)


def filtered(maps: np.ndarray, sigma: float = 0.0, lowpass: float | None = None) -> np.ndarray:
    """Periodic maps (..., y, x) behind a Gaussian beam of `sigma` [pixels], without waves above
    `lowpass` [a box].
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
    """The field's map (y, x) of each good simulation and axis, family after family: memory for one
    simulation.
    """
    for name, columns in families.items():
        for row, seed in zip(tables[name]["row"], tables[name]["seed"], strict=True):
            maps = columns[settings["field"]][int(row)].values.astype(np.float64)
            if settings["field"] == "column":
                if not (maps > -1).all():
                    raise BadInput(
                        f"column maps: the simulation of seed {seed} of {name} has N <= 0 or NaN; "
                        "expected a positive"
                        " column density"
                    )
                maps = np.log10(1 + maps)
            elif not np.isfinite(maps).all():
                raise BadInput(
                    f"column maps: the simulation of seed {seed} of {name} has no velocity; "
                    "expected one"
                )
            yield from filtered(maps, lowpass=settings["lowpass"])


def _refuse_edges(families: dict[str, xr.Dataset], settings: dict) -> None:
    """Refuse what acts on periodic maps where some are cut-outs of the sky, whose edges do not
    meet.
    """
    sky = [name for name, columns in families.items() if columns.attrs.get("source") == "maps"]
    asked = [f"{key} {settings[key]}" for key, off in EDGELESS.items() if settings[key] != off]
    if sky and asked:
        raise BadInput(
            f"config: images: {', '.join(asked)} for {', '.join(sky)}, whose maps have edges; "
            "expected"
            f" {', '.join(f'{key} {off}' for key, off in EDGELESS.items())}"
        )


def _common(families: dict[str, xr.Dataset], what: str, of) -> float:
    """What all families must have alike."""
    found = {name: of(data) for name, data in families.items()}
    if len(set(map(str, found.values()))) > 1:  # an unknown one, NaN, is like another
        listed = ", ".join(f"{value} in {name}" for name, value in found.items())
        raise BadInput(
            f"config: images: {what} differ: {listed}; expected families of the same (key `pixels`)"
        )
    return next(iter(found.values()))


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
