"""The sightlines of a region: what a survey sees of them, the check of each, their predictions.

The sky is a coherent mock one, or that of star tables. A sightline is checked once for each set
that a model may have been trained on: a model may be trained on random surveys, or on one.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
import xarray as xr

from skyloom import checkpoint
from skyloom.cli import BadInput, progress
from skyloom.extinction import check
from skyloom.extinction.data import mocks, patches, pools
from skyloom.extinction.data.sightlines import Sightline, read_list, surveyed
from skyloom.extinction.models.intervals import NAMES, QUANTILES
from skyloom.extinction.products import profiles
from skyloom.extinction.simulate import diagrams, skies
from skyloom.extinction.verdicts import MISSING, REFUSED, VERDICTS
from skyloom.patchset import flags

SKY = 1  # spawn key of the dust; the stars have none


def places(region: dict) -> tuple[np.ndarray, np.ndarray]:
    """l and b (sightline,) [deg] of the middles of the region's fields."""
    axes = []
    for name in ("longitude", "latitude"):
        low, high = region[name]
        number = max(1, round((high - low) / region["spacing"]))
        axes.append(low + (np.arange(number) + 0.5) * (high - low) / number)
    grid = np.meshgrid(*axes, indexing="ij")
    return grid[0].ravel(), grid[1].ravel()


def observed(
    region: dict, fields: dict, settings: dict, checks: dict, lists: dict | None = None
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Diagrams of the region with verdicts, and the table of its sightlines.

    region : `longitude`, `latitude`, ranges [deg], `spacing` [deg], `seed`; fields, settings :
    those of the set whose survey is assumed; checks : settings of the sets by name, for each of
    which a sightline has a verdict; lists : lists of star tables by survey, None for a mock sky.
    `image`, `bare` (sightline, diagram, y, x); `given` (diagram), whether there are stars of it;
    `verdict` (set, sightline); of a mock sky `extinction` (sightline, distance) A_V [mag]. Columns
    of the table: set, l, b, stars, `limit_<band>` [mag], verdict, reason.
    Raises BadInput as `read_list`, and where no sightline has stars.
    """
    place = places(region)
    grid = mocks.grid(settings)
    dust, tables = None, None
    if lists is None:
        seed = np.random.SeedSequence(region["seed"], spawn_key=(SKY,))
        sky = skies.cube(skies.CubeSettings(), np.random.default_rng(seed))
        dust = skies.sightlines(sky, *place, grid)
    else:
        tables = {survey: read_list(path, place) for survey, path in lists.items()}
    image, bare, rows, kinds = [], [], [], set()
    for (k,) in progress([[k] for k in range(len(place[0]))], "sightlines"):
        stars = model_stars(region, fields, k, place)
        assumed = mocks.Fields(stars, settings)
        if dust is not None:
            found = mock(settings, assumed, region["seed"], k, dust[k])
        else:
            found = surveyed(settings, tables, k, (place[0][k], place[1][k]), fields["area"])
        known = found.counts is not None
        bare.append(assumed.bare(0).numpy())
        image.append(found.counts if known else np.zeros_like(bare[-1]))
        kinds |= {found.data_kind} if known else set()
        for name, own in checks.items():
            own = own | {"given": settings["given"]}
            verdict = judged(found, own, mocks.Fields(stars, own))
            row = {"set": name, "l": place[0][k], "b": place[1][k], "stars": int(image[-1].sum())}
            row |= {f"limit_{band}": limit for band, limit in found.limits.items()}
            rows.append(row | {"verdict": verdict.verdict, "reason": "; ".join(verdict.reasons)})
    if not kinds:
        raise BadInput(f"no sightline of {len(rows)} has stars: {rows[0]['reason']}")
    if len(kinds) > 1:
        raise BadInput(f"star tables have the data kinds {', '.join(sorted(kinds))}; expected one")
    table = pd.DataFrame(rows)
    code = table["verdict"].map(VERDICTS.index).to_numpy().reshape(-1, len(checks)).T
    axes = "sightline", "diagram", "y", "x"
    content = xr.Dataset(
        {
            "image": (axes, np.stack(image).astype(np.float32), {"units": "1"}),
            "bare": (axes, np.stack(bare), {"units": "1"}),
            "given": ("diagram", mocks.given(settings), {"units": "1"}),
        },
        profiles.axes(grid.edges, place)
        | {
            "verdict": (("set", "sightline"), code.astype(np.int8), flags(VERDICTS)),
            "set": list(checks),
        },
        {"law": settings["law"], "data_kind": kinds.pop(), "diagrams": settings["diagrams"]},
    )
    if dust is not None:
        words = {"units": "mag", "long_name": "A_V from the Sun"}
        true = dust.cumsum(1).astype(np.float32)
        content["extinction"] = ("sightline", "distance"), true, words
    return content, table


def model_stars(region: dict, fields: dict, k: int, place: tuple) -> pools.Pools:
    """The pool of model stars of sightline `k` of a region, by the embedded model."""
    nothing = {"longitude": [], "latitude": []}
    own = {"trained": {"longitude": place[0][k : k + 1], "latitude": place[1][k : k + 1]}}
    own |= {"seed": region["seed"] + k, **dict.fromkeys(pools.GROUPS[1:], nothing)}
    return pools.of_dataset(pools.draw(fields | own, ["test"]))


def mock(settings: dict, assumed: mocks.Fields, seed: int, k: int, dust: np.ndarray) -> Sightline:
    """Sightline `k` of a mock sky; dust : A_V of its bins [mag]."""
    seeds = mocks.seeds(seed, patches.FIXED, np.array([k]))
    given = mocks.test_survey(settings, seeds)
    profile = torch.as_tensor(dust[None]).float()
    counts = diagrams.counts(assumed[0][0], profile, given, seeds)[0].numpy()
    return Sightline(counts, data_kind="simulated")


def judged(found: Sightline, settings: dict, fields: mocks.Fields) -> check.Verdict:
    """The verdict on a sightline for models that are trained on a set."""
    if found.counts is None:
        return check.Verdict(MISSING, (found.reason,))
    if not found.limits:
        return patches.verdict(found.counts, patches.references(settings, fields, 0), settings)
    survey = mocks.limited_survey(found.limits)
    ranges = {b: ends for b, ends in mocks.limit_ranges(settings).items() if b in found.limits}
    against = patches.references(settings, fields, 0, survey)
    return check.together(
        check.check_limits(found.limits, ranges),
        patches.verdict(found.counts, against, settings),
    )


def predicted(trained: dict, region: xr.Dataset) -> xr.Dataset:
    """Quantiles of A_V of each sightline by a trained model, in the form of `products.profiles`.

    A sightline that the check refused for the set of the model, or that is missing, has NaN.
    Raises BadInput for a model of other bins, diagrams or another law than the region's, and for
    one whose set the region was not checked for.
    """
    meta = trained["meta"]
    edges = np.arange(1, meta["bins"] + 1) * meta["step"]
    if len(edges) != region.sizes["distance"] or not np.allclose(edges, region["distance"]):
        raise BadInput(
            f"the region has {region.sizes['distance']} bins to {float(region['distance'][-1]):g}"
            f" pc; expected those of the model, {len(edges)} to {edges[-1]:g} pc"
        )
    for name in ("law", "diagrams"):
        own = region.attrs[name]
        if np.atleast_1d(own).tolist() != np.atleast_1d(meta[name]).tolist():
            raise BadInput(f"the region has {name} {own}; expected that of the model, {meta[name]}")
    name, checked = trained["entry"]["set"], region["set"].values.tolist()
    if name not in checked:
        raise BadInput(f"the region was checked for {', '.join(checked)}; expected set {name}")
    verdict = region["verdict"].values[checked.index(name)]
    blank = np.isin(verdict, [VERDICTS.index(word) for word in (REFUSED, MISSING)])
    values = np.full((len(verdict), len(QUANTILES), len(edges)), np.nan, np.float32)
    if not blank.all():
        used = np.flatnonzero(~blank)
        image, bare = (torch.from_numpy(region[name].values[used]) for name in ("image", "bare"))
        given = torch.from_numpy(region["given"].values).expand(len(image), -1)
        rows = diagrams.network_input(image, bare, given)
        found = checkpoint.predict(trained, Inputs(rows))
        values[used] = np.stack([found[name] for name in NAMES], 1)
    attributes = {key: region.attrs[key] for key in ("law", "data_kind")}
    attributes |= {name: trained[name] for name in ("model", "digest")}
    place = region["l"].values, region["b"].values
    return profiles.dataset(values, edges, place, attributes, QUANTILES, verdict)


class Inputs:
    """Inputs of a network (n, 2 diagram, y, x) as a split of examples."""

    def __init__(self, rows: torch.Tensor):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> dict[str, torch.Tensor]:
        return {"input": self.rows[torch.from_numpy(np.asarray(index))]}


def counted(table: pd.DataFrame) -> Iterator[str]:
    """A line of a log for each set: the number of sightlines of each verdict."""
    for name, rows in table.groupby("set", sort=False):
        number = rows["verdict"].value_counts()
        words = ", ".join(f"{number[word]} {word}" for word in VERDICTS if word in number)
        yield f"for models of set {name}: {len(rows)} sightlines: {words}"
