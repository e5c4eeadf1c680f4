"""Fixtures that all tests share: a copy of the repository, Snakemake on it, a finished run of test
size.
"""

import contextlib
import fcntl
import functools
import importlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a loopback server of the files in a folder."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


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


# --- a finished run -------------------------------------------------------------------------------


def run_words(study: str) -> tuple[str, ...]:
    """Words of the command that runs one study at test size. Targets stand before them."""
    config = ("size=test", "run=test", f"studies=[{study}]")
    return ("--profile", "profiles/local", "--cores", "2", "--config", *config)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Callable[[str], Path]:
    """`finished_run(study)` is a clone in which the test-size run of this study has finished.

    It is made once and shared by all processes of the tests: treat it as read-only, dry runs aside.
    """
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def make(study: str) -> Path:
        folder, done = root / f"finished_{study}" / "sky loom", root / f"finished_{study}.done"
        with locked(root / f"finished_{study}.lock"):
            if not done.exists():
                copy_repository(folder)
                run = snakemake(folder, *run_words(study))
                assert run.returncode == 0, run.stdout[-6000:]
                done.touch()
        return folder

    return make


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a local file; another process waits."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- the tests of one study -----------------------------------------------------------------------

collect_ignore = ["studies"]  # examples to copy; test_new_study.py runs their tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--study", help="run the tests of the house and of this study only")


def pytest_configure(config: pytest.Config) -> None:
    study = config.getoption("--study")
    if study not in (None, *STUDIES):
        raise pytest.UsageError(f"--study {study}: expected one of {', '.join(STUDIES)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    study = config.getoption("--study")
    others = {item for item in items if study and study_of(item) not in (None, study)}
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def study_of(item: pytest.Item) -> str | None:
    """The study that a test belongs to, by its parameter `study` or the name of its file.

    None is a test of the house.
    """
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "study" in parameters:
        return parameters["study"]
    return next((name for name in STUDIES if f"_{name}_" in f"_{item.path.stem}_"), None)
