"""Stars of surveys as archives give them, with cuts on quality that are counted.

2MASS: VizieR II/246 and IRSA fp_psc. Gaia DR3: the archive's gaia_source and VizieR I/355.
Pan-STARRS1: VizieR II/349.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from skyloom.cli import BadInput
from skyloom.extinction.read.tables import column, read_table, words

# Magnitudes outside are no measurements: 99.999, -999 and the like.
BRIGHTEST, FAINTEST = -5.0, 35.0
CLEAN = "ABC"  # of ph_qual: signal above 5 (A 10, B 7, C 5); U is an upper limit
LN = 2.5 / np.log(10)  # error in mag of a relative error


@dataclass(frozen=True)
class Form:
    """Names of columns: magnitude and error by band, place, and flags that a table may lack.

    relative : errors are flux over error
    """

    bands: dict[str, tuple[str, str]]
    galactic: tuple[str, str]
    equatorial: tuple[str, str]
    flags: dict[str, str]
    relative: bool = False


FORMS = {
    "2mass": {
        "VizieR II/246": Form(
            {band: (f"{band}mag", f"e_{band}mag") for band in "JHK"},
            ("GLON", "GLAT"),
            ("RAJ2000", "DEJ2000"),
            {"quality": "Qflg", "confusion": "Cflg", "extended": "Xflg"},
        ),
        "IRSA fp_psc": Form(
            {band: (f"{band.lower()}_m", f"{band.lower()}_msigcom") for band in "JHK"},
            ("glon", "glat"),
            ("ra", "dec"),
            {"quality": "ph_qual", "confusion": "cc_flg", "extended": "ext_key"},
        ),
    },
    "gaia": {
        "Gaia archive": Form(
            {
                "G": ("phot_g_mean_mag", "phot_g_mean_flux_over_error"),
                "BP": ("phot_bp_mean_mag", "phot_bp_mean_flux_over_error"),
                "RP": ("phot_rp_mean_mag", "phot_rp_mean_flux_over_error"),
            },
            ("l", "b"),
            ("ra", "dec"),
            {},
            relative=True,
        ),
        "VizieR I/355": Form(
            {"G": ("Gmag", "e_Gmag"), "BP": ("BPmag", "e_BPmag"), "RP": ("RPmag", "e_RPmag")},
            ("GLON", "GLAT"),
            ("RA_ICRS", "DE_ICRS"),
            {},
        ),
    },
    "panstarrs": {
        "VizieR II/349": Form(
            {band: (f"{band}mag", f"e_{band}mag") for band in "ri"},
            ("GLON", "GLAT"),
            ("RAJ2000", "DEJ2000"),
            {},
        ),
    },
}


@dataclass(frozen=True)
class Catalogue:
    """magnitudes, errors : (n,) by band [mag], NaN where a band is not usable
    longitude, latitude : Galactic (n,) [deg]; None of a table without places
    form : that of the columns; cuts : stars, and measurements by band, that each cut left out
    missing : flags that the table lacks, whose cuts were not applied
    """

    path: Path
    magnitudes: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    longitude: np.ndarray | None
    latitude: np.ndarray | None
    form: str
    cuts: dict[str, int]
    missing: tuple[str, ...]
    data_kind: str

    def __len__(self) -> int:
        return len(next(iter(self.magnitudes.values())))

    def describe(self) -> str:
        """One line of a log."""
        lacking = f"; no column for {', '.join(self.missing)}" if self.missing else ""
        cuts = _listed(self.cuts) or "none"
        return f"{self.path}: {self.form}, {len(self)} stars; left out: {cuts}{lacking}"


def read_catalogue(path: str | Path, survey: str) -> Catalogue:
    """The stars of one table. survey : of `FORMS`

    An extended or confused source is left out. A band is not usable without an error (an upper
    limit), with a quality below C, or with a magnitude that stands for none.
    Raises BadInput as `read_table`, and for missing columns, other units, or no star at all.
    """
    path = Path(path)
    table = read_table(path)
    name, form = _form(path, table, survey)
    if not len(table):
        raise BadInput(f"{path}: no star; expected those of a field")
    flags = {flag: c for flag, c in form.flags.items() if c in table.colnames}
    missing = tuple(flag for flag in form.flags if flag not in flags)
    cuts: dict[str, int] = {}
    kept = _single(table, flags, cuts)
    magnitudes, errors = {}, {}
    for index, band in enumerate(form.bands):
        quality = words(table, flags["quality"]) if "quality" in flags else None
        good = quality is None or np.array([q[index : index + 1] in CLEAN for q in quality])
        values, error = _band(path, table, form, band, kept, good, cuts)
        magnitudes[band], errors[band] = values[kept], error[kept]
    if not any(np.isfinite(m).any() for m in magnitudes.values()):
        rows = len(table)
        raise BadInput(f"{path}: no usable magnitude in {rows} rows; left out: {_listed(cuts)}")
    longitude, latitude = _places(path, table, form, kept)
    kind = str(table.meta.get("SKYKIND", "survey"))
    return Catalogue(path, magnitudes, errors, longitude, latitude, name, cuts, missing, kind)


def _single(table: Table, flags: dict[str, str], cuts: dict[str, int]) -> np.ndarray:
    """Which rows are single stars."""
    kept = np.ones(len(table), bool)
    if "extended" in flags:
        # null, 0 or an empty text: no extended source
        text = words(table, flags["extended"])
        extended = ~np.isin(text, ("", "0", "0.0", "null", "None", "nan", "<NA>"))
        cuts["extended"] = int(extended.sum())
        kept &= ~extended
    if "confusion" in flags:
        # a reader of CSV makes the number 0 of 000
        confused = np.array([t.strip("0. ") != "" for t in words(table, flags["confusion"])])
        cuts["confused"] = int((confused & kept).sum())
        kept &= ~confused
    return kept


def _band(
    path: Path,
    table: Table,
    form: Form,
    band: str,
    kept: np.ndarray,
    good: np.ndarray | bool,
    cuts: dict[str, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes and errors (n,), NaN where not usable; the reasons are counted in `cuts`."""
    value, error = form.bands[band]
    m = column(path, table, value, "mag")
    e = column(path, table, error, None if form.relative else "mag")
    if form.relative:
        with np.errstate(divide="ignore"):
            e = LN / e
    reasons = {
        "without a magnitude": np.isnan(m),
        "of a value that stands for none": ~((m > BRIGHTEST) & (m < FAINTEST)),
        "without an error": ~((e > 0) & (e < FAINTEST)),
        "of low quality": np.broadcast_to(np.logical_not(good), m.shape),
    }
    usable = np.ones(len(m), bool)
    for reason, bad in reasons.items():
        cuts[f"{band} {reason}"] = int((usable & bad & kept).sum())
        usable &= ~bad
    return np.where(usable, m, np.nan), np.where(usable, e, np.nan)


def _listed(cuts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in cuts.items() if number)


def _form(path: Path, table: Table, survey: str) -> tuple[str, Form]:
    """The form of which the table has all magnitudes and errors."""
    for name, form in FORMS[survey].items():
        if {c for pair in form.bands.values() for c in pair} <= set(table.colnames):
            return name, form
    lacking = {
        name: [c for pair in form.bands.values() for c in pair if c not in table.colnames]
        for name, form in FORMS[survey].items()
    }
    best = min(lacking, key=lambda name: len(lacking[name]))
    raise BadInput(
        f"{path}: column {', '.join(lacking[best])} of {best} not found"
        f" (columns: {', '.join(table.colnames)}); expected one of {', '.join(FORMS[survey])}"
    )


def _places(path: Path, table: Table, form: Form, kept: np.ndarray):
    """Galactic longitude and latitude [deg], or None twice."""
    for names, galactic in ((form.galactic, True), (form.equatorial, False)):
        if set(names) <= set(table.colnames):
            first, second = (column(path, table, name, "deg")[kept] for name in names)
            if not (np.abs(second[np.isfinite(second)]) <= 90).all():
                raise BadInput(f"{path}: column {names[1]} beyond 90 deg; expected degrees")
            if galactic:
                return first, second
            place = SkyCoord(first, second, unit="deg").galactic
            return place.l.deg, place.b.deg
    return None, None
