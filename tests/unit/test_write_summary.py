"""summary.md: what a run found, what failed, and what to type next."""

import json
import shutil
import sys
from types import SimpleNamespace

import pytest
from run_files import write_run

import write_summary

LOG = """[Fri Nov 27 16:46:36 2026]
Job 1: toy: training net, seed 0
RuleException:
CalledProcessError in file "/clone/workflow/rules/train.smk", line 10:
Command 'set -euo pipefail;  python train.py' {end}.
[Fri Nov 27 16:46:37 2026]
Error in rule train_model:
    message: toy: training net, seed 0
    log: {log} (check log file(s) for error details)
"""


@pytest.fixture
def summary(tmp_path, monkeypatch):
    """`summary(**about)` is summary.md of a run whose run.json differs by `about`."""

    def write(**about) -> str:
        folder = tmp_path / "mine"
        if not folder.exists():
            write_run(folder, **about)
        monkeypatch.setattr(sys, "argv", ["write_summary.py", "--results", str(folder)])
        write_summary.main()
        return (folder / "summary.md").read_text()

    return write


def test_finished_run_has_table_verdict_costs_and_the_command_of_the_report(summary, tmp_path):
    text = summary()
    assert text.startswith("# Run mine: finished\n")
    assert "started 2026-11-27 14:34 UTC, 7.2 min on 2 cores, commit aaaaaaa" in text
    assert "data: simulated; device time of trainings: 0.1 h" in text
    assert "| model | correlation \N{UPWARDS ARROW} | RMSE [K] \N{DOWNWARDS ARROW} |" in text
    row = "| Res-UNet (chosen) | 0.879 [0.868, 0.890] | 39.6 [33.1, 46.1] |"
    assert row in text and "| dust |" not in text
    assert "- better than every baseline in correlation" in text
    assert "- worse than dust law in RMSE" in text
    assert "- net: 510 steps, 6.0 min, best at 360 (valid rmse 7.83)" in text
    command = "snakemake --config run=mine 'studies=[toy]' --report "
    assert f"```sh\n{command}{tmp_path}/mine/report.html\n```" in text
    assert "Size on disk: 2" in text and "`toy/raw` 20 MB" in text


def test_report_that_exists_is_linked_and_not_suggested(summary, tmp_path):
    summary()
    (tmp_path / "mine/report.html").write_text("a report")
    text = summary()
    assert "(report.html)" in text and "--report" not in text


def test_hard_link_of_the_state_to_a_result_takes_no_space(tmp_path):
    run = write_run(tmp_path / "mine")
    (run.folder / "state").mkdir()
    (run.folder / "state/sky.fits").hardlink_to(run.folder / "toy/raw/sky.fits")
    assert (run.sizes()["toy/raw"], run.sizes()["state"]) == (20_000_000, 0)


def test_suggested_report_is_of_all_results():
    command = ["snakemake", "results/a.png", "--cores", "2", "-f", "--config", "run=mine"]
    expected = ["snakemake", "--cores", "2", "--config", "run=mine"]
    assert write_summary.report_words(command) == expected


def test_failed_run_names_rule_log_and_reason_and_repeats_no_earlier_verdict(summary, tmp_path):
    job, log = tmp_path / "job.log", tmp_path / "snakemake.log"
    job.write_text("Traceback ...\nerror: maps.nc: column NHI not found\n")
    log.write_text(LOG.format(log=job, end="returned non-zero exit status 2"))
    toy = {"title": "Toy", "sets": {}, "labels": {}, "figure": None, "docs": [], "verdict": "old"}
    text = summary(status="failed", logs=[str(log)], studies={"toy": toy})
    assert text.startswith("# Run mine: failed\n")
    assert f"- `train_model`: error: maps.nc: column NHI not found (log: `{job}`)" in text
    assert "better than every baseline" not in text and "did not compare the models" in text
    assert "```sh\nsnakemake --config run=mine 'studies=[toy]'\n```" in text
    assert "--report" not in text


def test_verdict_that_the_run_did_not_check_is_marked_as_an_earlier_one(summary):
    toy = {"title": "Toy", "sets": {}, "labels": {}, "figure": None, "docs": []}
    text = summary(studies={"toy": toy | {"verdict": "unchecked"}})
    note = text.index("This run did not compare the models. An earlier run did, 20")
    assert note < text.index("better than every baseline")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("died with <Signals.SIGKILL: 9>", "it was stopped (signal 9)"),
        ("returned non-zero exit status 143", "it was stopped (signal 15)"),
        ("returned non-zero exit status 1", "its log is empty"),
    ],
)
def test_job_that_a_signal_ended_was_stopped(tmp_path, end, reason):
    (tmp_path / "job.log").write_text("")
    log = LOG.format(log=tmp_path / "job.log", end=end)
    assert write_summary.failures(log) == [("train_model", str(tmp_path / "job.log"), reason)]


@pytest.mark.parametrize("name", ["empty.log", "logs/none.log"])
def test_log_that_a_full_disk_refused_is_not_called_empty(tmp_path, monkeypatch, name):
    (tmp_path / "empty.log").write_text("")
    disk = SimpleNamespace(total=10**9, used=10**9, free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk)
    log = LOG.format(log=tmp_path / name, end="returned non-zero exit status 1")
    [(_, _, reason)] = write_summary.failures(log)
    assert reason == f"no space left on the disk of {tmp_path}, its log could not be written"


def test_signal_of_one_job_is_no_reason_of_the_next(tmp_path):
    (tmp_path / "job.log").write_text("")
    stopped = LOG.format(log=tmp_path / "other.log", end="died with <Signals.SIGKILL: 9>")
    failed = LOG.format(log=tmp_path / "job.log", end="returned non-zero exit status 1")
    reasons = [reason for _, _, reason in write_summary.failures(stopped + failed)]
    assert reasons == ["it was stopped (signal 9)", "its log is empty"]


def test_run_that_was_stopped_between_jobs_says_so(summary, tmp_path):
    (tmp_path / "snakemake.log").write_text("Will exit after finishing currently running jobs")
    text = summary(status="failed", logs=[str(tmp_path / "snakemake.log")])
    assert "- No rule: the run was stopped" in text


def test_baseline_has_its_time_in_the_list_of_trainings(summary, tmp_path):
    summary()
    path = tmp_path / "mine/toy/models/net/seed0/run.json"
    training = json.loads(path.read_text()) | {"steps": None, "wall_seconds": 12.0, "seed": 3}
    path.write_text(json.dumps(training))
    assert "- net, seed 3: fitted in 12 s" in summary()
