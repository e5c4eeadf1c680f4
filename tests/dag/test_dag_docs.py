"""Every command and snippet that the README and the pages of docs show runs."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import REPOSITORY, STUDIES, snakemake

from dag.config import complete_run
from dag.study import make

PAGES = [
    "README.md",
    "config/README.md",
    "benchmarks/README.md",
    *sorted(str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "docs").rglob("*.md")),
]
TEXTS = {page: (REPOSITORY / page).read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
BLOCKS = [(page, *block) for page in PAGES for block in FENCE.findall(TEXTS[page])]
# programs of the machine, which a test does not run
FOREIGN = {"export", "git", "cd", ".", "pip", ".venv/bin/pip", "tmux", "nvidia-smi", "squeue"}
FOREIGN |= {"awk", "xargs", "python3"}


def commands() -> list[list[str]]:
    """Commands of the blocks, and those between backticks in the text, where a line may break."""
    shown = [block.replace("\\\n", "") for _, kind, block in BLOCKS if kind == "sh"]
    lines = [line for block in shown for line in block.splitlines()]
    for text in TEXTS.values():
        inline = re.findall(r"`([^`]+)`", FENCE.sub("", text))
        lines += [
            " ".join(code.split()) for code in inline if re.match(r"(snakemake|make|python) ", code)
        ]
    words = [shlex.split(line, comments=True) for line in lines]
    parts = [
        list(part)
        for line in words
        for is_word, part in itertools.groupby(line, lambda word: word not in ("&&", "|"))
        if is_word
    ]
    return [list(part) for part in dict.fromkeys(map(tuple, parts))]


COMMANDS = commands()


def of(program: str) -> list[list[str]]:
    """The arguments of each command of a program."""
    return [words[1:] for words in COMMANDS if words[0] == program]


def blocks(kind: str) -> list:
    """The blocks of a language, with their page as the name of the test."""
    return [pytest.param(block, id=page) for page, found, block in BLOCKS if found == kind]


def test_every_block_and_command_is_of_a_kind_that_a_test_below_runs():
    # without a language: diagrams and messages
    assert {kind for _, kind, _ in BLOCKS} <= {"sh", "yaml", "python", "mermaid", ""}
    tested = {"snakemake", "make", "python", "tail", "cat", "tensorboard"}
    assert {words[0] for words in COMMANDS} <= tested | FOREIGN


@pytest.fixture(scope="module")
def house(finished_run, tmp_path_factory):
    """A finished run, made the default, with the README's own overlay in its folder."""
    folder = tmp_path_factory.mktemp("readme") / "skyloom"
    shutil.copytree(finished_run("co"), folder, symlinks=True)
    config = {"run": "test", "size": "test", "studies": ["co"]}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    overlay = next(block for page, kind, block in BLOCKS if (page, kind) == ("README.md", "yaml"))
    (folder / "mine.yaml").write_text(overlay)
    return folder


@pytest.mark.parametrize("words", of("snakemake"), ids=" ".join)
def test_command_of_snakemake_runs(house, words):
    words = [word.replace("results/demo", "results/test").strip("'") for word in words]
    changes_nothing = {"-n", "--rulegraph", "--report", "--unlock"} & set(words)
    done = snakemake(
        house,
        *([] if changes_nothing else ["-n"]),
        *words,
        environment={"SKYLOOM_ACCOUNT": "toy_0"},
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("words", of("make"), ids=" ".join)
def test_target_of_make_exists(words):
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M)
    names = [word for word in words if "=" not in word]
    assert names and set(names) <= set(targets)


@pytest.mark.parametrize("words", of("python"), ids=" ".join)
def test_python_command_runs(words):
    """A script explains the arguments that a page shows."""
    call = words if words[0] == "-c" else [words[0], "--help"]
    done = subprocess.run([sys.executable, *call], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words if word.startswith("--"))


@pytest.mark.parametrize(
    "path",
    sorted({w for name in ("tail", "cat") for words in of(name) for w in words if "/" in w}),
)
def test_file_that_a_page_shows_is_there_after_a_run(house, path):
    path = path.replace("/survey/", "/test/").replace("<model>", "res_unet")
    assert (house / path).exists()


@pytest.mark.parametrize("block", blocks("yaml"))
def test_config_is_accepted(block, tmp_path, monkeypatch):
    """As an overlay of the default config; `<...>` is what a reader fills in.

    A path with a wildcard has a file that matches.
    """
    shown = yaml.safe_load(block)
    monkeypatch.chdir(tmp_path)
    for path in re.findall(r"\S+/\{field\}/\S+", block):
        file = tmp_path / path.format(field="P000+23")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    studies = [study for study in STUDIES if study in shown]
    config = {"run": "demo", "size": "demo"} | shown | {"studies": studies}
    complete_run(config)
    assert studies and all(make(study, config) for study in studies)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs_on_the_product_of_a_finished_run(block, finished_run, tmp_path):
    """The pages call the product `co.fits`."""
    if "pysm3" in block:
        pytest.importorskip("pysm3")
    products = finished_run("co") / "results/test/co/products"
    for ending in (".fits", "_pysm.fits"):
        (tmp_path / f"co{ending}").symlink_to(products / f"spot{ending}")
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXTS[page]):
        assert ((REPOSITORY / page).parent / link).exists(), f"{page}: {link}"
