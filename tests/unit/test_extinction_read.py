"""Tables of stars as archives give them, Besançon catalogues, and what is refused."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table

from skyloom.cli import BadInput
from skyloom.extinction.read.besancon import read_besancon
from skyloom.extinction.read.catalogue import read_catalogue

ROWS = 6


def vizier(**changes) -> Table:
    """Six stars of VizieR II/246: four good ones, a confused one, an upper limit in K."""
    columns = {
        "RAJ2000": np.linspace(150.0, 150.1, ROWS),
        "DEJ2000": np.linspace(-57.0, -57.1, ROWS),
        "Jmag": np.linspace(12.0, 14.0, ROWS),
        "e_Jmag": np.full(ROWS, 0.02),
        "Hmag": np.linspace(11.5, 13.5, ROWS),
        "e_Hmag": np.full(ROWS, 0.02),
        "Kmag": np.linspace(11.3, 13.3, ROWS),
        "e_Kmag": MaskedColumn(np.full(ROWS, 0.03), mask=[0, 0, 0, 0, 0, 1]),
        "Qflg": ["AAA", "ABC", "AAD", "AAA", "AAA", "AAU"],
        "Cflg": ["000", "000", "000", "000", "0c0", "000"],
        "Xflg": [0, 0, 0, 0, 0, 0],
    }
    table = Table({name: v for name, v in (columns | changes).items() if v is not None})
    for name in table.colnames:
        if name.endswith("mag"):
            table[name].unit = "mag"
    return table


def irsa() -> Table:
    """The same stars in the columns of IRSA."""
    old = vizier()
    names = {f"{b}mag": f"{b.lower()}_m" for b in "JHK"}
    names |= {f"e_{b}mag": f"{b.lower()}_msigcom" for b in "JHK"}
    names |= {"RAJ2000": "ra", "DEJ2000": "dec", "Qflg": "ph_qual", "Cflg": "cc_flg"}
    old.rename_columns(list(names), list(names.values()))
    old.remove_column("Xflg")
    old["ext_key"] = MaskedColumn(np.zeros(ROWS, int), mask=np.ones(ROWS, bool))
    return old


def written(table: Table, path):
    formats = {".fits": "fits", ".vot": "votable", ".csv": "ascii.csv"}
    table.write(path, format=formats[path.suffix])
    return path


@pytest.mark.parametrize("suffix", [".fits", ".vot", ".csv"])
@pytest.mark.parametrize("form", [vizier, irsa])
def test_both_forms_of_2mass_are_read_alike_from_any_format(tmp_path, form, suffix):
    found = read_catalogue(written(form(), tmp_path / f"stars{suffix}"), "2mass")
    # the confused star is gone; K of the third is D, and the last is an upper limit
    assert len(found) == 5
    np.testing.assert_allclose(found.magnitudes["J"], [12.0, 12.4, 12.8, 13.2, 14.0], rtol=1e-6)
    assert np.isnan(found.magnitudes["K"]).tolist() == [False, False, True, False, True]
    assert np.isnan(found.errors["K"]).tolist() == [False, False, True, False, True]
    assert found.cuts["confused"] == 1 and found.cuts["K of low quality"] == 1
    assert found.cuts["K without an error"] == 1 and found.cuts["J of low quality"] == 0
    assert found.missing == () and found.data_kind == "survey"
    place = SkyCoord(150.0, -57.0, unit="deg").galactic
    assert found.longitude[0] == pytest.approx(place.l.deg)
    assert found.latitude[0] == pytest.approx(place.b.deg)
    assert "5 stars; left out: 1 confused" in found.describe()


def test_extended_sources_are_left_out(tmp_path):
    table = irsa()
    table["ext_key"] = MaskedColumn([5, 0, 0, 0, 0, 0], mask=[0, 1, 1, 1, 1, 1])
    found = read_catalogue(written(table, tmp_path / "a.vot"), "2mass")
    assert len(found) == 4 and found.cuts["extended"] == 1


def test_values_that_stand_for_none_are_no_magnitudes(tmp_path):
    """99.999 and -999 are not extreme colours: they are counted and left out."""
    j = [99.999, -999.0, 12.0, np.nan, 13.0, 13.0]
    found = read_catalogue(written(vizier(Jmag=j), tmp_path / "a.fits"), "2mass")
    assert np.isfinite(found.magnitudes["J"]).sum() == 2
    assert found.cuts["J of a value that stands for none"] == 2
    assert found.cuts["J without a magnitude"] == 1
    nothing = vizier(**{f"{b}mag": np.full(ROWS, 99.999) for b in "JHK"})
    with pytest.raises(
        BadInput, match="no usable magnitude in 6 rows; left out: .* stands for none"
    ):
        read_catalogue(written(nothing, tmp_path / "b.fits"), "2mass")


def test_gaia_errors_are_those_of_the_fluxes(tmp_path):
    table = Table({"l": [284.0, 284.1], "b": [0.5, 0.6]})
    for band in ("g", "bp", "rp"):
        table[f"phot_{band}_mean_mag"] = MaskedColumn([15.0, 16.0], mask=[0, band == "bp"])
        table[f"phot_{band}_mean_flux_over_error"] = [1085.736, 100.0]
    found = read_catalogue(written(table, tmp_path / "a.csv"), "gaia")
    assert found.form == "Gaia archive" and found.longitude.tolist() == [284.0, 284.1]
    assert found.errors["G"] == pytest.approx([0.001, 0.0108574], rel=1e-4)
    assert np.isnan(found.magnitudes["BP"]).tolist() == [False, True]


def test_table_of_another_survey_or_without_a_band_is_refused_by_its_columns(tmp_path):
    path = written(vizier(Kmag=None), tmp_path / "a.fits")
    with pytest.raises(
        BadInput, match=r"a.fits: column Kmag of VizieR II/246 not found \(columns: RA"
    ):
        read_catalogue(path, "2mass")
    with pytest.raises(BadInput, match="expected one of Gaia archive, VizieR I/355"):
        read_catalogue(path, "gaia")


def test_other_units_and_text_are_refused_by_the_column(tmp_path):
    table = vizier()
    table["Hmag"].unit = "Jy"
    with pytest.raises(BadInput, match="column Hmag is in Jy; expected mag"):
        read_catalogue(written(table, tmp_path / "a.fits"), "2mass")
    text = vizier(Jmag=["faint"] * ROWS)
    with pytest.raises(BadInput, match="column Jmag has text; expected numbers"):
        read_catalogue(written(text, tmp_path / "b.csv"), "2mass")
    with pytest.raises(BadInput, match="column DEJ2000 beyond 90 deg"):
        far = vizier(DEJ2000=np.full(ROWS, 147.0))
        read_catalogue(written(far, tmp_path / "c.fits"), "2mass")


def test_empty_field_is_refused(tmp_path):
    with pytest.raises(BadInput, match="a.fits: no star; expected those of a field"):
        read_catalogue(written(vizier()[:0], tmp_path / "a.fits"), "2mass")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(BadInput, match="b.csv: empty"):
        read_catalogue(tmp_path / "b.csv", "2mass")


def test_truncated_downloads_are_refused(tmp_path):
    for suffix, words in ((".fits", "cut short"), (".vot", "cut short"), (".csv", "cut short")):
        path = written(vizier(), tmp_path / f"a{suffix}")
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * 0.6)])
        with pytest.raises(BadInput, match=words) as refused:
            read_catalogue(path, "2mass")
        assert str(path) in str(refused.value)


def test_answers_of_a_server_that_are_no_table_are_refused(tmp_path):
    page = tmp_path / "page.vot"
    page.write_text("<html><head><title>Service unavailable</title></head><body>Try later</body>")
    with pytest.raises(BadInput, match=r"is a web page \('Service unavailable Try later'\)"):
        read_catalogue(page, "2mass")
    error = tmp_path / "error.vot"
    answer = '<VOTABLE version="1.3"><RESOURCE type="results">{}</RESOURCE></VOTABLE>'
    info = '<INFO name="QUERY_STATUS" value="ERROR">no such table</INFO>'
    error.write_text(answer.format(info))
    with pytest.raises(BadInput, match="server answered ERROR: no such table"):
        read_catalogue(error, "2mass")
    error.write_text(answer.format(""))
    with pytest.raises(BadInput, match="VOTable without a table"):
        read_catalogue(error, "2mass")


def test_table_whose_server_left_out_rows_is_refused(tmp_path):
    path = written(vizier(), tmp_path / "a.vot")
    text = path.read_text()
    flag = '</TABLE>\n<INFO name="QUERY_STATUS" value="OVERFLOW"/>'
    assert "</TABLE>" in text
    path.write_text(text.replace("</TABLE>", flag))
    with pytest.raises(BadInput, match="OVERFLOW: rows were left out"):
        read_catalogue(path, "2mass")


def test_parquet_is_read_or_its_package_named(tmp_path):
    path = tmp_path / "a.parquet"
    try:
        vizier().to_pandas().to_parquet(path)
    except ImportError:
        path.write_bytes(b"PAR1" + bytes(100))
        with pytest.raises(BadInput, match="parquet needs the package pyarrow"):
            read_catalogue(path, "2mass")
        return
    assert len(read_catalogue(path, "2mass")) == 5


def test_simulated_tables_say_so(tmp_path):
    table = vizier()
    table.meta["SKYKIND"] = "simulated"
    assert read_catalogue(written(table, tmp_path / "a.fits"), "2mass").data_kind == "simulated"


def test_real_answers_of_irsa_are_read(realdata):
    folder = realdata / "extinction" / "irsa"
    found = read_catalogue(folder / "Polygon.xml", "2mass")
    assert len(found) == 7 and found.form == "IRSA fp_psc"
    assert np.isfinite(found.magnitudes["K"]).all()
    # glon and glat of the file, not places made from ra and dec
    assert found.latitude.min() > -60
    # the nucleus of M31 has the quality E in all bands
    with pytest.raises(
        BadInput, match="no usable magnitude in 1 rows; left out: 1 J of low quality"
    ):
        read_catalogue(folder / "Cone.xml", "2mass")


def test_real_control_field_has_its_stars(realdata):
    """Counts of the README of the data: stars with errors in J and K, in half magnitudes of K."""
    found = read_catalogue(realdata / "extinction" / "pnicer" / "CF_2mass.fits", "2mass")
    assert len(found) == 24609 and found.missing == ("quality", "confusion", "extended")
    k = found.magnitudes["K"][np.isfinite(found.magnitudes["J"])]
    assert np.isfinite(k).sum() == 18937
    edges = np.arange(6, 16.5, 0.5)
    published = [6, 3, 15, 8, 26, 40, 64, 77, 120, 154, 270, 321, 584, 774, 1115, 1630, 2316]
    published += [3308, 4661, 3313]
    np.testing.assert_allclose(np.histogram(k, edges)[0], published, atol=8)


# --- Besançon catalogues --------------------------------------------------------------------------

HEADER = """
       BESANCON MODEL OF STELLAR POPULATION SYNTHESIS 2003-12

  (l =   284.0; b =    0.5)  Distance  0.0 a  50.0 kpc;  Solid angle      0.500  square degree
      System:  Johnson-Cousins-IRAS VBURIJHKL+12+25  0.323  0.257  0.300  0.412  0.718  0.824\
  0.892  0.949  0.972  0.986
"""
COLOURS = (
    "  Dist    Mv  CL Typ  LTef  logg Age Mass  J-H    H-K    J-K    V-K    V   [Fe/H] l     b"
)
COLOURS += "   Av   Mbol\n"
DWARF = (
    "1.000 10.20 5 7.20 3.559 4.85 7 0.48 0.601 0.223 0.824 4.175 15.175 0.02 284.0 0.5 0.000 8.7"
)
GIANT = (
    "2.000 1.00 3 5.20 3.465 2.14 8 0.90 0.560 0.140 0.700 3.000 14.000 -0.1 284.0 0.5 1.000 0.35"
)
STARS = f"  {DWARF}\n  {GIANT}\n"
END = "  TOTAL NUMBER OF STARS :    2\n"


def besancon(path, header=HEADER, names=COLOURS, stars=STARS, end=END):
    path.write_text(header + names + stars + names + end)
    return path


def test_besancon_stars_are_in_2mass_without_extinction(tmp_path):
    found = read_besancon(besancon(tmp_path / "bgm.txt"), ("J", "H", "K"), area=0.25)
    assert (found.longitude, found.latitude, found.area) == (284.0, 0.5, 0.5)
    stars = found.stars
    assert stars.richness == 2.0 and stars.distance.tolist() == [1000.0, 2000.0]
    # Carpenter 2001: K - 0.044; J - K times 0.972, less 0.011; H - K times 0.996, plus 0.028
    assert stars.band("K")[0] == pytest.approx(11.0 - 0.044, abs=1e-5)
    assert (stars.band("J") - stars.band("K"))[0] == pytest.approx(0.972 * 0.824 - 0.011, abs=1e-5)
    assert (stars.band("H") - stars.band("K"))[0] == pytest.approx(0.996 * 0.223 + 0.028, abs=1e-5)
    # A_V = 1: A_K = 1 - 0.892, and E(J - K) = 0.892 - 0.718 (ratios of the header)
    assert stars.band("K")[1] == pytest.approx(11.0 - 0.108 - 0.044, abs=1e-5)
    colour = 0.972 * (0.700 - 0.174) - 0.011
    assert (stars.band("J") - stars.band("K"))[1] == pytest.approx(colour, abs=1e-5)
    assert np.isnan(stars.band("G")).all()
    # a dwarf of the old thin disc, a giant of the thick disc
    assert stars.phase.tolist() == [0, 2] and stars.population.tolist() == [6, 7]
    assert found.extinction.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end": ""}, "cut short: no line TOTAL NUMBER OF STARS"),
        ({"stars": STARS[: STARS.index("\n") + 1]}, "cut short: 1 stars found, 2 announced"),
        ({"stars": STARS[:-30] + "\n"}, r"line \d+ has 1\d words; expected 18 numbers"),
        ({"header": HEADER.replace("Johnson-Cousins-IRAS", "CFHTLS-Megacam")}, "system CFHTLS-Meg"),
        ({"header": HEADER.replace("2003-12", "1999-01")}, "version 1999-01; expected one of 2003"),
        ({"header": HEADER.replace("Solid angle", "Area")}, "no line with l, b and Solid angle"),
        ({"header": "# J K\n"}, "expected a catalogue of the Besan"),
        (
            {"names": COLOURS.replace("J-K", "I-R").replace("H-K", "U-B")},
            "no J by the columns Dist",
        ),
        ({"names": COLOURS.replace(" Av ", " Aw ")}, r"column Av not found \(columns: Dist Mv"),
        ({"stars": "", "end": END.replace("2", "0")}, "no star; expected those of a field"),
    ],
)
def test_besancon_file_that_is_no_whole_catalogue_is_refused(tmp_path, changes, message):
    path = besancon(tmp_path / "bgm.txt", **changes)
    with pytest.raises(BadInput, match=message) as refused:
        read_besancon(path)
    assert str(path) in str(refused.value)


def test_real_besancon_files_of_both_layouts_are_read(realdata):
    folder = realdata / "extinction" / "bgm"
    first = read_besancon(folder / "besancon_test.txt", ("J", "H", "K"))
    assert len(first.stars) == 13 and first.version == "2003-12" and first.area == 0.111
    # first row: V 15.133, V-K 4.175, A_V 0.056
    assert first.stars.band("K")[0] == pytest.approx(
        15.133 - 4.175 - 0.056 * 0.108 - 0.044, abs=1e-3
    )
    second = read_besancon(folder / "besancon_test2.txt", ("K",))
    assert len(second.stars) == 6 and np.isnan(second.stars.band("J")).all()
    with pytest.raises(BadInput, match="no J by the columns Dist Mv CL"):
        read_besancon(folder / "besancon_test2.txt")
