"""The workflow as a graph: what a dry run of each config, size and profile plans, and how fast."""

import re
import shlex
import subprocess
import sys
import time

import pytest
import yaml
from conftest import REPOSITORY, STUDIES, copy_repository, sizes, snakemake

SUBMITTING = ["slurm", "leonardo", "perlmutter"]
PROFILES = ["local", "perlmutter-node", *SUBMITTING]
ACCOUNT = {"SKYLOOM_ACCOUNT": "toy_0"}


def counts(output: str) -> dict[str, int]:
    """The job counts that a dry run prints."""
    table = output.split("Job stats:")[1].split("total")[0]
    return {name: int(n) for name, n in re.findall(r"^(\w+)\s+(\d+)\s*$", table, re.M)}


def dry_run(folder, *arguments, **keywords):
    done = snakemake(folder, "-n", *arguments, **keywords)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return copy_repository(tmp_path_factory.mktemp("dag") / "skyloom")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_plans_the_demo(demo, profile):
    done = snakemake(demo, "-n", "--profile", f"profiles/{profile}", environment=ACCOUNT)
    assert done.returncode == 0, done.stdout[-3000:]
    studies = [
        yaml.safe_load((demo / f"config/{study}/demo.yaml").read_text()) for study in STUDIES
    ]
    # each network from each seed of its study, each baseline once
    networks = {"cnn", "res_unet", "cyclegan"}
    trainings = sum(
        len(study["seeds"]) if model in networks else 1
        for study in studies
        for model in study["run_models"]
    )
    assert counts(done.stdout)["train_model"] == counts(done.stdout)["evaluate_model"] == trainings
    assert ("Group job shards" in done.stdout) == (profile in SUBMITTING)


@pytest.mark.parametrize("profile", ["local", "perlmutter-node"])
def test_training_stops_for_no_time_limit_where_nothing_ends_a_job(demo, profile):
    output = dry_run(demo, "--profile", f"profiles/{profile}", "-p")
    assert {int(minutes) for minutes in re.findall(r"--runtime (\d+)", output)} == {365 * 24 * 60}


def test_profile_slurm_is_found_by_its_bare_name(demo):
    assert "train_model" in dry_run(demo, "--profile", "slurm", environment=ACCOUNT)


def test_survey_size_plans_every_job_in_less_than_half_a_minute(demo):
    """30 s is the promise to a user on a login node; 2,000 jobs the one to the scheduler."""
    start = time.monotonic()
    config = ("size=survey", "run=survey", f"studies=[{','.join(sizes('survey'))}]")
    planned = counts(dry_run(demo, "--config", *config, "--quiet", "host"))
    assert time.monotonic() - start < 30
    assert planned["download_raw"] == 3 and "co_simulate_sky" not in planned
    assert sum(planned.values()) < 2000


def test_one_study_and_one_file_are_targets(demo):
    assert "co_check_sky" in dry_run(demo, "co")
    one = counts(dry_run(demo, "results/demo/co/models/constant/seed0/best.ckpt"))
    assert one["train_model"] == 1 and "evaluate_model" not in one


def test_rulegraph_names_the_path_from_raw_maps_to_figures(demo):
    done = snakemake(demo, "--rulegraph", "mermaid-js")
    for rule in (
        "co_simulate_sky",
        "co_prepare_maps",
        "train_model",
        "evaluate_model",
        "compare_models",
    ):
        assert rule in done.stdout


def test_second_co_map_is_compared_where_the_user_has_one(demo, tmp_path):
    (tmp_path / "type1.fits").write_text("")
    mine = tmp_path / "mine.yaml"
    second = {"path": str(tmp_path / "type1.fits"), "kind": "type1"}
    mine.write_text(yaml.safe_dump({"co": {"second_map": second}}))
    assert counts(dry_run(demo, "--configfile", str(mine)))["co_compare_second_map"] == 1


def test_figures_of_scores_are_drawn_set_by_set(demo, tmp_path):
    mine = tmp_path / "mine.yaml"
    sets = {"co21": {"line": "21", "selection": "weighted"}}
    models = {"excess21": {"module": "excess", "set": "co21"}}
    mine.write_text(
        yaml.safe_dump(
            {"co": {"sets": sets, "models": models, "run_models": ["excess", "excess21"]}}
        )
    )
    output = dry_run(demo, "--configfile", str(mine), "-p")
    assert counts(output)["co_plot_spectra"] == 2 and counts(output)["co_plot_scores"] == 10
    drawn = re.findall(r"co_plot_scores.py --figure plane .*?--curves (.*?) --published", output)
    assert sorted(re.findall(r"test/(\w+)/", files) for files in drawn) == [
        ["excess"],
        ["excess21"],
    ]


def test_run_of_baselines_alone_plans_no_loss_curves(demo, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"co": {"run_models": ["excess"], "run_products": []}}))
    planned = counts(dry_run(demo, "co", "--configfile", str(mine)))
    assert (
        planned["train_model"] == planned["compare_models"] == 1 and "plot_history" not in planned
    )


def test_each_rule_has_a_script_and_a_log_of_its_name(demo):
    output = dry_run(demo, "-p", "--forceall")
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", output)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)[1]
        if rule in ("all", *STUDIES):
            continue
        assert f"scripts/{rule}.py" in block, rule
        assert re.search(rf"log: \S*/{rule}[/.]", block), rule


def test_commands_take_folders_with_spaces(demo):
    """A word that begins behind the space is a part of a path that was not quoted."""
    folders = "paths={results: my results, resources: my resources}"
    config = ("--config", "size=test", "run=test", folders)
    printed = snakemake(demo, "-n", "-p", *config).stdout
    commands = re.findall(r"^Shell command: (python3 .*)", printed, re.MULTILINE)
    assert len(commands) > 100
    for command in commands:
        words = shlex.split(command)
        assert words[1].startswith("scripts/")
        assert any(word.startswith("my results/test/") for word in words)
        behind = [word for word in words if re.match(r"(results|resources)\b", word)]
        assert not behind, command


def test_driver_runs_where_home_cannot_be_written_and_the_locale_is_not_utf8(demo):
    site = {"HOME": "/proc/none", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    dry_run(demo, "--profile", "profiles/local", environment=site)


def test_no_snakemake_process_imports_torch_or_healpy(demo):
    """A Slurm job parses the workflow again: these imports would cost each of them seconds."""
    program = (
        "import sys, runpy; sys.argv = ['snakemake', '-n', '--quiet', 'all']\n"
        "try: runpy.run_module('snakemake', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('LOADED', [m for m in ('torch', 'healpy', 'xarray', 'astropy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=demo, capture_output=True, text=True)
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def test_parsing_five_studies_is_little_work(tmp_path, monkeypatch):
    """Function calls of a parse less those of an empty Snakefile: a bound on what each Slurm job
    does again. Not seconds, which other work on the machine stretches; benchmarks/workflow_start.py
    prints those.
    """
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from workflow_start import COPIES, EMPTY, with_copies

    five = with_copies(tmp_path / "five")
    (five / "empty.smk").write_text(EMPTY)

    def profiled(*arguments):
        command = [sys.executable, "-m", "cProfile", "-m", "snakemake", "--list-rules", *arguments]
        return subprocess.run(command, cwd=five, capture_output=True, text=True).stdout

    def calls(printed):
        return int(re.search(r"(\d+) function calls", printed)[1])

    ours = profiled()
    assert all(f"{name}_" in ours for name in COPIES), "their rules are listed"
    # half a second of CPU, where each of 2,000 jobs parses again
    assert 0 < calls(ours) - calls(profiled("-s", "empty.smk")) < 2.5e6


@pytest.mark.parametrize("size", ["demo", "workstation", "survey", "test"])
def test_every_size_is_planned_for_the_studies_that_have_it(demo, size):
    config = (f"size={size}", f"run={size}", f"studies=[{','.join(sizes(size))}]")
    planned = counts(dry_run(demo, "--config", *config))
    assert planned["compare_models"] == len(sizes(size)) and sum(planned.values()) < 2000
