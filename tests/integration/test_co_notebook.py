"""The notebook of the docs runs as it stands on a finished run."""

import json
import os
import subprocess
import sys

from conftest import REPOSITORY

NOTEBOOK = REPOSITORY / "docs/notebook.ipynb"


def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_notebook_runs_on_a_finished_run(finished_run, tmp_path):
    """All code cells in order, in a process of their own; the last one compares predictions."""
    code = "\n\n".join("".join(c["source"]) for c in cells() if c["cell_type"] == "code")
    environment = os.environ | {
        "SKYLOOM_RUN": str(finished_run("co") / "results/test"),
        "PYTHONPATH": str(REPOSITORY / "scripts"),
        "MPLBACKEND": "agg",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "brightest at l = " in done.stdout and "largest difference" in done.stdout


def test_notebook_is_stored_without_outputs():
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and not cell["execution_count"] for cell in code)
