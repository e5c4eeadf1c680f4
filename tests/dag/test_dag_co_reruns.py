"""Which edits rerun what: code files are inputs, compared by checksum."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_words, snakemake

WORDS = run_words("co")


@pytest.fixture(scope="module")
def done(finished_run, tmp_path_factory):
    """A copy of the finished run, with its metadata, to edit."""
    folder = tmp_path_factory.mktemp("reruns") / "skyloom"
    shutil.copytree(finished_run("co"), folder, symlinks=True)
    return folder


def planned(folder) -> list[tuple[str, str, str]]:
    """(rule, wildcards, reason) of every job of a dry run."""
    output = snakemake(folder, "-n", *WORDS).stdout
    found = []
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", output)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)[1]
        wildcards = re.search(r"wildcards: (.*)", block)
        found.append(
            (rule, wildcards[1] if wildcards else "", re.search(r"reason: (.*)", block)[1])
        )
    return found


def edited(path):
    path.write_text(path.read_text() + "\n# an edit\n")


@pytest.fixture
def edit(done):
    """Edit a file below scripts/ for one test; afterwards it is as it was."""
    originals = {}

    def change(name):
        path = done / "scripts" / name
        originals[path] = path.read_text()
        edited(path)

    yield change
    for path, text in originals.items():
        path.write_text(text)


def test_touching_every_file_reruns_nothing(done):
    for path in (done / "scripts").rglob("*.py"):
        os.utime(path)
    for path in [*(done / "workflow").rglob("*"), *(done / "config").rglob("*")]:
        os.utime(path)
    assert planned(done) == []


def test_a_moved_clone_with_another_environment_reruns_nothing(done, tmp_path):
    """By all triggers: a command must hold no path of the clone or of the interpreter."""
    moved = tmp_path / "another place"
    shutil.copytree(done, moved, symlinks=True)
    (tmp_path / "environment").symlink_to(sys.prefix)
    words = ["snakemake", "-n", "--config", *WORDS[WORDS.index("--config") + 1 :]]
    python = tmp_path / "environment/bin" / Path(sys.executable).name
    plan = subprocess.run([python, "-m", *words], cwd=moved, capture_output=True, text=True)
    assert "Nothing to be done" in plan.stdout + plan.stderr, plan.stderr[-3000:]


def test_edit_of_a_shared_module_reruns_exactly_the_rules_that_import_it(done, edit):
    edit("skyloom/plotting.py")
    rules = {rule for rule, _, _ in planned(done)} - {"all"}
    figures = {"selection", "panels", "spectra", "scores", "latent", "steganography", "product"}
    expected = {"plot_history", "plot_pairs", "write_tiles", "co_compare_denoisers"}
    expected |= {"write_table"}  # of the denoisers
    expected |= {f"co_plot_{name}" for name in figures}
    assert rules == expected


@pytest.mark.parametrize(
    ("module", "models"),
    [("cyclegan", {"cyclegan"}), ("res_unet", {"res_unet", "res_unet_excess", "flow_matching"})],
)
def test_edit_of_one_network_retrains_what_is_built_on_it_only(done, edit, module, models):
    edit(f"skyloom/co/models/{module}.py")
    trained = [wildcards for rule, wildcards, _ in planned(done) if rule == "train_model"]
    assert {re.search(r"model=(\w+)", wildcards)[1] for wildcards in trained} == models


def test_edit_of_the_evaluation_tests_again_but_trains_nothing(done, edit):
    edit("skyloom/co/evaluate/spectra.py")
    rules = {rule for rule, _, _ in planned(done)}
    assert "evaluate_model" in rules and "train_model" not in rules


def test_revert_of_an_edit_reruns_nothing(done, edit):
    path = done / "scripts/skyloom/co/data/tiles.py"
    text = path.read_text()
    edited(path)
    assert {"co_select_tiles", "co_cut_patches"} <= {rule for rule, _, _ in planned(done)}
    path.write_text(text)
    assert planned(done) == []


def test_gpu_count_and_run_time_retrain_nothing(done):
    overlay = done / "mine.yaml"
    overlay.write_text(
        "co: {models: {res_unet: {gpus: 4, runtime: 240, mem_mb: 64000, threads: 1}}}\n"
    )
    output = snakemake(done, "-n", *WORDS, "--configfile", str(overlay)).stdout
    assert "Nothing to be done" in output, output[-2000:]


def test_other_denoiser_cuts_no_patch_again(done):
    overlay = done / "mine.yaml"
    overlay.write_text("co: {denoisers: {nlm_sphere: {alpha: [0.1]}}}\n")
    output = snakemake(done, "-n", *WORDS, "--configfile", str(overlay)).stdout
    assert "rule co_denoise_patches:" in output and "rule co_cut_patches:" not in output, output[
        -2000:
    ]
    assert re.findall(r"rule train_model:.*?wildcards: (.*?)\n", output, re.S) == [
        "study=co, model=cyclegan, seed=0"
    ]
