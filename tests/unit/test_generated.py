"""Files that are generated from one source are in step with it."""

import re
import subprocess
import sys
import tomllib

import pytest
from conftest import REPOSITORY


@pytest.mark.parametrize("script", ["docs/generate_config.py", "envs/generate.py"])
def test_generated_files_are_in_step_with_their_source(script):
    done = subprocess.run(
        [sys.executable, REPOSITORY / script, "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_lock_holds_every_pin_and_no_local_build():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lock = {
        line.lower().replace("_", "-")
        for line in (REPOSITORY / "envs/lock.txt").read_text().splitlines()
    }
    for pin in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        assert pin.lower().replace("_", "-") in lock, pin
    assert "torch==2.13.0" in lock and not any(
        "+" in line for line in lock if not line.startswith("#")
    )


def test_every_config_key_is_documented_once():
    """A key without a description would stand in docs/config/ as an empty cell."""
    pages = {path.stem: path.read_text() for path in (REPOSITORY / "docs/config").glob("*.md")}
    rows = {
        name: [line for line in page.splitlines() if line.startswith("| `")]
        for name, page in pages.items()
    }
    assert sum(map(len, rows.values())) > 60
    shared = set(rows.pop("training"))
    # a section, or a key of models such as the learning rate, may be described alike
    keys = {
        name: [row for row in lines if "." in row.split("`")[1]] for name, lines in rows.items()
    }
    for name, lines in keys.items():
        assert len(lines) == len(set(lines)) and not shared & set(lines), name
    undocumented = [row for lines in rows.values() for row in lines if re.search(r"\|\s*\|$", row)]
    assert undocumented == []
