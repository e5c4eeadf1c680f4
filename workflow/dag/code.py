"""Code files as inputs of the rules that run them.

Snakemake compares inputs by checksum: an edit reruns exactly the rules that import the file, a
revert or a fresh clone reruns nothing. Its own trigger `code` goes by modification time and does
not see libraries.
"""

import ast
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .config import BASE

SCRIPTS = BASE / "scripts"


def code(script: str, *modules: str) -> Callable:
    """An input function, `closure` of these files: a start looks only at code that it runs."""
    return lambda wildcards: closure(script, *modules)


@functools.cache
def closure(script: str, *modules: str) -> list[str]:
    """The entry point first, then all that it imports below scripts/, and `modules` with theirs."""
    todo = [SCRIPTS / name for name in (script, *modules)]
    seen = dict.fromkeys(todo)
    while todo:
        for file in sorted(imports(todo.pop()) - seen.keys()):
            seen[file] = None
            todo.append(file)
    return [os.path.relpath(file) for file in seen]


def module_file(module: str) -> str:
    """The file of a module below scripts/, a plain one or a package."""
    return f"{module}.py" if (SCRIPTS / f"{module}.py").exists() else f"{module}/__init__.py"


@functools.cache
def imports(path: Path) -> set[Path]:
    """The files below scripts/ that `path` imports, by its syntax tree."""
    names = []
    for node in statements(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.parent.relative_to(SCRIPTS).parts
            prefix = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*prefix, *([node.module] if node.module else [])])
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    files = set()
    for name in filter(None, names):
        parts = name.split(".")
        # importing a.b.c runs a/__init__.py and a/b/__init__.py too
        for end in range(1, len(parts) + 1):
            stem = SCRIPTS.joinpath(*parts[:end])
            files |= {f for f in (stem.with_suffix(".py"), stem / "__init__.py") if f.is_file()}
    return files


def statements(body: list) -> Iterator[ast.stmt]:
    """All statements, nested ones too. Expressions are skipped: they hold no import."""
    for node in body:
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from statements(getattr(node, block, ()))
