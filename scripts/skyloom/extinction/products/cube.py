"""The 3D cube of a region: profiles on a grid of l and b, as FITS, and by pixels of HEALPix.

FITS: images A_V, A_V_16 and A_V_84 (distance, b, l) have A_V from the Sun to a distance [mag],
DENSITY, DENSITY_16 and DENSITY_84 have it by length [mag/kpc]. VERDICT (b, l) is an index in
`verdicts.VERDICTS`. The distance of A_V is the far edge of a bin, that of DENSITY its middle. A
sightline that was refused, or that has no stars, is NaN.
"""

from dataclasses import dataclass
from pathlib import Path

import healpy
import numpy as np
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS

from skyloom import images
from skyloom.cli import BadInput, atomic
from skyloom.extinction.products.profiles import MEDIAN, QUANTILES, Profiles, write
from skyloom.extinction.simulate.laws import LAWS
from skyloom.extinction.verdicts import MISSING, VERDICTS
from skyloom.patchset import flags
from skyloom.provenance import git_state

NAMES = {"extinction": ("A_V_16", "A_V", "A_V_84")}
NAMES |= {"density": ("DENSITY_16", "DENSITY", "DENSITY_84")}
UNITS = {"extinction": "mag", "density": "mag/kpc"}
BANDS = "J", "K"
PLACE_ERROR = 1e-3  # of the places of a grid, in steps


@dataclass(frozen=True)
class Cube:
    """longitude (x,), latitude (y,) : centres, ascending, longitude without a jump at 360 [deg]
    distance (z,) : far edges [pc]
    extinction, density : (3, z, y, x) float32 of `QUANTILES`; of a truth (1, z, y, x)
    verdict (y, x) : index in `verdicts.VERDICTS`
    """

    path: Path
    longitude: np.ndarray
    latitude: np.ndarray
    distance: np.ndarray
    extinction: np.ndarray
    density: np.ndarray
    verdict: np.ndarray
    law: str
    data_kind: str
    model: str = ""
    digest: str = ""

    @property
    def step(self) -> float:
        """Width of a bin of distance [pc]."""
        return float(self.distance[0])

    @property
    def sides(self) -> tuple[float, float]:
        """Of a field in l and b [deg]."""
        return _step(self.longitude, self.latitude), _step(self.latitude, self.longitude)

    @property
    def median(self) -> np.ndarray:
        """A_V (z, y, x) [mag]."""
        return self.extinction[MEDIAN if len(self.extinction) > 1 else 0]

    @property
    def median_density(self) -> np.ndarray:
        """A_V by length (z, y, x) [mag/kpc]."""
        return self.density[MEDIAN if len(self.density) > 1 else 0]

    def describe(self) -> str:
        """One line of a log."""
        counts = [(self.verdict == k).sum() for k in range(len(VERDICTS))]
        stated = ", ".join(f"{n} {word}" for n, word in zip(counts, VERDICTS, strict=True) if n)
        return f"{self.verdict.size} fields: {stated}; A_V to {self.distance[-1] / 1e3:g} kpc"


def of_profiles(profiles: Profiles, like: Cube | None = None) -> Cube:
    """Sightlines on the grid of their directions; places without one are missing.

    like : a cube whose grid is taken
    Raises BadInput where directions are on no grid, or a direction of `like` is not there.
    """
    if like is None:
        longitude = _axis(profiles.path, "l", _unwrapped(profiles.longitude))
        latitude = _axis(profiles.path, "b", profiles.latitude)
    else:
        longitude, latitude = like.longitude, like.latitude
        if len(like.distance) != len(profiles.distance) or not np.allclose(
            like.distance, profiles.distance
        ):
            raise BadInput(
                f"{profiles.path}: distances to {profiles.distance[-1]:g} pc in"
                f" {len(profiles.distance)} bins; expected those of {like.path}"
            )
    x, y = _cells(longitude, profiles.longitude, True), _cells(latitude, profiles.latitude)
    inside = (x >= 0) & (y >= 0)
    shape = len(latitude), len(longitude)
    cell = np.ravel_multi_index((y[inside], x[inside]), shape)
    if len(np.unique(cell)) < len(cell):
        raise BadInput(f"{profiles.path}: two sightlines have one direction; expected one each")
    verdict = np.full(shape, VERDICTS.index(MISSING), np.int16)
    verdict.flat[cell] = profiles.verdict[inside]
    if like is not None and (absent := verdict.size - inside.sum()):
        raise BadInput(
            f"{profiles.path}: {absent} of {verdict.size} directions of {like.path} are not there"
        )
    planes = []
    for values in (profiles.extinction, profiles.density):
        plane = np.full((len(values), values.shape[2], verdict.size), np.nan, np.float32)
        plane[:, :, cell] = values[:, inside].transpose(0, 2, 1)
        planes.append(plane.reshape(*plane.shape[:2], *shape))
    stated = profiles.attributes
    kept = {key: str(stated.get(key, "")) for key in ("law", "data_kind", "model", "digest")}
    grid = longitude, latitude, profiles.distance
    return Cube(profiles.path, *grid, *planes, verdict, **kept)


def write_fits(cube: Cube, path: Path) -> None:
    """The FITS file of the module's docstring."""
    law = LAWS[cube.law]
    facts = {
        "CREATOR": "Skyloom",
        "SKYKIND": (cube.data_kind, "survey or simulation"),
        "LAW": (cube.law, "extinction law"),
        **{f"A_{b}_A_V": (law.ratios[b], f"A_{b} over A_V of the law") for b in BANDS},
        "MODEL": (cube.model, "that predicted the profiles"),
        # as long as a card: it has no room for a comment
        "DIGEST": cube.digest,
        "GITHASH": ((git_state()["commit"] or "unknown")[:12], "code"),
    }
    hdus: list = [fits.PrimaryHDU()]
    for kind, names in NAMES.items():
        # the last axis is l, which grows to the left
        hdus += [
            fits.ImageHDU(values[:, :, ::-1], _header(cube, kind), name)
            for name, values in zip(names, getattr(cube, kind), strict=True)
        ]
    flat = WCS(_header(cube, "extinction")).celestial.to_header()
    hdus.append(fits.ImageHDU(cube.verdict.astype(np.uint8)[:, ::-1], flat, "VERDICT"))
    for hdu in hdus:
        for key, value in facts.items():
            hdu.header[key] = value
    for kind, names in NAMES.items():
        for name, q in zip(names, QUANTILES, strict=True):
            hdus[0].header["COMMENT"] = f"{name}: {q:.0%} quantile of the {kind} [{UNITS[kind]}]"
    meanings = ", ".join(f"{k} {word}" for k, word in enumerate(VERDICTS))
    hdus[0].header["COMMENT"] = f"VERDICT: {meanings}"
    hdus[0].header["COMMENT"] = "A refused or missing sightline is NaN."
    hdus[0].header["COMMENT"] = law.source
    with atomic(path) as part:
        fits.HDUList(hdus).writeto(part)


def read_cube(path: str | Path) -> Cube:
    """The cube of a FITS file.

    Raises BadInput for a file that is no such cube, is cut short, or has another unit or axis.
    """
    path = Path(path)
    with images.opened(path, "a cube of extinction_write_cube") as hdus:
        found = {hdu.name: hdu for hdu in hdus if hdu.is_image}
        wanted = [*NAMES["extinction"], *NAMES["density"], "VERDICT"]
        missing = [name for name in wanted if name not in found]
        if missing:
            raise BadInput(
                f"{path}: extension {', '.join(missing)} not found (extensions:"
                f" {', '.join(found)}); expected a cube of extinction_write_cube"
            )
        planes = []
        for kind, names in NAMES.items():
            for name in names:
                unit = found[name].header.get("BUNIT")
                if unit != UNITS[kind]:
                    raise BadInput(f"{path}: {name} is in {unit}; expected {UNITS[kind]}")
            planes.append(np.stack([found[name].data[:, :, ::-1] for name in names]))
        header = found["A_V"].header
        verdict = found["VERDICT"].data[:, ::-1].astype(np.int16)
        longitude, latitude, distance = _axes(path, header)
        primary = hdus[0].header
    law = str(primary.get("LAW"))
    if law not in LAWS:
        raise BadInput(f"{path}: keyword LAW is {law}; expected one of {', '.join(LAWS)}")
    words = (str(primary.get(key, "")) for key in ("SKYKIND", "MODEL", "DIGEST"))
    planes = [np.asarray(values, np.float32) for values in planes]
    return Cube(path, longitude, latitude, distance, *planes, verdict, law, *words)


def write_healpix(cube: Cube, path: Path, nside: int | None = None) -> None:
    """The cube by pixels of HEALPix (RING, Galactic) within its region, as netCDF.

    extinction, density : (pixel, quantile, distance); each pixel has the field around its centre
    nside : None for the pixels whose side is nearest to that of a field
    """
    if nside is None:
        side = np.sqrt(np.prod(cube.sides))
        nside = 2 ** int(np.clip(np.rint(np.log2(58.6 / side)), 0, 13))
    lon, lat = healpy.pix2ang(nside, np.arange(healpy.nside2npix(nside)), lonlat=True)
    x, y = cell_of(cube, lon, lat)
    pixel = np.flatnonzero((x >= 0) & (y >= 0))
    x, y = x[pixel], y[pixel]
    dims = "pixel", "quantile", "distance"
    variables = {
        kind: (dims, values[:, :, y, x].transpose(2, 0, 1), {"units": UNITS[kind]})
        for kind, values in (("extinction", cube.extinction), ("density", cube.density))
    }
    coordinates = {
        "pixel": ("pixel", pixel),
        "quantile": ("quantile", list(QUANTILES)),
        "distance": ("distance", cube.distance, {"units": "pc"}),
        "l": ("pixel", lon[pixel], {"units": "degree"}),
        "b": ("pixel", lat[pixel], {"units": "degree"}),
        "verdict": ("pixel", cube.verdict[y, x].astype(np.int8), flags(VERDICTS)),
    }
    facts = {"nside": nside, "ordering": "RING", "frame": "galactic"}
    kept = {key: getattr(cube, key) for key in ("law", "data_kind", "model", "digest")}
    write(xr.Dataset(variables, coordinates, facts | kept), path)


def cell_of(cube: Cube, longitude: np.ndarray, latitude: np.ndarray):
    """Column x and row y of directions [deg] in the cube, -1 outside of it."""
    found = []
    for axis, side, values, turns in (
        (cube.longitude, cube.sides[0], longitude, True),
        (cube.latitude, cube.sides[1], latitude, False),
    ):
        values = np.asarray(values, float) - axis[0]
        values = (values + side / 2) % 360 - side / 2 if turns else values
        # NaN is outside
        inside = (values >= -side / 2) & (values < axis[-1] - axis[0] + side / 2)
        index = np.rint(np.where(inside, values, 0) / side).astype(int)
        found.append(np.where(inside, index.clip(0, len(axis) - 1), -1))
    return tuple(found)


# --- grids ----------------------------------------------------------------------------------------


def _unwrapped(longitude: np.ndarray) -> np.ndarray:
    """Longitudes without a jump at 360, near their mean direction."""
    mean = np.degrees(np.angle(np.exp(1j * np.radians(longitude)).mean())) % 360
    return (longitude - mean + 180) % 360 - 180 + mean


def _axis(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Ascending places of an even grid that holds all values."""
    found = np.unique(np.round(values, 6))
    if len(found) == 1:
        return found
    gaps = np.diff(found)
    step = gaps[gaps > 1e-4].min()
    number = int(np.rint((found[-1] - found[0]) / step)) + 1
    # the mean step, in which rounding of single values cancels
    axis = np.linspace(found[0], found[-1], number)
    far = np.abs((values - axis[0]) / (axis[1] - axis[0]) % 1 - 0.5)
    if not (far > 0.5 - PLACE_ERROR).all():
        k = int(far.argmin())
        raise BadInput(
            f"{path}: sightlines are on no even grid: {name} {values[k]:g} lies between steps of"
            f" {step:g} deg"
        )
    return axis


def _cells(axis: np.ndarray, values: np.ndarray, turns: bool = False) -> np.ndarray:
    """Index of values in an axis, -1 of those that are not there."""
    away = values[:, None] - axis
    away = np.abs((away + 180) % 360 - 180 if turns else away)
    nearest = away.argmin(1)
    step = np.diff(axis).min() if len(axis) > 1 else 1.0
    return np.where(away.min(1) <= PLACE_ERROR * step + 1e-6, nearest, -1)


def _step(axis: np.ndarray, other: np.ndarray) -> float:
    """Side of a field; along an axis of one place that of the other axis, or half a degree."""
    for values in (axis, other):
        if len(values) > 1:
            return float((values[-1] - values[0]) / (len(values) - 1))
    return 0.5


# --- FITS -----------------------------------------------------------------------------------------


def _header(cube: Cube, kind: str) -> fits.Header:
    """Axes l, b (plate carrée) and distance of a plane, without its size."""
    width, height = cube.sides
    first = cube.distance[0] - (cube.step / 2 if kind == "density" else 0)
    middle = len(cube.longitude) // 2
    cards = {
        "CTYPE1": "GLON-CAR",
        "CUNIT1": "deg",
        "CRPIX1": len(cube.longitude) - middle,
        "CRVAL1": cube.longitude[middle] % 360,
        "CDELT1": -width,
        # of this projection only a reference on the equator gives even latitudes
        "CTYPE2": "GLAT-CAR",
        "CUNIT2": "deg",
        "CRPIX2": 1 - cube.latitude[0] / height,
        "CRVAL2": 0.0,
        "CDELT2": height,
        "CTYPE3": "DIST",
        "CUNIT3": "pc",
        "CRPIX3": 1.0,
        "CRVAL3": first,
        "CDELT3": cube.step,
        "BUNIT": UNITS[kind],
    }
    return fits.Header(list(cards.items()))


def _axes(path: Path, header: fits.Header) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Longitudes, ascending, latitudes [deg] and distances [pc] of the pixels."""
    types = [header.get(f"CTYPE{k}") for k in (1, 2, 3)]
    if types != ["GLON-CAR", "GLAT-CAR", "DIST"] or header.get("CUNIT3") != "pc":
        raise BadInput(
            f"{path}: axes {', '.join(map(str, types))}; expected GLON-CAR, GLAT-CAR and DIST [pc]"
        )
    lengths = [header[f"NAXIS{k}"] for k in (1, 2, 3)]
    plain = [
        header[f"CRVAL{k}"] + header[f"CDELT{k}"] * (np.arange(1, n + 1) - header[f"CRPIX{k}"])
        for k, n in zip((1, 2, 3), lengths, strict=True)
    ]
    return plain[0][::-1], plain[1], plain[2]
