"""The test-size study through `snakemake --profile slurm` on a real Slurm: what is submitted, and that it finishes."""

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

# Odd values, so that they can come from nowhere else.
GPUS, RUNTIME_MINUTES, MEMORY_MB = 2, 17, 3100
CHECKPOINT = "results/test/co/models/network/seed0/best.ckpt"
STATE = "results/test/state/co/network/seed0"
# Look at the queue sooner than is fit for a real cluster.
IMPATIENT = ["--slurm-init-seconds-before-status-checks=3", "--max-status-checks-per-second=1", "--latency-wait=5"]
RECORDER = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
os.execv({sbatch!r}, ["sbatch", *sys.argv[1:]])
"""


class Clone:
    """A copy of the repository with a user's config, and an sbatch before the real one that notes what it is asked."""

    def __init__(self, repository: Path, folder: Path, environment: dict[str, str]):
        self.top, self.log = folder / "skyloom", folder / "sbatch.log"
        unwanted = shutil.ignore_patterns(".git", ".venv", ".snakemake", "results", "resources", "logs", "*cache*")
        shutil.copytree(repository, self.top, symlinks=True, ignore=unwanted)
        sets = yaml.safe_load((repository / "config/co/demo.yaml").read_text())["sets"]
        common = {"set": next(iter(sets)), "runtime": RUNTIME_MINUTES, "mem_mb": MEMORY_MB}
        network = common | {"kind": "network", "module": "res_unet", "width": 4, "steps": 400, "gpus": GPUS}
        models = {"network": network, "baseline": common | {"kind": "baseline", "module": "constant"}}
        co = {"run_models": [*models], "models": models, "seeds": [0], "shards": 2}
        (self.top / "mine.yaml").write_text(
            yaml.safe_dump({"run": "test", "size": "test", "studies": ["co"], "co": co})
        )
        recorder = folder / "bin" / "sbatch"
        recorder.parent.mkdir()
        sbatch = shutil.which("sbatch", path=environment["PATH"])
        recorder.write_text(RECORDER.format(python=sys.executable, log=str(self.log), sbatch=sbatch))
        recorder.chmod(0o755)
        self.environment = environment | {"PATH": f"{recorder.parent}:{environment['PATH']}", "OMP_NUM_THREADS": "1"}

    def start(self, *arguments: str, profile: str = "slurm") -> subprocess.Popen:
        """Start Snakemake, as a user does on a login node."""
        self.log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "snakemake", "--profile", profile, "--configfile", "mine.yaml", *arguments]
        if "-n" not in arguments:
            command += IMPATIENT
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.top, env=self.environment, **pipes)

    def run(self, *arguments: str, profile: str = "slurm") -> str:
        """Run Snakemake to its end, which must be a good one; returns what it printed."""
        process = self.start(*arguments, profile=profile)
        try:
            printed, _ = process.communicate(timeout=420)
        finally:
            process.kill()
        assert process.returncode == 0, printed
        return printed

    def submissions(self) -> list[tuple[str, argparse.Namespace]]:
        """Rule and sbatch options of each job that was submitted since the last start."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        for name in ("comment", "job-name", "mem", "nodes", "gres", "qos"):
            parser.add_argument(f"--{name}")
        for letter, name in {"A": "account", "p": "partition", "t": "time", "C": "constraint"}.items():
            parser.add_argument(f"-{letter}", dest=name)
        lines = [parser.parse_known_args(json.loads(line))[0] for line in self.log.read_text().splitlines()]
        return [(line.comment.removeprefix("rule_").split("_wildcards_")[0], line) for line in lines]


@pytest.fixture(scope="module")
def clone(repository, slurm_environment, tmp_path_factory):
    return Clone(repository, tmp_path_factory.mktemp("login"), slurm_environment)


@pytest.fixture(scope="module")
def finished(clone):
    """The study, run once: resources of each rule as a dry run prints them, and what was submitted."""
    printed = clone.run("-n")
    wanted = {}
    for rule, block in re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", printed, re.MULTILINE):
        resources = re.search(r"resources: (.*)", block)
        wanted.setdefault(rule, []).append(dict(item.split("=", 1) for item in resources.group(1).split(", ")))
    clone.run()
    return wanted, clone.submissions()


def test_study_of_test_size_finishes_on_slurm_with_its_tables_and_figures(clone, finished):
    for product in ("comparison.csv", "metrics.csv", "figures/history.png", "figures/spectra.png"):
        assert (clone.top / "results/test/co" / product).stat().st_size > 0
    assert "network" in (clone.top / "results/test/co/comparison.csv").read_text()


def test_every_job_names_account_partition_time_and_memory_of_its_rule(finished):
    wanted, submitted = finished
    assert {rule for rule, _ in submitted} >= {"co_simulate_sky", "co_cut_patches", "train_model", "predict_test"}
    for rule, line in submitted:
        assert line.account == "skyloom_test"
        assert line.partition == "boost_usr_prod"  # the box's default
        assert line.job_name.startswith("skyloom_")
        asked = (line.time, line.mem, line.gres or "")
        assert asked in [(w["runtime"], w["mem_mb"], w.get("gres", "")) for w in wanted[rule]], rule
        assert int(line.time) > 0 and int(line.mem) > 0


def test_only_the_network_asks_for_gpus_and_all_of_them_on_one_node(finished):
    _, submitted = finished
    with_gpus = [(rule, line) for rule, line in submitted if line.gres]
    assert [rule for rule, _ in with_gpus] == ["train_model"]
    line = with_gpus[0][1]
    assert (line.gres, line.nodes) == (f"gpu:{GPUS}", "1")
    assert (line.time, line.mem) == (str(RUNTIME_MINUTES), str(MEMORY_MB))


def test_nothing_is_left_to_do_after_the_run(clone, finished):
    assert "Nothing to be done" in clone.run("-n")


def history(clone) -> list[dict[str, str]]:
    """The network's history without the columns that are seconds on a clock."""
    with open(clone.top / CHECKPOINT.replace("best.ckpt", "history.csv")) as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def test_cancelled_training_is_retried_and_ends_with_the_history_of_an_undisturbed_one(clone, finished):
    undisturbed = history(clone)
    assert len(undisturbed) > 1
    process = clone.start("--force", CHECKPOINT)
    end = time.monotonic() + 120
    while not (clone.top / STATE / "lock").exists() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.1)
    time.sleep(1)  # some steps
    subprocess.run(["scancel", "--me"], env=clone.environment, check=True)
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == 0, printed
    assert len(clone.submissions()) == 2, printed
    assert json.loads((clone.top / CHECKPOINT).with_name("run.json").read_text())["resumes"] == 1
    assert history(clone) == undisturbed  # the same machine: to the last digit


def test_profile_of_perlmutter_puts_the_shards_of_a_set_into_one_job(clone, finished):
    wanted, _ = finished
    clone.run("-R", "co_cut_patches", "--until", "co_cut_patches", profile="profiles/perlmutter")
    [(_, line)] = clone.submissions()
    assert (line.constraint, line.qos, line.nodes) == ("cpu", "shared", None)
    assert int(line.mem) == sum(int(shard["mem_mb"]) for shard in wanted["co_cut_patches"])
