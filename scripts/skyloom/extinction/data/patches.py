"""Validation and test diagrams of a set. Its training diagrams are a stream."""

import json

import numpy as np
import xarray as xr

from skyloom.cli import BadInput
from skyloom.extinction import check
from skyloom.extinction.data import mocks
from skyloom.extinction.data.pools import GROUPS, Pools
from skyloom.extinction.simulate.laws import LAWS
from skyloom.patchset import SPLITS, flags

PARTS = {"valid": ("valid", "trained"), "test": ("test", "trained")}
PARTS |= {name: ("test", name) for name in GROUPS[1:]}
FIXED = 1 << 31  # epochs of fixed examples, beyond those of a training
CHECKED = 150  # mock fields that the counts of a field are compared with
MOST = np.iinfo(np.uint16).max
SETTINGS = "settings"  # attribute with the settings of the set as JSON
STARS = 4096  # model stars of each pool, for the colour excess


def patches(settings: dict, pools: Pools) -> xr.Dataset:
    """The examples of a set.

    settings : `valid`, `test`, `unseen`, `beyond`, numbers of examples, and those of `mocks`
    `image` (example, diagram, y, x) uint16, stars in each pixel; `bare` (pool, diagram, y, x), the
    mean field without extinction; `target` (example, distance), A_V [mag]; `stars` of the model
    (pool, 3, star), distance [pc], J and K [mag]; `verdict` of the counts.
    """
    fields = mocks.Fields(pools, settings)
    rows = [drawn(settings, fields, name) for name in PARTS if settings[name]]
    image, target, pool, split = (np.concatenate(part) for part in zip(*rows, strict=True))
    bare = np.stack([fields.bare(k).numpy() for k in range(len(pools.stars))])
    group = [GROUPS.index(pools.group[k]) for k in pool]
    degrees = {"units": "deg"}
    axes = "diagram", "y", "x"
    return xr.Dataset(
        {
            "image": (("example", *axes), image, {"units": "1", "long_name": "stars"}),
            "bare": (("pool", *axes), bare, {"units": "1", "long_name": "stars, mean field"}),
            "stars": (("pool", "property", "star"), model_stars(pools)),
            "target": (
                ("example", "distance"),
                target,
                {"units": "mag", "long_name": "A_V up to the distance"},
            ),
        },
        {
            "distance": ("distance", fields.grid.edges, {"units": "pc"}),
            "split": ("example", split, flags(SPLITS)),
            "pool": ("example", pool),
            "group": ("example", np.array(group, np.int8), flags(GROUPS)),
            "longitude": ("example", pools.longitude[pool], degrees),
            "latitude": ("example", pools.latitude[pool], degrees),
            "verdict": ("example", verdicts(settings, fields, image, pool), flags(check.ORDER)),
        },
        {
            "data_kind": pools.data_kind,
            SETTINGS: json.dumps(settings, sort_keys=True),
            "law": settings["law"],
            "law_source": LAWS[settings["law"]].source,
        },
    )


def drawn(settings: dict, fields: mocks.Fields, name: str) -> tuple[np.ndarray, ...]:
    """Diagrams, A_V, pool and split of the examples of one part, shared out among its pools."""
    split, group = PARTS[name]
    pools = fields.pools.of(split, group)
    if not len(pools):
        raise BadInput(f"config: {name}: {settings[name]} examples of no sightline; expected 0")
    number = np.arange(settings[name])
    examples = mocks.seeds(settings["seed"], FIXED + list(PARTS).index(name), number)
    pool = pools[number % len(pools)]
    survey = mocks.training_survey if split == "valid" else mocks.test_survey
    counts, profiles = fields.draw(examples, pool, survey)
    image = counts.clamp(max=MOST).numpy().astype(np.uint16)
    code = np.full(len(pool), SPLITS[split], np.int8)
    return image, profiles.cumsum(1).numpy(), pool, code


def model_stars(pools: Pools) -> np.ndarray:
    """Distance, J and K (pool, 3, star) of as many stars of each pool, repeated in a small one."""
    parts = [(s.distance, s.band("J"), s.band("K")) for s in pools.stars]
    return np.stack([[np.resize(row, STARS) for row in part] for part in parts])


def verdicts(
    settings: dict, fields: mocks.Fields, image: np.ndarray, pool: np.ndarray
) -> np.ndarray:
    """Index in `check.ORDER` of the worst verdict on the diagrams of each example (example,)."""
    found = np.zeros(len(image), np.int8)
    for number in np.unique(pool):
        against = references(settings, fields, int(number))
        for row in np.flatnonzero(pool == number):
            found[row] = check.ORDER.index(verdict(image[row], against, settings).verdict)
    return found


def references(
    settings: dict, fields: mocks.Fields, pool: int, survey=mocks.training_survey
) -> list[check.Reference]:
    """The ranges of mock fields of one pool, for each diagram that the test has.

    survey : of the settings and examples
    """
    examples = mocks.seeds(
        settings["seed"], FIXED + len(PARTS), CHECKED * pool + np.arange(CHECKED)
    )
    counts, _ = fields.draw(examples, np.full(CHECKED, pool), survey)
    rows = zip(settings["diagrams"], counts.unbind(1), mocks.given(settings), strict=True)
    return [check.reference(values.numpy(), name) for name, values, given in rows if given]


def verdict(image: np.ndarray, against: list[check.Reference], settings: dict) -> check.Verdict:
    """On the diagrams (diagram, y, x) of one field that the test has."""
    rows = zip(settings["diagrams"], image, mocks.given(settings), strict=True)
    shown = [(values, name) for name, values, given in rows if given]
    pairs = zip(shown, against, strict=True)
    return check.together(*(check.check_counts(v, known, name) for (v, name), known in pairs))
