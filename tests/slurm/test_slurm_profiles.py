"""The profiles: their common settings, and the settings that a run needs."""

import pytest
import yaml
from conftest import REPOSITORY, snakemake
from snakemake.settings.types import SharedFSUsage

from check_site import LEAST_INTERVALS
from dag.jobs import LONGEST_INTERVAL

PROFILES = ["local", "slurm", "leonardo", "perlmutter", "perlmutter-node"]
SUBMITTING = ["slurm", "leonardo", "perlmutter"]
SITE = {"jobs", "default-resources", "resources", "set-resources", "group-components"}


def read(profile):
    return yaml.safe_load((REPOSITORY / "profiles" / profile / "config.yaml").read_text())


def test_submitting_profiles_differ_only_in_what_the_site_decides():
    common = [{k: v for k, v in read(name).items() if k not in SITE} for name in SUBMITTING]
    assert common[1:] == common[:-1]


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_reruns_by_content_not_by_the_time_of_a_clone(profile):
    assert read(profile)["rerun-triggers"] == ["mtime", "params", "input", "software-env"]


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_needs_no_folder_below_home(profile):
    usage = read(profile)["shared-fs-usage"]
    assert set(usage) == {item.item_to_choice() for item in SharedFSUsage} - {"source-cache"}


@pytest.mark.parametrize("profile", SUBMITTING)
def test_submitting_profile_has_the_settings_without_which_runs_hang(profile):
    settings = read(profile)
    assert settings["slurm-status-command"] == "squeue"
    # a run survives an outage of Slurm of ten minutes
    assert settings["slurm-status-attempts"] / settings["max-status-checks-per-second"] >= 600
    # the end of a job is noticed within 20 s, and Slurm keeps it for 300 s
    first = settings["slurm-init-seconds-before-status-checks"]
    assert LONGEST_INTERVAL * first <= 20 and first * LEAST_INTERVALS <= 300
    assert settings["slurm-jobname-prefix"] == "skyloom"
    assert settings["default-resources"]["slurm_account"] == "$SKYLOOM_ACCOUNT"
    assert "slurm-array-jobs" not in settings


def test_no_default_profile_overrides_the_chosen_one():
    assert not (REPOSITORY / "profiles" / "default").exists()


@pytest.mark.parametrize("account", [None, ""], ids=["unset", "empty"])
def test_cluster_profile_without_an_account_is_refused_in_one_line(monkeypatch, account):
    monkeypatch.delenv("SKYLOOM_ACCOUNT", raising=False)
    done = snakemake(
        REPOSITORY,
        "-n",
        "--profile",
        "slurm",
        environment={} if account is None else {"SKYLOOM_ACCOUNT": ""},
    )
    assert done.returncode != 0
    assert [
        line for line in done.stdout.splitlines() if "SKYLOOM_ACCOUNT" in line and "export" in line
    ]
    assert "Traceback" not in done.stdout
