"""Sources of diffuse emission in a mosaic, their regions, and the verdict on clusters."""

import functools
from collections.abc import Iterator

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.ndimage import binary_dilation, find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skyloom.cli import BadInput
from skyloom.radio.data.noise import Levels
from skyloom.radio.read import Image
from skyloom.radio.simulate.field import ARTEFACT, GALAXY

LEAST_BEAMS = 2.0  # area of a source [beam]
LEAST_SIGNAL = 3.0  # S/N of the flux in a cluster's aperture
STRIP = 256  # rows that are labelled at a time
NEIGHBOURS = np.ones((3, 3))  # pixels that touch at a corner are of one island
RING_BEAMS = 2.0  # width of the surroundings in which confusers are counted [beam]
UNITS = {
    "ra": u.deg,
    "dec": u.deg,
    "area": u.arcmin**2,
    "flux": u.mJy,
    "flux_error": u.mJy,
    "size": u.arcsec,
}


def sources(
    image: Image, levels: Levels, diffuse: np.ndarray, other: np.ndarray, threshold: float
) -> Table:
    """Islands above the threshold, of `LEAST_BEAMS` at least.

    Columns: name, ra, dec [deg] of the centre of flux, y, x [pixel], area [arcmin2], beams, flux
    and flux_error [mJy], size (largest extent) [arcsec], probability (peak), signal_to_noise,
    confusers (share of galaxies and artefacts in the ring of `RING_BEAMS` around it).
    """
    rows, pad = [], int(np.ceil(RING_BEAMS * image.beam_pixels)) + 1
    for box, island in islands(diffuse, threshold, LEAST_BEAMS * image.beam_area):
        wide = tuple(slice(max(0, s.start - pad), s.stop + pad) for s in box)
        inside = np.zeros(diffuse[wide].shape, bool)
        y, x = (s.start - w.start for s, w in zip(box, wide, strict=True))
        inside[y : y + island.shape[0], x : x + island.shape[1]] = island
        ring = _grown(inside, int(round(RING_BEAMS * image.beam_pixels)))
        ring &= ~(diffuse[wide] > threshold) & np.isfinite(diffuse[wide])
        row = _source(image, levels, diffuse, wide, inside)
        rows.append(row | {"confusers": _confusers(other[wide][ring])})
    rows.sort(key=lambda row: -row["flux"])
    names = ["ra", "dec", "y", "x", "area", "beams", "flux", "flux_error", "size", "probability"]
    names += ["signal_to_noise", "confusers"]
    table = Table({name: [row[name] for row in rows] for name in names}, dtype=[float] * len(names))
    table.add_column([_name(row) for row in rows], name="name", index=0)
    for name, unit in UNITS.items():
        table[name].unit = unit
    return table


def islands(
    diffuse: np.ndarray, threshold: float, least: float
) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Box of each island above the threshold of `least` pixels or more, and its pixels in the box.

    Labelled strip by strip: labels of all pixels would take as much memory as the image.
    """
    count, boxes, sizes, pairs, above = 0, [], [], [], None
    for start in range(0, len(diffuse), STRIP):
        numbers, number = label(diffuse[start : start + STRIP] > threshold, NEIGHBOURS)
        found = [(y.start, x.start, y.stop, x.stop) for y, x in find_objects(numbers)]
        boxes.append(np.array(found, np.int32).reshape(-1, 4))
        boxes[-1][:, ::2] += start
        sizes.append(np.bincount(numbers.ravel(), minlength=number + 1)[1:])
        if above is not None:
            pairs += [_touching(above, numbers[0] + count * (numbers[0] > 0))]
        above = numbers[-1] + count * (numbers[-1] > 0)
        count += number
    if not count:
        return
    first, second = np.concatenate([np.zeros((2, 0), int), *pairs], 1) - 1
    joined = coo_array((np.ones(len(first)), (first, second)), (count, count))
    number, island = connected_components(joined, directed=False)
    low, high = np.full((number, 2), max(diffuse.shape)), np.zeros((number, 2), int)
    np.minimum.at(low, island, np.concatenate(boxes)[:, :2])
    np.maximum.at(high, island, np.concatenate(boxes)[:, 2:])
    pixels = np.bincount(island, np.concatenate(sizes))
    for k in np.flatnonzero(pixels >= least):
        box = tuple(slice(a, b) for a, b in zip(low[k], high[k], strict=True))
        numbers, _ = label(diffuse[box] > threshold, NEIGHBOURS)
        # one island alone touches all sides of a box: it would cross any other
        sides = numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]
        yield box, numbers == functools.reduce(np.intersect1d, sides).max()


def _touching(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Pairs (2, n) of the labels of two rows that touch, also at a corner."""
    wide = np.pad(above, 1)
    pairs = [np.stack([wide[k : k + len(below)], below]) for k in range(3)]
    found = np.concatenate(pairs, 1)
    return np.unique(found[:, (found > 0).all(0)], axis=1)


def _source(
    image: Image,
    levels: Levels,
    diffuse: np.ndarray,
    box: tuple[slice, slice],
    inside: np.ndarray,
) -> dict[str, float]:
    flux, error, signal = _flux(image, levels, box, inside)
    y, x = np.nonzero(inside)
    weights = np.nan_to_num(np.asarray(image.data[box])[inside]).clip(1e-12)
    y0, x0 = (np.average(values, weights=weights) for values in (y, x))
    place = image.wcs.pixel_to_world(x0 + box[1].start, y0 + box[0].start).icrs
    reach = np.hypot(y - y.mean(), x - x.mean()).max()
    return {
        "ra": place.ra.deg,
        "dec": place.dec.deg,
        "y": y0 + box[0].start,
        "x": x0 + box[1].start,
        "area": inside.sum() * image.pixel**2 / 3600,
        "beams": inside.sum() / image.beam_area,
        "flux": flux * 1e3,
        "flux_error": error * 1e3,
        "size": 2 * reach * image.pixel,
        "probability": float(diffuse[box][inside].max()),
        "signal_to_noise": signal,
    }


def _confusers(classes: np.ndarray) -> float:
    """Share of galaxies and artefacts among the classes of pixels that are not called diffuse."""
    return float(np.isin(classes, (GALAXY, ARTEFACT)).mean()) if classes.size else 0.0


def _flux(
    image: Image, levels: Levels, box: tuple[slice, slice], inside: np.ndarray
) -> tuple[float, float, float]:
    """Flux above the background and its error [Jy], and their ratio; noise is that of beams."""
    # numpy has cut a box that reaches beyond the image
    box = tuple(slice(s.start, s.start + n) for s, n in zip(box, inside.shape, strict=True))
    background, noise = levels.on(*box)
    values = np.asarray(image.data[box], np.float64) - background
    flux = np.nansum(values[inside]) / image.beam_area
    error = np.sqrt((noise[inside] ** 2).sum() / image.beam_area)
    return float(flux), float(error), float(flux / max(error, 1e-30))


def _grown(inside: np.ndarray, pixels: int) -> np.ndarray:
    return binary_dilation(inside, NEIGHBOURS, iterations=max(1, pixels))


def _name(row: dict[str, float]) -> str:
    place = SkyCoord(row["ra"] * u.deg, row["dec"] * u.deg)
    ra = place.ra.to_string(u.hour, sep="", precision=1, pad=True)
    return f"J{ra}{place.dec.to_string(sep='', precision=0, pad=True, alwayssign=True)}"


def regions(table: Table) -> str:
    """The sources as circles of DS9, fk5."""
    lines = ["# Region file format: DS9", "global color=cyan", "fk5"]
    for row in table:
        text = f"{row['name']} p={row['probability']:.2f}"
        lines.append(
            f'circle({row["ra"]:.6f},{row["dec"]:.6f},{row["size"] / 2:.1f}") # text={{{text}}}'
        )
    return "\n".join(lines) + "\n"


# --- clusters -------------------------------------------------------------------------------------


def clusters(path: str, columns: dict[str, str]) -> Table:
    """A table of clusters: name, ra, dec [deg], radius [arcmin].

    columns : our name -> the column of the file; a missing one has our name. The radius is that of
        the aperture; without it the aperture is `clusters.radius_arcmin` of the config.
    """
    try:
        table = Table.read(path)
    except Exception as error:
        raise BadInput(
            f"{path}: cannot be read as a table ({error}); expected FITS, ECSV or CSV"
        ) from error
    wanted = {name: columns.get(name, name) for name in ("name", "ra", "dec", "radius")}
    for name in ("ra", "dec"):
        if wanted[name] not in table.colnames:
            raise BadInput(
                f"{path}: no column {wanted[name]!r} for {name} [deg]; found"
                f" {', '.join(table.colnames)}. State radio.clusters.columns"
            )
    found = Table({name: table[c] for name, c in wanted.items() if c in table.colnames})
    for name in found.colnames:
        if name == "name":
            continue
        values = np.ma.filled(np.ma.asarray(found[name], float), np.nan)
        bad = ~np.isfinite(values) | ((values <= 0) & (name == "radius"))
        if bad.any():
            raise BadInput(
                f"{path}: column {wanted[name]} has {bad.sum()} value(s) that are none, the first"
                f" in row {int(np.flatnonzero(bad)[0]) + 1}; expected numbers"
            )
    if "name" not in found.colnames:
        found["name"] = [f"cluster {k + 1}" for k in range(len(found))]
    return found


def no_clusters() -> Table:
    """The table of verdicts of an image without clusters."""
    return Table(names=["name", "verdict", "reason"], dtype=[str] * 3)


def verdicts(
    table: Table,
    image: Image,
    levels: Levels,
    diffuse: np.ndarray,
    other: np.ndarray,
    threshold: float,
    radius_arcmin: float,
) -> Table:
    """For each cluster: whether its aperture has diffuse emission, and why."""
    rows = []
    for cluster, y, x in zip(table, *_places(table, image), strict=True):
        radius = float(cluster["radius"]) if "radius" in table.colnames else radius_arcmin
        reach = radius * 60 / image.pixel
        row = {"name": str(cluster["name"]), "ra": cluster["ra"], "dec": cluster["dec"]}
        row |= {"radius": radius} | _verdict(image, levels, diffuse, other, threshold, y, x, reach)
        rows.append(row)
    return Table(rows) if rows else no_clusters()


def within(table: Table, image: Image) -> Table:
    """The clusters in an image."""
    y, x = _places(table, image)
    ny, nx = image.data.shape
    return table[(0 <= y) & (y < ny) & (0 <= x) & (x < nx)]


def _places(table: Table, image: Image) -> tuple[np.ndarray, np.ndarray]:
    """y, x [pixel] of each cluster; NaN on the other side of the sky."""
    x, y = image.wcs.world_to_pixel(SkyCoord(table["ra"], table["dec"], unit="deg"))
    return np.atleast_1d(y), np.atleast_1d(x)


def _verdict(
    image: Image,
    levels: Levels,
    diffuse: np.ndarray,
    other: np.ndarray,
    threshold: float,
    y: float,
    x: float,
    reach: float,
) -> dict:
    nothing = {"probability": np.nan, "beams": np.nan, "signal_to_noise": np.nan}
    nothing |= {"confusers": np.nan, "verdict": "outside"}
    shape = image.data.shape
    if not (0 <= y < shape[0] and 0 <= x < shape[1]):
        return nothing | {"reason": "outside of the image"}
    box = tuple(
        slice(max(0, int(c - reach)), min(n, int(c + reach) + 2))
        for c, n in zip((y, x), shape, strict=True)
    )
    rows, columns = (np.arange(s.start, s.stop) for s in box)
    aperture = np.hypot(rows[:, None] - y, columns - x) <= reach
    seen = aperture & np.isfinite(diffuse[box])
    if not seen.sum() >= 0.5 * aperture.sum():
        return nothing | {"verdict": "unobserved", "reason": "half of the aperture is unobserved"}
    called = seen & (diffuse[box] > threshold)
    beams = called.sum() / image.beam_area
    signal = _flux(image, levels, box, called)[2] if called.any() else 0.0
    emission = beams >= LEAST_BEAMS and signal >= LEAST_SIGNAL
    reason = f"{beams:.1f} beams above the threshold, S/N {signal:.1f}"
    if not emission:
        short = f"{LEAST_BEAMS:g} beams" if beams < LEAST_BEAMS else f"S/N {LEAST_SIGNAL:g}"
        reason += f"; less than {short}"
    return {
        "probability": float(np.nanmax(np.where(seen, diffuse[box], np.nan))),
        "beams": float(beams),
        "signal_to_noise": signal,
        "confusers": _confusers(other[box][seen & ~called]),
        "verdict": "emission" if emission else "none",
        "reason": reason,
    }
