"""Star tables from a real TAP server on loopback: asynchronous jobs, with faults."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from conftest import REPOSITORY
from tap_server import DEFAULT_ROWS, PAGE, served, status

from skyloom.cli import BadInput
from skyloom.extinction.read import archive, tap
from skyloom.extinction.read.catalogue import FORMS, read_catalogue

FORM = FORMS["2mass"]["VizieR II/246"]
FIELD = archive.Field(284.25, 0.25, 0.5)


def sky() -> tuple[Table, SkyCoord]:
    """Stars of a region in the columns of II/246."""
    rng = np.random.default_rng(0)
    place = SkyCoord(
        rng.uniform(283.9, 285.1, 2000), rng.uniform(-0.1, 0.6, 2000), unit="deg", frame="galactic"
    )
    stars = Table({"RAJ2000": place.icrs.ra.deg, "DEJ2000": place.icrs.dec.deg})
    for name, error in FORM.bands.values():
        stars[name], stars[error] = rng.uniform(8, 15, 2000), 0.03
    stars["Qflg"], stars["Cflg"], stars["Xflg"] = "AAA", "000", 0
    return stars, place


STARS, PLACE = sky()


@pytest.fixture
def site(monkeypatch):
    """The server's behaviour, which a test may change. `waits` has the pauses."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served(STARS, PLACE) as found:
        yield found


def at(site):
    return replace(archive.ARCHIVES["2mass"]["vizier"], service=site.url)


def get(site, folder, field=FIELD, **options):
    """Number of stars; the table is `folder/field.vot`."""
    adql = archive.query("2mass", at(site), field, {})

    def check(path):
        return len(read_catalogue(path, "2mass"))

    return tap.fetch(site.url, adql, folder / "field.vot", check, wait=site.waits.append, **options)


def expected(field=FIELD):
    wide = field.side / 2 / np.cos(np.radians(field.latitude))
    inside = np.abs(PLACE.l.deg - field.longitude) < wide
    return int((inside & (np.abs(PLACE.b.deg - field.latitude) < field.side / 2)).sum())


def created(site):
    return site.requests.count(("POST", "/tap/async"))


def test_stars_of_a_field_are_all_there(site, tmp_path):
    """More than the default of the server, which MAXREC switches off."""
    assert get(site, tmp_path) == pytest.approx(expected(), abs=2) and expected() > DEFAULT_ROWS
    found = read_catalogue(tmp_path / "field.vot", "2mass")
    assert found.form == "VizieR II/246" and found.missing == ()
    assert np.abs(found.latitude - 0.25).max() < 0.2505
    # the job was polled until its end and deleted
    assert not site.jobs and len(site.waits) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["field.vot", "field.vot.json"]


def test_table_that_is_there_is_not_asked_again_and_another_query_is(site, tmp_path):
    first = get(site, tmp_path)
    assert get(site, tmp_path) == first and created(site) == 1
    smaller = get(site, tmp_path, archive.Field(284.25, 0.25, 0.25))
    assert smaller < first and created(site) == 2


def test_killed_download_goes_on_with_its_job(site, tmp_path):
    def killed(seconds):
        raise KeyboardInterrupt

    adql = archive.query("2mass", at(site), FIELD, {})
    with pytest.raises(KeyboardInterrupt):
        tap.fetch(site.url, adql, tmp_path / "field.vot", lambda path: 0, wait=killed)
    assert json.loads((tmp_path / "field.vot.json").read_text())["job"].endswith("/async/0")
    assert get(site, tmp_path) and created(site) == 1
    # a server deletes jobs after some days
    with pytest.raises(KeyboardInterrupt):
        tap.fetch(site.url, adql, tmp_path / "two.vot", lambda path: 0, wait=killed)
    site.jobs.clear()
    assert tap.fetch(site.url, adql, tmp_path / "two.vot", lambda path: 7, wait=lambda s: None) == 7
    assert created(site) == 3


def test_cut_connection_and_a_busy_server_are_tried_again(site, tmp_path):
    site.statuses, site.cuts = [503, 503], [5000]
    assert get(site, tmp_path) > DEFAULT_ROWS
    assert site.waits[:2] == [2, 4]


def cut(body):
    return body[: len(body) // 2]


FAULTS = {
    "303 and the address of a job": {"page": True},
    "as the phase of|expected PENDING": {"phase": PAGE},
    "ended in ERROR: no table X": {"ends": "ERROR"},
    "ended in ABORTED": {"ends": "ABORTED"},
    "field.vot: is a web page": {"change": lambda body: PAGE.encode()},
    "field.vot: the server answered ERROR: too deep": {
        "change": lambda body: status(body.replace(b"QUERY", b"OLD"), "ERROR", "too deep")
    },
    "field.vot: the server answered OVERFLOW: rows were left out": {
        "change": lambda body: body.replace(b'value="OK"', b'value="OVERFLOW"')
    },
    "field.vot: VOTable cut short or damaged": {"change": cut},
    "field.vot: no star": {"change": lambda body: re.sub(rb"(?s)<TR>.*</TR>", b"", body)},
    "column e_Kmag": {"change": lambda body: body.replace(b"e_Kmag", b"e_Lmag")},
}


@pytest.mark.parametrize("words", FAULTS)
def test_fault_of_the_server_is_refused_by_name(site, tmp_path, words):
    vars(site).update(FAULTS[words])
    with pytest.raises(BadInput, match=words) as error:
        get(site, tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "field.vot").exists()
    # what was answered is kept, and the next call asks anew
    assert (tmp_path / "field.vot.bad").exists() == words.startswith(("field.vot", "column"))
    vars(site).update(page=False, phase=None, ends="COMPLETED", change=lambda body: body)
    assert get(site, tmp_path) > DEFAULT_ROWS


def test_endless_job_is_aborted(site, tmp_path):
    site.polls = 10**9
    with pytest.raises(BadInput, match="EXECUTING after 60 s, and aborted"):
        get(site, tmp_path, patience=60)
    assert site.jobs["0"]["phase"] == "ABORTED"


def test_bad_sightline_is_left_out_and_the_others_are_finished(site, tmp_path, capsys):
    fields = archive.grid((284.0, 285.0), (0.0, 0.5), 0.5)
    empty = archive.Field(100.0, 0.0, 0.5)
    rows = list(
        archive.download(
            "2mass", at(site), [fields[0], empty, fields[1]], tmp_path, {}, wait=site.waits.append
        )  # fmt: skip
    )
    assert [row["field"] for row in rows] == ["l284.250_b+00.250", "l100.000_b+00.000",
                                              "l284.750_b+00.250"]  # fmt: skip
    assert [bool(row["reason"]) for row in rows] == [False, True, False]
    assert (
        "no star" in rows[1]["reason"] and "l100.000_b+00.000: left out" in capsys.readouterr().err
    )
    assert rows[0]["stars"] == pytest.approx(expected(fields[0]), abs=2)
    assert sorted(p.name for p in tmp_path.glob("*.vot")) == [
        "l284.250_b+00.250.vot", "l284.750_b+00.250.vot"]  # fmt: skip


def test_server_that_answers_nothing_is_given_up_soon(site, tmp_path):
    nothing = replace(at(site), service="http://127.0.0.1:9/tap")
    fields = archive.grid((257.0, 303.0), (-5.0, 5.0), 0.5)
    assert len(fields) == 1840
    with pytest.raises(tap.Unreachable, match="127.0.0.1:9/tap/async: given up after 8 attempts"):
        list(archive.download("2mass", nothing, fields, tmp_path, {}, wait=site.waits.append))


def test_queries_name_the_columns_of_each_archive():
    for survey, archives in archive.ARCHIVES.items():
        for found in archives.values():
            adql = archive.query(survey, found, FIELD, {})
            form = FORMS[survey][found.form]
            for column in (*form.bands[next(iter(form.bands))], *form.equatorial):
                assert (f'"{column}"' if found.quoted else f" {column},") in adql
    adql = archive.query("gaia", archive.ARCHIVES["gaia"]["esa"], FIELD, {"G": 19})
    assert adql.endswith(" AND phot_g_mean_mag < 19")
    with pytest.raises(BadInput, match="brighter: band K; expected G, BP, RP"):
        archive.query("gaia", archive.ARCHIVES["gaia"]["esa"], FIELD, {"K": 15})


def test_region_is_a_whole_number_of_fields():
    found = archive.grid((359.0, 1.0), (-0.5, 0.5), 0.5)
    assert sorted({f.longitude for f in found}) == [0.25, 0.75, 359.25, 359.75] and len(found) == 8
    with pytest.raises(BadInput, match="expected whole numbers"):
        archive.grid((257.0, 303.2), (-5.0, 5.0), 0.5)
    # small fields in the middles of wide cells
    wide = archive.grid((270.0, 274.0), (-2.0, 2.0), 0.5, 2.0)
    assert [(f.longitude, f.latitude, f.side) for f in wide[:2]] == [
        (271, -1, 0.5),
        (273, -1, 0.5),
    ]


def command(site, folder, **more):
    config = {"survey": "2mass", "archive": "vizier", "side_deg": 0.5, "service": site.url}
    config |= {"fields": [[284.25, 0.25], [100.0, 0.0]]} | more
    script = "scripts/extinction_download_stars.py"
    return subprocess.run(
        [sys.executable, script, "--config", json.dumps(config), "--folder", folder / "stars",
         "--output", folder / "fields.csv"],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip


def test_command_downloads_fields_and_lists_them(site, tmp_path):
    done = command(site, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 fields" in done.stdout and "l100.000_b+00.000: left out" in done.stderr
    table = pd.read_csv(tmp_path / "fields.csv", keep_default_na=False)
    assert list(table["field"]) == ["l284.250_b+00.250", "l100.000_b+00.000"]
    assert table["reason"][0] == "" and "no star" in table["reason"][1]
    assert (tmp_path / table["table"][0]).is_file() and table["table"][1] == ""
    done = command(site, tmp_path, survey="1mass")
    assert (
        done.returncode == 2
        and "survey is '1mass'; expected one of 2mass, gaia, panstarrs" in done.stderr
    )
