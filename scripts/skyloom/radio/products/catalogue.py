"""Sources of diffuse emission in a mosaic, their regions, and the verdict on clusters."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.ndimage import binary_dilation, find_objects, label

from skyloom.cli import BadInput
from skyloom.radio.data.noise import Levels
from skyloom.radio.read import Image
from skyloom.radio.simulate.field import ARTEFACT, GALAXY

LEAST_BEAMS = 2.0  # area of a source [beam]
LEAST_SIGNAL = 3.0  # S/N of the flux in a cluster's aperture
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
    numbers, count = label(diffuse > threshold, np.ones((3, 3)))
    rows = []
    for number, box in enumerate(find_objects(numbers, count), 1):
        pad = int(np.ceil(RING_BEAMS * image.beam_pixels)) + 1
        wide = tuple(slice(max(0, s.start - pad), s.stop + pad) for s in box)
        inside = numbers[wide] == number
        beams = inside.sum() / image.beam_area
        if beams < LEAST_BEAMS:
            continue
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
    return binary_dilation(inside, np.ones((3, 3)), iterations=max(1, pixels))


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
    """For each cluster within the image: whether its aperture has diffuse emission, and why."""
    rows = []
    for cluster in table:
        place = SkyCoord(cluster["ra"] * u.deg, cluster["dec"] * u.deg)
        x, y = (float(v) for v in image.wcs.world_to_pixel(place))
        radius = float(cluster["radius"]) if "radius" in table.colnames else radius_arcmin
        reach = radius * 60 / image.pixel
        row = {"name": str(cluster["name"]), "ra": cluster["ra"], "dec": cluster["dec"]}
        row |= {"radius": radius} | _verdict(image, levels, diffuse, other, threshold, y, x, reach)
        rows.append(row)
    return Table(rows) if rows else no_clusters()


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
