"""Begin a study: copy the example study, tests/studies/shapes, into the repository as NAME.

    make study NAME=radio

The example's name is replaced in paths and contents. No file of the repository is changed.
"""

import keyword
import re
import subprocess
from pathlib import Path

from skyloom import cli

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLE = "shapes"
# the target rule of all studies, and keys of the config next to those of studies
RESERVED = ("all", "container", "paths", "raw", "run", "size", "studies")
NEXT = """\
{count} files of the study {name}. Next:

1. Add {name} to `studies:` in config/config.yaml.
2. `make docs` writes docs/config/{name}.md.
3. `make demo STUDY={name}` and `make test STUDY={name}` run it as it is.
4. Change it file by file: docs/new-study.md.
"""


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="of the new study")
    name = parser.parse_args().name
    refuse_unfit(name)
    copies = {source: target(source, name) for source in example_files()}
    refuse_existing(name, copies.values())
    for source, path in copies.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.read_text().replace(EXAMPLE, name))
    print(NEXT.format(count=len(copies), name=name), end="")


def refuse_unfit(name: str) -> None:
    """Refuse what can be no name of a Python package, a rule and a section of the config."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in RESERVED:
        raise cli.BadInput(
            f"NAME is {name!r}; expected a lower-case identifier, as in make study NAME=radio"
        )


def example_files() -> list[Path]:
    """The example's files that git tracks."""
    root = REPOSITORY / "tests" / "studies" / EXAMPLE
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    return [root / name for name in listed.split("\0") if name]


def target(source: Path, name: str) -> Path:
    """The place of an example's file in the repository."""
    inner = source.relative_to(REPOSITORY / "tests" / "studies" / EXAMPLE)
    return REPOSITORY / str(inner).replace(EXAMPLE, name)


def refuse_existing(name: str, paths) -> None:
    """Refuse a name of which the repository has a file, a folder or a section of the config."""
    taken = [f"config/{name}", f"scripts/skyloom/{name}", f"scripts/skyloom/{name}.py"]
    taken += [f"workflow/rules/{name}", f"workflow/rules/{name}.smk", f"workflow/dag/{name}.py"]
    taken = [REPOSITORY / path for path in taken] + list(paths)
    for path in taken:
        if path.exists():
            raise cli.BadInput(
                f"NAME is {name!r}: {path.relative_to(REPOSITORY)} exists; expected a new name"
            )


if __name__ == "__main__":
    cli.run(main)
