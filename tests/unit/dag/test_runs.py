"""What a run does about an earlier one that failed: files, targets and finished trainings."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from snakemake.io import temp

from dag import runs


class Rule(NamedTuple):
    name: str
    output: tuple = ()


class Persistence:
    """Snakemake's records; `marked` are outputs whose end no driver recorded."""

    def __init__(self, marked=()):
        self.marked = marked

    def incomplete(self, job):
        return [file for file in job.output if file in self.marked]


def workflow_of(*jobs, persistence=None, **settings):
    """A workflow with these jobs to run; settings : words of the command."""
    dag = SimpleNamespace(
        forcefiles=set(),
        forcerules=set(),
        targetrules=[Rule("all"), Rule("prepare", ("maps.nc",))],
        needrun_jobs=lambda: jobs,
        reason=lambda job: SimpleNamespace(forced=job.forced),
    )
    return SimpleNamespace(
        dag=dag,
        touch=False,
        dag_settings=SimpleNamespace(**{"targets": [], "until": [], "omit_from": []} | settings),
        persistence=persistence or Persistence(),
        async_run=lambda result: result,
        _build_dag=lambda: None,
    )


def job(*output, rule="train_model", forced=True):
    return SimpleNamespace(output=output, rule=Rule(rule), forced=forced, wildcards="net")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a run, with the checkpoint of a training and what it keeps of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.ckpt").write_text("weights")
    (tmp_path / "net/finished").mkdir(parents=True)
    return tmp_path


def noted(folder) -> list[str] | None:
    path = folder / runs.UNFINISHED
    return json.loads(path.read_text()) if path.exists() else None


def test_run_notes_the_files_that_it_makes_again_and_not_new_or_temporary_ones(folder):
    (folder / "shard.nc").write_text("part")
    workflow = workflow_of(job("best.ckpt", "new.csv"), job(temp("shard.nc"), rule="cut"))
    assert runs.made_again(workflow) == {"best.ckpt"}


def test_next_run_forces_the_files_that_a_failed_run_deleted_and_targets_without_files(folder):
    runs.write(folder, {"best.ckpt", "deleted.ckpt"})
    workflow = workflow_of()
    runs.make_whole(workflow, folder, lambda: ["failed_in_part.json"])
    workflow._build_dag()
    assert workflow.dag.forcefiles == {"deleted.ckpt", "failed_in_part.json"}
    assert [rule.name for rule in workflow.dag.forcerules] == ["all"]


@pytest.mark.parametrize("touch", [False, True])
def test_nothing_is_forced_after_a_run_that_ended_well_or_by_touch(folder, touch):
    if touch:
        runs.write(folder, {"deleted.ckpt"})
    workflow = workflow_of()
    workflow.touch = touch
    runs.make_whole(workflow, folder, lambda: ["failed_in_part.json"])
    workflow._build_dag()
    assert not workflow.dag.forcefiles and not workflow.dag.forcerules


@pytest.mark.parametrize(
    ("status", "settings", "files", "expected"),
    [
        ("failed", {}, ["best.ckpt"], []),
        ("failed", {}, ["deleted.ckpt"], ["deleted.ckpt"]),
        ("finished", {}, ["best.ckpt"], None),
        ("finished", {"targets": ["x.png"]}, ["deleted.ckpt"], ["deleted.ckpt"]),
        ("finished", {"targets": ["x.png"]}, ["best.ckpt"], None),
        ("finished", {}, ["of_another_config.ckpt"], None),
    ],
)
def test_note_lasts_until_a_run_has_ended_well(folder, status, settings, files, expected):
    runs.write(folder, files)
    runs.end(workflow_of(**settings), folder, status)
    assert noted(folder) == expected


@pytest.mark.parametrize(
    ("training", "marked", "kept"),
    [
        (job("best.ckpt"), (), False),  # -R by a user
        (job("best.ckpt", forced=False), (), True),  # an edit
        (job("best.ckpt"), ("best.ckpt",), True),  # its driver was killed
        (job("deleted.ckpt"), (), True),  # a failed run deleted it
        (job("best.ckpt", rule="evaluate_model"), (), True),
    ],
)
def test_finished_training_is_forgotten_only_where_a_user_forces_it(folder, training, marked, kept):
    workflow = workflow_of(training, persistence=Persistence(marked))
    runs.forget_forced(workflow, lambda wildcards: folder / wildcards)
    assert Path("net/finished").exists() == kept


@pytest.mark.parametrize(("by_rule", "marked"), [(True, ()), (True, ("status.json",)), (False, ())])
def test_kept_products_are_forgotten_only_where_a_user_forces_their_rule(folder, by_rule, marked):
    (folder / "status.json").write_text("{}")
    search = job("status.json", rule="search")
    search.params = {"kept": ["net"]}
    workflow = workflow_of(search, persistence=Persistence(marked))
    workflow.dag.forcerules = {search.rule} if by_rule else set()
    runs.forget_forced(workflow, Path)
    assert Path("net").exists() == (not by_rule or bool(marked))


def test_summary_of_a_run_that_lasts_shows_no_result_of_an_earlier_one(folder, monkeypatch):
    monkeypatch.setattr(runs, "hold", lambda folder: None)
    (folder / "summary.md").write_text("better than every baseline")
    runs.begin(workflow_of(job("best.ckpt", forced=False)), folder, Path)
    text = (folder / "summary.md").read_text()
    assert text.startswith(f"# Run {folder.name}: not ended\n") and "better" not in text
    assert noted(folder) == ["best.ckpt"]
