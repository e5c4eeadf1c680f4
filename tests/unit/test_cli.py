"""What every entry point shares."""

import importlib
import os
import signal
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from skyloom import cli

JOB = """
import sys, time
from skyloom import cli

def main():
    with cli.atomic(sys.argv[1]) as part:
        part.write_text("half")
        print("writing", flush=True)
        time.sleep(60)

cli.run(main)
"""


def test_a_terminated_job_leaves_no_half_written_file(tmp_path, repository):
    environment = {**os.environ, "PYTHONPATH": str(repository / "scripts")}
    command = [sys.executable, "-c", JOB, str(tmp_path / "made.nc")]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert job.stdout.readline() == "writing\n"
    assert len(list(tmp_path.iterdir())) == 1
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_progress_has_a_line_every_ten_seconds_and_none_at_the_end(monkeypatch, capsys):
    seconds = iter([0, 4, 12, 20, 24, 40])
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(seconds))
    groups = [range(2), range(2), range(4), range(2), range(2)]
    assert [*cli.progress(groups, "tiles")] == groups
    # 4 tiles in 12 s leave 8 for 24 s; 10 in 24 s leave 2 for 4.8 s
    lines = ["4 of 12 tiles, 24 s left", "10 of 12 tiles, 5 s left"]
    assert capsys.readouterr().out.splitlines() == lines


def test_missing_names_are_refused_with_those_that_are_there():
    cli.require({"seed": 1, "index": 2}, ["index"], "a.csv", "column")
    message = r"a\.csv: column mach, time not found \(columns: seed, index\)"
    with pytest.raises(cli.BadInput, match=message):
        cli.require(["seed", "index"], ["mach", "index", "time"], "a.csv", "column")
    with pytest.raises(cli.BadInput, match=r"cube density not found \(cubes: none\)"):
        cli.require([], ["density"], "a.fits", "cube")


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "scripts").glob("*.py")), ids=lambda p: p.stem
)
def test_entry_point_imports_and_describes_itself(path):
    module = importlib.import_module(path.stem)
    assert callable(module.main) and module.__doc__.strip()


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "benchmarks").glob("*.py")), ids=lambda p: p.stem
)
def test_benchmark_imports_and_describes_itself(path, monkeypatch):
    monkeypatch.syspath_prepend(str(path.parent))
    module = importlib.import_module(path.stem)
    assert callable(module.main) and module.__doc__.strip()
