"""Published maps on the sightlines of a cube, through dustmaps where the user has it.

A map is read from the file that the config states. Nothing is fetched: dustmaps itself would look
for a file in a folder of its own, so that a path is needed here.
"""

import importlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.coordinates import SkyCoord

from skyloom.cli import BadInput
from skyloom.extinction.products.cube import Cube
from skyloom.extinction.simulate.laws import LAWS, SF11_V

DISTANCES = 1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0, 10000.0  # [pc]


@dataclass(frozen=True)
class Map:
    """A query of dustmaps: its class, the arguments of class and query, and its unit.

    factor : A_V over the unit of the map; None: the map has A_Ks, and the law of the cube gives A_V
    source : paper and reason of the factor
    """

    module: str
    query: str
    factor: float | None
    source: str
    options: dict = field(default_factory=dict)
    mode: dict = field(default_factory=dict)


MAPS = {
    # E(g - r) is 0.901 a unit, as in the law sf2011 (3.172 - 2.271), whose A_V is 2.742
    "bayestar19": Map(
        "dustmaps.bayestar",
        "BayestarQuery",
        SF11_V,
        "Green et al. 2019 (ApJ 887, 93), table 1, and Schlafly & Finkbeiner 2011, table 6",
        # the query needs no samples
        {"max_samples": 1, "version": "bayestar2019"},
        {"mode": "best"},
    ),
    "decaps": Map(
        "dustmaps.decaps",
        "DECaPSQuery",
        3.1,
        "Zucker et al. 2025: E(B-V) [mag], with R_V = 3.1",
        {"mean_only": True},
        {"mode": "mean"},
    ),
    "edenhofer": Map(
        "dustmaps.edenhofer2023",
        "Edenhofer2023Query",
        2.8,
        "Edenhofer et al. 2024 (A&A 685, A82): A_V = 2.8 E of Zhang, Green & Rix 2023",
        {"integrated": True},
        {"mode": "mean"},
    ),
    "marshall": Map(
        "dustmaps.marshall",
        "MarshallQuery",
        None,
        "Marshall et al. 2006 (A&A 453, 635): A_Ks [mag]",
    ),
}


def extinction(name: str, stated: dict, cube: Cube) -> np.ndarray:
    """A_V (z, y, x) [mag] of a published map at the places of a cube, NaN where it has none.

    name : of `MAPS`
    stated : `path` of its file; optional `mag_per_unit`, another A_V over its unit
    Raises BadInput for another name, a missing file, a dustmaps that is not installed, and a file
    that dustmaps cannot read.
    """
    if name not in MAPS:
        raise BadInput(f"maps: {name!r}; expected one of {', '.join(MAPS)}")
    known = MAPS[name]
    path = Path(stated["path"])
    if not path.is_file():
        raise BadInput(f"maps.{name}.path: {path}: no such file; expected that of {known.source}")
    factor = stated.get("mag_per_unit") or known.factor or 1 / LAWS[cube.law].ratios["K"]
    if not (isinstance(factor, int | float) and 0 < factor < np.inf):
        raise BadInput(f"maps.{name}.mag_per_unit is {factor!r}; expected A_V over its unit")
    try:
        query = getattr(importlib.import_module(known.module), known.query)
    except (ImportError, AttributeError) as error:
        raise BadInput(
            f"maps.{name}: {error}; expected the package dustmaps: pip install 'dustmaps>=1.0.13'"
        ) from None
    d, lat, lon = np.meshgrid(cube.distance, cube.latitude, cube.longitude, indexing="ij")
    place = SkyCoord(lon.ravel() * u.deg, lat.ravel() * u.deg, d.ravel() * u.pc, frame="galactic")
    try:
        values = query(map_fname=str(path), **known.options)(place, **known.mode)
    except Exception as error:
        raise BadInput(
            f"maps.{name}.path: {path}: dustmaps cannot read it ({type(error).__name__}: {error})"
        ) from None
    values = np.asarray(values, float)
    if values.shape != place.shape:
        raise BadInput(
            f"maps.{name}: {known.query} has {values.shape} values for {place.shape} places"
        )
    return factor * values.reshape(d.shape)


def table(cube: Cube, maps: dict[str, np.ndarray]) -> pd.DataFrame:
    """The cube less each map, on the fields that both have, at `DISTANCES`.

    Columns: map; distance [pc]; fields; a_v, of the cube, and a_v_map, medians [mag]; difference,
    the median, and scatter, half of the 16 to 84 % range [mag]; correlation; inside, the share of
    fields whose 68 % interval holds the map's value
    """
    rows = []
    for name, values in maps.items():
        for distance in DISTANCES:
            near = np.abs(cube.distance - distance)
            k = int(near.argmin())
            if not near[k] <= cube.step / 2:
                continue
            low, found, high = cube.extinction[:, k]
            both = np.isfinite(found) & np.isfinite(values[k])
            row = {"map": name, "distance": distance, "fields": int(both.sum())}
            if both.sum() > 2:
                ours, theirs = found[both].astype(float), values[k][both]
                ends = np.quantile(ours - theirs, [0.16, 0.5, 0.84])
                row |= {"a_v": np.median(ours), "a_v_map": np.median(theirs)}
                row |= {"difference": ends[1], "scatter": (ends[2] - ends[0]) / 2}
                row["correlation"] = np.corrcoef(ours, theirs)[0, 1]
                row["inside"] = ((theirs >= low[both]) & (theirs <= high[both])).mean()
            rows.append(row)
    names = ["map", "distance", "fields", "a_v", "a_v_map", "difference", "scatter"]
    return pd.DataFrame(rows, columns=[*names, "correlation", "inside"])
