"""Refusals of check_site before it calls Slurm."""

import os
import subprocess

import pytest
import yaml

import check_site
from skyloom.cli import BadInput

PROFILE = {
    "executor": "slurm",
    "slurm-init-seconds-before-status-checks": 40,
    "default-resources": {"slurm_account": "$SKYLOOM_ACCOUNT"},
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"executor": "local"}, "executor is local, expected slurm"),
        ({"executor": None}, "executor is None, expected slurm"),
        (
            {"slurm-init-seconds-before-status-checks": None},
            "status-checks is None, expected a number of seconds",
        ),
        (
            {"default-resources": None},
            "default-resources has no slurm_account, expected .SKYLOOM_ACCOUNT",
        ),
        ({"default-resources": {"mem_mb": 1}}, "default-resources has no slurm_account"),
    ],
)
def test_incomplete_profile_is_refused_by_the_missing_key(tmp_path, changes, message):
    path = tmp_path / "config.yaml"
    path.write_text(
        yaml.safe_dump({key: value for key, value in (PROFILE | changes).items() if value})
    )
    with pytest.raises(BadInput, match=f"config.yaml: .*{message}"):
        check_site.read_profile(path)


@pytest.mark.parametrize("name", ["slurm", "leonardo", "perlmutter"])
def test_profiles_of_the_house_are_complete(repository, name):
    assert (
        check_site.read_profile(repository / "profiles" / name / "config.yaml")["executor"]
        == "slurm"
    )


def test_jobs_with_gpus_ask_for_the_nodes_of_the_site(repository):
    """As sbatch gets them; Slurm itself is asked in tests/slurm."""
    defaults = check_site.read_profile(repository / "profiles/perlmutter/config.yaml")
    defaults = defaults["default-resources"]
    one, four, none = (defaults | check_site.on_gpus(defaults, count) for count in (1, 4, 0))
    assert (one["constraint"], one["qos"], one["gres"]) == ("gpu", "shared", "gpu:1")
    assert (four["constraint"], four["qos"], four["gres"]) == ("gpu", "regular", "gpu:4")
    assert (none["constraint"], none["qos"]) == ("cpu", "shared") and "gres" not in none


def test_packages_of_the_site_are_refused_with_the_line_to_type(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    check_site.check_packages()
    monkeypatch.setenv("PYTHONPATH", "/opt/site/python3.9")
    with pytest.raises(BadInput, match=r"^PYTHONPATH is /opt/site/python3\.9,.* unset PYTHONPATH,"):
        check_site.check_packages()


def test_home_that_cannot_be_written_has_the_variable_that_replaces_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_site.home() == f"{tmp_path} can be written" and not [*tmp_path.iterdir()]
    monkeypatch.setenv("HOME", "/proc/none")
    message = "/proc/none cannot be written (No such file or directory): without a profile, export "
    assert check_site.home() == f"{message}XDG_CACHE_HOME=<a folder on scratch>"
    # every write to it fails as on a full disk
    monkeypatch.setattr(check_site.tempfile, "TemporaryFile", lambda dir: open("/dev/full", "wb"))
    assert "cannot be written (No space left on device)" in check_site.home()


def test_make_leaves_out_packages_of_the_site(repository, tmp_path):
    show = "show:\n\t@echo $$PYTHONPATH $$PYTHONNOUSERSITE $$PYTHONUTF8\n"
    (tmp_path / "Makefile").write_text(f"include {repository}/Makefile\n{show}")
    site = os.environ | {"PYTHONPATH": "/opt/site/python3.9"}
    shown = subprocess.run(
        ["make", "--no-print-directory", "show"], cwd=tmp_path, env=site, capture_output=True
    )
    assert shown.stdout == b"1 1\n", shown.stderr
