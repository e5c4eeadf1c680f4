"""Fixtures that all tests share: a copy of the repository, Snakemake on it, a finished run of test
size.
"""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of small real data files; skips where SKYLOOM_REALDATA is unset."""
    folder = os.environ.get("SKYLOOM_REALDATA")
    if not folder:
        pytest.skip("SKYLOOM_REALDATA is unset: it names the folder of small real data files")
    return Path(folder)


@pytest.fixture
def toy_study(monkeypatch):
    """`toy_study(folder)` lets `skyloom` find the study `toy` in a folder; afterwards it is
    forgotten.
    """
    import skyloom

    def add(folder: Path) -> None:
        monkeypatch.setattr(skyloom, "__path__", [*skyloom.__path__, str(folder)])
        importlib.invalidate_caches()

    yield add
    vars(skyloom).pop("toy", None)
    for name in [name for name in sys.modules if f"{name}.".startswith("skyloom.toy.")]:
        del sys.modules[name]


def copy_repository(target: Path) -> Path:
    """A copy of what git tracks or would track, with links kept: a fresh clone of the
    working tree.
    """
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name, follow_symlinks=False)
    return target


@pytest.fixture
def clone(tmp_path) -> Path:
    """A copy of the repository of the test's own."""
    return copy_repository(tmp_path / "skyloom")


def snakemake(
    folder: Path, *arguments: str, environment: dict | None = None
) -> subprocess.CompletedProcess:
    """Run Snakemake in `folder`; its output is `.stdout`, both streams together."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **(environment or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


STUDIES = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())["studies"]


def sizes(size: str) -> list[str]:
    """The studies that have a size; a study need not have all."""
    return [name for name in STUDIES if (REPOSITORY / f"config/{name}/{size}.yaml").exists()]


def plan(study: str, size: str = "demo", run: str = "demo", **settings):
    """The study of a run of its own with a user's settings, without Snakemake."""
    from dag.config import complete_run
    from dag.study import make

    config = {"studies": [study], "size": size, "run": run, study: settings}
    complete_run(config)
    return make(study, config)


TEST_RUN = ("--profile", "profiles/local", "--cores", "2", "--config", "size=test", "run=test")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A clone in which the test-size run of every study has finished; treat it as read-only, dry
    runs aside.
    """
    folder = copy_repository(tmp_path_factory.mktemp("finished") / "skyloom")
    done = snakemake(folder, *TEST_RUN)
    assert done.returncode == 0, done.stdout[-6000:]
    return folder
