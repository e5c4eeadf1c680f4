"""The sightlines of a region: star tables, the check of each, and blank ones."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from astropy.table import Table

from skyloom.cli import BadInput
from skyloom.extinction import check
from skyloom.extinction.data import mocks, region, sightlines
from skyloom.extinction.products import profiles
from skyloom.extinction.read.catalogue import FORMS
from skyloom.extinction.simulate import population, survey
from skyloom.extinction.verdicts import VERDICTS

AREA = 0.1
FIELDS = {"area": AREA, "faintest": {"K": 15.9}, "richness": 4, "bands": ["J", "K"], "seed": 0}
RANGE = {"count": 0.25, "limit": 1.2, "zero": 0.03, "law": 1, "other": "ccm1989"}
PROFILES = {"slope": [1.6, 3.2], "spread": [0.4, 2], "median": 8, "scatter": 0.75, "largest": 40}
NOMINAL = {"diagrams": ["2mass"], "law": "wang2019", "bins": 50, "step": 200, "limits": {}}
NOMINAL |= {"missing": 0, "given": None}
NOMINAL |= {"randomised": False, "range": RANGE, "mismatch": None, "profiles": PROFILES, "seed": 0}
RANDOM = NOMINAL | {"randomised": True}
CHECKS = {"nominal": NOMINAL, "randomised": RANDOM}
REGION = {"longitude": [280, 284], "latitude": [-1, 1], "spacing": 2, "seed": 1}


def table(folder, name, place, rng, brighter=0.0):
    """2MASS stars of a field, in the columns of VizieR, with those of a ring around it."""
    half = AREA**0.5 / 2
    stars = population.sightline(*place, 4 * AREA, {"K": 17.0, "J": 18.4}, rng, 1, 200_000)
    limits = {band: survey.SURVEYS[band].limit - brighter for band in "JHK"}
    measured = survey.observe(stars, 0.4e-3 * stars.distance, "wang2019", rng, limits)
    seen = np.isfinite([m for m, _ in measured.values()]).any(0)
    form = FORMS["2mass"]["VizieR II/246"]
    columns = {
        form.galactic[0]: place[0] + rng.uniform(-2 * half, 2 * half, len(stars)),
        form.galactic[1]: place[1] + rng.uniform(-2 * half, 2 * half, len(stars)),
    }
    for band, (value, error) in form.bands.items():
        columns |= {value: measured[band][0], error: measured[band][1]}
    Table({key: values[seen] for key, values in columns.items()}).write(folder / name)
    return name


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory):
    """Star tables of the four directions: good, half a magnitude short, empty, none."""
    folder = tmp_path_factory.mktemp("stars")
    rng = np.random.default_rng(0)
    small = REGION | {"longitude": [280, 284], "latitude": [-2, 2]}
    place = region.places(small)
    rows = [
        {"l": lon, "b": lat, "table": "", "reason": ""} for lon, lat in zip(*place, strict=True)
    ]
    rows[0]["table"] = table(folder, "good.fits", (place[0][0], place[1][0]), rng)
    rows[1]["table"] = table(folder, "short.fits", (place[0][1], place[1][1]), rng, 0.7)
    (folder / "empty.csv").write_text("")
    rows[2]["table"] = "empty.csv"
    rows[3]["reason"] = "the job ended in ERROR"
    pd.DataFrame(rows).to_csv(folder / "list.csv", index=False)
    found = region.observed(small, FIELDS, NOMINAL, CHECKS, {"2mass": folder / "list.csv"})
    return folder, *found


def test_field_has_the_verdict_of_each_set_that_models_are_trained_on(surveyed):
    rows = surveyed[2].set_index("set")
    verdicts = {name: rows.loc[name, "verdict"].tolist() for name in CHECKS}
    assert verdicts["randomised"][0] == "used"
    # 0.7 mag lie within the random surveys, and beyond the one that the nominal training has
    assert verdicts["randomised"][1] == "used"
    assert verdicts["nominal"][1] in ("flagged", "refused")
    reason = rows.loc["nominal", "reason"].iloc[1]
    assert "limit in K: " in reason and "the training has 15.30 to 15.30" in reason
    assert rows["limit_K"].iloc[0] == pytest.approx(15.3, abs=check.LIMIT_ERROR)


def test_bad_table_leaves_its_sightline_blank_with_the_reason(surveyed):
    _, content, rows = surveyed
    rows = rows[rows["set"] == "nominal"]
    assert rows["verdict"].tolist()[2:] == ["missing", "missing"]
    assert "empty.csv: empty" in rows["reason"].iloc[2]
    assert rows["reason"].iloc[3] == "the job ended in ERROR"
    assert content.attrs["data_kind"] == "survey" and "extinction" not in content
    assert content["image"].values[2:].sum() == 0 < content["image"].values[0].sum()
    assert list(region.counted(rows))[0].endswith("2 missing")


def test_region_has_the_diagrams_of_the_given_surveys_alone(surveyed):
    folder, one, _ = surveyed
    settings = NOMINAL | {"diagrams": ["gaia", "2mass"], "given": ["2mass"], "missing": 0.3}
    fields = FIELDS | {"bands": ["J", "K", "G", "BP", "RP"]}
    small = REGION | {"longitude": [280, 284], "latitude": [-2, 2]}
    lists = {"2mass": folder / "list.csv"}
    content, rows = region.observed(small, fields, settings, {"channels": settings}, lists)
    assert content["given"].values.tolist() == [False, True]
    np.testing.assert_array_equal(content["image"][:, 1], one["image"][:, 0])
    assert not content["image"][:, 0].any()
    assert rows["verdict"].iloc[0] == "used" and "limit_G" not in rows


def test_stars_beyond_the_field_are_left_out(surveyed):
    """The table has four times the area of the field."""
    folder, _, rows = surveyed
    seen = Table.read(folder / "good.fits")
    both = np.isfinite(seen["Jmag"]) & np.isfinite(seen["Kmag"]) & (seen["Kmag"] < 15.5)
    assert rows["stars"].iloc[0] == pytest.approx(both.sum() / 4, rel=0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("l,b\n1,2\n", "column table not found"),
        ("l,b,table\nx,2,a.vot\n", "l is 'x'; expected a number"),
        ("l,b,table\n1,2,a.vot\n", "list.csv: no table of the 1 sightlines, the first l 284, b 0"),
    ],
)
def test_list_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(BadInput, match=message):
        sightlines.read_list(tmp_path / "list.csv", (np.array([284.0]), np.array([0.0])))


def test_measured_limits_outside_of_the_training_become_its_nearest():
    seeds = mocks.seeds(0, 0, np.arange(3))
    for limit, expected in ((15.0, 15.0), (12.0, 14.1), (16.0, 15.3), (np.nan, 15.3)):
        given = mocks.limited_survey({"J": 16.7, "K": limit})(RANDOM, seeds)
        np.testing.assert_allclose(given.limit[:, 0], expected, rtol=1e-6)
    # counts and zero points are drawn
    assert len(given.count.unique()) == 3


# --- predictions ----------------------------------------------------------------------------------


def trained(name="nominal", **meta):
    known = {"bins": 3, "step": 100, "law": "wang2019", "diagrams": ["2mass"]} | meta
    return {"meta": known, "entry": {"set": name}, "model": "mlp", "digest": "abc"}


@pytest.fixture
def small(monkeypatch):
    """A region of four sightlines, of each verdict one, and a model that predicts 1, 2, 3 mag."""
    edges = np.array([100.0, 200.0, 300.0])
    code = np.arange(4, dtype=np.int8)[None]
    axes = "sightline", "diagram", "y", "x"
    content = xr.Dataset(
        {"image": (axes, np.ones((4, 1, 4, 4), np.float32))},
        profiles.axes(edges, (np.arange(4.0), np.zeros(4)))
        | {"verdict": (("set", "sightline"), code), "set": ["nominal"]},
        {"law": "wang2019", "data_kind": "simulated", "diagrams": "2mass"},
    )
    content["bare"], content["given"] = content["image"], ("diagram", [True])
    shown = []

    def predict(_, inputs):
        shown.append(len(inputs))
        assert inputs[np.arange(1)]["input"].shape == (1, 2, 4, 4)
        values = torch.arange(1.0, 4).expand(len(inputs), 3).numpy()
        return dict.fromkeys(region.NAMES, values)

    monkeypatch.setattr(region.checkpoint, "predict", predict)
    return content, shown


def test_refused_and_missing_sightlines_are_never_predicted(small, tmp_path):
    content, shown = small
    found = region.predicted(trained(), content)
    assert shown == [2]
    blank = np.isnan(found["extinction"].values).all((1, 2))
    assert dict(zip(VERDICTS, blank.tolist(), strict=True)) == {
        "used": False,
        "flagged": False,
        "refused": True,
        "missing": True,
    }
    profiles.write(found, tmp_path / "profiles.nc")
    assert profiles.read_profiles(tmp_path / "profiles.nc").verdict.tolist() == [0, 1, 2, 3]


def test_region_where_all_are_refused_is_blank(small):
    content, shown = small
    content["verdict"][:] = VERDICTS.index("refused")
    assert np.isnan(region.predicted(trained(), content)["extinction"]).all() and not shown


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (trained("randomised"), "was checked for nominal; expected set randomised"),
        (trained(law="ccm1989"), "has law wang2019; expected that of the model, ccm1989"),
        (trained(diagrams=["gaia"]), "has diagrams 2mass; expected that of the model"),
        (trained(bins=4), "has 3 bins to 300 pc; expected those of the model, 4 to 400 pc"),
    ],
)
def test_region_of_another_kind_than_the_model_is_refused(small, model, message):
    with pytest.raises(BadInput, match=message):
        region.predicted(model, small[0])
