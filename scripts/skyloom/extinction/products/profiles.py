"""Profiles of extinction by sightline: the file of predictions, and that of a truth.

    dimensions   sightline, quantile, distance
    extinction   (sightline, quantile, distance)  A_V from the Sun to a distance [mag]
    density      the same, of A_V by length [mag/kpc]; optional
    distance     far edges of bins of one width, the first of which begins at the Sun [pc]
    quantile     probabilities, with 0.16, 0.5 and 0.84 among them
    l, b         (sightline,) Galactic [deg]
    verdict      (sightline,) int8 with CF flags: 0 used, 1 flagged, 2 refused, 3 missing
    attributes   law, data_kind; optional: model, digest, and any other for the header of a cube

A truth has no dimension `quantile` and needs no `verdict`. A refused or missing sightline has NaN.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from skyloom import files
from skyloom.cli import BadInput, atomic, require
from skyloom.extinction.simulate.laws import LAWS
from skyloom.extinction.verdicts import MISSING, REFUSED, VERDICTS
from skyloom.patchset import flags

QUANTILES = 0.16, 0.5, 0.84
MEDIAN = QUANTILES.index(0.5)
BLANK = VERDICTS.index(REFUSED), VERDICTS.index(MISSING)
TRUE_ATTRIBUTES = "law", "data_kind"


@dataclass(frozen=True)
class Profiles:
    """longitude, latitude : (sightline,) [deg]; distance : (bin,) far edges [pc]
    extinction, density : (3, sightline, bin) of `QUANTILES` [mag, mag/kpc], NaN where unknown; a
        truth has the median alone
    verdict : (sightline,) index in `verdicts.VERDICTS`
    """

    path: Path
    longitude: np.ndarray
    latitude: np.ndarray
    distance: np.ndarray
    extinction: np.ndarray
    density: np.ndarray
    verdict: np.ndarray
    attributes: dict = field(default_factory=dict)


def dataset(
    extinction: np.ndarray,
    distance: np.ndarray,
    place: tuple[np.ndarray, np.ndarray],
    attributes: dict,
    quantile: np.ndarray | None = None,
    verdict: np.ndarray | None = None,
    density: np.ndarray | None = None,
) -> xr.Dataset:
    """The content of a file of profiles.

    extinction, density : (sightline, quantile, bin), or (sightline, bin) of a truth [mag, mag/kpc]
    place : l, b (sightline,) [deg]; the others as in the docstring of the module
    """
    dims = ("sightline", "distance") if quantile is None else ("sightline", "quantile", "distance")
    mag = {"units": "mag", "long_name": "A_V from the Sun"}
    variables = {"extinction": (dims, np.asarray(extinction, np.float32), mag)}
    if density is not None:
        words = {"units": "mag/kpc", "long_name": "A_V by length"}
        variables["density"] = (dims, np.asarray(density, np.float32), words)
    coordinates = axes(distance, place, quantile, verdict)
    return xr.Dataset(variables, coordinates, attributes)


def axes(
    distance: np.ndarray,
    place: tuple[np.ndarray, np.ndarray],
    quantile: np.ndarray | None = None,
    verdict: np.ndarray | None = None,
) -> dict:
    """Coordinates of a file of sightlines; arguments as those of `dataset`."""
    coordinates = {
        "distance": ("distance", np.asarray(distance, float), {"units": "pc"}),
        "l": ("sightline", np.asarray(place[0], float), {"units": "degree"}),
        "b": ("sightline", np.asarray(place[1], float), {"units": "degree"}),
    }
    if quantile is not None:
        coordinates["quantile"] = ("quantile", np.asarray(quantile, float))
    if verdict is not None:
        coordinates["verdict"] = ("sightline", np.asarray(verdict, np.int8), flags(VERDICTS))
    return coordinates


def write(content: xr.Dataset, path: Path) -> None:
    """A compressed netCDF-4 file."""
    encoding = {name: {"zlib": True, "complevel": 1} for name in content.data_vars}
    with atomic(path) as part:
        content.to_netcdf(part, engine="netcdf4", encoding=encoding)


def read_profiles(path: str | Path, truth: bool = False) -> Profiles:
    """The profiles of a file.

    truth : the file has no quantiles
    Raises BadInput where the file departs from the docstring of the module: a missing variable,
    another unit, uneven bins, quantiles that cross, a used sightline without a value.
    """
    path = Path(path)
    content = files.load_dataset(path)
    coordinates = ["distance", "l", "b"] + ([] if truth else ["quantile", "verdict"])
    require(content.variables, ["extinction", *coordinates], path, "variable")
    require(content.attrs, TRUE_ATTRIBUTES, path, "attribute")
    law = content.attrs["law"]
    if law not in LAWS:
        raise BadInput(f"{path}: attribute law is {law!r}; expected one of {', '.join(LAWS)}")
    distance = _distance(path, content)
    places = (content[name].values.astype(float) for name in ("l", "b"))
    longitude, latitude = places
    if not (np.isfinite(longitude).all() and (np.abs(latitude) <= 90).all()):
        raise BadInput(f"{path}: l or b is no direction; expected degrees")
    verdict = np.zeros(len(longitude), int) if truth else _verdict(path, content)
    extinction = _quantiles(path, content, "extinction", "mag", truth)
    blank = np.isin(verdict, BLANK)
    bad = ~blank & ~(np.isfinite(extinction) & (extinction >= 0)).all((0, 2))
    if bad.any():
        k = int(bad.argmax())
        raise BadInput(
            f"{path}: extinction of the {VERDICTS[verdict[k]]} sightline {k} (l {longitude[k]:g}, b"
            f" {latitude[k]:g}) is negative or no number; expected A_V [mag]"
        )
    density = _density(path, content, extinction, distance, truth)
    extinction[:, blank] = np.nan
    density[:, blank] = np.nan
    place = longitude % 360, latitude
    return Profiles(path, *place, distance, extinction, density, verdict, dict(content.attrs))


def _distance(path: Path, content: xr.Dataset) -> np.ndarray:
    values = content["distance"].values.astype(float)
    unit = content["distance"].attrs.get("units")
    if unit != "pc":
        raise BadInput(f"{path}: distance is in {unit}; expected pc")
    expected = values[0] * np.arange(1, len(values) + 1) if len(values) else values
    if not (len(values) and values[0] > 0 and np.allclose(values, expected, rtol=1e-6)):
        raise BadInput(f"{path}: distances are no far edges of bins of one width from the Sun on")
    return values


def _verdict(path: Path, content: xr.Dataset) -> np.ndarray:
    values = content["verdict"].values
    if not np.isin(values, range(len(VERDICTS))).all():
        meanings = ", ".join(f"{k} {word}" for k, word in enumerate(VERDICTS))
        raise BadInput(f"{path}: verdict has other values; expected {meanings}")
    return values.astype(int)


def _quantiles(path: Path, content: xr.Dataset, name: str, unit: str, truth: bool) -> np.ndarray:
    """(quantile, sightline, bin) float32 of `QUANTILES`, or of a truth (1, sightline, bin)."""
    variable = content[name]
    dims = ("sightline", "distance") if truth else ("quantile", "sightline", "distance")
    if set(variable.dims) != set(dims):
        raise BadInput(f"{path}: {name} has dimensions {variable.dims}; expected {dims}")
    if variable.attrs.get("units") != unit:
        raise BadInput(f"{path}: {name} is in {variable.attrs.get('units')}; expected {unit}")
    values = variable.transpose(*dims).values.astype(np.float32)
    if truth:
        return values[None]
    stated = content["quantile"].values
    chosen = [np.flatnonzero(np.isclose(stated, q)) for q in QUANTILES]
    if not all(len(k) == 1 for k in chosen):
        listed = ", ".join(f"{q:g}" for q in stated)
        raise BadInput(f"{path}: quantiles {listed}; expected 0.16, 0.5 and 0.84 among them")
    values = values[[k[0] for k in chosen]]
    # NaN of a blank sightline passes
    if (np.diff(values, axis=0) < -1e-4 * (1 + np.abs(values[1:]))).any():
        raise BadInput(f"{path}: quantiles of {name} cross; expected 0.16 <= 0.5 <= 0.84")
    return values


def _density(
    path: Path, content: xr.Dataset, extinction: np.ndarray, distance: np.ndarray, truth: bool
) -> np.ndarray:
    """Stated, or the differences of the median, whose interval is unknown [mag/kpc]."""
    if "density" in content:
        return _quantiles(path, content, "density", "mag/kpc", truth)
    density = np.full_like(extinction, np.nan)
    k = 0 if truth else MEDIAN
    density[k] = np.diff(extinction[k], prepend=0, axis=-1) / (distance[0] / 1e3)
    return density
