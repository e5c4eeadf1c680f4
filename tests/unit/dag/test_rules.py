"""The rule files as text, and what is done to all rules."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from conftest import REPOSITORY, STUDIES
from snakemake.resources import Resource
from snakemake_executor_plugin_slurm import Executor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from dag.jobs import group_shards, limit_poll_interval, set_environment, show_messages_in_runs

FILES = [REPOSITORY / "Snakefile", *(REPOSITORY / "workflow/rules").rglob("*.smk")]
RULES = {
    re.match(r"rule (\w+)", block)[1]: block
    for path in FILES
    for block in re.split(r"(?m)^(?=rule )", path.read_text())[1:]
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_says_what_it_does(name):
    assert re.search(r'^    """[A-Z]', RULES[name], re.M)
    targets = {"all", *STUDIES}
    assert name in targets or re.search(
        r'^    message:\n +"(\{wildcards.study\}|\w+): ', RULES[name], re.M
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_lines_of_rules_have_at_most_100_columns(path):
    assert max(map(len, path.read_text().splitlines())) <= 100


def test_message_is_shown_in_a_run_and_not_in_a_dry_run():
    rules = [SimpleNamespace(message="co: cutting {wildcards.set}"), SimpleNamespace(message=None)]
    workflow = SimpleNamespace(rules=rules, dryrun=True)
    show_messages_in_runs(workflow)
    assert not rules[0].message and rules[1].message is None
    workflow.dryrun = False
    assert rules[0].message and rules[0].message == "co: cutting {wildcards.set}"


def test_shards_without_gpus_are_a_group_where_the_profile_has_one():
    def rule(name, wildcards, gpus=None):
        resources = {} if gpus is None else {"gpu_slots": Resource("gpu_slots", gpus)}
        return SimpleNamespace(name=name, wildcard_names=wildcards, resources=resources, group=None)

    cut, merge = rule("cut", {"set", "shard"}), rule("merge", {"set"})
    simulate = rule("simulate", {"family", "shard"}, lambda wildcards: int(wildcards == "on_gpus"))
    settings = SimpleNamespace(group_components={})
    workflow = SimpleNamespace(
        rules=[cut, simulate, merge], group_settings=settings, parent_groupids={}
    )
    group_shards(workflow)
    assert merge.group is None and cut.group(None) is None
    settings.group_components = {"shards": 16}
    # shards of another rule are another group of the same size
    assert cut.group(None) == "shards_cut"
    assert simulate.group("on_cores") == "shards_simulate" and not simulate.group("on_gpus")
    assert set(workflow.parent_groupids.values()) == {"shards"}


def test_jobs_have_the_python_of_this_snakemake_its_packages_and_utf8(tmp_path, monkeypatch):
    """The site's numpy is of another Python, and its locale is Latin-1, or here ASCII."""
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy/__init__.py").write_text("raise ImportError('numpy of the site')")
    site = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    site |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    monkeypatch.setattr(os, "environ", os.environ | site)
    program = "import numpy, sys; print(sys.prefix, open(0).encoding, sys.flags.no_user_site)"

    def job() -> subprocess.CompletedProcess:
        python = shutil.which("python3", path=os.environ["PATH"])
        return subprocess.run([python, "-c", program], env=os.environ, capture_output=True)

    assert job().returncode
    set_environment()
    assert job().stdout.decode().split() == [sys.prefix, "utf-8", "1"]


def test_slurm_is_polled_at_twice_the_first_interval_at_most(monkeypatch):
    """The plugin adds 10 s after each poll in which no job has ended, up to 180 s."""
    name = "next_seconds_between_status_checks"
    monkeypatch.setattr(RemoteExecutor, name, getattr(RemoteExecutor, name))
    executor = object.__new__(Executor)
    settings = SimpleNamespace(init_seconds_before_status_checks=10)
    executor.workflow = SimpleNamespace(executor_settings=settings)
    limit_poll_interval()
    intervals = []
    for seconds in (10, 20, 30, 180, 10):
        executor.next_seconds_between_status_checks = seconds
        intervals.append(executor.next_seconds_between_status_checks)
    assert intervals == [10, 20, 20, 20, 10]
