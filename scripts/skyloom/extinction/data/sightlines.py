"""The star tables of sightlines: their list, and what a survey has of each."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skyloom import files
from skyloom.cli import BadInput
from skyloom.extinction import check
from skyloom.extinction.read.catalogue import Catalogue, read_catalogue
from skyloom.extinction.simulate import diagrams
from skyloom.extinction.simulate.survey import DIAGRAMS, bands_of

NEAR = 0.01  # of a listed direction to that of a sightline [deg]


@dataclass
class Sightline:
    """counts (diagram, y, x) : stars; None of a field that is missing
    limits : measured magnitudes of 50 % completeness by band; empty where no table has them
    reason : why a field is missing
    """

    counts: np.ndarray | None
    limits: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    data_kind: str = "survey"


def read_list(path: Path, place: tuple[np.ndarray, np.ndarray]) -> list[tuple[Path | None, str]]:
    """The star table of each sightline, and why it has none.

    path : CSV with the columns `l`, `b` [deg] and `table`, a path that may begin at the folder of
    the list; optional: `reason`, of a table that is not there
    Raises BadInput for a missing column, a place that is no number, and a list of another region.
    """
    listed = files.read_csv(path, ("table",), ("l", "b"))
    longitude, latitude = (listed[name].to_numpy(float) for name in ("l", "b"))
    found: list[tuple[Path | None, str]] = []
    for lon, lat in zip(*place, strict=True):
        away = np.hypot((longitude - lon + 180) % 360 - 180, latitude - lat)
        rows = np.flatnonzero(away < NEAR)
        if not len(rows):
            found.append((None, f"not listed in {path}"))
            continue
        # an empty cell is NaN
        name, reason = (listed.iloc[rows[0]].get(key) for key in ("table", "reason"))
        if isinstance(name, str):
            found.append((Path(path).parent / name, ""))
        else:
            found.append((None, reason if isinstance(reason, str) else f"no table in {path}"))
    if not any(table for table, _ in found):
        raise BadInput(
            f"{path}: no table of the {len(found)} sightlines, the first l {place[0][0]:g}, b"
            f" {place[1][0]:g}: {found[0][1]}"
        )
    return found


def surveyed(
    settings: dict, tables: dict, k: int, place: tuple[float, float], area: float
) -> Sightline:
    """Sightline `k` from its star tables by survey; a bad table leaves it missing, with the reason.

    Stars outside of the square of `area` [deg2] around the place are left out.
    """
    magnitudes, kinds = {}, set()
    for survey, listed in tables.items():
        path, reason = listed[k]
        if path is None:
            return Sightline(None, reason=reason)
        try:
            stars = read_catalogue(path, survey)
        except BadInput as error:
            return Sightline(None, reason=str(error))
        inside = within(stars, place, area)
        magnitudes |= {band: m[inside] for band, m in stars.magnitudes.items()}
        kinds.add(stars.data_kind)
    names = settings["given"] or settings["diagrams"]
    counts = np.zeros((len(settings["diagrams"]), diagrams.PIXELS, diagrams.PIXELS), np.float32)
    for name in names:
        image = diagrams.of_catalogue(magnitudes, DIAGRAMS[name])
        counts[settings["diagrams"].index(name)] = image
    limits = {band: check.measured_limit(magnitudes[band]) for band in bands_of(names)}
    return Sightline(counts, limits, data_kind=" and ".join(sorted(kinds)))


def within(stars: Catalogue, place: tuple[float, float], area: float) -> np.ndarray:
    """Which stars (n,) lie in the square field; all of a table without places."""
    if stars.longitude is None or stars.latitude is None:
        return np.ones(len(stars), bool)
    half = np.sqrt(area) / 2
    across = (stars.longitude - place[0] + 180) % 360 - 180
    across *= np.cos(np.radians(place[1]))
    return (np.abs(across) <= half) & (np.abs(stars.latitude - place[1]) <= half)
