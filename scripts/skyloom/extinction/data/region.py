"""The sightlines of a region: as a survey would see a coherent mock sky, and their predictions."""

import numpy as np
import torch
import xarray as xr

from skyloom import checkpoint
from skyloom.cli import BadInput
from skyloom.extinction import check
from skyloom.extinction.data import mocks, patches, pools
from skyloom.extinction.models.intervals import NAMES, QUANTILES
from skyloom.extinction.products import profiles
from skyloom.extinction.simulate import diagrams, skies

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


def observed(region: dict, fields: dict, settings: dict) -> xr.Dataset:
    """Diagrams of the region on the mock sky, with the true profiles and the verdicts.

    region : `longitude`, `latitude`, ranges [deg], `spacing` [deg], `seed`; fields, settings :
    those of the set whose survey is assumed. A sightline has stars of its own.
    `image`, `bare` (sightline, diagram, y, x), `extinction` (sightline, distance) A_V [mag].
    """
    longitude, latitude = places(region)
    grid = mocks.grid(settings)
    seed = np.random.SeedSequence(region["seed"], spawn_key=(SKY,))
    sky = skies.cube(skies.CubeSettings(), np.random.default_rng(seed))
    dust = skies.sightlines(sky, longitude, latitude, grid)
    image, bare, verdict = [], [], []
    for k, place in enumerate(zip(longitude, latitude, strict=True)):
        one = fields | {"trained": {"longitude": place[:1], "latitude": place[1:]}}
        one |= {"seed": region["seed"] + k, **{name: nothing() for name in pools.GROUPS[1:]}}
        drawn = mocks.Fields(pools.of_dataset(pools.draw(one, ["test"])), settings)
        seeds = mocks.seeds(region["seed"], patches.FIXED, np.array([k]))
        given = mocks.test_survey(settings, seeds)
        profile = torch.as_tensor(dust[k : k + 1]).float()
        counts = diagrams.counts(drawn[0][0], profile, given, seeds)[0].numpy()
        image.append(counts)
        bare.append(drawn.bare(0).numpy())
        against = patches.references(settings, drawn, 0)
        found = patches.verdict(counts, against, settings)
        verdict.append(check.ORDER.index(found.verdict))
    attributes = {"law": settings["law"], "data_kind": "simulated"}
    content = profiles.dataset(
        dust.cumsum(1), grid.edges, (longitude, latitude), attributes, verdict=np.array(verdict)
    )
    axes = "sightline", "diagram", "y", "x"
    content["image"] = axes, np.stack(image).astype(np.float32), {"units": "1"}
    content["bare"] = axes, np.stack(bare), {"units": "1"}
    return content


def nothing() -> dict:
    return {"longitude": [], "latitude": []}


def predicted(trained: dict, region: xr.Dataset) -> xr.Dataset:
    """Quantiles of A_V of each sightline by a trained model, in the form of `products.profiles`.

    Raises BadInput for a model of other bins or another law than the region's.
    """
    meta = trained["meta"]
    edges = np.arange(1, meta["bins"] + 1) * meta["step"]
    if len(edges) != region.sizes["distance"] or not np.allclose(edges, region["distance"]):
        raise BadInput(
            f"the region has {region.sizes['distance']} bins to {float(region['distance'][-1]):g}"
            f" pc; expected those of the model, {len(edges)} to {edges[-1]:g} pc"
        )
    image, bare = (torch.from_numpy(region[name].values) for name in ("image", "bare"))
    rows = diagrams.network_input(image, bare)
    found = checkpoint.predict(trained, Inputs(rows))
    values = np.stack([found[name] for name in NAMES], 1)
    attributes = dict(region.attrs) | {name: trained[name] for name in ("model", "digest")}
    place = region["l"].values, region["b"].values
    return profiles.dataset(values, edges, place, attributes, QUANTILES, region["verdict"].values)


class Inputs:
    """Inputs of a network (n, 2 diagram, y, x) as a split of examples."""

    def __init__(self, rows: torch.Tensor):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> dict[str, torch.Tensor]:
        return {"input": self.rows[torch.from_numpy(np.asarray(index))]}
