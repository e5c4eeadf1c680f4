"""Every command that the README shows runs."""

import re
import shlex
import shutil

import pytest
import yaml
from conftest import REPOSITORY, snakemake

TEXT = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
LINES = [shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line[1:] for line in LINES if line[:1] == ["snakemake"]]


@pytest.fixture(scope="module")
def house(finished_run, tmp_path_factory):
    """A finished run, made the default, with the README's own overlay in its folder."""
    folder = tmp_path_factory.mktemp("readme") / "skyloom"
    shutil.copytree(finished_run("co"), folder, symlinks=True)
    config = {"run": "test", "size": "test", "studies": ["co"]}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    (folder / "mine.yaml").write_text(re.search(r"```yaml\n(.*?)```", TEXT, re.S)[1])
    return folder


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_of_the_readme_runs(house, words):
    words = [word.replace("results/demo", "results/test") for word in words]
    changes_nothing = {"-n", "--rulegraph", "--report", "--unlock"} & set(words)
    done = snakemake(
        house,
        *([] if changes_nothing else ["-n"]),
        *words,
        environment={"SKYLOOM_ACCOUNT": "toy_0"},
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_readme_names_both_commands_of_the_makefile():
    targets = (REPOSITORY / "Makefile").read_text()
    for command in ("demo", "test"):
        assert ["make", command] in LINES and f"\n{command}:" in targets


@pytest.mark.parametrize(
    "page",
    ["README.md", *(str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "docs").rglob("*.md"))],
)
def test_links_to_files_lead_somewhere(page):
    path = REPOSITORY / page
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
        assert (path.parent / link).exists(), f"{page}: {link}"
