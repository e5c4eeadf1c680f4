"""Refusals of check_site before it calls Slurm."""

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
