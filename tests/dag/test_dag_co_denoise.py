"""Sets that are denoised on the sphere: which files the plan takes where."""

import re

import pytest
import yaml
from conftest import copy_repository, snakemake

R = "results/demo/co"


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """The dry run's text of each job, by rule and set, for one set of each kind."""
    folder = copy_repository(tmp_path_factory.mktemp("denoise") / "skyloom")
    sets = {
        "sphere": {"denoiser": "nlm_sphere"},
        "cut_after": {"denoiser": "nlm_sphere", "snr_from": "denoised"},
    }
    sets["other_line"] = {"line": "21", "denoiser": "nlm_sphere"}
    models = {
        "one": {"module": "constant", "set": "sphere"},
        "two": {"module": "constant", "set": "other_line"},
    }
    mine = {"sets": sets, "models": models, "run_models": [*models]}
    (folder / "mine.yaml").write_text(yaml.safe_dump({"co": mine}))
    targets = [f"{R}/sets/{name}/denoised.nc" for name in [*sets, "co10"]]
    done = snakemake(
        folder, *targets, f"{R}/patch_counts.csv", "-n", "-p", "--configfile", "mine.yaml"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = {}
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout)[1:]:
        wildcards = dict(re.findall(r"(set|line)=(\w+)", block))
        jobs[
            re.match(r"(?:local)?rule (\w+):", block)[1],
            wildcards.get("set", wildcards.get("line")),
        ] = block
    return jobs


def test_map_of_each_line_that_runs_is_denoised_once_and_counted_without_any_model(planned):
    assert {key for rule, key in planned if rule == "co_denoise_sphere"} == {"10", "21"}
    assert not {rule for rule, _ in planned} & {"train_model", "evaluate_model"}


@pytest.mark.parametrize(
    ("name", "from_sphere"), [("sphere", True), ("cut_after", True), ("co10", False)]
)
def test_patches_are_cut_from_the_denoised_map_where_the_set_says_so(planned, name, from_sphere):
    wanted = f"--maps {R}/maps.nc --denoised-map {R}/denoised/co10_nlm_sphere.nc"
    assert (wanted in planned["co_denoise_patches", name]) == from_sphere
    # the raw target is cut from the raw map
    assert f"--maps {R}/maps.nc" in planned["co_cut_patches", name]


def test_tiles_are_chosen_on_the_map_that_the_set_names(planned):
    assert f"--signal {R}/maps.nc" in planned["co_select_tiles", "sphere"]
    assert f"--signal {R}/denoised/co10_nlm_sphere.nc" in planned["co_select_tiles", "cut_after"]
