"""The site check against a real Slurm: what it accepts, and the one line that it prints where Slurm would refuse."""

import subprocess
import sys

import pytest


@pytest.fixture
def check_site(repository, slurm_environment):
    """Run scripts/check_site.py on the one-machine Slurm."""

    def run(*arguments, **environment):
        command = [sys.executable, "scripts/check_site.py", *arguments]
        return subprocess.run(
            command, cwd=repository, env=slurm_environment | environment, capture_output=True, text=True, timeout=60
        )

    return run


@pytest.mark.parametrize("profile", ["slurm", "leonardo", "perlmutter"])
def test_site_with_the_names_of_the_profile_passes(check_site, profile):
    done = check_site("--profile", f"profiles/{profile}")
    assert done.returncode == 0, done.stderr
    assert "MinJobAge 300 s" in done.stdout
    assert "training    Job" in done.stdout


def test_account_that_slurm_does_not_know_is_refused_with_its_name(check_site):
    done = check_site(SKYLOOM_ACCOUNT="nobody")
    assert done.returncode == 2
    assert "--account=nobody" in done.stderr and "Invalid account" in done.stderr


def test_unset_account_is_refused_with_the_line_to_type(check_site):
    done = check_site(SKYLOOM_ACCOUNT="")
    assert done.returncode == 2
    assert done.stderr == "error: SKYLOOM_ACCOUNT is not set: export SKYLOOM_ACCOUNT=<account to charge>\n"


def test_more_gpus_than_a_node_has_are_refused(check_site):
    done = check_site("--gpus", "9")
    assert done.returncode == 2
    assert "--gres=gpu:9" in done.stderr


def test_short_min_job_age_is_refused_with_the_value_to_set(check_site, repository, tmp_path):
    text = (repository / "profiles/slurm/config.yaml").read_text()
    patient = text.replace("before-status-checks: 40", "before-status-checks: 150")  # asks for 450 s of the box's 300 s
    (tmp_path / "config.yaml").write_text(patient)
    done = check_site("--profile", str(tmp_path))
    assert done.returncode == 2
    assert "slurm-init-seconds-before-status-checks in the profile to 100" in done.stderr
