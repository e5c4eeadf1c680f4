"""Write docs/config/ from the schemas in workflow/schemas.

`--check` writes nothing and says whether the pages are in step. `index.md` holds the keys of a run,
`training.md` what all models share, and a page of each study what it adds. A key that a study takes
over as it is has its row on `training.md` only.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from dag.config import BASE, included, read_schema, read_yaml

DOCS = BASE / "docs" / "config"
SCHEMAS = BASE / "workflow" / "schemas"
NOTE = (
    "Written by `docs/generate_config.py` from `workflow/schemas/`; `make docs` writes it anew.\n"
)
INDEX = """\
`config/config.yaml` states which studies run, at which size, under which name. The values of a
study are laid over one another in this order:

1. the defaults of the schema,
2. `config/<study>/demo.yaml`,
3. `config/<study>/<size>.yaml`,
4. your own `--configfile`, under the name of the study.

Tables are merged key by key, lists are replaced. An unknown key is refused with the nearest known
one. Pages: {pages}.
"""
TABLE = "| key | type | default | |\n|---|---|---|---|\n"


def kind(schema: dict) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    types = schema.get("type", "")
    return " or ".join(types) if isinstance(types, list) else types


def rows(schema: dict, shared: dict = {}, prefix: str = "") -> list[str]:  # noqa: B006
    """A table row for each key, depth first, without the keys that are as in `shared`."""
    lines = []
    for name, child in schema.get("properties", {}).items():
        if child == shared.get(name) or name == "module":
            continue
        default = f"`{child['default']}`" if child.get("default", {}) != {} else ""
        description = " ".join(child.get("description", "").split())
        lines.append(f"| `{prefix}{name}` | {kind(child)} | {default} | {description} |")
        lines += rows(child, {}, f"{prefix}{name}.")
        for place in ("additionalProperties", "items"):
            if isinstance(child.get(place), dict):
                lines += rows(child[place], {}, f"{prefix}{name}.<name>.")
    return lines


def table(title: str, about: str, lines: list[str]) -> str:
    return f"\n## {title}\n\n{about}\n" + ("\n" + TABLE + "\n".join(lines) + "\n") * bool(lines)


def shared_groups() -> dict[str, dict]:
    """The groups of training.schema.yaml, each with those that it includes."""
    groups = read_yaml(SCHEMAS / "training.schema.yaml")["groups"]
    return {name: included(group, groups) for name, group in groups.items()}


def page(title: str, *parts: str) -> str:
    return "".join([f"# {title}\n\n{NOTE}", *parts])


def study_page(study: str) -> str:
    schema = read_schema(study)
    text = read_yaml(SCHEMAS / f"{study}.schema.yaml")
    shared = shared_groups()
    own = {name: included(group, text["groups"] | shared) for name, group in text["groups"].items()}
    parts = ["\n" + schema["description"] + " Keys of all studies: [training.md](training.md).\n"]
    parts.append("\n" + TABLE + "\n".join(rows(schema, shared["study"]["properties"])) + "\n")
    for name, group in own.items():
        base = including(text["groups"][name], own | shared)
        parts.append(table(f"Models: `{name}`", about(text["groups"][name]), rows(group, base)))
    for name, definition in schema.get("$defs", {}).items():
        base = including(text["$defs"][name], own | shared)
        description = about(text["$defs"][name])
        parts.append(table(f"`module: {name}`", description, rows(definition, base)))
    return page(f"Configuration of the study `{study}`", *parts)


def including(node: dict, groups: dict[str, dict]) -> dict:
    """The keys that a node has from the groups that it includes."""
    names = node.get("include", [])
    names = [names] if isinstance(names, str) else names
    return {key: value for name in names for key, value in groups[name]["properties"].items()}


def about(node: dict) -> str:
    """The description of a group or a definition, and where its other keys stand."""
    names = node.get("include", [])
    names = [f"`{name}`" for name in ([names] if isinstance(names, str) else names)]
    return f"{node.get('description', '')} Has the keys of {', '.join(names)} too.".strip()


def pages() -> dict[str, str]:
    """The text of each page by file name."""
    studies = sorted(p.name.partition(".")[0] for p in SCHEMAS.glob("*.schema.yaml"))
    studies = [name for name in studies if name not in ("config", "training")]
    links = ", ".join(f"[{name}.md]({name}.md)" for name in ("training", *studies))
    index = INDEX.format(pages=links) + "\n" + TABLE + "\n".join(rows(read_schema("config"))) + "\n"
    groups = read_yaml(SCHEMAS / "training.schema.yaml")["groups"]
    shared = shared_groups()
    parts = ["\nGroups of keys that studies share. A group may include another.\n"]
    for name, group in shared.items():
        if lines := rows(group, including(groups[name], shared)):
            description = groups[name].get("description", "")
            parts.append(table(f"`{name}`", description, lines))
    return {
        "index.md": page("Configuration", "\n", index),
        "training.md": page("Configuration of every study", *parts),
        **{f"{study}.md": study_page(study) for study in studies},
    }


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    texts = pages()
    if "--check" in sys.argv:
        there = {path.name: path.read_text() for path in DOCS.glob("*.md")}
        sys.exit(0 if there == texts else "docs/config/ is not in step with the schemas: make docs")
    for path in DOCS.glob("*.md"):
        path.unlink()
    for name, text in texts.items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
