"""The extinction study's plan: the stars of its sets, wrong surveys, and what is refused."""

import json
import re

import pytest
from conftest import copy_repository, plan, snakemake
from snakemake.exceptions import WorkflowError

R = "results/demo/extinction"


def test_sets_share_their_stars_and_files_of_the_service_are_inputs(tmp_path):
    folder = copy_repository(tmp_path / "skyloom")
    for name in ("a.bgm", "b.bgm"):
        (folder / name).touch()
    settings = {
        "fields": {
            "bgm": {"source": "besancon", "files": {"trained": ["a.bgm"], "unseen": ["b.bgm"]}}
        },
        "sets": {"own": {"fields": "bgm", "beyond": 0}},
        "models": {"mine": {"module": "mlp", "set": "own"}},
        "run_models": ["mlp", "mean", "mine"],
    }
    (folder / "mine.yaml").write_text(
        json.dumps({"studies": ["extinction"], "extinction": settings})
    )
    done = snakemake(folder, "-n", "-p", "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    text = done.stdout
    # the nominal set and that of the transfer have the same stars
    assert text.count("rule extinction_draw_stars:") == 2
    assert text.count("rule extinction_draw_patches:") == 3
    assert "a.bgm, b.bgm" in text
    assert f"--data {R}/sets/own/patches.nc {R}/raw/stars_bgm.nc" in text


def test_training_set_has_the_stars_of_which_diagrams_are_drawn():
    study = plan("extinction")
    assert study.training_set("mlp") == [f"{R}/sets/nominal/patches.nc", f"{R}/raw/stars_carina.nc"]
    assert study.training_examples("mlp") == study["sets"]["nominal"]["train"]
    # tests of wrong assumptions differ from the assumed survey in one thing
    for name, entry in study["sets"].items():
        changed = entry["mismatch"] or {}
        default = {"count": 1, "brighter": 0, "zero": 0, "law": None}
        assert sum(changed.get(k, v) != v for k, v in default.items()) <= 1, name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sets": {"nominal": {"fields": "caria"}}}, "unknown fields 'caria'; did you mean"),
        (
            {"sets": {"nominal": {"given": ["gaia"]}}},
            "extinction.sets.nominal.given: unknown diagram 'gaia'",
        ),
        ({"sets": {"nominal": {"given": []}}}, "nominal.given: no diagram; expected one at least"),
        ({"sets": {"nominal": {"missing": 1}}}, "nominal.missing: 1; expected less than 1"),
        (
            {"sets": {"nominal": {"profiles": {"slope": [3, 2]}}}},
            "extinction.sets.nominal.profiles.slope: 3 is above 2",
        ),
        (
            {"fields": {"carina": {"beyond": {"longitude": []}}}},
            ".beyond: 300 diagrams of no direction; expected 0",
        ),
        (
            {"fields": {"carina": {"faintest": {"k": 15}}}},
            "extinction.fields.carina.faintest: unknown band 'k'; known: J, H, K",
        ),
        (
            {"sets": {"nominal": {"limits": {"Ks": 15}}}},
            "extinction.sets.nominal.limits: unknown band 'Ks'",
        ),
        (
            {"regions": {"carina": {"stars": {"2mass": {"brighter": {"Kmag": 15}}}}}},
            "extinction.regions.carina.stars.2mass.brighter: unknown band 'Kmag'",
        ),
        (
            {"fields": {"carina": {"trained": {"latitude": []}}}},
            "extinction.fields.carina.trained: no direction",
        ),
        (
            {"fields": {"carina": {"source": "besancon"}}},
            "extinction.fields.carina.files.trained: no file; expected one at least",
        ),
        (
            {"fields": {"carina": {"files": {"unseen": ["a"]}}}},
            "extinction.fields.carina.files: of source simulated; expected source besancon",
        ),
        (
            {"sets": {"nominal": {"train": 2_000_000}}},
            "2000000 diagrams would be kept; expected 732421 at most, or shown: 1",
        ),
        ({"sets": {"nominal": {"diagrams": ["wise"]}}}, "extinction.sets.nominal.diagrams"),
        (
            {"sets": {"nominal": {"profiles": {"median": float("nan")}}}},
            "extinction.sets.nominal.profiles.median: nan is no finite number",
        ),
        ({"transfer": {"mlp": ["half"]}}, "extinction.transfer.mlp: unknown set 'half'"),
        (
            {"regions": {"carina": {"source": "survey", "spacing": 3}}},
            "extinction.regions.carina.longitude: 6.66667 fields of spacing 3; expected a whole",
        ),
        (
            {
                "sets": {"nominal": {"diagrams": ["2mass_gaia"]}},
                "regions": {"carina": {"source": "survey"}},
            },
            "extinction.regions.carina.set: diagram 2mass_gaia needs a cross-match",
        ),
        (
            {
                "regions": {"carina": {"set": "own"}},
                "sets": {"own": {"fields": "carina", "bins": 9}},
            },
            "extinction.regions.carina.set: bins of own and of nominal, of model mlp, differ",
        ),
        (
            {"maps": {"published": {"decaps": {"path": "decaps.h5"}}}},
            "extinction.maps.published: no region of source survey in maps.regions",
        ),
        (
            {"maps": {"published": {"decap": {"path": "decaps.h5"}}}},
            "did you mean 'decaps'?",
        ),
        (
            {"regions": {"carina": {"stars": {"2mass": {"archive": "esa"}}}}},
            "extinction.regions.carina.stars.2mass.archive",
        ),
    ],
)
def test_wrong_config_is_refused_by_key(settings, message):
    with pytest.raises(WorkflowError) as refused:
        plan("extinction", **settings)
    assert message in str(refused.value)


def test_cube_of_a_mock_sky_is_drawn_and_measured_next_to_the_truth():
    study = plan("extinction")
    assert study.mapped == [("carina", "mlp")]
    assert study.truth("carina") == [f"{R}/raw/region_carina.nc"]
    assert f"{R}/figures/cube_face_carina_mlp.png" in study.figures_of_cubes
    assert {"products/carina_mlp/artefacts", "products/sightlines_carina"} <= {*study.tables}
    # a sightline is checked for the set of each model that predicts it
    models = {"maps": {"models": ["mlp", "mlp_randomised"]}}
    models["run_models"] = ["mlp", "mlp_randomised", "mean"]
    assert [*plan("extinction", **models).region("carina")["checks"]] == ["nominal", "randomised"]


def test_stars_of_a_survey_are_downloaded_and_their_cube_is_compared_with_maps(tmp_path):
    folder = copy_repository(tmp_path / "skyloom")
    for name in ("decaps.h5", "dust.fits", "hii.csv", "gaia.csv"):
        (folder / name).touch()
    orion = {"source": "survey", "set": "two", "longitude": [208, 210], "latitude": [-20, -18]}
    orion["stars"] = {"2mass": {"archive": "irsa"}, "gaia": {"list": "gaia.csv"}}
    dust = {"path": "dust.fits", "column": "EBV", "mag_per_unit": 2.742}
    settings = {
        "fields": {"carina": {"bands": ["J", "K", "G", "BP", "RP"]}},
        "sets": {"two": {"fields": "carina", "diagrams": ["2mass", "gaia"]}},
        "models": {"mine": {"module": "mlp", "set": "two"}},
        "run_models": ["mine", "mean"],
        "regions": {"orion": orion},
        "maps": {
            "regions": ["orion"],
            "models": ["mine"],
            "dust": dust,
            "hii_regions": "hii.csv",
            "published": {"decaps": {"path": "decaps.h5"}},
        },
    }
    (folder / "mine.yaml").write_text(
        json.dumps({"studies": ["extinction"], "extinction": settings})
    )
    done = snakemake(folder, "-n", "-p", "--configfile", "mine.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    text = done.stdout
    # one survey is fetched, the other is the user's own; no truth, and so no artefacts
    assert text.count("rule extinction_download_stars:") == 1
    assert "--lists resources/raw/extinction/stars/orion_2mass.csv gaia.csv" in text
    assert text.count("rule extinction_plot_cube:") == 4 and "--truth" not in text
    assert "rule extinction_measure_cube:" not in text
    assert f"{R}/products/orion_mine/published.html" in text
    stated = re.search(r"extinction_download_stars.py --config '(.*?)'", text)[1]
    assert json.loads(stated)["archive"] == "irsa" and json.loads(stated)["side_deg"] == 0.5
    # a mock sky has no real maps next to it
    settings["maps"]["regions"] = ["orion", "carina"]
    settings["regions"]["carina"] = {"set": "two"}
    study = plan("extinction", **settings)
    assert study.shown_files("orion") == ["dust.fits", "hii.csv"]
    assert study.shown_files("carina") == []
