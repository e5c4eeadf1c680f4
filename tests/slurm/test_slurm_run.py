"""On a real Slurm: the site check, and the test-size study through `snakemake --profile slurm`."""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, STUDIES, copy_repository, plan

BOX = REPOSITORY / "tests/slurm/box.sh"
# Unusual values, which no default has.
GPUS, RUNTIME_MINUTES, MEMORY_MB = 2, 17, 3100
CHECKPOINT = "results/test/co/models/network/seed0/best.ckpt"
STATE = "results/test/state/co/network/seed0"
# Query the queue earlier, and give up earlier, than on a real cluster.
IMPATIENT = [
    "--slurm-init-seconds-before-status-checks=3",
    "--max-status-checks-per-second=1",
    "--latency-wait=5",
    "--retries=1",
]
RECORDER = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
os.execv({sbatch!r}, ["sbatch", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def slurm_environment() -> dict[str, str]:
    """The environment of a login node of a one-machine Slurm, which is started and stopped here."""
    if os.environ.get("SKYLOOM_TEST_SLURM") != "1":
        pytest.skip(
            "SKYLOOM_TEST_SLURM is not 1: it lets the tests install Debian's Slurm packages and "
            "run its daemons"
        )
    if os.getuid() != 0:
        pytest.fail(
            "SKYLOOM_TEST_SLURM=1 needs root: tests/slurm/box.sh installs packages and "
            "starts daemons"
        )
    subprocess.run([BOX, "install"], check=True, timeout=300)
    try:
        subprocess.run([BOX, "start"], check=True, timeout=120)
        shown = subprocess.run(
            ["bash", "-c", f"eval $({BOX} env) && env -0"],
            capture_output=True,
            text=True,
            check=True,
        )
        yield dict(line.split("=", 1) for line in shown.stdout.split("\0") if line)
    finally:
        subprocess.run([BOX, "stop"], check=True, timeout=120)


# --- the site check


@pytest.fixture
def check_site(slurm_environment):
    """Run scripts/check_site.py on the one-machine Slurm."""

    def run(*arguments, **environment):
        command = [sys.executable, "scripts/check_site.py", *arguments]
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env=slurm_environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("profile", ["slurm", "leonardo", "perlmutter"])
def test_site_with_the_names_of_the_profile_passes(check_site, profile):
    done = check_site("--profile", f"profiles/{profile}")
    assert done.returncode == 0, done.stderr
    assert "MinJobAge 300 s" in done.stdout
    for line in ("driver      none", "torch       ", "training    Job", "prediction  Job"):
        assert line in done.stdout


def test_account_that_slurm_does_not_know_is_refused_with_its_name(check_site):
    done = check_site(SKYLOOM_ACCOUNT="nobody")
    assert done.returncode == 2
    assert "--account=nobody" in done.stderr and "Invalid account" in done.stderr


def test_unset_account_is_refused_with_the_line_to_type(check_site):
    done = check_site(SKYLOOM_ACCOUNT="")
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: SKYLOOM_ACCOUNT is not set: export SKYLOOM_ACCOUNT=<account to charge>\n"
    )


def test_more_gpus_than_a_node_has_are_refused(check_site):
    done = check_site("--gpus", "9")
    assert done.returncode == 2
    assert "--gres=gpu:9" in done.stderr


def test_short_min_job_age_is_refused_with_the_value_to_set(check_site, tmp_path):
    text = (REPOSITORY / "profiles/slurm/config.yaml").read_text()
    # the profile needs 450 s, the box has 300 s
    patient = text.replace("before-status-checks: 10", "before-status-checks: 150")
    (tmp_path / "config.yaml").write_text(patient)
    done = check_site("--profile", str(tmp_path))
    assert done.returncode == 2
    assert "slurm-init-seconds-before-status-checks in the profile to 100" in done.stderr


# --- the study


class Login:
    """A copy of the repository with a user's config, and an sbatch that records its arguments."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.top, self.log = copy_repository(folder / "skyloom"), folder / "sbatch.log"
        sets = yaml.safe_load((self.top / "config/co/demo.yaml").read_text())["sets"]
        common = {
            "set": next(iter(sets)),
            "runtime": RUNTIME_MINUTES,
            "mem_mb": MEMORY_MB,
            "threads": 1,
        }
        network = common | {
            "kind": "network",
            "module": "res_unet",
            "width": 4,
            "batch": 8,
            "gpus": 0,  # those of the box are devices without CUDA
        }
        network |= {"steps": 800, "valid_every": 200}  # long enough to be cancelled on the way
        models = {
            "network": network,
            "baseline": common | {"kind": "baseline", "module": "constant"},
        }
        co = {
            "run_models": [*models],
            "models": models,
            "seeds": [0],
            "shards": 2,
            "run_products": [],
        }
        (self.top / "mine.yaml").write_text(
            yaml.safe_dump({"run": "test", "size": "test", "studies": ["co"], "co": co})
        )
        recorder = folder / "bin" / "sbatch"
        recorder.parent.mkdir()
        sbatch = shutil.which("sbatch", path=environment["PATH"])
        recorder.write_text(
            RECORDER.format(python=sys.executable, log=str(self.log), sbatch=sbatch)
        )
        recorder.chmod(0o755)
        self.environment = environment | {
            "PATH": f"{recorder.parent}:{environment['PATH']}",
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments: str, profile: str = "slurm") -> subprocess.Popen:
        """Start Snakemake like a user on a login node."""
        self.log.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            profile,
            "--configfile",
            "mine.yaml",
            *arguments,
        ]
        if "-n" not in arguments:
            command += IMPATIENT
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.top, env=self.environment, **pipes)

    def run(self, *arguments: str, profile: str = "slurm") -> str:
        """Run Snakemake to its end, which must be successful. Returns its output."""
        process = self.start(*arguments, profile=profile)
        try:
            printed, _ = process.communicate(timeout=1200)
        finally:
            process.kill()
        assert process.returncode == 0, printed
        return printed

    def submissions(self) -> list[tuple[str, argparse.Namespace]]:
        """Rule and sbatch options of each job submitted since the last start."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        for name in ("comment", "job-name", "mem", "nodes", "gres", "qos"):
            parser.add_argument(f"--{name}")
        for letter, name in {
            "A": "account",
            "p": "partition",
            "t": "time",
            "C": "constraint",
        }.items():
            parser.add_argument(f"-{letter}", dest=name)
        lines = [
            parser.parse_known_args(json.loads(line))[0]
            for line in self.log.read_text().splitlines()
        ]
        return [(rule_of(line.comment), line) for line in lines]


def rule_of(comment: str) -> str:
    """The rule that sbatch gets as a comment, with wildcards, or twice for a group of shards."""
    named = re.match(r"rule_(?:shards_(\w+)_\1|(.+?))(?:_wildcards_|$)", comment)
    return named[1] or named[2]


@pytest.fixture(scope="module")
def login(slurm_environment, tmp_path_factory):
    return Login(tmp_path_factory.mktemp("login"), slurm_environment)


@pytest.fixture(scope="module")
def submitted(login):
    """The study, run once: resources of each rule in a dry run, and the submitted jobs."""
    printed = login.run("-n")
    wanted = {}
    # those of a group are indented
    for block in re.split(r"^ *(?:local)?rule (?=\w+:$)", printed, flags=re.MULTILINE)[1:]:
        rule = block.split(":")[0]
        resources = re.search(r"resources: (.*)", block)
        wanted.setdefault(rule, []).append(
            dict(item.split("=", 1) for item in resources.group(1).split(", "))
        )
    login.run()
    return wanted, login.submissions()


def test_study_of_test_size_finishes_on_slurm_with_its_tables_and_figures(login, submitted):
    for product in (
        "comparison.csv",
        "metrics.csv",
        "figures/history.png",
        "figures/spectra_co10.png",
    ):
        assert (login.top / "results/test/co" / product).stat().st_size > 0
    assert "network" in (login.top / "results/test/co/comparison.csv").read_text()


def test_every_job_names_account_partition_time_and_memory_of_its_rule(submitted):
    wanted, jobs = submitted
    assert {rule for rule, _ in jobs} >= {
        "co_simulate_sky",
        "co_cut_patches",
        "train_model",
        "evaluate_model",
    }
    for rule, line in jobs:
        assert line.account == "skyloom_test"
        # the default of the box
        assert line.partition == "boost_usr_prod"
        assert line.job_name.startswith("skyloom_")
        asked = (line.time, line.mem, line.gres or "")
        memory = [w["mem_mb"] for w in wanted[rule]]
        if line.comment.startswith("rule_shards_"):  # one job, side by side
            memory = [str(sum(map(int, memory)))]
        entries = zip(wanted[rule], memory, strict=False)
        assert asked in [(w["runtime"], mem, w.get("gres", "")) for w, mem in entries], rule
        assert int(line.time) > 0 and int(line.mem) > 0


def test_training_asks_for_time_and_memory_of_its_entry_on_one_node(submitted):
    _, jobs = submitted
    assert not any(line.gres for _, line in jobs)
    for line in (line for rule, line in jobs if rule == "train_model"):
        assert (line.time, line.mem, line.nodes) == (str(RUNTIME_MINUTES), str(MEMORY_MB), "1")


def test_nothing_is_left_to_do_after_the_run(login, submitted):
    assert "Nothing to be done" in login.run("-n")


def history(login) -> list[dict[str, str]]:
    """The history of the network without columns of wall time."""
    with open(login.top / CHECKPOINT.replace("best.ckpt", "history.csv")) as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def test_cancelled_training_is_retried_and_ends_with_the_history_of_an_undisturbed_one(
    login, submitted
):
    undisturbed = history(login)
    assert len(undisturbed) > 1
    process = login.start("--force", CHECKPOINT)
    end = time.monotonic() + 120
    while (
        not (login.top / STATE / "lock").exists()
        and time.monotonic() < end
        and process.poll() is None
    ):
        time.sleep(0.1)
    time.sleep(1)  # some steps
    subprocess.run(["scancel", "--me"], env=login.environment, check=True)
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    assert len(login.submissions()) == 2, printed
    assert json.loads((login.top / CHECKPOINT).with_name("run.json").read_text())["resumes"] == 1
    assert history(login) == undisturbed  # the same machine: to the last digit


def test_studies_of_test_size_finish_with_the_shipped_profile(slurm_environment, login, capsys):
    """Every end of a job is noticed within the longest interval, and the run's time is printed."""
    run = {"run": "shipped", "size": "test"} | {study: on_cpus(study) for study in STUDIES}
    (login.top / "shipped.yaml").write_text(yaml.safe_dump(run))
    words = ["snakemake", "--profile", "slurm", "--configfile", "shipped.yaml"]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=login.top,
        env=login.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3600,
    )
    minutes = (time.monotonic() - start) / 60
    assert done.returncode == 0, done.stdout[-6000:]
    waits = seconds_until_noticed(login, done.stdout)
    with capsys.disabled():
        print(f"\n{len(waits)} jobs of {', '.join(STUDIES)} at test size: {minutes:.1f} minutes,")
        print(f"ends noticed after {sorted(waits)[len(waits) // 2]:.0f} s (median)")
    assert len(waits) > 50 and max(waits) <= 25  # 20 s, and the time of the driver itself


def on_cpus(study: str) -> dict:
    """Settings of a study whose models and families use no GPU: those of the box have no CUDA."""
    planned = plan(study, "test")
    return {
        name: {key: {"gpus": 0} for key, entry in planned.section(name).items() if entry["gpus"]}
        for name in ("models", "families")
        if planned.section(name)
    }


def seconds_until_noticed(login, printed: str) -> list[float]:
    """From the end of each job by Slurm to its end by Snakemake; not of groups."""
    query = ["sacct", "-X", "-P", "-n", "--format=JobID,End"]
    listed = subprocess.run(query, env=login.environment, capture_output=True, text=True)
    ends = dict(line.split("|") for line in listed.stdout.splitlines())
    [log] = re.findall(r"Complete log\(s\): (.*)", printed)
    noticed = re.findall(r"\[(.*)\]\nFinished jobid: (\d+) ", Path(log).read_text())
    noticed = {job: datetime.strptime(at, "%a %b %d %H:%M:%S %Y") for at, job in noticed}
    submitted = re.findall(r"Job (\d+) has been submitted with SLURM jobid (\d+)", printed)
    return [
        (noticed[job] - datetime.fromisoformat(ends[slurm_id])).total_seconds()
        for job, slurm_id in submitted
    ]


def test_profile_of_perlmutter_puts_the_shards_of_a_set_into_one_job(login, submitted):
    wanted, _ = submitted
    login.run("-R", "co_cut_patches", "--until", "co_cut_patches", profile="profiles/perlmutter")
    [(_, line)] = login.submissions()
    assert (line.constraint, line.qos, line.nodes) == ("cpu", "shared", None)
    assert int(line.mem) == sum(int(shard["mem_mb"]) for shard in wanted["co_cut_patches"])


def test_training_on_gpus_asks_for_them_on_one_node_and_stops_where_cuda_cannot_use_them(
    login, submitted
):
    entry = {"co": {"models": {"network": {"gpus": GPUS}}}}
    (login.top / "gpus.yaml").write_text(yaml.safe_dump(entry))
    process = login.start("gpus.yaml", "--force", CHECKPOINT)  # a second file of --configfile
    printed, _ = process.communicate(timeout=600)
    assert process.returncode != 0
    assert f"error: {GPUS} GPU(s) wanted, 0 usable of 0 installed: driver none" in printed
    # the test before this one has cut the patches anew, which are merged first
    trainings = [line for rule, line in login.submissions() if rule == "train_model"]
    assert trainings and {(line.gres, line.nodes) for line in trainings} == {(f"gpu:{GPUS}", "1")}
