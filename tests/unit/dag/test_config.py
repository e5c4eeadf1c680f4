"""The config of a run: which files lie over which, and what is refused, by key."""

import json

import pytest
import yaml
from conftest import REPOSITORY
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from dag.config import complete_run, complete_study, overlay, read_yaml


def completed(**config) -> dict:
    """config.yaml with a user's values, completed."""
    config = read_yaml(REPOSITORY / "config/config.yaml") | config
    complete_run(config)
    return config


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (
            {"co": {"run_modles": ["res_unet"]}},
            "co.run_modles: unknown key 'run_modles'; did you mean 'run_models'?",
        ),
        (
            {"co": {"models": {"res_unet": {"epoch": 3}}}},
            "co.models.res_unet.epoch: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        (
            {"co": {"run_models": ["resunet"]}},
            "co.run_models: unknown model 'resunet'; did you mean 'res_unet'?",
        ),
        (
            {"co": {"models": {"x": {"module": "cycelgan", "set": "co10"}}}},
            "co.models.x.module: unknown model module 'cycelgan'; did you mean 'cyclegan'?",
        ),
        (
            {"co": {"models": {"x": {"set": "co10"}}}},
            "co.models.x.module: unknown model module 'None'; known: res_unet, ",
        ),
        ({"co": {"models": {"x": {"module": "excess"}}}}, "co.models.x: missing key set"),
        (
            {"co": {"models": {"res_unet": {"set": "co_10"}}}},
            "co.models.res_unet.set: unknown set 'co_10'; did you mean 'co10'? known: co10, co21",
        ),
        ({"co": {"tiles": {"pixels": 50}}}, "co.tiles.pixels: 50 is not a multiple of 16"),
        ({"co": {"sets": {"Faint": {}}}}, "co.sets.Faint: a name that stands in file names"),
        ({"co": "res_unet"}, "co: 'res_unet' is not a table of keys"),
        ({"co": {"seeds": [-1]}}, "co.seeds.0: -1 is less than the minimum of 0"),
        (
            {"co": {"models": {"res_unet": {"epochs": float("nan")}}}},
            "co.models.res_unet.epochs: nan is no finite number",
        ),
        (
            {"co": {"models": {"res_unet": {"learning_rate": "1e-3"}}}},
            "YAML reads 1e-3 as text: write 1.0e-3",
        ),
        (
            {"co": {"seeds": ["0"]}},  # --config 'co={seeds: [0]}'
            "'0' is not of type 'integer' (Seeds of the trainings of each network. A baseline is "
            "fitted with the first.); values in braces after --config are text: write them into a "
            "file, --configfile",
        ),
        ({"co": {"tiles": {"size_deg": "2.5E1"}}}, "YAML reads 2.5E1 as text: write 2.5e+1"),
        (
            {"raw": {"local": {"NHI_HPX.fit": "x"}}},
            "raw.local.NHI_HPX.fit: unknown file 'NHI_HPX.fit'; did you mean 'NHI_HPX.fits'?",
        ),
        ({"size": "hugo"}, "size: 'hugo' is not one of"),
        ({"studies": ["cos"]}, "studies: unknown study 'cos'; did you mean 'co'?"),
        ({"studies": ["co", "co"]}, "studies: ['co', 'co'] has non-unique elements"),
        ({"studies": []}, "studies: [] "),
        ({"study": ["co"]}, "study: unknown key 'study'; did you mean 'studies'?"),
        *(({"run": name}, f"run: '{name}' ") for name in ("", ".", "..", "a/b", "a b")),
        *(
            ({"paths": {"results": path}}, f"paths.results: '{path}' ")
            for path in ("", " ", ".", "..", "../", "/")
        ),
        (
            {"paths": {"results": "$SKYLOOM_EMPTY/"}},
            "paths.results: '$SKYLOOM_EMPTY/' is '/', expected a folder or file below one",
        ),
        (
            {"paths": {"resources": "~nobody_here/raw"}},
            "paths.resources: '~nobody_here/raw': there is no user nobody_here",
        ),
        (
            {"paths": {"results": "$SKYLOOM_UNSET/x"}},
            "paths.results: '$SKYLOOM_UNSET/x': the environment variable $SKYLOOM_UNSET is not set",
        ),
    ],
)
def test_wrong_config_is_refused_by_key_with_the_nearest_known_one(user, message, monkeypatch):
    monkeypatch.setenv("SKYLOOM_EMPTY", "")
    with pytest.raises(WorkflowError) as refused:
        completed(**user)
    assert str(refused.value).startswith("config: ") and message in str(refused.value)


def test_size_that_a_study_does_not_have_is_refused_by_the_file_that_is_missing():
    with pytest.raises(WorkflowError, match="the study co has no huge: config/co/huge.yaml not"):
        complete_study("co", "huge", {})


def test_key_that_a_file_states_twice_is_refused_with_file_and_line(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("co:\n  seeds: [1]\nrun: mine\nco:\n  shards: 3\n")
    with pytest.raises(WorkflowError, match=r"mine.yaml, line 4: the key 'co' is there a second"):
        complete_run({"studies": ["co"]}, [mine])
    mine.write_text("sets:\n- {a: 1}\n- {b: 1,\n   b: 2}\n")
    with pytest.raises(WorkflowError, match=r"mine.yaml, line 4: the key 'b' is there a second"):
        read_yaml(mine)


def test_key_that_a_merge_brings_may_be_stated_again(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n")
    assert read_yaml(mine)["c"] == {"x": 3, "y": 4} == yaml.safe_load(mine.read_text())["c"]


def test_number_as_key_is_the_text_that_it_stands_for():
    products = {"sky": {"lines": {10: "res_unet"}}}
    assert completed(co={"products": products})["co"]["products"]["sky"]["lines"]["10"]


def test_tables_that_an_alias_repeats_are_completed_apart(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("a: &a {module: excess, set: co10}\nb: *a\n")
    models = completed(co={"models": read_yaml(mine)})["co"]["models"]
    assert models["a"] == models["b"] and models["a"] is not models["b"]


def test_paths_are_expanded_as_a_shell_would(monkeypatch):
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    monkeypatch.setenv("HOME", "/home/me")
    paths = completed(paths={"results": "$SCRATCH/sky", "resources": "~/raw"})["paths"]
    assert paths == {"results": "/scratch/me/sky", "resources": "/home/me/raw"}
    copies = {"NHI_HPX.fits": "${SCRATCH}/hi.fits"}
    second = {"path": "~/dame.fits", "kind": "dame"}
    config = completed(container="~/skyloom.sif", raw={"local": copies}, co={"second_map": second})
    assert config["container"] == "/home/me/skyloom.sif"
    assert config["raw"]["local"] == {"NHI_HPX.fits": "/scratch/me/hi.fits"}
    assert config["co"]["second_map"]["path"] == "/home/me/dame.fits"
    image = "docker://ghcr.io/skyloom/skyloom:1"
    assert completed(container=image)["container"] == image and not completed()["container"]


@pytest.mark.parametrize("size", ["workstation", "survey", "test"])
@pytest.mark.parametrize("study", ["co", "turbulence"])
def test_files_lie_over_one_another_as_snakemake_lays_them(study, size):
    below, above = (
        read_yaml(REPOSITORY / "config" / study / f"{name}.yaml") for name in ("demo", size)
    )
    merged = overlay(below, above)
    update_config(below, above)
    assert json.dumps(merged, sort_keys=True) == json.dumps(below, sort_keys=True)


def test_users_values_replace_lists_and_merge_into_tables():
    user = {"run_models": ["res_unet"], "seeds": [3, 4], "models": {"res_unet": {"epochs": 7}}}
    co = completed(co=user)["co"]
    assert co["run_models"] == ["res_unet"] and co["seeds"] == [3, 4]
    assert co["models"]["res_unet"]["epochs"] == 7 and co["models"]["res_unet"]["set"] == "co10"
