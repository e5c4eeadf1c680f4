"""Write docs/config/ from the schemas in workflow/schemas: a page of a run, one of each study, and
one of the keys that all models share.

`--check` writes nothing and fails where the pages are not in step.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from dag.config import BASE, read_groups, read_schema

PAGES = BASE / "docs" / "config"
SCHEMAS = BASE / "workflow" / "schemas"
NOTE = "Written by `docs/generate_config.py` from `workflow/schemas/`; `make docs` writes it anew."
ORDER = """\
`config/config.yaml` states which studies run, at which size, under which name. The values of a
study are laid over one another in this order:

1. the defaults below,
2. `config/<study>/demo.yaml`,
3. `config/<study>/<size>.yaml`,
4. your own `--configfile`, under the name of the study.

Tables are merged key by key, lists are replaced. An unknown key is refused with the nearest known
one."""
OTHERS = """\
The sections and models of a study are on the page of its name in this folder. The keys that all
studies share are in [training.md](training.md)."""
SHARED = ("network", "start", "baseline")  # groups of the page of all models
SECTIONS = {"comparison": "comparison", "evaluate": "bootstrap"}  # sections that include a group
HEAD = "| key | type | default | |\n|---|---|---|---|"
NONE = {}  # the default of a section: that of its keys


def main() -> None:
    pages = {f"{name}.md": "\n\n".join(parts) + "\n" for name, parts in texts().items()}
    if "--check" in sys.argv:
        written = {path.name: path.read_text() for path in PAGES.glob("*.md")}
        sys.exit(0 if written == pages else "docs/config/ is not in step: run `make docs`")
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.glob("*.md"):
        path.unlink()
    for name, text in pages.items():
        (PAGES / name).write_text(text)


def texts() -> dict[str, list[str]]:
    """Paragraphs of each page by its name."""
    names = sorted(path.name.partition(".")[0] for path in SCHEMAS.glob("*.schema.yaml"))
    studies = [name for name in names if name not in ("config", "training")]
    run = table(HEAD, rows(read_schema("config")["properties"]))
    index = ["# Configuration", NOTE, ORDER, run, OTHERS]
    return {"index": index, "training": training(), **{s: study_page(s) for s in studies}}


def training() -> list[str]:
    groups = read_groups()
    parts = ["# Keys that all studies share", NOTE]
    for name in ("study", "model", *SHARED):
        group = groups[name]
        keys = {k: v for k, v in group["properties"].items() if name == "model" or not shared(k, v)}
        parts += [f"## {group.get('description', 'Keys of every study.')}"[:-1]]
        parts += [table(HEAD, rows(keys))]
    return [*parts, "## Sections of every study", table(HEAD, section_rows())]


def section_rows() -> list[str]:
    """Rows of the keys that sections of every study have."""
    groups = read_groups()
    return [
        row
        for section, name in SECTIONS.items()
        for row in rows(groups[name]["properties"], f"{section}.")
    ]


def shared(key: str, schema: dict) -> bool:
    """Whether a key is one of every model, as it is there."""
    return read_groups()["model"]["properties"].get(key) == schema


def study_page(study: str) -> list[str]:
    schema, common = read_schema(study), read_groups()["study"]["properties"]
    sections = {key: child for key, child in schema["properties"].items() if key not in common}
    models = {name: own_keys(definition) for name, definition in schema["$defs"].items()}
    defaults, about = {}, {}
    for key, child in (item for own in models.values() for item in own.items()):
        defaults.setdefault(key, []).append(child.get("default", NONE))
        about.setdefault((key, child["description"]), child)
    uniform = {key for key, values in defaults.items() if all(v == values[0] for v in values)}
    modules = [
        f"| `{name}` | {definition['properties']['kind']['const']} "
        f"| {definition['description'].strip()} | {listed(models[name], uniform)} |"
        for name, definition in schema["$defs"].items()
    ]
    keys = [
        row
        for (key, text), child in about.items()
        # a key of all models whose default is that of the module: the list of modules has it
        if key in uniform or text != common_text(key)
        for row in rows({key: child if key in uniform else child | {"default": NONE}})
    ]
    return [
        f"# Configuration of the study `{study}`",
        NOTE,
        schema["description"],
        "## Sections",
        "Further keys of `comparison` and `evaluate` are those of all studies"
        " ([training.md](training.md)).",
        table(HEAD, [row for row in rows(sections) if row not in section_rows()]),
        "## Models",
        "A module has the keys of all models ([training.md](training.md)) and those listed here,\n"
        "with their defaults where these differ.",
        table("| module | kind | | keys |\n|---|---|---|---|", modules),
        table(HEAD, keys),
    ]


def own_keys(definition: dict) -> dict[str, dict]:
    """Keys of a module that are not, or not so, on the page of all models."""
    groups, keys = read_groups(), definition["properties"]
    common = groups[keys["kind"]["const"]]["properties"] | groups["start"]["properties"]
    return {k: v for k, v in keys.items() if v != common.get(k) and k != "module"}


def common_text(key: str) -> str | None:
    """Description of a key that all models have."""
    return read_groups()["model"]["properties"].get(key, {}).get("description")


def listed(keys: dict[str, dict], uniform: set[str]) -> str:
    """Keys, with the default of each that differs between modules."""
    texts = (key if key in uniform else f"{key}: {child['default']}" for key, child in keys.items())
    return ", ".join(f"`{text}`" for text in texts)


def table(head: str, lines: list[str]) -> str:
    return "\n".join([head, *lines])


def rows(keys: dict[str, dict], prefix: str = "") -> list[str]:
    """A row for each key, and below it for those that it holds."""
    lines = []
    for name, schema in keys.items():
        default = schema.get("default", NONE)
        cells = [f"`{prefix}{name}`", kind(schema), f"`{default}`" * (default != NONE)]
        lines.append(f"| {' | '.join(cells)} | {schema['description'].strip()} |")
        for part, place in (
            ("properties", ""),
            ("additionalProperties", "<name>."),
            ("items", "<n>."),
        ):
            child = schema.get(part) or {}
            below = child if part == "properties" else child.get("properties", {})
            lines += rows(below, f"{prefix}{name}.{place}")
    return lines


def kind(schema: dict) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    types = schema.get("type", "")
    return " or ".join(types) if isinstance(types, list) else types


if __name__ == "__main__":
    main()
