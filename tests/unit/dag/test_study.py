"""A study: names of its files, its models and sets. By a dict, as no schema is needed."""

import json

import pytest
from snakemake.exceptions import WorkflowError

from dag.study import Files, Study, as_json, make, pick

RUN = {"paths": {"results": "out", "resources": "in"}, "run": "mine"}


def network(**keys) -> dict:
    return {"kind": "network", "module": "net", "set": "one", "gpus": 1, "width": 8} | keys


@pytest.fixture
def study():
    models = {
        "a": network(),
        "b": network(seeds=[7], start="a", set="two"),
        "c": network(seeds=[5, 7], start="b"),
        "flat": {"kind": "baseline", "module": "flat", "set": "one"},
        "unused": network(set="three"),
    }
    settings = {"models": models, "run_models": ["flat", "c", "b", "a"], "seeds": [1, 2]}
    return Study("toy", settings | {"sets": {"one": {"x": 1, "y": 2}}}, RUN)


def test_files_of_a_study_lie_below_its_run(study):
    assert study.path("maps.nc") == "out/mine/toy/maps.nc"
    assert study.patches("one") == "out/mine/toy/sets/one/patches.nc"
    assert study.checkpoint("a", 1) == "out/mine/toy/models/a/seed1/best.ckpt"
    assert study.test("a", 1, "metrics.json") == "out/mine/toy/test/a/seed1/metrics.json"
    assert study.figures("roc", ["one"]) == ["out/mine/toy/figures/roc_one.png"]
    assert study.resources == "in/raw/toy"


def test_prediction_has_one_gpu_of_a_training_and_its_share_of_the_rest(study):
    study.settings["models"]["a"] |= {"gpus": 4, "threads": 32, "mem_mb": 200, "runtime": 60}
    share = {"gpus": 1, "threads": 8, "mem_mb": 50, "runtime": 60}
    assert study.prediction("a") == study.entry("a") | share
    study.settings["models"]["a"] |= {"gpus": 0}
    assert study.prediction("a") == study.entry("a")


def test_wildcards_stay_in_the_file_names_of_shared_rules():
    shared = Files("out/mine/{study}")
    assert shared.checkpoint("{model}", "{seed}").format(study="toy", model="a", seed=1) == (
        "out/mine/toy/models/a/seed1/best.ckpt"
    )
    assert (
        shared.log("fit", "{model}_seed{seed}")
        == "out/mine/{study}/logs/fit/{model}_seed{seed}.log"
    )
    assert shared.benchmark("fit") == "out/mine/{study}/benchmarks/fit.tsv"


def test_network_has_its_own_seeds_or_the_studys_and_a_baseline_one(study):
    assert [study.seeds(model) for model in ("a", "b", "flat")] == [[1, 2], [7], [1]]
    assert study.runs(["flat", "a"]) == [("flat", 1), ("a", 1), ("a", 2)]
    assert study.runs(first=True) == [("flat", 1), ("c", 5), ("b", 7), ("a", 1)]


def test_models_are_those_that_run_in_the_order_of_the_table(study):
    assert study.models() == ["flat", "c", "b", "a"]
    assert study.models("one") == ["flat", "c", "a"]
    assert study.models("one", "network") == ["c", "a"]
    assert study.models(kind="baseline") == ["flat"]
    assert study.sets == ["one", "two"]


def test_files_of_several_trainings_are_listed_model_by_model(study):
    assert study.trainings("run.json", ["a"]) == [
        f"out/mine/toy/models/a/seed{seed}/run.json" for seed in (1, 2)
    ]
    assert study.tests("curves.nc", ["a"], first=True) == ["out/mine/toy/test/a/seed1/curves.nc"]
    assert study.checkpoints(["b"]) == ["out/mine/toy/models/b/seed7/best.ckpt"]
    assert len(study.tests("curves.nc")) == 6


def test_model_starts_from_the_same_seed_or_the_first_of_the_other(study):
    assert study.start("a", 1) == []
    assert study.start("c", 7) == study.start("c", 5) == [study.checkpoint("b", 7)]
    assert study.start("b", 7) == [study.checkpoint("a", 1)]


@pytest.mark.parametrize(
    "key", ["seeds", "gpus", "threads", "runtime", "mem_mb", "readers", "label", "colour", "marker"]
)
def test_what_is_no_science_retrains_nothing(study, key):
    before = study.science("a")
    study["models"]["a"][key] = "another"
    assert study.science("a") == before
    study["models"]["a"]["width"] = 9
    assert study.science("a") != before


def test_parameters_are_json_in_one_order_and_of_the_named_keys_only(study):
    text = as_json(b=1, a=pick(study["sets"]["one"], "y"))
    assert text == '{"a": {"y": 2}, "b": 1}' and json.loads(text)["a"] == {"y": 2}


def test_study_without_a_plan_of_its_own_is_served_by_the_base_class(study):
    run = RUN | {"toy": study.settings, "studies": ["toy"]}
    assert type(make("toy", run)) is Study
    assert study.training_set("b") == [study.patches("two")]


# --- tables and figures of scores -----------------------------------------------------------------


@pytest.fixture
def scored(study):
    """The study with a table or figure of each kind."""
    headline = [{"name": "mse", "subset": "all"}, {"name": "bias", "subset": "all"}]
    settings = study.settings | {
        "comparison": {"headline": headline, "chosen_by": "mse", "labels": {}},
        "transfer": {"a": ["two"], "unused": ["two"]},
        "variants": {"base": "a", "models": ["c", "unused"], "split": "test"}
        | {"subset": "all", "scores": ["mse"]},
        "training_size": {"models": ["a", "c"], "key": "x", "source": "tile", "label": "tiles"}
        | {"scores": ["bias", "mse"]},
    }
    settings["sets"] = {name: {"x": 1} for name in ("one", "two", "three")}
    return Study("toy", settings, RUN)


def test_study_without_sections_has_a_comparison_and_nothing_more(study):
    names = ["comparison.html", "pairs_one.html", "training.html", "figures/history.png"]
    names += ["figures/pairs_one.png", "tiles_one.html"]
    assert study.results == [study.path(name) for name in names]


def test_sections_of_the_config_switch_tables_and_figures_on(scored):
    names = ["pairs_one.html", "transfer.html", "variants.html", "figures/training_size.png"]
    assert {scored.path(name) for name in names} < {*scored.results}
    assert scored.transfers == {"a": ["two"]} and scored.variants == ["a", "c"]
    assert scored.transfer_tests("scores.nc")[:2] == [
        scored.test("a", 1, "scores.nc"),
        scored.transfer("a", 1, "two", "scores.nc"),
    ]


def test_label_of_a_model_is_no_science_but_reaches_the_tables(scored):
    scored["models"]["a"]["label"] = "Network A"
    labels = scored.comparison("labels")["labels"]
    assert labels == {"a": "Network A", "b": "b", "c": "c", "flat": "flat"}


def test_label_that_two_models_share_has_their_names_added(scored):
    for model in ("a", "c"):
        scored["models"][model]["label"] = "Network"
    assert scored.labels(["a", "c", "flat"]) == {
        "a": "Network (a)",
        "c": "Network (c)",
        "flat": "flat",
    }
    assert scored.labels(["a", "flat"])["a"] == "Network"


def test_looks_of_models_are_what_figures_need_and_no_more(scored):
    scored["models"]["a"] |= {"label": "Network A", "colour": "#000000", "marker": "o"}
    looks = scored.looks(["a", "flat"])
    expected = {"kind": "network", "module": "net", "colour": "#000000", "marker": "o"}
    assert looks["a"] == expected | {"label": "Network A"}
    assert looks["flat"]["label"] == "flat" and looks["flat"]["colour"] is None


def test_training_size_draws_a_line_a_module_and_the_items_of_its_scores(scored):
    config = scored.size_config()
    assert config["lines"] == {"a": "a", "c": "a"} and config["source"] == "tile"
    assert [*config["models"]] == ["a"] and config["models"]["a"]["kind"] == "network"
    assert [item["name"] for item in config["items"]] == ["bias", "mse"]
    assert scored.set_patches(["a", "c"]) == [scored.patches("one")]


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("transfer", {"aa": ["two"]}, "toy.transfer.aa: unknown model 'aa'; did you mean 'a'?"),
        ("transfer", {"a": ["tow"]}, "toy.transfer.a: unknown set 'tow'; did you mean 'two'?"),
        ("variants", {"base": "a", "models": ["x"]}, "toy.variants.models: unknown model 'x'"),
        ("variants", {"base": "x", "models": ["a"]}, "toy.variants.base: unknown model 'x'"),
        ("training_size", {"models": ["x"]}, "toy.training_size.models: unknown model 'x'"),
        (
            "training_size",
            {"models": ["a", "b"], "key": "y"},
            "toy.training_size.models: their sets differ in more than y",
        ),
    ],
)
def test_table_of_unknown_models_and_sets_is_refused_by_key(scored, section, value, message):
    settings = scored.settings | {section: {"split": "test"} | value}
    if section == "transfer":
        settings[section] = value
    settings["sets"] = scored["sets"] | {"two": {"x": 2}}
    with pytest.raises(WorkflowError) as refused:
        Study("toy", settings, RUN)
    assert str(refused.value).startswith(f"config: {message}")
