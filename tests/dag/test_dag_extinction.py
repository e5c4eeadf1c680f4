"""The extinction study's plan: the stars of its sets, wrong surveys, and what is refused."""

import json

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
            {"sets": {"nominal": {"profiles": {"slope": [3, 2]}}}},
            "extinction.sets.nominal.profiles.slope: 3 is above 2",
        ),
        (
            {"fields": {"carina": {"beyond": {"longitude": []}}}},
            ".beyond: 300 diagrams of no direction; expected 0",
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
    ],
)
def test_wrong_config_is_refused_by_key(settings, message):
    with pytest.raises(WorkflowError) as refused:
        plan("extinction", **settings)
    assert message in str(refused.value)
