"""Code files as inputs: what a script imports, and nothing else."""

import modulefinder
from pathlib import Path

import pytest
from conftest import REPOSITORY, plan

from dag.code import SCRIPTS, closure, code


@pytest.mark.parametrize(
    "script", ["download_raw", "train_model", "compare_models", "co_cut_patches"]
)
def test_code_of_a_script_is_what_pythons_own_module_finder_finds(script, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    finder = modulefinder.ModuleFinder(path=[str(SCRIPTS)])
    finder.run_script(str(SCRIPTS / f"{script}.py"))
    found = {module.__file__ for module in finder.modules.values() if module.__file__}
    assert {str(REPOSITORY / path) for path in closure(f"{script}.py")} == found


def test_entry_point_comes_first_and_code_of_a_module_by_name_is_added(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    files = code("co_check_sky.py", "skyloom/turbulence/data/examples.py")(None)
    assert files[0] == "scripts/co_check_sky.py"
    assert "scripts/skyloom/turbulence/data/examples.py" in files
    assert len(files) == len(set(files))


@pytest.mark.parametrize(
    ("model", "module"),
    [("cyclegan", "models/cyclegan.py"), ("constant", "baselines.py")],
)
def test_training_of_a_model_reads_its_own_module_only(monkeypatch, model, module):
    monkeypatch.chdir(REPOSITORY)
    files = plan("co").code("train_model.py", model)
    learners = {"models/cyclegan.py", "models/pix2pix.py", "models/flow_matching.py"}
    learners |= {"baselines.py"}
    assert learners & {path.removeprefix("scripts/skyloom/co/") for path in files} == {module}
    assert "scripts/skyloom/co/data/examples.py" in files
    assert not any("/turbulence/" in path or "/evaluate" in path for path in files)
    assert all(Path(path).is_file() for path in files)
