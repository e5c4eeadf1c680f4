"""The example study under a new name: files are added, one list is edited, and everything runs."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from astropy.io import fits
from conftest import STUDIES, copy_repository, run_words, snakemake

NAME = "toy"
R = f"results/test/{NAME}"
MODELS = ["unet", "matched"]
# of the house's tests those that see every listed study
STRUCTURE = "tests/dag/test_dag_structure.py::test_every"
HOUSE = (
    f"{STRUCTURE}_profile_plans_the_demo[perlmutter]",
    f"{STRUCTURE}_size_is_planned_for_the_studies_that_have_it[survey]",
    f"{STRUCTURE}_size_is_planned_for_the_studies_that_have_it[test]",
    "tests/dag/test_dag_structure.py::test_each_rule_has_a_script_and_a_log_of_its_name",
    "tests/dag/test_dag_style.py::test_formatter_is_content",
    "tests/unit/dag/test_schemas.py",
    "tests/unit/test_generated.py",
    "tests/unit/test_on_pretended_gpu.py",
)
OTHERS = re.compile(r"\b(CO|dust|sky|tiles?|turbulence|clouds?|simulations)\b")


def call(folder, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A clone with the new study, committed before it came."""
    folder = copy_repository(tmp_path_factory.mktemp("new") / "skyloom")
    call(folder, "git", "init", "--quiet")
    call(folder, "git", "add", ".")
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    call(folder, "git", *author, "commit", "--quiet", "-m", "The house")
    call(folder, "make", "study", f"NAME={NAME}", f"PYTHON={sys.executable}")
    path = folder / "config/config.yaml"
    text = path.read_text()
    path.write_text(text.replace(f"{STUDIES[-1]}]", f"{STUDIES[-1]}, {NAME}]"))
    assert yaml.safe_load(path.read_text())["studies"] == [*STUDIES, NAME]
    call(folder, sys.executable, "docs/generate_config.py")
    return folder


@pytest.fixture(scope="module")
def finished(house):
    done = snakemake(house, *run_words(NAME))
    assert done.returncode == 0, done.stdout[-6000:]
    return house


def test_study_comes_by_new_files_and_one_list_entry(house):
    status = call(house, "git", "status", "--porcelain", "--untracked-files=all").splitlines()
    assert [line for line in status if not line.startswith("??")] == [" M config/config.yaml"]
    assert call(house, "git", "diff", "--numstat").split()[:2] == ["1", "1"]
    added = [house / line.removeprefix("?? ") for line in status if line.startswith("??")]
    assert len(added) > 20 and all(NAME in str(path.relative_to(house)) for path in added)
    assert not [path for path in added if "shapes" in path.read_text()]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (NAME, f"config/{NAME} exists"),
        ("scores", "scripts/skyloom/scores exists"),
        ("train", "workflow/rules/train.smk exists"),
        *((name, "expected a lower-case") for name in ("Radio", "2d", "class", "a-b", "raw", "")),
    ],
)
def test_name_that_is_taken_or_unfit_is_refused(house, name, message):
    command = [sys.executable, "scripts/copy_study.py", name]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True)
    assert done.returncode == 2 and f"NAME is {name!r}" in done.stderr and message in done.stderr


def test_network_is_trained_on_the_stream_and_compared_with_the_baseline(finished):
    table = pd.read_csv(finished / R / "comparison.csv")
    assert table.model.tolist() == MODELS and table.chosen.tolist()[0] == "chosen"
    pairs = pd.read_csv(finished / R / "pairs_plain.csv")
    assert set(zip(pairs.network, pairs.baseline, strict=True)) == {("unet", "matched")}
    verdict = json.loads((finished / R / "verdict.json").read_text())
    assert {clause["score"] for clause in verdict["sets"][0]["clauses"]} == {"iou", "log_loss"}
    history = pd.read_csv(finished / R / "models/unet/seed0/history.csv")
    assert history.valid_log_loss.iloc[-1] < history.valid_log_loss.iloc[0]


def test_predictions_have_a_class_axis_and_scores_of_single_images(finished):
    folder = finished / R / "test/unet/seed0"
    with xr.open_dataset(folder / "predictions.nc") as predictions:
        assert predictions["prediction"].dims == ("example", "class", "y", "x")
        assert predictions["class"].values.tolist() == ["none", "disc", "ring", "bar"]
    with xr.open_dataset(folder / "scores.nc") as scores:
        assert scores["log_loss"].dims == ("example",) and scores["draws"].shape[1] == 101


@pytest.mark.parametrize("model", MODELS)
def test_product_is_a_fits_file_of_the_whole_mosaic(finished, model):
    with fits.open(finished / R / f"products/mosaic_{model}.fits") as hdus:
        assert hdus[0].header["SKYKIND"] == "simulated" and hdus[0].header["MODEL"] == model
        classes, probability = hdus["CLASS"].data, hdus["PROBABILITY"].data
        assert classes.shape == (64, 64) and hdus["CLASS"].header["CLASS2"] == "ring"
        np.testing.assert_allclose(probability.sum(0), 1, rtol=1e-5)
        assert (probability.argmax(0) == classes).all()


def test_report_has_a_caption_for_each_result_and_no_word_of_another_study(finished):
    done = snakemake(finished, *run_words(NAME), "--report", "report.html")
    assert done.returncode == 0 and "(ERROR/" not in done.stdout, done.stdout[-2000:]
    page = (finished / "report.html").read_text()
    text = r'"((?:[^"\\]|\\.)*)"'
    captions = re.findall(rf'"caption": {text}', page)
    assert len(captions) == 10 and all(captions)
    words = [*captions, re.search(rf"workflow_desc = {text}", page)[1]]
    words += [(finished / R / name).read_text() for name in ("comparison.html", "subsets.html")]
    words += [(finished / R / "verdict.json").read_text()]
    assert [OTHERS.search(part) for part in words] == [None] * len(words)
    assert any("intersection over union" in part for part in captions)


def test_second_run_does_nothing(finished):
    assert "Nothing to be done" in snakemake(finished, *run_words(NAME)).stdout


def test_size_that_the_study_lacks_is_refused_by_name(house):
    done = snakemake(house, "-n", "--config", "size=survey", f"studies=[{NAME}]")
    assert done.returncode != 0
    assert f"the study {NAME} has no survey: config/{NAME}/survey.yaml not found" in done.stdout


def test_tests_of_house_and_study_pass_with_the_study_listed(house):
    """Docs, sizes, profiles, rules, schemas, style; and the study's own tests, under its name."""
    own = [str(path.relative_to(house)) for path in house.glob(f"tests/unit/test_{NAME}_*.py")]
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--study", NAME)
    print(call(house, *command, *HOUSE, *own))
