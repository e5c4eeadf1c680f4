"""The profiles: what they must have in common, and that each of them builds the graph (no Slurm needed)."""

import os
import subprocess
import sys

import pytest
import yaml

PROFILES = ["local", "slurm", "leonardo", "perlmutter", "perlmutter-node"]
SUBMITTING = ["slurm", "leonardo", "perlmutter"]
SITE = {"jobs", "default-resources", "resources", "set-resources", "groups", "group-components"}


def read(repository, profile):
    return yaml.safe_load((repository / "profiles" / profile / "config.yaml").read_text())


def dry_run(repository, tmp_path, *arguments, **environment):
    """`snakemake -n` with the study's files below `tmp_path`, so that nothing of an earlier run counts."""
    paths = f"paths={{results: {tmp_path}/results, resources: {tmp_path}/resources}}"
    command = [sys.executable, "-m", "snakemake", "-n", "--nolock", "--config", "size=test", "run=test", paths]
    environment = {k: v for k, v in os.environ.items() if k != "SKYLOOM_ACCOUNT"} | environment
    return subprocess.run(
        [*command, *arguments], cwd=repository, env=environment, capture_output=True, text=True, timeout=120
    )


def test_submitting_profiles_differ_only_in_what_the_site_decides(repository):
    common = [{k: v for k, v in read(repository, name).items() if k not in SITE} for name in SUBMITTING]
    assert common[1:] == common[:-1]


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_reruns_by_content_not_by_the_time_of_a_clone(repository, profile):
    assert read(repository, profile)["rerun-triggers"] == ["mtime", "params", "input", "software-env"]


@pytest.mark.parametrize("profile", SUBMITTING)
def test_submitting_profile_has_the_settings_without_which_runs_hang(repository, profile):
    settings = read(repository, profile)
    assert settings["slurm-status-command"] == "squeue"
    # Outlast an outage of Slurm of ten minutes.
    assert settings["slurm-status-attempts"] / settings["max-status-checks-per-second"] >= 600
    assert settings["slurm-jobname-prefix"] == "skyloom"
    assert settings["default-resources"]["slurm_account"] == "$SKYLOOM_ACCOUNT"
    assert "slurm-array-jobs" not in settings


def test_no_default_profile_overrides_the_chosen_one(repository):
    assert not (repository / "profiles" / "default").exists()


@pytest.mark.parametrize("profile", ["slurm", *(f"profiles/{name}" for name in PROFILES)])
def test_dry_run_with_each_profile_from_the_top_of_the_clone(repository, tmp_path, profile):
    done = dry_run(repository, tmp_path, "--quiet", "rules", "--profile", profile, SKYLOOM_ACCOUNT="anyone")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train_model" in done.stdout + done.stderr


@pytest.mark.parametrize("value", [{}, {"SKYLOOM_ACCOUNT": ""}], ids=["unset", "empty"])
def test_cluster_profile_without_an_account_is_refused_in_one_line(repository, tmp_path, value):
    done = dry_run(repository, tmp_path, "--profile", "slurm", **value)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if "SKYLOOM_ACCOUNT" in line and "export" in line]
    assert "Traceback" not in done.stderr
