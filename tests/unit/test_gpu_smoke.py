"""benchmarks/gpu_smoke: the quick checks on this CPU, the others on a pretended GPU."""

import importlib.util
import json
import subprocess
import sys
from types import SimpleNamespace

import pretended_gpu
import pytest
import torch
from conftest import REPOSITORY
from test_on_pretended_gpu import networks as modules

SMOKE = REPOSITORY / "benchmarks" / "gpu_smoke"
ON_GPU = pytest.mark.skipif(pretended_gpu.reason() is not None, reason=str(pretended_gpu.reason()))
# Without these names a program runs as on a machine that has torch and little else.
BARE = """
import importlib.util, runpy, sys
found = importlib.util.find_spec
bare = {names!r}.split()
importlib.util.find_spec = lambda name, *args: None if name in bare else found(name, *args)
sys.argv = {argv!r}
runpy.run_path({argv!r}[0], run_name="__main__")
"""
# A child that ends within its second check.
DYING = """
import os
print("@@start first", flush=True)
print('@@found {"number": 1.0}', flush=True)
print('@@end {"s": 0.1, "failed": null}', flush=True)
print("@@start second", flush=True)
print("a last word", flush=True)
os._exit(1)
"""
# A child that hangs in its first check.
HANGING = """
import faulthandler, signal, sys, time
faulthandler.register(signal.SIGUSR1)
def wait_for_ever():
    print("@@start first", flush=True)
    time.sleep(1e6)
wait_for_ever()
"""


@pytest.fixture(scope="module")
def smoke():
    """The modules `setting` and `checks`, and `__main__` as `program`."""
    sys.path.insert(0, str(SMOKE))
    import checks
    import setting

    spec = importlib.util.spec_from_file_location("gpu_smoke_program", SMOKE / "__main__.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    yield SimpleNamespace(checks=checks, setting=setting, program=program)
    sys.path.remove(str(SMOKE))


def run(folder, *words: str) -> subprocess.CompletedProcess:
    words = (str(SMOKE), "--device", "cpu", "--small", "--out", str(folder), *words)
    return subprocess.run([sys.executable, *words], capture_output=True, text=True)


def test_quick_checks_end_in_tables_and_numbers(tmp_path):
    done = run(tmp_path, "--only", "environment", "steps", "solver", "predicts")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "gpu_smoke.json").read_text())
    assert list(results) == ["environment", "steps", "solver", "predicts"]
    assert results["solver"]["found"]["failures"] == []
    table = done.stdout[done.stdout.index("| check | s | |") :]
    assert "| a step of | batch | ms |" in table
    for name in results["steps"]["found"]:
        assert f"| {name} " in table


def test_every_network_is_checked_at_survey_size(smoke):
    networks = smoke.setting.survey_networks().values()
    assert {(network.study, network.module) for network in networks} == {*modules()}
    assert {network.pixels for network in networks if network.study == "co"} == {128}


def test_machine_with_little_more_than_torch_trains_all_the_same(tmp_path):
    """The networks come from a machine that can read the config."""
    sys.path.insert(0, str(SMOKE))
    file = tmp_path / "networks.json"
    subprocess.run([sys.executable, str(SMOKE), "--write-networks", str(file)], check=True)
    names = importlib.import_module("setting").OPTIONAL
    argv = [str(SMOKE), "--device", "cpu", "--small", "--networks", str(file), "--child", "trains"]
    code = BARE.format(names=names, argv=argv)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert '@@end {"s": ' in done.stdout and '"failed": null' in done.stdout, done.stderr


def test_check_in_which_a_child_dies_has_failed_and_the_next_one_gets_another_child(
    smoke, tmp_path, monkeypatch
):
    (tmp_path / "dying.py").write_text(DYING)
    monkeypatch.setattr(smoke.program, "__file__", str(tmp_path / "dying.py"))
    monkeypatch.setattr(smoke.program, "CHECKS", dict.fromkeys(("first", "second"), (None, 60)))
    args = SimpleNamespace(device="cpu", small=True, networks=None, seconds=1e9)
    results = smoke.program.one_child(args, ["first", "second", "third"])
    assert results["first"] == {"s": 0.1, "failed": None, "found": {"number": 1.0}}
    assert results["second"]["failed"] == "hung or died"
    assert "a last word" in results["second"]["output"] and "third" not in results


def test_check_that_hangs_says_where(smoke, tmp_path, monkeypatch):
    (tmp_path / "hanging.py").write_text(HANGING)
    monkeypatch.setattr(smoke.program, "__file__", str(tmp_path / "hanging.py"))
    monkeypatch.setattr(smoke.program, "CHECKS", {"first": (None, 0.1)})
    args = SimpleNamespace(device="cpu", small=True, networks=None, seconds=1e9)
    (row,) = smoke.program.one_child(args, ["first"]).values()
    assert row["failed"] == "hung or died"
    assert "its time is up\n" in row["output"] and "in wait_for_ever" in row["output"]


@ON_GPU
@pytest.mark.parametrize("check", ["environment", "trains", "steps", "agrees"])
def test_branches_for_a_gpu_run_on_a_pretended_one(check, smoke, monkeypatch):
    pretended_gpu.register()
    for name, value in {
        "synchronize": None,
        "reset_peak_memory_stats": None,
        "empty_cache": None,
        "set_sync_debug_mode": None,
        "max_memory_allocated": 1 << 30,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *args, value=value, **options: value)
    monkeypatch.setattr(smoke.checks, "kernels", lambda setting, engine: {"busy": 1.0})
    monkeypatch.setattr("skyloom.checkpoint._device", None)  # restored afterwards
    with pretended_gpu.pretended_gpu():
        setting = smoke.setting.Setting("cuda", small=True)
        monkeypatch.setattr(setting, "networks", first_two(setting.networks))
        found = dict(getattr(smoke.checks, check)(setting))
    assert found and not any("FAILED" in str(value) for value in found.values())


def first_two(networks: dict) -> dict:
    """One network of each study, for time."""
    studies = {network.study: name for name, network in reversed(networks.items())}
    return {name: networks[name] for name in studies.values()}
